"""An alert's life, decided purely: as it begins, is told again, and ends.

What a message of it shows is how things stand at that message; a resolved one shows how they stand
at the clearing, since when it lasted, and how long.
"""

from __future__ import annotations

from msgspec.structs import replace

from actors.alerts.debounce import TriggerState
from actors.alerts.facts import LASTED, SINCE, instant, span
from actors.alerts.step import Moment
from actors.alerts.triggers import Finding
from actors.messages import Alert

FLAPPING = "It comes and goes: flapping. Quiet until it is calm for 10 minutes."


def begun(
    finding: Finding, before: TriggerState, at: Moment, id_: str, *, flapping: bool = False
) -> Alert:
    """Return the alert of a finding that fires; what only happens is over at once."""
    return Alert(
        id=id_,
        trigger=finding.trigger,
        severity=finding.severity,
        bot=finding.bot,
        title=finding.title,
        text=f"{finding.text} {FLAPPING}" if flapping else finding.text,
        state="resolved" if finding.once else "open",
        opened=at.now,
        closed=at.now if finding.once else None,
        value=finding.value,
        threshold=finding.threshold,
        suppressed=before.suppressed,
        updated=at.now,
        facts=finding.facts,
    )


def told_again(alert: Alert, finding: Finding | None, before: TriggerState, at: Moment) -> Alert:
    """Return an open alert as a finding has it now; None: nothing new is known of it."""
    counted = replace(alert, updated=at.now, suppressed=alert.suppressed + before.suppressed)
    if finding is None:
        return counted
    return replace(
        counted,
        severity=finding.severity,
        title=finding.title,
        text=finding.text,
        value=finding.value,
        facts=finding.facts,
    )


def ended(alert: Alert, finding: Finding, before: TriggerState, at: Moment) -> Alert:
    """Return an alert that a finding says is over, with how things stand at that."""
    since = dict(alert.facts).get(SINCE) or instant(alert.opened)
    lasted = span((at.now - alert.opened).total_seconds())
    now = [fact for fact in finding.facts if fact[0] != SINCE]
    return replace(
        alert,
        state="resolved",
        closed=at.now,
        updated=at.now,
        suppressed=alert.suppressed + before.suppressed,
        text=f"{finding.cleared} Before: {alert.text}" if finding.cleared else alert.text,
        facts=[*now, (SINCE, since), (LASTED, lasted)],
    )

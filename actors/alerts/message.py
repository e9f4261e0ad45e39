"""What one message about an alert says, for every channel alike."""

from __future__ import annotations

from actors.alerts import escalation
from actors.alerts.debounce import TriggerState
from actors.alerts.escalation import Due
from actors.alerts.facts import SINCE, instant
from actors.alerts.step import Action, Moment
from actors.messages import Alert, Notice, NoticeKind

KINDS: dict[Action, NoticeKind] = {
    "fire": "fired",
    "repeat": "reminder",
    "resolve": "resolved",
    "change": "acknowledged",
}


def of(
    action: Action,
    alert: Alert,
    before: TriggerState,
    at: Moment,
    due: Due | None = None,
    *,
    fresh: bool = False,
) -> Notice:
    """Return the message of a step, still without its number, what is held, and its link.

    `before` is what was counted since the last message, `due` why one comes although nothing new
    happened; `fresh` that something did.
    """
    counted = before.suppressed > 0
    facts = list(alert.facts)
    if action != "fire" and SINCE not in {label for label, _ in facts}:
        facts.append((SINCE, instant(alert.opened)))
    remarks = [] if due is None else [escalation.remark(due.what, at.tick - due.chase.since)]
    return Notice(
        id=alert.id,
        alert_id=alert.id,
        kind=KINDS[action],
        severity=alert.severity,
        bot=alert.bot,
        trigger=alert.trigger,
        title=alert.title,
        text=alert.text,
        at=at.now,
        facts=facts,
        suppressed=before.suppressed,
        span_s=round(at.tick - before.counted_since, 3) if counted else 0.0,
        worst=before.worst_said if counted else "",
        remarks=remarks,
        fresh=fresh,
        value=alert.value,
    )

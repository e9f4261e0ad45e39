"""Being told, as the settings describe it: failover, reminders, the ladder, and quiet times."""

from __future__ import annotations

from datetime import UTC, datetime, time

from actors.alerts import escalation, failover
from actors.alerts.commands import Silence
from actors.alerts.quiet import Hours
from config.alerting import chosen
from config.oncall import DAYS
from config.settings import Settings


def failover_plan(settings: Settings) -> failover.Plan:
    """Return where a critical goes that no channel has delivered."""
    order = chosen(settings.oncall.failover, settings.channels) or []
    return failover.Plan(order, settings.oncall.failover_after_s)


def escalation_plan(settings: Settings) -> escalation.Plan:
    """Return when an unacknowledged critical is told again, and to whom."""
    rungs = [
        escalation.Rung(rung.after_s, chosen(rung.channels, settings.channels) or [])
        for rung in settings.escalation.values()
    ]
    ladder = sorted(rungs, key=lambda rung: rung.after_s)
    return escalation.Plan(settings.oncall.remind_after_s, ladder)


def quiet_hours(settings: Settings) -> Hours | None:
    """Return when only criticals are told at once, None for never."""
    quiet = settings.quiet
    if not quiet.start:
        return None
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    return Hours(start, end, quiet.zone, frozenset(map(DAYS.index, quiet.days)))


def windows(settings: Settings) -> list[Silence]:
    """Return the announced maintenance windows."""
    return [
        Silence(
            id=f"maintenance.{name}",
            reason=window.reason,
            until=_instant(window.end),
            created=_instant(window.start),
            trigger=window.trigger,
            bot=window.bot,
            since=_instant(window.start),
            hold=True,
        )
        for name, window in settings.maintenance.items()
    ]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)

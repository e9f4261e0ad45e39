"""Being told, as the settings describe it: failover, reminders and the ladder."""

from __future__ import annotations

from actors.alerts import escalation, failover
from config.alerting import chosen
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

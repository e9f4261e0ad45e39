"""The policy of alerts, as the settings describe it: severities, debounce and routes."""

from __future__ import annotations

from actors.alerts import routing
from actors.alerts.routing import BotPolicy, Policy
from config.alerting import Routes, Rule, Trigger, chosen
from config.settings import Settings


def policy(settings: Settings) -> Policy:
    """Return what decides how urgent an alert is, how often it speaks, and where."""
    on = settings.channels
    return Policy(
        enabled=on,
        debounce_s=settings.alerts.debounce_s,
        routes=_routes(settings.routes, on),
        rules={name: _rule(trigger, on) for name, trigger in settings.triggers.items()},
        bots={
            name: BotPolicy(
                _routes(bot.routes, on),
                {trigger: _rule(rule, on) for trigger, rule in bot.triggers.items()},
            )
            for name, bot in settings.bots.items()
        },
    )


def _routes(routes: Routes, on: list[str]) -> routing.Routes:
    return routing.Routes(
        chosen(routes.critical, on), chosen(routes.warning, on), chosen(routes.info, on)
    )


def _rule(rule: Rule | Trigger, on: list[str]) -> routing.Rule:
    return routing.Rule(rule.enabled, rule.severity, rule.debounce_s, chosen(rule.channels, on))

"""Alerts as the settings describe them: severities, debounce, routes, and triggers of one's own."""

from __future__ import annotations

from actors.alerts import conditions, figures, routing
from actors.alerts.routing import BotPolicy, Policy
from actors.alerts.watch import Own
from actors.messages import Severity
from config.alerting import Routes, Rule, Trigger, chosen
from config.names import refusal
from config.settings import Bot, Settings
from sidewatch.channels import INCIDENTS

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")


def policy(settings: Settings) -> Policy:
    """Return what decides how urgent an alert is, how often it speaks, and where."""
    on = settings.channels
    return Policy(
        enabled=on,
        incidents=INCIDENTS & set(on),
        debounce_s=settings.alerts.debounce_s,
        routes=_routes(settings.routes, on),
        rules={name: _rule(trigger, on) for name, trigger in settings.triggers.items()},
        subjects={
            "channel": frozenset(on),
            "exchange_unreachable": frozenset(settings.apis),
        },
        own={name: frozenset(own.bots) for name, own in settings.triggers.items() if own.when},
        bots={
            name: BotPolicy(
                _routes(bot.routes, on),
                {trigger: _rule(rule, on) for trigger, rule in bot.triggers.items()},
            )
            for name, bot in settings.bots.items()
        },
    )


def own_triggers(settings: Settings) -> list[Own]:
    """Return the operator's own triggers, their conditions checked; raises SettingsError."""
    found = []
    for name, trigger in settings.triggers.items():
        if not trigger.when:
            continue
        try:
            condition = conditions.read(trigger.when, figures.KINDS)
        except conditions.BadConditionError as error:
            raise refusal(("triggers", name, "when"), str(error)) from None
        found.append(Own(name, condition, frozenset(trigger.bots), trigger.text))
    return found


def summary(settings: Settings) -> str:
    """Say where alerts of each severity go, and which triggers the operator has set."""
    known = policy(settings)
    lines = [
        f"{severity}: {', '.join(routing.route(known, '', severity, '')) or 'the page only'}"
        for severity in SEVERITIES
    ]
    exceptions = [*settings.triggers, *(n for n, bot in settings.bots.items() if _differs(bot))]
    if exceptions:
        lines.append(f"with settings of their own: {', '.join(exceptions)}")
    return "\n".join(lines)


def _differs(bot: Bot) -> bool:
    return bool(bot.triggers) or bot.routes != Routes()


def _routes(routes: Routes, on: list[str]) -> routing.Routes:
    return routing.Routes(
        chosen(routes.critical, on), chosen(routes.warning, on), chosen(routes.info, on)
    )


def _rule(rule: Rule | Trigger, on: list[str]) -> routing.Rule:
    return routing.Rule(rule.enabled, rule.severity, rule.debounce_s, chosen(rule.channels, on))

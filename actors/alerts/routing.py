"""Routing, decided purely: how urgent a trigger of a bot is, how often it speaks, and where.

The narrowest setting wins. For the channels of an alert: the bot's own rule for its trigger, the
rule for the trigger, the bot's routes by severity, the routes by severity, else every enabled
channel. An empty route sends nothing: the alert is still on the page and in history.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from actors.alerts.triggers import Finding
from actors.messages import Severity
from config.alerting import TRIGGERS

Channels = list[str]


class Routes(Struct, frozen=True):
    """The channels of each severity; None: as the next wider setting says."""

    critical: Channels | None = None
    warning: Channels | None = None
    info: Channels | None = None


class Rule(Struct, frozen=True):
    """What is set for one trigger; None: as the next wider setting says."""

    enabled: bool | None = None
    severity: Severity | None = None
    debounce_s: float | None = None
    channels: Channels | None = None


class BotPolicy(Struct, frozen=True):
    """What is set for one bot alone."""

    routes: Routes = Routes()
    rules: dict[str, Rule] = {}


class Policy(Struct, frozen=True):
    """Everything that is set about alerts. `enabled` lists the channels that are switched on.

    `own` has the operator's own triggers, each with its bots (none: every bot); `subjects` what
    some triggers can be about at all: a channel or an exchange that is gone has no trouble left.
    `incidents` are channels that keep an incident for each alert, and hear who takes it on.
    """

    enabled: Channels
    debounce_s: float = 300.0
    routes: Routes = Routes()
    rules: dict[str, Rule] = {}
    bots: dict[str, BotPolicy] = {}
    own: dict[str, frozenset[str]] = {}
    subjects: dict[str, frozenset[str]] = {}
    incidents: frozenset[str] = frozenset()

    @property
    def triggers(self) -> list[str]:
        """Every trigger by its name: Sidewatch's, then the operator's own."""
        return [*TRIGGERS, *self.own]

    def rule(self, trigger: str, bot: str) -> Rule:
        """Return what holds for a bot's trigger: its own, then the trigger's."""
        common = self.rules.get(trigger, _NOTHING)
        own = self.bots[bot].rules.get(trigger) if bot in self.bots else None
        if own is None:
            return common
        fields = {key: getattr(own, key) for key in own.__struct_fields__}
        return replace(common, **{key: value for key, value in fields.items() if value is not None})

    def debounce(self, trigger: str, bot: str) -> float:
        """Return how long identical state of a bot's trigger is quiet, in seconds."""
        own = self.rule(trigger, bot).debounce_s
        return self.debounce_s if own is None else own


_NOTHING = Rule()


def route(policy: Policy, trigger: str, severity: Severity, bot: str) -> Channels:
    """Return the channels of an alert, in the order of the enabled ones; may be empty."""
    own = policy.bots.get(bot)
    for chosen in (
        policy.rule(trigger, bot).channels,
        getattr(own.routes, severity) if own is not None else None,
        getattr(policy.routes, severity),
    ):
        if chosen is not None:
            return [channel for channel in policy.enabled if channel in chosen]
    return list(policy.enabled)


def ruled(policy: Policy, finding: Finding) -> Finding:
    """Return a finding with the severity that is set; one that is switched off holds no longer."""
    rule = policy.rule(finding.trigger, finding.bot)
    if rule.enabled is False or (finding.own and not _watches(policy, finding)):
        return replace(finding, band=0, cleared="This trigger was switched off.")
    known = policy.subjects.get(finding.trigger)
    if known is not None and finding.subject not in known:
        return replace(finding, band=0, cleared=f"{finding.subject} was taken out of the settings.")
    return finding if rule.severity is None else replace(finding, severity=rule.severity)


def _watches(policy: Policy, finding: Finding) -> bool:
    """Whether a trigger of the operator's own is still there, and looks at this bot."""
    bots = policy.own.get(finding.trigger)
    return bots is not None and (not bots or finding.bot in bots)

"""What an operator says about alerts: routes by severity, and what is special about a trigger.

`[routes]` and `[triggers.<name>]` hold for every bot; `[bots.<name>.routes]` and
`[bots.<name>.triggers.<trigger>]` for one. None: as the next wider setting says.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Struct

from config import rules

WEEK_S = 604_800
CONDITION_CHARS_MAX = 1_000
TEXT_CHARS_MAX = 500
TRIGGERS = (
    "drawdown_day",
    "drawdown_week",
    "drawdown_total",
    "losses_in_a_row",
    "kill_switch",
    "circuit_breaker",
    "silent",
    "api_errors",
    "position_limit",
    "position_rejected",
    "exchange_unreachable",
    "channel",
    "storage",
    "deadman",
    "actor_gave_up",
    "actor_quarantined",
    "actor_zombie",
    "actor_stuck",
    "actor_refused",
)
RESERVED = ("digest", "test")  # what Sidewatch says besides
EVERYBODY = "all"  # every channel that is switched on
NOBODY = "none"  # the environment's way to write an empty list

_TRIGGER = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
TRIGGER_CHARS_MAX = 48

Severity = Literal["info", "warning", "critical"]
Debounce = Annotated[float, rules.at_least(0), rules.at_most(WEEK_S)]
Channels = Annotated[list[str], rules.items_at_most(32)]
Condition = Annotated[str, rules.chars_at_most(CONDITION_CHARS_MAX)]
Text = Annotated[str, rules.chars_at_most(TEXT_CHARS_MAX)]
Names = Annotated[list[Annotated[str, rules.NAME]], rules.items_at_most(256)]


class Routes(Struct, frozen=True, forbid_unknown_fields=True):
    """Which channels get an alert of each severity; an empty list: none of them."""

    critical: Channels | None = None
    warning: Channels | None = None
    info: Channels | None = None


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """What is special about one trigger."""

    enabled: bool | None = None
    severity: Severity | None = None
    debounce_s: Debounce | None = None
    channels: Channels | None = None


class Trigger(Struct, frozen=True, forbid_unknown_fields=True):
    """The same for every bot; with `when`, a trigger of the operator's own (empty bots: all)."""

    enabled: bool | None = None
    severity: Severity | None = None
    debounce_s: Debounce | None = None
    channels: Channels | None = None
    when: Condition = ""
    text: Text = ""
    bots: Names = []


def is_trigger_name(text: str) -> bool:
    """Whether `text` can name a trigger: lower case, so that the environment can shout it."""
    return len(text) <= TRIGGER_CHARS_MAX and _TRIGGER.fullmatch(text) is not None


def chosen(channels: list[str] | None, on: list[str]) -> list[str] | None:
    """Return the channels that a list names, with its two words taken at their meaning."""
    if channels == [EVERYBODY]:
        return list(on)
    return [] if channels == [NOBODY] else channels

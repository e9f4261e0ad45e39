"""What an operator says about being told: failover, reminders, escalation, quiet times.

`[escalation.<name>]` is one rung of the ladder, `[maintenance.<name>]` one announced window.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Struct, field

from config import rules
from config.alerting import EVERYBODY, Channels

DAY_S = 86_400
WEEK_S = 604_800
REASON_CHARS_MAX = 200
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::00)?")


def is_time(text: str) -> bool:
    """Whether `text` is a time of day in whole minutes, such as 22:00."""
    return _TIME.fullmatch(text) is not None


def is_instant(text: str) -> bool:
    """Whether `text` is an RFC 3339 instant with its offset from UTC."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


Time = Annotated[str, rules.or_empty(rules.rule(is_time, "a time of day such as 22:00"))]
Instant = Annotated[
    str, rules.or_empty(rules.rule(is_instant, "an instant such as 2026-12-01T22:00:00+01:00"))
]
Reason = Annotated[str, rules.chars_at_most(REASON_CHARS_MAX)]


class Oncall(Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to a critical that nobody has got, or nobody has answered. 0 s: nothing."""

    failover_after_s: Annotated[float, rules.at_least(0), rules.at_most(DAY_S)] = 15.0
    failover: Channels = field(default_factory=lambda: [EVERYBODY])
    remind_after_s: Annotated[float, rules.at_least(0), rules.at_most(WEEK_S)] = 1_800.0


class Rung(Struct, frozen=True, forbid_unknown_fields=True):
    """One rung of the ladder: who hears of a critical that is unacknowledged for so long."""

    after_s: Annotated[float, rules.at_least(1), rules.at_most(WEEK_S)] = 900.0
    channels: Channels = []


class Quiet(Struct, frozen=True, forbid_unknown_fields=True):
    """The hours in which only criticals are told at once. No days: on every day."""

    start: Time = ""
    end: Time = ""
    zone: Annotated[str, rules.ZONE] = "UTC"
    days: Annotated[list[Weekday], rules.items_at_most(7)] = []


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """One announced maintenance: what is not critical waits until its end."""

    start: Instant = ""
    end: Instant = ""
    reason: Reason = ""
    trigger: str = ""
    bot: Annotated[str, rules.or_empty(rules.NAME)] = ""

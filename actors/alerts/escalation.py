"""Escalation, decided purely: what an unacknowledged critical does while nobody answers.

It is told again after 30 min, then after twice as long each time, at most every 4 h; and it goes on
to the next channels of a ladder, each rung once. An acknowledgement or its end stops both.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

REMIND_S_MAX = 14_400.0
DOUBLINGS_MAX = 16
_NOBODY = "Nobody has acknowledged this for"


class Rung(Struct, frozen=True):
    """The channels that hear of an alert which is unacknowledged for so long."""

    after_s: float
    channels: list[str]


class Plan(Struct, frozen=True):
    """How long until the first reminder (0: none), and the ladder, soonest first."""

    remind_s: float = 0.0
    ladder: list[Rung] = []

    def interval(self, reminded: int) -> float:
        """Return the time in seconds until the next reminder after so many."""
        longest = max(self.remind_s, REMIND_S_MAX)
        return min(self.remind_s * 2.0 ** min(reminded, DOUBLINGS_MAX), longest)


class Chase(Struct, frozen=True):
    """How far one alert has come. Instants are monotonic seconds of this process."""

    since: float
    told_at: float
    reminded: int = 0
    rung: int = 0

    def shifted(self, by_s: float, latest: float | None = None) -> Chase:
        """Return it on another clock; nothing lies in the future of `latest`."""
        since, told_at = self.since + by_s, self.told_at + by_s
        if latest is not None:
            since, told_at = min(since, latest), min(told_at, latest)
        return replace(self, since=since, told_at=told_at)


class Due(Struct, frozen=True):
    """What is due: a reminder where it was told, or the next rung's channels."""

    what: Literal["remind", "escalate"]
    chase: Chase
    channels: list[str] = []


def begun(now: float) -> Chase:
    """Begin to chase an alert that is told now."""
    return Chase(now, now)


def due(chase: Chase, plan: Plan, now: float) -> Due | None:
    """Return what is due now. `now` is monotonic seconds."""
    waited_s = now - chase.since
    rungs = [rung for rung in plan.ladder[chase.rung :] if waited_s >= rung.after_s]
    if rungs:
        channels = list(dict.fromkeys(name for rung in rungs for name in rung.channels))
        up = replace(chase, rung=chase.rung + len(rungs), told_at=now)
        return Due("escalate", up, channels)
    if plan.remind_s and now - chase.told_at >= plan.interval(chase.reminded):
        return Due("remind", replace(chase, reminded=chase.reminded + 1, told_at=now))
    return None


def is_remark(text: str) -> bool:
    """Whether it says for how long nobody has acknowledged."""
    return _NOBODY.lower() in text.lower()


def remark(what: str, waited_s: float) -> str:
    """Say in the message why it comes."""
    minutes = waited_s / 60
    time = f"{minutes:.0f} min" if minutes >= 1 else f"{waited_s:.0f} s"
    if what == "escalate":
        return f"Escalated: {_NOBODY[0].lower()}{_NOBODY[1:]} {time}"
    return f"{_NOBODY} {time}"

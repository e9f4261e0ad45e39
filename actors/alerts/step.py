"""A step: what was decided about one alert, and what it sends where."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from actors.messages import Alert, Notice

Action = Literal["fire", "repeat", "resolve", "change", "failover"]


class Moment(NamedTuple):
    """When something is decided: the wall clock, and monotonic seconds of this process."""

    now: datetime
    tick: float


class Step(Struct, frozen=True):
    """One message about one alert, and the channels that it goes to.

    `notice` is None where a silence or an empty route keeps it quiet.
    """

    action: Action
    alert: Alert
    notice: Notice | None
    channels: list[str] = []
    held: bool = False
    why_held: str = ""
    told: list[tuple[str, str]] = []  # (topic, id) of the held jobs that this one tells
    parts: dict[str, Notice] = {}  # what it tells on channels on which not all of it was held
    after: str = ""  # the alert that this one continues: it ended a moment ago
    closes: bool = False  # it only closes incidents: people are told nothing

    @property
    def pressing(self) -> bool:
        """Whether another channel must be asked when none of these delivers it soon."""
        notice = self.notice
        if notice is None or self.held or self.action not in ("fire", "repeat", "failover"):
            return False
        return notice.severity == "critical"

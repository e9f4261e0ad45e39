"""A step: what was decided about one alert, and what it sends where."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from actors.messages import Alert, Notice

Action = Literal["fire", "repeat", "resolve", "change"]


class Step(Struct, frozen=True):
    """One message about one alert, and the channels that it goes to.

    `notice` is None where a silence or an empty route keeps it quiet.
    """

    action: Action
    alert: Alert
    notice: Notice | None
    channels: list[str] = []
    held: bool = False
    told: list[tuple[str, str]] = []  # (topic, id) of the held jobs that this one tells

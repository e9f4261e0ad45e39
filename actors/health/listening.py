"""How long we have listened: a time in which we did not run ourselves is no bot's silence.

A process that is stopped, a laptop asleep, a paused virtual machine hears nobody. Such a gap shows
as a look that comes much later than planned (where the monotonic clock runs on), or as a wall clock
that has run ahead of the monotonic one (where that one stands still, as asleep on Linux). A wall
clock that is set changes nothing of what was listened; set ahead, it looks like a sleep.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

LOOK_EVERY_S = 1.0
GAP_S = 3.0  # a busy machine is late, too; what it is late by still counts


class Listening(Struct, frozen=True):
    """How long we have listened since our start, as of the last look at both clocks.

    `gaps`: how many times we did not run in between. Of a gap, the second that was planned counts,
    so that on a machine that is always late somebody still becomes silent.
    """

    monotonic_s: float
    wall: datetime
    listened_s: float = 0.0
    gaps: int = 0


def looked(known: Listening, monotonic_s: float, wall: datetime) -> Listening:
    """Return how long we have listened at another look, due each second."""
    passed_s = monotonic_s - known.monotonic_s
    asleep_s = (wall - known.wall).total_seconds() - passed_s
    heard_s = passed_s if passed_s <= GAP_S else LOOK_EVERY_S
    gap = passed_s > GAP_S or asleep_s > GAP_S
    return Listening(monotonic_s, wall, known.listened_s + heard_s, known.gaps + gap)


def reading(known: Listening, at: datetime) -> float:
    """Return how long we had listened when a sign of life that has just been taken was stamped.

    That was at most a second before the look, whatever a clock that was set makes of it.
    """
    ago_s = min(max(0.0, (known.wall - at).total_seconds()), LOOK_EVERY_S)
    return max(0.0, known.listened_s - ago_s)

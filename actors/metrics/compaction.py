"""Which entries may become part of the base: those that no figure of today needs one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from actors.metrics.days import Calendar
from actors.metrics.summary import MARK, TRADE
from actors.metrics.timeline import Timeline

NEVER: Final = 2**62
SLICE_MAX: Final = 2_048  # entries, of all bots of a currency together
SLICE_MIN: Final = 256
SLICE_S: Final = 0.01  # how long one slice is to hold the loop


class Slice:
    """How many entries are compacted at once: as many as fit their time."""

    def __init__(self) -> None:
        self.most = SLICE_MAX

    def took(self, seconds: float) -> None:
        """Note how long a slice took. Many bots, or many days, make each entry dearer."""
        if seconds > 0:
            fitting = int(self.most * SLICE_S / seconds)
            self.most = min(SLICE_MAX, max(SLICE_MIN, fitting))


def window_from(timeline: Timeline, trades: int) -> int:
    """The instant of the oldest of the last `trades` trades, far ahead where there is none."""
    number, inside = timeline.oldest(trades)
    for block in timeline.blocks[number:]:
        place = block.kind.find(TRADE, inside)
        if place >= 0:
            return block.when[place]
        inside = 0
    return NEVER


def week_of(last: int, calendar: Calendar) -> int:
    """The instant at which the week of another began."""
    return calendar.start_of(calendar.monday(calendar.day_of(last)))


def slice_until(timeline: Timeline, since: int, until: int, most: int) -> int:
    """The instant, at most `until`, before which about `most` entries lie since another.

    It never parts entries of one instant.
    """
    first = timeline.since(since)
    place = timeline.at(timeline.index(first) + most)
    if place == timeline.end():
        return until
    when = timeline.when(place)
    return min(until, when + (when == timeline.when(first)))


def slice_together(timelines: Sequence[Timeline], since: int, until: int, most: int) -> int:
    """The same of several timelines: at most `most` entries of all, or those of one instant."""
    when = np.concatenate([_some(timeline, since, most) for timeline in timelines])
    when = when[when < until]
    if len(when) <= most:
        return until
    cut = int(np.partition(when, most)[most])
    return cut + (cut == int(when.min()))


def _some(timeline: Timeline, since: int, most: int) -> npt.NDArray[np.int64]:
    first = timeline.since(since)
    last = timeline.at(timeline.index(first) + most)
    return timeline.columns(("when",), first, last)["when"]


def needed_together(timelines: Sequence[Timeline], trades: int, calendar: Calendar) -> int:
    """The instant from which on an account of all of these needs its entries one by one.

    Where not all equities are known, it knows only of trades and flows.
    """
    lasts = [timeline.last_but(MARK) for timeline in timelines]
    last = max(lasts, default=-1)
    if last < 0:
        last = max((timeline.last for timeline in timelines), default=-1)
    closed = np.sort(np.concatenate([timeline.last_trades(trades) for timeline in timelines]))
    oldest = int(closed[-trades:][0]) if len(closed) else NEVER
    return min(oldest, week_of(last, calendar)) if last >= 0 else last

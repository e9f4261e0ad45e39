"""Which entries may become part of the base: those that no figure of today needs one by one."""

from __future__ import annotations

from typing import Final

from actors.metrics.summary import TRADE
from actors.metrics.timeline import Place, Timeline

NEVER: Final = 2**62
START: Final = (0, 0)


def window_from(timeline: Timeline, trades: int) -> int:
    """The instant of the oldest of the last `trades` trades, far ahead where there is none."""
    number, inside = timeline.oldest(trades)
    for block in timeline.blocks[number:]:
        place = block.kind.find(TRADE, inside)
        if place >= 0:
            return block.when[place]
        inside = 0
    return NEVER


def slice_end(timeline: Timeline, until: int, most: int) -> Place:
    """The place before which about `most` entries lie that are older than `until`.

    It never parts entries of one instant, and there always is an entry behind it.
    """
    if not timeline.blocks or timeline.blocks[0].when[0] >= until:
        return START
    place = timeline.at(most)
    if place != timeline.end():
        when = timeline.when(place)
        if timeline.since(when) == START:  # more than `most` at one instant
            when += 1
        until = min(until, when)
    end = timeline.since(until)
    return START if end == timeline.end() else end

"""The chart: one point for each event in memory, downsampled so that no extreme is lost.

Of compacted days it has their corners: first, last, highest, lowest, deepest.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from itertools import pairwise
from operator import itemgetter

import numpy as np

from actors.messages import EquityPoint
from actors.metrics.arrays import Floats
from actors.metrics.base import Base
from actors.metrics.summary import EXACT_MAX, Path, Standing, standing, trace
from actors.metrics.timeline import Timeline

_ALL = 2**62


class Chart:
    """Equity and drawdown after each entry of a timeline, in step with its order.

    It is drawn when it is asked for, from where it was drawn before to the end. NaN stands inside
    for "not known yet" and never leaves.
    """

    def __init__(self) -> None:
        self._equity = array("d")
        self._drawdown = array("d")
        self._until = _ALL
        self._gone = 0  # entries that the base of the timeline stands for

    def clear(self) -> None:
        """Draw everything anew, because the unit changed."""
        self._until = -1

    def late(self, when: int) -> None:
        """Draw anew from this instant on, because an entry came or went there."""
        self._until = min(self._until, when)

    def draw(self, timeline: Timeline, start: Standing | None, unit: int) -> None:
        """Draw what is missing; `unit` is one of the currency in scaled units."""
        gone, self._gone = timeline.base.entries - self._gone, timeline.base.entries
        del self._equity[:gone]
        del self._drawdown[:gone]
        drawn = len(self._equity)
        if self._until < _ALL:
            drawn = min(drawn, timeline.index(timeline.since(self._until)))
            self._until = _ALL
            del self._equity[drawn:]
            del self._drawdown[drawn:]
        if drawn == len(timeline):
            return
        number, inside = timeline.at(drawn)
        opening = standing(timeline.until((number, inside)), start)
        for block in timeline.blocks[number:]:
            kinds, amounts = block.kinds()[inside:], block.amounts()[inside:]
            self._draw(trace(kinds, amounts, opening), unit)
            opening = standing(block.part(inside, len(block)), opening)
            inside = 0

    def _draw(self, path: Path, unit: int) -> None:
        self._equity.extend([math.nan] * path.first)
        self._drawdown.extend([0.0] * path.first)
        equity = path.equity if unit < EXACT_MAX else path.equity.astype(object)
        self._equity.frombytes((equity / unit).astype(np.float64).tobytes())
        self._drawdown.frombytes(path.falls().tobytes())

    def points(
        self, timeline: Timeline, limit: int, unit: int, since: int = 0, until: int = _ALL
    ) -> list[EquityPoint]:
        """At most `limit` (>= 5) points, oldest first, of the time from `since` to before `until`.

        Everything must have been drawn.
        """
        before = _corners(timeline.base, unit, since, until)
        first, last = (timeline.index(timeline.since(edge)) for edge in (since, until))
        # only copies may outlive this: a view forbids its array to grow
        equity = np.array(self._equity[first:last])
        known = np.flatnonzero(~np.isnan(equity))
        equity = np.concatenate(([point.equity for point in before], equity[known]))
        drawdown = np.array(self._drawdown[first:last])[known]
        drawdown = np.concatenate(([point.drawdown for point in before], drawdown))
        kept = extremes(equity, drawdown, limit)
        split = bisect_left(kept, len(before))
        when = timeline.instants([first + int(known[i - len(before)]) for i in kept[split:]])
        return [before[i] for i in kept[:split]] + [
            EquityPoint(instant / 1e6, float(equity[i]), float(drawdown[i]))
            for i, instant in zip(kept[split:], when, strict=True)
        ]


def _corners(base: Base, unit: int, since: int, until: int) -> list[EquityPoint]:
    first, last = (bisect_left(base.points, edge, key=itemgetter(0)) for edge in (since, until))
    return [
        EquityPoint(when / 1e6, equity / unit, (peak - equity) / peak if peak > 0 else 0.0)
        for when, equity, peak in base.points[first:last]
    ]


def extremes(equity: Floats, drawdown: Floats, limit: int) -> list[int]:
    """Indices of at most `limit` points: first, last, deepest drawdown, each bucket's low and high.

    `equity` and `drawdown` are arrays of one length.
    """
    count = len(equity)
    if count <= limit:
        return list(range(count))
    kept = {0, count - 1, int(np.argmax(drawdown))}
    edges = np.linspace(0, count, (limit - 3) // 2 + 1).astype(np.int64)
    for first, last in pairwise(edges):
        bucket = equity[first:last]
        kept.add(int(first + np.argmin(bucket)))
        kept.add(int(first + np.argmax(bucket)))
    return sorted(kept)

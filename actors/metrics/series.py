"""The chart: one point for each event in memory, downsampled so that no extreme is lost."""

from __future__ import annotations

import math
from array import array
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from actors.messages import EquityPoint
from actors.metrics.summary import EXACT_MAX, Path, Standing, standing, trace
from actors.metrics.timeline import Timeline

Floats = npt.NDArray[np.float64]
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

    def clear(self) -> None:
        """Draw everything anew, because the unit changed."""
        self._until = -1

    def late(self, when: int) -> None:
        """Draw anew from this instant on, because an entry came or went there."""
        self._until = min(self._until, when)

    def draw(self, timeline: Timeline, start: Standing | None, unit: int) -> None:
        """Draw what is missing; `unit` is one of the currency in scaled units."""
        drawn = len(self._equity)
        if self._until < _ALL:
            drawn = min(drawn, timeline.index(timeline.since(self._until)))
            self._until = _ALL
            del self._equity[drawn:]
            del self._drawdown[drawn:]
        if drawn == len(timeline):
            return
        number, inside = timeline.at(drawn)
        opening = standing(timeline.summary((0, 0), (number, inside)), start)
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
        self, timeline: Timeline, limit: int, first: int = 0, last: int | None = None
    ) -> list[EquityPoint]:
        """At most `limit` (>= 5) points, oldest first, of the entries from index `first` to `last`.

        All of them must have been drawn.
        """
        # only copies may outlive this: a view forbids its array to grow
        equity = np.array(self._equity[first:last])
        known = np.flatnonzero(~np.isnan(equity))
        equity = equity[known]
        drawdown = np.array(self._drawdown[first:last])[known]
        kept = extremes(equity, drawdown, limit)
        when = timeline.instants([first + int(known[i]) for i in kept])
        return [
            EquityPoint(instant / 1e6, float(equity[i]), float(drawdown[i]))
            for i, instant in zip(kept, when, strict=True)
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

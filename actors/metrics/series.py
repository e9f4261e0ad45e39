"""The chart: one point for each event in memory, downsampled so that no extreme is lost."""

from __future__ import annotations

from array import array
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from actors.messages import EquityPoint

Floats = npt.NDArray[np.float64]


class Chart:
    """Equity and drawdown after each entry of a timeline, in step with its indices.

    NaN stands inside for "not known yet" and never leaves.
    """

    def __init__(self) -> None:
        self._equity = array("d")
        self._drawdown = array("d")

    def append(self, equity: float, drawdown: float) -> None:
        """Add the point of the next entry."""
        self._equity.append(equity)
        self._drawdown.append(drawdown)

    def truncate(self, length: int) -> None:
        """Forget the points from index `length` on, before a replay."""
        del self._equity[length:]
        del self._drawdown[length:]

    def points(self, when: array[int], limit: int) -> list[EquityPoint]:
        """At most `limit` (>= 5) points, oldest first; `when` holds the entries' microseconds."""
        equity = np.frombuffer(self._equity)
        # only copies may outlive this: a view forbids its array to grow
        known = np.flatnonzero(~np.isnan(equity))
        equity = equity[known]
        drawdown = np.frombuffer(self._drawdown)[known]
        kept = extremes(equity, drawdown, limit)
        return [
            EquityPoint(when[known[i]] / 1e6, float(equity[i]), float(drawdown[i])) for i in kept
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

"""The rolling window: the last N trades, and the exact drawdown of the equity since the first.

Equity is kept as segments, begun by a trade or a flow. Within one segment no flow happens, so
(high, low, own drawdown) is all that the window's drawdown needs of its equity ticks.
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct


class Segment(Struct, gc=False):
    """Equity from one trade (`pnl` set) or flow to the next; None while equity is unknown."""

    day: int
    pnl: int | None
    before: int | None
    flow: int
    high: int | None
    low: int | None
    drawdown: float = 0.0


class Window:
    """A ring of at most `size` trades; amounts in scaled units."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.trades = 0
        self._segments: deque[Segment] = deque()

    def clear(self) -> None:
        """Forget everything, before a replay."""
        self.trades = 0
        self._segments.clear()

    def trade(self, day: int, pnl: int, before: int | None, after: int | None) -> None:
        """Take in a trade that moved equity from `before` to `after`; drop the oldest when full."""
        segments = self._segments
        segments.append(Segment(day, pnl, before, 0, after, after))
        if self.trades < self.size:
            self.trades += 1
            return
        segments.popleft()
        while segments[0].pnl is None:
            segments.popleft()

    def flow(self, day: int, amount: int, after: int) -> None:
        """Take in a flow, or with amount 0 the first equity that became known."""
        if self._segments:
            self._segments.append(Segment(day, None, after, amount, after, after))

    def mark(self, equity: int) -> None:
        """Take in a reported equity."""
        if not self._segments:
            return
        last = self._segments[-1]
        if last.high is None or last.low is None:
            return
        if equity >= last.high:
            last.high = equity
            return
        last.low = min(last.low, equity)
        if last.high > 0:
            last.drawdown = max(last.drawdown, (last.high - equity) / last.high)

    @property
    def first_day(self) -> int | None:
        """The day of the oldest trade in the window."""
        return self._segments[0].day if self._segments else None

    def pnls(self) -> list[int]:
        """The P&L of the window's trades, oldest first."""
        return [segment.pnl for segment in self._segments if segment.pnl is not None]

    def drawdown(self) -> float | None:
        """Largest drawdown (fraction) since just before the oldest trade; None: no equity known."""
        peak: int | None = None
        worst = 0.0
        for segment in self._segments:
            if segment.before is None or segment.high is None or segment.low is None:
                continue
            peak = segment.before if peak is None else peak + segment.flow
            if peak > segment.low and peak > 0:
                worst = max(worst, (peak - segment.low) / peak)
            worst = max(worst, segment.drawdown)
            peak = max(peak, segment.high)
        return None if peak is None else worst

"""The rolling window: the last N trades, and the exact drawdown of the equity since the first.

Equity is kept as segments, begun by a trade or a flow. Within one segment no flow happens, so
(high, low, own drawdown) is all that the window's drawdown needs of its equity ticks. Without a
flow in the window and with equity above zero, segments add up, and a queue of two stacks gives
the drawdown in O(1); else it is a walk over the segments.
"""

from __future__ import annotations

import itertools
from collections import deque

from msgspec import Struct

from actors.metrics.figures import Tally

_Sum = tuple[int, int, float]  # high, low, drawdown


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
    """A ring of at most `size` trades; amounts in scaled units. `tally` adds up its trades."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.clear()

    def clear(self) -> None:
        """Forget everything, before a replay."""
        self.tally = Tally()
        self._flows = 0
        self._segments: deque[Segment] = deque()
        self._front: list[_Sum | None] = []  # sums from each of the oldest segments to the last
        self._back: _Sum | None = None  # the sum of those that follow
        self._summed = 0  # how many there are in both

    def trade(self, day: int, pnl: int, before: int | None, after: int | None) -> None:
        """Take in a trade that moved equity from `before` to `after`; drop the oldest when full."""
        self._segments.append(Segment(day, pnl, before, 0, after, after))
        self.tally.add(pnl)
        if self.tally.trades <= self.size:
            return
        self._pop()
        while self._segments[0].pnl is None:
            self._pop()

    def flow(self, day: int, amount: int, after: int) -> None:
        """Take in a flow, or with amount 0 the first equity that became known."""
        if self._segments:
            self._segments.append(Segment(day, None, after, amount, after, after))
            self._flows += 1

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
    def trades(self) -> int:
        """How many trades there are, at most `size`."""
        return self.tally.trades

    @property
    def first_day(self) -> int | None:
        """The day of the oldest trade in the window."""
        return self._segments[0].day if self._segments else None

    def segments(self) -> list[Segment]:
        """The segments, oldest first, for a snapshot."""
        return list(self._segments)

    def restore(self, segments: list[Segment]) -> None:
        """Take over the segments of a snapshot."""
        self.clear()
        self._segments.extend(segments)
        for segment in segments:
            if segment.pnl is None:
                self._flows += 1
            else:
                self.tally.add(segment.pnl)

    def drawdown(self) -> float | None:
        """Largest drawdown (fraction) since just before the oldest trade; None: no equity known."""
        if not self._segments:
            return None
        before = self._segments[0].before
        if self._flows or before is None:
            return self._walk()
        self._sum_up()
        whole = _add(self._front[-1] if self._front else None, self._back)
        whole = _add(whole, _sum(self._segments[-1]))
        if whole is None or whole[1] <= 0:
            return self._walk()
        _, low, drawdown = whole
        return max(drawdown, (before - low) / before) if before > low else drawdown

    def _walk(self) -> float | None:
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

    def _pop(self) -> None:
        gone = self._segments.popleft()
        if self._front:
            self._front.pop()
            self._summed -= 1
        else:
            self._back, self._summed = None, 0
        if gone.pnl is None:
            self._flows -= 1
        else:
            self.tally.count(gone.pnl, -1)

    def _sum_up(self) -> None:
        """Sum up every segment but the newest, which may still change."""
        if self._summed:
            for segment in itertools.islice(self._segments, self._summed, len(self._segments) - 1):
                self._back = _add(self._back, _sum(segment))
        else:
            whole: _Sum | None = None
            for segment in itertools.islice(reversed(self._segments), 1, None):
                whole = _add(_sum(segment), whole)
                self._front.append(whole)
        self._summed = len(self._segments) - 1


def _sum(segment: Segment) -> _Sum | None:
    if segment.high is None or segment.low is None:
        return None
    return segment.high, segment.low, segment.drawdown


def _add(first: _Sum | None, then: _Sum | None) -> _Sum | None:
    if first is None or then is None:
        return first or then
    high, low, drawdown = first
    top, bottom, fall = then
    drawdown = max(drawdown, fall)
    if high > bottom and high > 0:
        across = (high - bottom) / high
        drawdown = max(drawdown, across)
    return max(top, high), min(bottom, low), drawdown

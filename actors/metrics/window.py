"""The rolling window: the last N trades, and the exact drawdown of the equity since the first.

Equity is kept as segments, begun by a trade or a flow. Within one segment no flow happens, so
(high, low, own drawdown) is all that the window's drawdown needs of its equity ticks. Without a
flow in the window and with equity above zero, segments add up, and a queue of two stacks gives
the drawdown in O(1); else it is a walk over the segments.
"""

# ruff: noqa: FURB136, PLR1730 - a call of max costs as much as all the rest of a comparison

from __future__ import annotations

import itertools
from collections import deque

from msgspec import Struct

from actors.metrics.figures import Tally

_Sum = tuple[int, int, float]  # high, low, drawdown


class Segment(Struct, gc=False):
    """Equity from one trade (`pnl` set) or flow to the next; None while equity is unknown.

    `drawdown` is that of equity from zero on. Below zero a higher peak makes a drawdown smaller,
    so `below` keeps the lows there that may be the deepest, each with the high so far.
    """

    day: int
    pnl: int | None
    before: int | None
    flow: int
    high: int | None
    low: int | None
    drawdown: float = 0.0
    below: tuple[tuple[int, int], ...] = ()


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
        self._front: list[_Sum] = []  # sums from each of the oldest segments to the last
        self._back: _Sum | None = None  # the sum of those that follow
        self._summed = 0  # how many there are in both

    def trade(self, day: int, pnl: int, before: int | None, after: int | None) -> None:
        """Take in a trade that moved equity from `before` to `after`; drop the oldest when full."""
        self._append(Segment(day, pnl, before, 0, after, after))
        self.tally.add(pnl)
        if self.tally.trades <= self.size:
            return
        self._pop()
        while self._segments[0].pnl is None:
            self._pop()

    def flow(self, day: int, amount: int, after: int) -> None:
        """Take in a flow, or with amount 0 the first equity that became known."""
        if self._segments:
            self._append(Segment(day, None, after, amount, after, after))
            self._flows += 1

    def mark(self, equity: int) -> None:
        """Take in a reported equity."""
        if not self._segments:
            return
        last = self._segments[-1]
        high, low = last.high, last.low
        if high is None or low is None:
            return
        if equity >= high:
            last.high = equity
            return
        if equity >= 0:
            last.drawdown = max(last.drawdown, (high - equity) / high)
        elif not last.below or equity < last.below[-1][1] or last.below[-1][0] <= 0 < high:
            last.below = (*last.below, (high, equity))
        last.low = min(low, equity)

    def _append(self, segment: Segment) -> None:
        after = segment.high
        if after is not None and after < 0:
            segment.below = ((after, after),)
        self._segments.append(segment)

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
        whole = _sum(self._segments[-1])
        if self._back is not None:
            whole = _add(self._back, whole)
        if self._front:
            whole = _add(self._front[-1], whole)
        _, low, drawdown = whole
        if low < 0:
            return self._walk()
        # A peak may be older than the oldest trade
        return max(drawdown, (before - low) / before) if before > low else drawdown

    def _walk(self) -> float | None:
        peak: int | None = None
        worst = 0.0
        for segment in self._segments:
            if segment.before is None or segment.high is None or segment.low is None:
                continue
            peak = segment.before if peak is None else peak + segment.flow
            if peak > segment.low >= 0:
                worst = max(worst, (peak - segment.low) / peak)
            worst = max(worst, segment.drawdown)
            for high, low in segment.below:
                top = max(peak, high)
                if top > 0:
                    worst = max(worst, (top - low) / top)
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
        segments, count = self._segments, len(self._segments)
        if self._summed:
            for place in range(self._summed - count, -1):  # from the end: the others are far away
                found = _sum(segments[place])
                self._back = found if self._back is None else _add(self._back, found)
        elif count > 1:
            whole = _sum(segments[-2])
            self._front.append(whole)
            for segment in itertools.islice(reversed(segments), 2, None):
                whole = _add(_sum(segment), whole)
                self._front.append(whole)
        self._summed = count - 1


def _sum(segment: Segment) -> _Sum:
    assert segment.high is not None  # since the oldest trade, and so ever since
    assert segment.low is not None
    return segment.high, segment.low, segment.drawdown


def _add(first: _Sum, then: _Sum) -> _Sum:
    high, low, drawdown = first
    top, bottom, fall = then
    if fall > drawdown:
        drawdown = fall
    if high > bottom:
        if high > 0:
            across = (high - bottom) / high
            if across > drawdown:
                drawdown = across
        return (high if high > top else top), (bottom if bottom < low else low), drawdown
    return top, (low if low < bottom else bottom), drawdown

"""The rolling window: the last N trades, and the exact drawdown of the equity since the first.

Equity is kept as segments, begun by a trade or a flow. Within one segment no flow happens, so
(high, low, own drawdown) is all that the window's drawdown needs of its equity ticks. Without a
flow in the window and with equity above zero, segments add up, and a queue of two stacks gives
the drawdown in O(1); else it is a walk over the segments.

The front stack has sums from each of the oldest segments on, made at once when the one before is
used up; what follows them is added up as it comes.
"""

# ruff: noqa: FURB136, PLR1730 - a call of max costs as much as all the rest of a comparison

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from operator import attrgetter

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
        self._summed = False  # whether these hold:
        self._front: list[_Sum] = []  # sums from each of the oldest segments to the last of them
        self._high = self._low = 0  # of the equity that follows
        self._fall = 0.0

    def trade(self, day: int, pnl: int, before: int | None, after: int | None) -> None:
        """Take in a trade that moved equity from `before` to `after`; drop the oldest when full."""
        segments, tally = self._segments, self.tally
        segment = Segment(day, pnl, before, 0, after, after)
        segments.append(segment)
        if after is not None:
            if after < 0:
                segment.below = ((after, after),)
            if self._summed:
                self._follow(after)
        if tally.trades < self.size:
            tally.add(pnl)
            return
        oldest = self._pop()
        assert oldest is not None  # as a trade is first
        tally.exchange(oldest, pnl)
        while segments[0].pnl is None:
            self._pop()

    def flow(self, day: int, amount: int, after: int) -> None:
        """Take in a flow, or with amount 0 the first equity that became known."""
        if self._segments:
            below = ((after, after),) if after < 0 else ()
            self._segments.append(Segment(day, None, after, amount, after, after, 0.0, below))
            self._flows += 1
            self._summed = False

    def mark(self, equity: int) -> None:
        """Take in a reported equity."""
        if not self._segments:
            return
        last = self._segments[-1]
        high, low = last.high, last.low
        if high is None or low is None:
            return
        if self._summed:
            self._follow(equity)
        if equity >= high:
            last.high = equity
            return
        if equity >= 0:
            last.drawdown = max(last.drawdown, (high - equity) / high)
        elif not last.below or equity < last.below[-1][1] or last.below[-1][0] <= 0 < high:
            last.below = (*last.below, (high, equity))
        last.low = min(low, equity)

    @property
    def trades(self) -> int:
        """How many trades there are, at most `size`."""
        return self.tally.trades

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
        if not self._summed:
            self._sum_up()
        low, drawdown = self._low, self._fall
        if self._front:
            high, bottom, fall = self._front[-1]
            if fall > drawdown:
                drawdown = fall
            if high > low and high > 0:
                across = (high - low) / high
                if across > drawdown:
                    drawdown = across
            if bottom < low:
                low = bottom
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

    def _pop(self) -> int | None:
        """Drop the oldest segment and return its `pnl`."""
        gone = self._segments.popleft().pnl
        if gone is None:
            self._flows -= 1
        if self._front:
            self._front.pop()
        else:
            self._summed = False
        return gone

    def _follow(self, equity: int) -> None:
        """Add an equity to what follows the front stack."""
        high = self._high
        if equity >= high:
            self._high = equity
            return
        if high > 0:
            fall = (high - equity) / high
            if fall > self._fall:
                self._fall = fall
        if equity < self._low:
            self._low = equity

    def _sum_up(self) -> None:
        """Make the front stack of every segment but the newest, which may still change."""
        newest_first = reversed(self._segments)
        self._high, self._low, self._fall = _sum(next(newest_first))
        self._front = list(itertools.accumulate(map(_sum, newest_first), _before))
        self._summed = True


# Known since just before the oldest trade, and so ever since
_sum: Callable[[Segment], _Sum] = attrgetter("high", "low", "drawdown")


def _before(then: _Sum, first: _Sum) -> _Sum:
    """The sum of two stretches, given the later one first."""
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

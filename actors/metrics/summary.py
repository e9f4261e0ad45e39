"""Summaries: what a stretch of entries does to an account, exactly, whatever came before it.

Levels are equity less the flows since the stretch began, so that a deposit moves no level and a
drawdown is an amount that no flow changes. Before the first reported equity of a stretch, levels
are relative to the equity it began with; from there on they are known outright.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

FLOW: Final = 0
TRADE: Final = 1
MARK: Final = 2

# Integers below this have an exact float, so that a division by numpy is rounded as Python's is
EXACT_MAX: Final = 2**53

EXACT_SUM: Final = 2**62  # differences of 64-bit integers below it do not overflow
STRETCH: Final = 1_024

Amounts = npt.NDArray[Any]  # int64, or Python integers where those would not be exact
Kinds = npt.NDArray[np.uint8]


class Known(NamedTuple):
    """Levels from the first reported equity on."""

    end: int
    high: int
    low: int
    deepest: int


class Summary(NamedTuple):
    """What a stretch does: sums of P&L and flows, and its levels.

    `end`, `high`, `low` and `deepest` drawdown are of the levels before the first reported equity,
    the level at the start (0) among them.
    """

    pnl: int = 0
    flows: int = 0
    end: int = 0
    high: int = 0
    low: int = 0
    deepest: int = 0
    known: Known | None = None


NOTHING = Summary()


def join(first: Summary, then: Summary) -> Summary:
    """The summary of two stretches, one after the other."""
    if first is NOTHING:
        return then
    if then is NOTHING:
        return first
    pnl1, flows1, end, high, low, deepest, known = first
    pnl2, flows2, end2, high2, low2, deepest2, known2 = then
    if known is None:
        deepest = max(deepest, deepest2, high - end - low2)
        high = max(high, end + high2)
        low = min(low, end + low2)
        end += end2
    else:
        base, top, bottom, fall = known
        fall = max(fall, deepest2, top - base - low2)
        known = Known(base + end2, max(top, base + high2), min(bottom, base + low2), fall)
    if known2 is not None:
        base, top, bottom, fall = known2
        base, top, bottom = base - flows1, top - flows1, bottom - flows1
        if known is not None:
            fall = max(fall, known.deepest, known.high - bottom)
            top, bottom = max(known.high, top), min(known.low, bottom)
        known = Known(base, top, bottom, fall)
    return Summary(pnl1 + pnl2, flows1 + flows2, end, high, low, deepest, known)


class Standing(NamedTuple):
    """An account after a stretch: equity and its peak, and the deepest drawdown on the way."""

    equity: int
    peak: int
    deepest: int


def opened(equity: int | None) -> Standing | None:
    """An account that begins with this equity; None when it is unknown."""
    return None if equity is None else Standing(equity, equity, 0)


def standing(summary: Summary, opening: Standing | None) -> Standing | None:
    """Follow a stretch from an opening (None: equity is unknown, and perhaps still after it)."""
    _, flows, end, high, low, deepest, known = summary
    if opening is None:
        if known is None:
            return None
        return Standing(known.end + flows, known.high + flows, known.deepest)
    equity, peak, fall = opening
    deepest = max(fall, deepest, peak - equity - low)
    peak = max(peak, equity + high)
    if known is None:
        return Standing(equity + end + flows, peak + flows, deepest)
    deepest = max(deepest, known.deepest, peak - known.low)
    return Standing(known.end + flows, max(peak, known.high) + flows, deepest)


def summarise(kind: Kinds, amount: Amounts) -> Summary:
    """Summarise consecutive entries; arrays of one length."""
    if not len(kind):
        return NOTHING
    amount = exact(amount)
    if kind.min() == kind.max() == TRADE:
        return _relative(amount)
    flowing = np.where(kind == FLOW, amount, 0)
    flows = int(flowing.sum())
    marks = np.flatnonzero(kind == MARK)
    if not len(marks):
        moving = _relative(np.where(kind == TRADE, amount, 0))
        return moving._replace(flows=flows)
    first = int(marks[0])
    pnl = int(np.where(kind == TRADE, amount, 0).sum())
    before = NOTHING
    if first:
        before = _relative(np.where(kind[:first] == TRADE, amount[:first], 0))
    levels = equities(kind[first:], amount[first:], 0) - np.cumsum(flowing)[first:]
    peaks = np.maximum.accumulate(levels)
    known = Known(int(levels[-1]), int(peaks[-1]), int(levels.min()), int((peaks - levels).max()))
    return before._replace(pnl=pnl, flows=flows, known=known)


def exact(amount: Amounts, beside: int = 0) -> Amounts:
    """The amounts in a type in which no sum of theirs, with `beside`, rounds or overflows."""
    if amount.dtype == object:
        return amount
    largest = max(int(amount.max()), -int(amount.min())) if len(amount) else 0
    if 2 * largest * len(amount) + beside < EXACT_MAX:
        return amount
    return amount.astype(object)


def total(amounts: Amounts) -> int:
    """The exact sum: of 64-bit integers in halves, which cannot overflow."""
    if amounts.dtype == object:
        return sum(amounts.tolist())
    return (int((amounts >> 32).sum()) << 32) + int((amounts & 0xFFFF_FFFF).sum())


def equities(kind: Kinds, amount: Amounts, opening: int) -> Amounts:
    """Equity after each entry; `amount` as `exact` gives it with `opening`."""
    marks = kind == MARK
    moved = np.where(marks, 0, amount).cumsum()
    if not marks.any():
        return moved + opening
    last = np.maximum.accumulate(np.where(marks, np.arange(len(kind)), -1))
    marked = amount[last] + moved - moved[last]
    return np.where(last >= 0, marked, moved + opening)


def _relative(pnl: Amounts) -> Summary:
    levels = pnl.cumsum()
    peaks = np.maximum.accumulate(np.maximum(levels, 0))
    end = int(levels[-1])
    deepest = int((peaks - levels).max())
    return Summary(end, 0, end, int(peaks[-1]), min(int(levels.min()), 0), max(deepest, 0))


class Path(NamedTuple):
    """Equity and its peak after each entry from index `first` on; before it both are unknown."""

    first: int
    equity: Amounts
    peak: Amounts

    def end(self) -> Standing | None:
        """The account after the last entry, as far as a path goes on from it; None: unknown."""
        if not len(self.equity):
            return None
        return Standing(int(self.equity[-1]), int(self.peak[-1]), 0)

    def falls(self) -> npt.NDArray[np.float64]:
        """Drawdown after each entry as a fraction of the peak, 0 where that is not positive."""
        positive = self.peak > 0
        depth = np.where(positive, self.peak - self.equity, 0)
        return (depth / np.where(positive, self.peak, 1)).astype(np.float64)


def trace(kind: Kinds, amount: Amounts, opening: Standing | None) -> Path:
    """Follow consecutive entries from an opening (None: equity is unknown)."""
    first = 0
    if opening is None:
        marks = np.flatnonzero(kind == MARK)
        first = int(marks[0]) if len(marks) else len(kind)
        kind, amount = kind[first:], amount[first:]
    before = 0 if opening is None else abs(opening.equity) + abs(opening.peak)
    amount = exact(amount, before)
    equity = equities(kind, amount, 0 if opening is None else opening.equity)
    if not len(kind):
        return Path(first, equity, equity)
    flowing = kind == FLOW
    flows = np.where(flowing, amount, 0).cumsum() if flowing.any() else 0
    levels = equity - flows
    start = levels[0] if opening is None else opening.peak
    peak = np.maximum.accumulate(np.maximum(levels, start)) + flows
    return Path(first, equity, peak)


def traced(kind: Kinds, amount: Amounts, opening: Standing | None) -> Path:
    """The same of any length: in stretches, whose sums stay small and whose steps are short."""
    first, equity, peak = 0, [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for begin in range(0, len(kind), STRETCH):
        path = trace(kind[begin : begin + STRETCH], amount[begin : begin + STRETCH], opening)
        first += path.first
        opening = path.end() or opening
        equity.append(narrow(path.equity))
        peak.append(narrow(path.peak))
    return Path(first, np.concatenate(equity), np.concatenate(peak))


def narrow(amounts: Amounts) -> Amounts:
    """The same in 64 bits, where they fit and differences of them do."""
    if amounts.dtype != object:
        return amounts
    small = not len(amounts) or max(int(amounts.max()), -int(amounts.min())) < EXACT_SUM
    return amounts.astype(np.int64) if small else amounts


class Streaks(NamedTuple):
    """Runs of wins and of losses.

    `trades` that are no draw, the first and the last run (positive for wins, negative for losses),
    and the longest of each kind.
    """

    trades: int = 0
    first: int = 0
    last: int = 0
    wins: int = 0
    losses: int = 0


def streaks(pnl: Amounts) -> Streaks:
    """Count the runs in the P&L of consecutive trades."""
    won = pnl[pnl != 0] > 0
    count = len(won)
    if not count:
        return Streaks()
    edges = np.flatnonzero(won[1:] != won[:-1]) + 1
    lengths = np.diff(edges, prepend=0, append=count)
    runs = np.where(won[np.concatenate(([0], edges))], lengths, -lengths)
    return Streaks(
        count, int(runs[0]), int(runs[-1]), max(int(runs.max()), 0), max(-int(runs.min()), 0)
    )


def follow(before: Streaks, then: Streaks) -> Streaks:
    """The runs of two stretches, one after the other."""
    if not before.trades:
        return then
    if not then.trades:
        return before
    wins, losses = max(before.wins, then.wins), max(before.losses, then.losses)
    first, last = before.first, then.last
    if (before.last > 0) == (then.first > 0):
        across = before.last + then.first
        wins, losses = max(wins, across), max(losses, -across)
        if abs(before.last) == before.trades:
            first = across
        if abs(then.first) == then.trades:
            last = across
    return Streaks(before.trades + then.trades, first, last, wins, losses)

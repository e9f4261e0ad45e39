"""A base stands for compacted entries: what follows from them stays exact, they are gone.

Of each day it keeps what returns and charts need, of all days together what an account does. All of
it is integers, so a base that is multiplied or raised gives the bits that its entries would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any, NamedTuple

import numpy as np

from actors.metrics.block import Block, Columns, Piece, packed
from actors.metrics.days import Calendar
from actors.metrics.figures import Tally
from actors.metrics.summary import (
    NOTHING,
    TRADE,
    Amounts,
    Known,
    Path,
    Standing,
    Streaks,
    Summary,
    follow,
    join,
    standing,
    streaks,
    summarise,
    trace,
)

DAY_POINTS = 5  # first, last, lowest, highest, deepest

Fall = tuple[int, int]  # amount below the peak, and the peak


class Point(NamedTuple):
    """Equity and its peak at an instant: one corner of a day's curve."""

    when: int
    equity: int
    peak: int


class Base:
    """Everything before the instant `cut`: `entries` that are no more.

    `pieces` are its days, cut where money flowed, `days` each day's P&L, `points` each day's curve.
    `falls` are those that may be the largest fraction, whatever is added to all equities; `top` is
    the highest peak, None while equity is unknown. `tally` and `fees` are sums over the trades.
    """

    def __init__(self) -> None:
        self.cut = 0
        self.entries = 0
        self.summary: Summary = NOTHING
        self.streaks = Streaks()
        self.pieces: list[Piece] = []
        self.days: list[tuple[int, int]] = []
        self.points: list[Point] = []
        self.falls: list[Fall] = []
        self.top: int | None = None
        self.tally = Tally()
        self.fees = 0

    def __repr__(self) -> str:
        return f"<Base entries={self.entries} days={len(self.days)} cut={self.cut}>"

    def take(self, columns: Columns, cut: int, start: Standing | None, calendar: Calendar) -> None:
        """Add consecutive entries (`when`, `kind`, `amount`, `fee`) that end before `cut`.

        `start` is how the account began.
        """
        block, opening = _block(columns), standing(self.summary, start)
        kinds, amounts = block.kinds(), block.amounts()
        path = trace(kinds, amounts, opening)
        self._curve(block, path, calendar)
        self._deepest(path, opening)
        self._days(block, calendar)
        self.summary = join(self.summary, summarise(kinds, amounts))
        trades = kinds == TRADE
        self.streaks = follow(self.streaks, streaks(amounts[trades]))
        self.tally.count_all(amounts[trades])
        self.fees += sum(columns["fee"][trades].tolist())
        self.entries += len(block)
        self.cut = cut

    def deepest(self) -> float | None:
        """The largest drawdown as a fraction; None where no peak was positive."""
        if self.top is None or self.top <= 0:
            return None
        return max((fall / peak for fall, peak in self.falls if peak > 0), default=0.0)

    def multiply(self, factor: int) -> None:
        """Go over to a smaller unit."""
        if factor == 1:
            return
        self.summary = _scaled(self.summary, factor)
        self.pieces = [_times(piece, factor) for piece in self.pieces]
        self.days = [(day, pnl * factor) for day, pnl in self.days]
        self.points = [Point(when, e * factor, p * factor) for when, e, p in self.points]
        self.falls = [(fall * factor, peak * factor) for fall, peak in self.falls]
        self.top = None if self.top is None else self.top * factor
        self.tally.multiply(factor)
        self.fees *= factor

    def copy(self) -> Base:
        """The same once more, to be changed apart."""
        other = Base()
        other.__dict__.update(self.__dict__)
        for name in ("pieces", "days", "points", "falls"):
            setattr(other, name, list(getattr(self, name)))
        other.tally = self.tally.copy()
        return other

    def raised(self, by: int | None) -> Base:
        """The base of an account to which something else belonged from the beginning.

        It held `by` (>= 0) all the time, or (None) nobody knows how much, and so not the whole.
        """
        other = self.copy()
        if by is None:
            other.summary = self.summary._replace(known=None)
            other.pieces = [piece._replace(marks=None, after=0) for piece in self.pieces]
            other.points, other.falls, other.top = [], [], None
            return other
        known = self.summary.known
        if known is not None:
            end, high, low, deepest = known
            other.summary = self.summary._replace(
                known=Known(end + by, high + by, low + by, deepest)
            )
        other.pieces = [_raised(piece, by) for piece in self.pieces]
        other.points = [Point(when, e + by, p + by) for when, e, p in self.points]
        other.falls = _largest((fall, peak + by) for fall, peak in self.falls)
        other.top = None if self.top is None else self.top + by
        return other

    # ------------------------------------------------------------- as JSON

    def packed(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {**self.__dict__, "tally": list(astuple(self.tally))}

    @classmethod
    def unpacked(cls, given: dict[str, Any]) -> Base:
        """What was packed. Raises LookupError, TypeError where it is something else."""
        base = cls()
        for name in ("cut", "entries", "top", "fees"):
            setattr(base, name, given[name])
        base.tally = Tally(*given["tally"])
        pnl, flows, end, high, low, deepest, known = given["summary"]
        known = None if known is None else Known(*known)
        base.summary = Summary(pnl, flows, end, high, low, deepest, known)
        base.streaks = Streaks(*given["streaks"])
        base.pieces = [
            Piece(when, flow, None if marks is None else (marks[0], marks[1]), after, trades)
            for when, flow, marks, after, trades in given["pieces"]
        ]
        base.days = [(day, pnl) for day, pnl in given["days"]]
        base.points = [Point(*point) for point in given["points"]]
        base.falls = [(fall, peak) for fall, peak in given["falls"]]
        return base

    # ------------------------------------------------------------- taking

    def _days(self, block: Block, calendar: Calendar) -> None:
        for piece in block.pieces(calendar):
            last = self.pieces[-1] if self.pieces else None
            if last is None or piece.flow is not None or not _same_day(last, piece, calendar):
                self.pieces.append(piece)
            else:
                self.pieces[-1] = _longer(last, piece)
        for day, pnl in block.daily_pnl(calendar):
            if self.days and self.days[-1][0] == day:
                self.days[-1] = (day, self.days[-1][1] + pnl)
            else:
                self.days.append((day, pnl))

    def _curve(self, block: Block, path: Path, calendar: Calendar) -> None:
        mornings = block.mornings(calendar)
        for first, last in zip(mornings, [*mornings[1:], len(block)], strict=True):
            begins, ends = max(first - path.first, 0), last - path.first
            if ends <= begins:
                continue
            equity, peak = path.equity[begins:ends], path.peak[begins:ends]
            for place in _corners(equity, peak):
                when = block.when[path.first + begins + place]
                self.points.append(Point(when, int(equity[place]), int(peak[place])))

    def _deepest(self, path: Path, opening: Standing | None) -> None:
        peaks = [] if opening is None else [opening.peak]
        if len(path.peak):
            peaks.append(int(path.peak.max()))
        if self.top is not None:
            peaks.append(self.top)
        self.top = max(peaks, default=None)
        fell = path.peak - path.equity
        under = np.flatnonzero(fell > 0)
        if not len(under):
            return
        peak, fell = path.peak[under], fell[under]
        starts = np.concatenate(([0], np.flatnonzero(peak[1:] != peak[:-1]) + 1))
        worst = np.maximum.reduceat(fell, starts).tolist()
        self.falls = _largest([*self.falls, *zip(worst, peak[starts].tolist(), strict=True)])


def _block(columns: Columns) -> Block:
    block = Block()
    block.when = packed(columns["when"])
    block.kind = bytearray(columns["kind"].astype(np.uint8))
    block.amount = packed(columns["amount"])
    return block


def _corners(equity: Amounts, peak: Amounts) -> Sequence[int]:
    count = len(equity)
    if count <= DAY_POINTS:
        return range(count)
    extremes = (np.argmin(equity), np.argmax(equity), np.argmax(peak - equity))
    return sorted({0, count - 1, *map(int, extremes)})


def _largest(falls: Iterable[Fall]) -> list[Fall]:
    """Those that are the largest fraction of all, if not now, then with more equity.

    With more equity a larger amount overtakes a larger fraction, and never the other way round. A
    peak that is not positive gives no fraction yet.
    """
    worst: dict[int, int] = {}
    for fall, peak in falls:
        worst[peak] = max(fall, worst.get(peak, 0))
    kept = [(fall, peak) for peak, fall in worst.items() if peak <= 0]
    best: Fall = (0, 1)
    for fall, peak in sorted(
        ((f, p) for p, f in worst.items() if p > 0), key=lambda f: (-f[0], f[1])
    ):
        if fall * best[1] > best[0] * peak:
            kept.append((fall, peak))
            best = (fall, peak)
    return kept


def _same_day(one: Piece, other: Piece, calendar: Calendar) -> bool:
    return calendar.day_of(one.when) == calendar.day_of(other.when)


def _longer(piece: Piece, more: Piece) -> Piece:
    """A piece and more of the same day, before which no money flowed."""
    if more.marks is None:
        return piece._replace(after=piece.after + more.after, trades=piece.trades or more.trades)
    first = more.marks[0] if piece.marks is None else piece.marks[0]
    return piece._replace(
        marks=(first, more.marks[1]), after=more.after, trades=piece.trades or more.trades
    )


def _scaled(summary: Summary, factor: int) -> Summary:
    pnl, flows, end, high, low, deepest = [amount * factor for amount in summary[:6]]
    known = summary.known
    if known is not None:
        known = Known(*[level * factor for level in known])
    return Summary(pnl, flows, end, high, low, deepest, known)


def _times(piece: Piece, factor: int) -> Piece:
    flow, marks = piece.flow, piece.marks
    return piece._replace(
        flow=None if flow is None else flow * factor,
        marks=None if marks is None else (marks[0] * factor, marks[1] * factor),
        after=piece.after * factor,
    )


def _raised(piece: Piece, by: int) -> Piece:
    if piece.marks is None:
        return piece
    return piece._replace(marks=(piece.marks[0] + by, piece.marks[1] + by))

"""A block: some hundred entries side by side in columns, and what they amount to.

Columns rather than objects, because a bot may have a million trades: 62 bytes an entry. A column
of amounts is an array of 64-bit integers until one does not fit, then a list of Python's.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from actors.metrics.days import Calendar
from actors.metrics.summary import (
    FLOW,
    MARK,
    NOTHING,
    TRADE,
    Amounts,
    Kinds,
    Streaks,
    Summary,
    exact,
    streaks,
    summarise,
)

Columns = dict[str, npt.NDArray[Any]]
Column = Any  # array("q") or list[int]; mypy cannot see that both insert and delete alike
WIDE = ("amount", "fee", "quantity")
COLUMNS = ("when", "kind", "ids", "amount", "fee", "opened", "quantity", "symbol", "risk")
CODES = {
    "when": "q",
    "ids": "q",
    "amount": "q",
    "fee": "q",
    "opened": "q",
    "quantity": "q",
    "symbol": "I",
    "risk": "d",
}


class Row(NamedTuple):
    """One entry: `when` and `opened` in microseconds since 1970, money in scaled units.

    `ids` refers to the heap of ids; `symbol` is twice the number of the symbol, plus 1 when short;
    `risk` is the amount at stake in the currency, NaN where it was not told.
    """

    when: int
    kind: int
    ids: int
    amount: int
    fee: int = 0
    opened: int = 0
    quantity: int = 0
    symbol: int = 0
    risk: float = math.nan


Fields = tuple[int, int, int, int, int, int, int, int, float]  # those of a Row, in its order


class Piece(NamedTuple):
    """A day, or the part of it between two flows.

    `marks`: first and last reported equity; `after`: P&L since the last of them; `trades`: whether
    there are any.
    """

    when: int
    flow: int | None
    marks: tuple[int, int] | None
    after: int
    trades: bool


class Block:
    """Consecutive entries. Whoever changes a column calls `changed`."""

    __slots__ = ("_pieces", "_streaks", "_summary", "group", *COLUMNS)

    def __init__(self) -> None:
        self.when = array("q")
        self.kind = bytearray()
        self.ids = array("q")
        self.amount: Column = array("q")
        self.fee: Column = array("q")
        self.opened = array("q")
        self.quantity: Column = array("q")
        self.symbol = array("I")
        self.risk = array("d")
        self.changed()

    @classmethod
    def bare(cls) -> Block:
        """A block whose columns are still to be set, every one of them."""
        block = cls.__new__(cls)
        block.changed()
        return block

    def __len__(self) -> int:
        return len(self.when)

    def changed(self) -> None:
        """Forget what the entries amounted to."""
        self._summary: Summary | None = None
        self._pieces: list[Piece] | None = None
        self._streaks: Streaks | None = None
        self.group: object = None  # where the block is stored as it is

    # ------------------------------------------------------------ changing

    def append(self, row: Fields) -> None:
        """Put an entry at the end; a plain tuple, which is unpacked in half the time."""
        self._summary = self._pieces = self._streaks = self.group = None
        when, kind, ids, amount, fee, opened, quantity, symbol, risk = row
        self.when.append(when)
        self.kind.append(kind)
        self.ids.append(ids)
        self.opened.append(opened)
        self.symbol.append(symbol)
        self.risk.append(risk)
        try:
            self.amount.append(amount)
            self.fee.append(fee)
            self.quantity.append(quantity)
        except OverflowError:
            self._widen(Row(*row))

    def _widen(self, row: Row) -> None:
        for name in WIDE:
            column = getattr(self, name)
            if len(column) == len(self.when):
                continue
            setattr(self, name, fitting([*column, getattr(row, name)]))

    def insert(self, place: int, row: Row) -> None:
        """Put an entry before the one at this place."""
        self._summary = self._pieces = self._streaks = self.group = None
        self.when.insert(place, row.when)
        self.kind.insert(place, row.kind)
        self.ids.insert(place, row.ids)
        self.opened.insert(place, row.opened)
        self.symbol.insert(place, row.symbol)
        self.risk.insert(place, row.risk)
        try:
            self.amount.insert(place, row.amount)
        except OverflowError:
            self.amount = self.amount.tolist()
            self.amount.insert(place, row.amount)
        try:
            self.fee.insert(place, row.fee)
        except OverflowError:
            self.fee = self.fee.tolist()
            self.fee.insert(place, row.fee)
        try:
            self.quantity.insert(place, row.quantity)
        except OverflowError:
            self.quantity = self.quantity.tolist()
            self.quantity.insert(place, row.quantity)

    def remove(self, place: int) -> None:
        """Take out the entry at this place."""
        self.changed()
        for name in COLUMNS:
            del getattr(self, name)[place]

    def behead(self, count: int) -> None:
        """Take out the first entries."""
        self.changed()
        for name in COLUMNS:
            del getattr(self, name)[:count]

    def cut(self, first: int, last: int | None = None) -> None:
        """Take out the entries from one place to before another (None: to the end)."""
        self.changed()
        for name in COLUMNS:
            del getattr(self, name)[first:last]

    def split(self) -> Block:
        """Keep the first half and return the second."""
        half = len(self) // 2
        other = Block()
        for name in COLUMNS:
            column = getattr(self, name)
            setattr(other, name, column[half:])
            del column[half:]
        self.changed()
        return other

    def multiply(self, factor: int, names: tuple[str, ...]) -> None:
        """Multiply columns of amounts, because their unit became smaller."""
        self.changed()
        for name in names:
            setattr(self, name, fitting([value * factor for value in getattr(self, name)]))

    # ------------------------------------------------------------- reading

    def row(self, place: int) -> Row:
        """The entry at this place."""
        return Row(*[getattr(self, name)[place] for name in COLUMNS])

    def kinds(self) -> Kinds:
        """A copy of the kinds: a view would forbid the column to grow."""
        return np.array(self.kind, np.uint8)

    def amounts(self) -> Amounts:
        """A copy of the amounts."""
        return values(self.amount)

    def summary(self) -> Summary:
        """What the entries do to an account."""
        if self._summary is None:
            self._summary = summarise(self.kinds(), self.amounts())
        return self._summary

    def part(self, first: int, last: int) -> Summary:
        """What the entries from `first` to before `last` do to an account."""
        if first >= last:
            return NOTHING
        if last - first == len(self):
            return self.summary()
        return summarise(self.kinds()[first:last], self.amounts()[first:last])

    def streaks(self) -> Streaks:
        """The runs of wins and losses."""
        if self._streaks is None:
            amounts = self.amounts()
            if self.kind.count(TRADE) < len(self):
                amounts = amounts[self.kinds() == TRADE]
            self._streaks = streaks(amounts)
        return self._streaks

    def pieces(self, calendar: Calendar) -> list[Piece]:
        """The days, cut where money flowed."""
        if self._pieces is None:
            self._pieces = self._cut(calendar)
        return self._pieces

    def daily_pnl(self, calendar: Calendar) -> list[tuple[int, int]]:
        """(day, P&L) of each day that has an entry."""
        mornings = self.mornings(calendar)
        traded = np.where(self.kinds() == TRADE, self.amounts(), 0)
        sums = np.add.reduceat(exact(traded), mornings).tolist()
        days = [calendar.day_of(self.when[place]) for place in mornings]
        return list(zip(days, sums, strict=True))

    def _cut(self, calendar: Calendar) -> list[Piece]:
        kinds, amounts = self.kinds(), self.amounts()
        flows = np.flatnonzero(kinds == FLOW).tolist()
        marks = np.flatnonzero(kinds == MARK).tolist()
        traded = amounts if len(flows) + len(marks) == 0 else np.where(kinds == TRADE, amounts, 0)
        sums = [0, *exact(traded).cumsum().tolist()]
        cuts = sorted({*self.mornings(calendar), *flows})
        pieces = []
        for start, end in zip(cuts, [*cuts[1:], len(self)], strict=True):
            flow = self.amount[start] if self.kind[start] == FLOW else None
            inside = marks[bisect_left(marks, start) : bisect_left(marks, end)]
            ends = (self.amount[inside[0]], self.amount[inside[-1]]) if inside else None
            since = inside[-1] if inside else start
            trades = self.kind.find(TRADE, start, end) >= 0
            pieces.append(Piece(self.when[start], flow, ends, sums[end] - sums[since], trades))
        return pieces

    def mornings(self, calendar: Calendar) -> list[int]:
        """The places at which a day begins."""
        places, place = [], 0
        while place < len(self):
            places.append(place)
            place = bisect_left(self.when, calendar.end_of_day(self.when[place]), place)
        return places


def values(column: Column) -> Amounts:
    """A copy of a column for numpy."""
    if isinstance(column, array):
        return np.array(column, column.typecode)
    return np.array(column, object)


def fitting(numbers: list[int]) -> Column:
    """A column of these numbers, as small as they allow."""
    try:
        return array("q", numbers)
    except OverflowError:
        return numbers


def packed(numbers: npt.NDArray[Any], code: str = "q") -> Column:
    """A column of an array of numbers."""
    if numbers.dtype == object:
        return fitting(numbers.tolist())
    column = array(code)
    column.frombytes(numbers.tobytes())
    return column

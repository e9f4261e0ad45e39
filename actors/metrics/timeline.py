"""The timeline keeps every entry in canonical order, whatever the order of arrival.

The order is (instant, kind, id): at one instant flows come before trades and trades before
reported equities, numeric ids before others. Equities of one instant are ordered by value.
Columns rather than objects, because a bot may have a million trades.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Final

from msgspec import Struct

FLOW: Final = 0
TRADE: Final = 1
MARK: Final = 2

Id = int | str
_NUMERIC_DIGITS_MAX = 18


def canonical_id(given: Id) -> Id:
    """One id for 7 and "7": natural numbers below 10^18 as int, everything else as text."""
    if isinstance(given, int):
        return given if 0 <= given < 10**_NUMERIC_DIGITS_MAX else str(given)
    if len(given) <= _NUMERIC_DIGITS_MAX and given.isascii() and given.isdecimal():
        number = int(given)
        return number if len(str(number)) == len(given) else given
    return given


class Entry(Struct, frozen=True, gc=False):
    """One row: `when` in microseconds since 1970, `amount` and `fee` in scaled units."""

    when: int
    kind: int
    id: Id
    amount: int
    fee: int = 0


class Timeline:
    """Columns of entries in canonical order."""

    def __init__(self) -> None:
        self.when = array("q")
        self.kind = bytearray()
        self.ids: list[Id] = []
        self.amount: list[int] = []
        self.fee: list[int] = []

    def __len__(self) -> int:
        return len(self.when)

    def insert(self, entry: Entry) -> int:
        """Put the entry in its place and return its index. O(1) at the end, else O(n) moves."""
        if not self.when or entry.when > self.when[-1]:
            place = len(self.when)
        else:
            place = self._place(entry)
        self.when.insert(place, entry.when)
        self.kind.insert(place, entry.kind)
        self.ids.insert(place, entry.id)
        self.amount.insert(place, entry.amount)
        self.fee.insert(place, entry.fee)
        return place

    def find(self, entry: Entry) -> int | None:
        """The index of the entry with this instant, kind and id (an equity: and value)."""
        place = self._place(entry)
        if place == len(self.when) or self.when[place] != entry.when:
            return None
        return place if self._key(place) == _key_of(entry) else None

    def remove(self, place: int) -> None:
        """Take out the entry at this index."""
        for column in (self.when, self.kind, self.ids, self.amount, self.fee):
            del column[place]

    def rescale(self, factor: int) -> None:
        """Multiply every amount and fee, because the unit became smaller."""
        self.amount = [amount * factor for amount in self.amount]
        self.fee = [fee * factor for fee in self.fee]

    def _place(self, entry: Entry) -> int:
        first = bisect_left(self.when, entry.when)
        last = bisect_right(self.when, entry.when)
        ties = range(first, last)
        return first + bisect_left(ties, _key_of(entry), key=self._key)

    def _key(self, place: int) -> tuple[int, bool, Id]:
        return _key(self.kind[place], self.ids[place], self.amount[place])


def _key_of(entry: Entry) -> tuple[int, bool, Id]:
    return _key(entry.kind, entry.id, entry.amount)


def _key(kind: int, identity: Id, amount: int) -> tuple[int, bool, Id]:
    if kind == MARK:
        return kind, False, amount
    return kind, isinstance(identity, str), identity

"""The timeline keeps every entry in canonical order, whatever the order of arrival.

The order is (instant, kind, id): at one instant flows come before trades and trades before
reported equities, numeric ids before others. Equities of one instant are ordered by value.
Entries lie in blocks of at most 1,024: an entry anywhere costs one block and one path of the tree
above them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np
import numpy.typing as npt

from actors.metrics.block import CODES, COLUMNS, Block, Columns, Fields, Row, fitting, packed
from actors.metrics.blocks import Blocks, Place
from actors.metrics.identities import Heap, Id, canonical_id
from actors.metrics.summary import FLOW, MARK, NOTHING, TRADE

__all__ = ["FLOW", "MARK", "TRADE", "Columns", "Id", "Place", "Row", "Timeline", "canonical_id"]

BLOCK_MAX: Final = 1_024
BLOCK_FILL: Final = 768  # what is appended leaves room for what comes late
WIDE: Final = 4  # so many times fewer where amounts are Python's integers, which take longer

FEW: Final = 8  # nodes of the tree are changed one by one up to so many

Key = tuple[int, bool, Id]


class Timeline(Blocks):
    """Blocks of entries in canonical order, after those that the `base` stands for."""

    def __init__(self) -> None:
        super().__init__()
        self.heap = Heap()
        self.marks = 0
        self._parts = 1  # of a block's entries, 1 / parts

    # ------------------------------------------------------------ changing

    def append(self, row: Fields) -> None:
        """Put an entry later than any other at the end. O(1)."""
        blocks = self.blocks
        if not blocks or len(blocks[-1].when) >= BLOCK_FILL // self._parts:
            self._begin_block()
        blocks[-1].append(row)
        self._lasts[-1] = row[0]
        self._length += 1
        if row[1] == MARK:
            self.marks += 1

    def _begin_block(self) -> None:
        if self.blocks:
            self.blocks[-1].summary()
            self._stale.add(len(self.blocks) - 1)
        self.blocks.append(Block())
        self._lasts.append(0)
        self._grown = self._grown or len(self.blocks) > self._tree.capacity

    def insert(self, row: Fields) -> Place | None:
        """Put the entry in its place and return that; None for the end."""
        if not self._lasts or row[0] > self._lasts[-1]:
            self.append(row)
            return None
        when, kind, ids, amount = row[:4]
        number, place = self._place(when, self._key_at(kind, ids, amount))
        if number == len(self.blocks) - 1 and place == len(self.blocks[number]):
            self.append(row)
            return None
        return self._put(number, place, Row(*row))

    def _put(self, number: int, place: int, row: Row) -> Place:
        block = self.blocks[number]
        if len(block) >= BLOCK_MAX // self._parts:
            self._split(number)
            if place > len(block):
                number, place = number + 1, place - len(block)
                block = self.blocks[number]
        block.insert(place, row)
        self._touched(number, 1)
        self.marks += row.kind == MARK
        return number, place

    def find(self, when: int, kind: int, identity: Id, amount: int = 0) -> Place | None:
        """Where the entry with this instant, kind and id (an equity: and value) is."""
        if when > self.last:
            return None
        key = (kind, False, amount) if kind == MARK else _key(kind, identity)
        number, place = self._place(when, key)
        block = self.blocks[number]
        if place == len(block) or block.when[place] != when:
            return None
        return (number, place) if self._key(block, place) == key else None

    def remove(self, at: Place) -> Row:
        """Take out the entry at this place and return it."""
        number, place = at
        block = self.blocks[number]
        row = block.row(place)
        block.remove(place)
        self.marks -= row.kind == MARK
        if len(block):
            self._touched(number, -1)
            return row
        del self.blocks[number], self._lasts[number]
        self._length -= 1
        self._grown = True
        return row

    def drop(self, before: Place) -> None:
        """Take out the entries before a place, which the base stands for now."""
        number, inside = before
        self._length -= self.index(before)
        del self.blocks[:number], self._lasts[:number]
        if inside:
            self.blocks[0].behead(inside)
        self._grown = True

    def cut(self, first: Place) -> None:
        """Take out the entries from a place on."""
        number, inside = first
        self._length = self.index(first)
        if inside:
            gone = self.blocks[number].kind.count(MARK, inside)
            self.blocks[number].cut(inside)
            self._lasts[number] = self.blocks[number].when[-1]
            self._stale.add(number)
            number += 1
            self.marks -= gone
        removed = self.blocks[number:]
        self.marks -= sum(block.kind.count(MARK) for block in removed)
        del self.blocks[number:], self._lasts[number:]
        self._stale = {one for one in self._stale if one < number}
        self._grown = self._grown or len(removed) > FEW
        if not self._grown:
            for place in range(number, number + len(removed)):
                self._tree.put(place, NOTHING)

    def replace(self, when: int, columns: Columns) -> None:
        """Put other entries, `when`, `kind` and `amount` of each, in the place of an instant's.

        None of them is a reported equity.
        """
        while self.last >= when and self.when(self.since(when)) == when:
            number, place = self.since(when)
            block = self.blocks[number]
            end = bisect_right(block.when, when)
            if place == 0 and end == len(block):
                del self.blocks[number], self._lasts[number]
                self._length -= end
                self._grown = True
            else:
                block.cut(place, end)
                self._touched(number, place - end)
        rows = zip(columns["kind"].tolist(), columns["amount"].tolist(), strict=True)
        number, place = self.since(when)
        for kind, amount in reversed(list(rows)):
            row = Row(when, kind, 0, amount)
            if number == len(self.blocks):
                self.append(row)
                number, place = len(self.blocks) - 1, len(self.blocks[-1]) - 1
            else:
                number, place = self._put(number, place, row)

    def extend(self, columns: Columns) -> None:
        """Put entries behind all others, of which only `when`, `kind` and `amount` are known."""
        when, kind, amount = (columns[name].tolist() for name in ("when", "kind", "amount"))
        if len(when) <= BLOCK_FILL:
            for row in zip(when, kind, amount, strict=True):
                self.append(Row(row[0], row[1], 0, row[2]))
            return
        self.restore([*self.blocks, *laid(columns)])

    def purge_heap(self) -> None:
        """Forget the ids that no entry has any more."""
        self.heap, moved = self.heap.purged(self.column("ids"))
        first = 0
        for block in self.blocks:
            block.ids = packed(moved[first : first + len(block)])
            block.group = None
            first += len(block)

    def rescale(self, factor: int, names: tuple[str, ...] = ("amount", "fee")) -> None:
        """Multiply columns of amounts, because their unit became smaller."""
        if "amount" in names:
            self.base.multiply(factor)
        for block in self.blocks:
            block.multiply(factor, names)
        self._widen()
        self._grown = True

    def merge(self, fresh: Columns) -> bool:
        """Take in many entries at once; whether all of them came after those that were there.

        `fresh` has an array for each column, of one length, in any order.
        """
        ordered = self._ordered(fresh)
        later = self.last < int(ordered["when"][0])
        if not later:
            both = {n: np.concatenate((self.column(n), ordered[n])) for n in COLUMNS}
            ordered = self._ordered(both)
            self.blocks, self._lasts, self.marks, self._length = [], [], 0, 0
        self._lay(ordered)
        return later

    def restore(self, blocks: list[Block]) -> None:
        """Take over the blocks of a snapshot."""
        self.blocks = blocks
        self._lasts = [block.when[-1] for block in blocks]
        self._length = sum(map(len, blocks))
        self.marks = sum(block.kind.count(MARK) for block in blocks)
        self._widen()
        self._grown = True

    def _widen(self) -> None:
        if any(isinstance(block.amount, list) for block in self.blocks):
            self._parts = WIDE

    def _ordered(self, columns: Columns) -> Columns:
        """The entries in canonical order, an equity that was reported twice only once."""
        order = self._sorted(columns)
        ordered = {name: columns[name][order] for name in COLUMNS}
        marks = ordered["kind"] == MARK
        if marks.any():
            when, amount = ordered["when"], ordered["amount"]
            again = marks[1:] & marks[:-1] & (when[1:] == when[:-1]) & (amount[1:] == amount[:-1])
            if again.any():
                keep = np.concatenate(([True], ~again))
                ordered = {name: column[keep] for name, column in ordered.items()}
        return ordered

    def _lay(self, ordered: Columns) -> None:
        length = len(ordered["when"])
        if ordered["amount"].dtype == object:
            self._parts = WIDE
        fill = BLOCK_FILL // self._parts
        fresh = [Block.bare() for _ in range(0, length, fill)]
        for name in COLUMNS:  # each as a whole: numpy gives the interpreter away for every part
            numbers = ordered[name]
            wide = name != "kind"
            whole = packed(numbers, CODES[name]) if wide else bytearray(numbers.astype(np.uint8))
            for place, block in enumerate(fresh):
                part = whole[place * fill : (place + 1) * fill]
                setattr(block, name, fitting(part) if isinstance(part, list) else part)
        self.blocks += fresh
        self._lasts += [block.when[-1] for block in fresh]
        self.marks += int(np.count_nonzero(ordered["kind"] == MARK))
        self._length += length
        self._grown = True

    # ------------------------------------------------------------- reading

    def id(self, reference: int) -> Id:
        """The id behind a reference."""
        return self.heap.get(reference)

    # ------------------------------------------------------------ the order

    def _place(self, when: int, key: Key) -> Place:
        lasts = self._lasts
        number, after = bisect_left(lasts, when), bisect_right(lasts, when)
        if after > number:
            number += bisect_left(range(number, after), key, key=self._last_key)
        if number == len(lasts):
            return number - 1, len(self.blocks[-1])
        block = self.blocks[number]
        first, last = bisect_left(block.when, when), bisect_right(block.when, when)
        ties = range(first, last)
        return number, first + bisect_left(ties, key, key=lambda tie: self._key(block, tie))

    def _last_key(self, number: int) -> Key:
        block = self.blocks[number]
        return self._key(block, len(block) - 1)

    def _key(self, block: Block, place: int) -> Key:
        return self._key_at(block.kind[place], block.ids[place], block.amount[place])

    def _key_at(self, kind: int, reference: int, amount: int) -> Key:
        if kind == MARK:
            return kind, False, amount
        return _key(kind, self.heap.get(reference))

    def _sorted(self, columns: Columns) -> npt.NDArray[np.int64]:
        when, kind = columns["when"], columns["kind"]
        if (when[1:] > when[:-1]).all():
            return np.arange(len(when))
        order = np.lexsort((kind, when))
        tied = (np.diff(when[order]) == 0) & (np.diff(kind[order]) == 0)
        if not tied.any():
            return order
        starts = np.flatnonzero(tied & ~np.concatenate(([False], tied[:-1])))
        ends = np.flatnonzero(tied & ~np.concatenate((tied[1:], [False]))) + 2
        ids, amount = columns["ids"], columns["amount"]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            group = order[start:end].tolist()
            group.sort(key=lambda i: self._key_at(int(kind[i]), int(ids[i]), int(amount[i])))
            order[start:end] = group
        return order

    # ------------------------------------------------------------- the tree

    def _touched(self, number: int, more: int) -> None:
        self._length += more
        self._lasts[number] = self.blocks[number].when[-1]
        self._stale.add(number)

    def _split(self, number: int) -> None:
        block = self.blocks[number]
        self.blocks.insert(number + 1, block.split())
        self._lasts.insert(number, block.when[-1])
        self._grown = True


def laid(columns: Columns) -> list[Block]:
    """Blocks that have only what equity and days follow from: `when`, `kind` and `amount`."""
    blocks = []
    for first in range(0, len(columns["when"]), BLOCK_FILL):
        block, part = Block(), slice(first, first + BLOCK_FILL)
        block.when = packed(columns["when"][part])
        block.kind = bytearray(columns["kind"][part].astype(np.uint8))
        block.amount = packed(columns["amount"][part])
        blocks.append(block)
    return blocks


def _key(kind: int, identity: Id) -> Key:
    return kind, isinstance(identity, str), identity

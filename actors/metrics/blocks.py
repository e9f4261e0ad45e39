"""Blocks of entries, one after the other, and what any stretch of them does to an account.

Above them stands a binary tree of summaries, brought up to date when it is asked; before them a
base, for the entries that were compacted.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from actors.metrics.arrays import Ints
from actors.metrics.base import Base
from actors.metrics.block import Block, Columns, values
from actors.metrics.summary import NOTHING, TRADE, Summary, join
from actors.metrics.tree import Tree

Place = tuple[int, int]  # the number of a block, and a place in it


class Blocks:
    """To be read; whoever changes blocks keeps the rest in step, as `Timeline` does."""

    def __init__(self) -> None:
        self.base = Base()
        self.blocks: list[Block] = []
        self._lasts: list[int] = []
        self._tree = Tree()
        self._stale: set[int] = set()
        self._grown = True
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def last(self) -> int:
        """The instant of the last entry; -1 when there is none."""
        return self._lasts[-1] if self._lasts else -1

    def column(self, name: str, first: int = 0, last: int | None = None) -> npt.NDArray[Any]:
        """A copy of one column of the blocks from `first` to before `last`."""
        parts = [
            block.kinds() if name == "kind" else values(getattr(block, name))
            for block in self.blocks[first:last]
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def since(self, when: int) -> Place:
        """The place of the first entry at or after an instant."""
        number = bisect_left(self._lasts, when)
        if number == len(self.blocks):
            return number, 0
        return number, bisect_left(self.blocks[number].when, when)

    def summary(self, first: Place, last: Place) -> Summary:
        """What the entries from one place to before another do to an account."""
        self._refresh()
        (start, inside), (stop, outside) = first, last
        if start == stop:
            return self.blocks[start].part(inside, outside) if inside < outside else NOTHING
        whole = NOTHING
        if inside:
            whole = self.blocks[start].part(inside, len(self.blocks[start]))
            start += 1
        whole = join(whole, self._tree.range(start, stop))
        return join(whole, self.blocks[stop].part(0, outside)) if outside else whole

    def until(self, place: Place) -> Summary:
        """What the entries before a place do to an account, those of the base among them."""
        return join(self.base.summary, self.summary((0, 0), place))

    def total(self) -> Summary:
        """What all entries do to an account, those of the base among them."""
        self._refresh()
        return join(self.base.summary, self._tree.total())

    def end(self) -> Place:
        """The place after the last entry."""
        return len(self.blocks), 0

    def after(self, count: int) -> Iterator[tuple[int, int, int, int]]:
        """(instant, kind, amount, fee) of each entry but the first `count`."""
        number, skipped = len(self.blocks), self._length
        while number and skipped > count:
            number -= 1
            skipped -= len(self.blocks[number])
        for block in self.blocks[number:]:
            inside = max(count - skipped, 0)
            skipped += len(block)
            rows = zip(block.when, block.kind, block.amount, block.fee, strict=True)
            yield from itertools.islice(rows, inside, None)

    def index(self, place: Place) -> int:
        """How many entries come before a place."""
        number, inside = place
        return sum(map(len, self.blocks[:number])) + inside

    def at(self, index: int) -> Place:
        """The place of the entry that so many others come before."""
        for number, block in enumerate(self.blocks):
            if index < len(block):
                return number, index
            index -= len(block)
        return self.end()

    def instants(self, indices: list[int]) -> list[int]:
        """The instants of entries, given by their ascending indices."""
        found, number, before = [], 0, 0
        for index in indices:
            while index - before >= len(self.blocks[number]):
                before += len(self.blocks[number])
                number += 1
            found.append(self.blocks[number].when[index - before])
        return found

    def oldest(self, trades: int) -> Place:
        """The place of the oldest of the last trades; the first place where there are fewer."""
        missing = trades
        for number in range(len(self.blocks) - 1, -1, -1):
            kinds = self.blocks[number].kind
            there = kinds.count(TRADE)
            if there >= missing:
                places = np.flatnonzero(np.frombuffer(kinds, np.uint8) == TRADE)
                return number, int(places[-missing])
            missing -= there
        return 0, 0

    def last_trades(self, count: int) -> Ints:
        """The instants of the last trades, oldest first, at most `count`."""
        number, _ = self.oldest(count)
        trades = self.column("kind", number) == TRADE
        return np.asarray(self.column("when", number)[trades][-count:])

    def last_but(self, kind: int) -> int:
        """The instant of the last entry of another kind; -1 when there is none."""
        for block in reversed(self.blocks):
            others = np.flatnonzero(block.kinds() != kind)
            if len(others):
                return block.when[int(others[-1])]
        return -1

    def columns(self, names: Sequence[str], first: Place, last: Place) -> Columns:
        """Copies of columns of the entries from one place to before another."""
        (number, inside), count = first, self.index(last) - self.index(first)
        return {
            name: self.column(name, number, last[0] + 1)[inside : inside + count] for name in names
        }

    def backwards(self) -> Iterator[Block]:
        """The blocks, latest first."""
        return reversed(self.blocks)

    def before(self, place: Place) -> Place:
        """The place of the entry before another, which is not the first."""
        number, inside = place
        return (number, inside - 1) if inside else (number - 1, len(self.blocks[number - 1]) - 1)

    def when(self, place: Place) -> int:
        """The instant of an entry."""
        return self.blocks[place[0]].when[place[1]]

    def _refresh(self) -> None:
        if self._grown:
            self._tree = Tree([block.summary() for block in self.blocks])
        elif self.blocks:
            self._stale.add(len(self.blocks) - 1)  # appending tells nobody
            for number in self._stale:
                self._tree.put(number, self.blocks[number].summary())
        self._grown = False
        self._stale.clear()

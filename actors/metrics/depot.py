"""The parts of snapshots: a depot numbers them, and knows which ones are stored as they are.

Columns, ids and their index are cut into parts of at most about a megabyte, which stay as they were
written until something in them changes, and so does a base, a part each. Each has a checksum.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from zlib import crc32

from actors.metrics.base import Base
from actors.metrics.identities import Heap, Index, Run
from actors.metrics.ledger import Ledger

HEAP_BYTES: Final = 1 << 20
RUN_ENTRIES: Final = 1 << 16
CHECK_BYTES: Final = 4

Packed = dict[str, Any]  # JSON
BaseState = tuple[int, int, int, tuple[str, ...]]  # cut, entries, scale, members


class Unusable(Exception):
    """A snapshot that cannot be used; the message says why."""


class Ref(NamedTuple):
    """A part: its number, and the checksum of its bytes."""

    number: int
    check: int


class _Cut(NamedTuple):
    """A heap as it was cut into parts: the last one may have been short of its full length."""

    heap: Heap
    refs: list[Ref]
    length: int


class Depot:
    """Numbers parts. `fresh` are those that nobody has written yet.

    A base is made bytes of late, as it takes milliseconds: `waiting` are copies of those.
    """

    def __init__(self, following: int = 1) -> None:
        self.following = following
        self.fresh: dict[int, bytes] = {}
        self.waiting: dict[int, Base] = {}
        self._bases: dict[str, tuple[BaseState, int]] = {}
        self._same: dict[str, tuple[bytes, Ref]] = {}
        self._heaps: dict[str, _Cut] = {}
        self._runs: dict[int, tuple[Run, list[Ref]]] = {}

    def put(self, data: bytes) -> Ref:
        """Take in a part."""
        ref = Ref(self.following, crc32(data))
        self.following += 1
        self.fresh[ref.number] = data
        return ref

    def put_changed(self, name: str, data: bytes) -> Ref:
        """Take in a small part of this name, where it is not as it was."""
        kept = self._same.get(name)
        if kept is None or kept[0] != data:
            kept = self._same[name] = (data, self.put(data))
        return kept[1]

    def heap(self, name: str, heap: Heap) -> list[Ref]:
        """The parts of a heap, which only grows: those that were full stay as they are.

        Once ids are forgotten there is another heap.
        """
        data, cut = heap.data, self._heaps.get(name)
        if cut is None or cut.heap is not heap:
            cut = _Cut(heap, [], 0)
        refs = cut.refs[: cut.length // HEAP_BYTES]
        self._heaps[name] = _Cut(heap, refs, len(data))
        for number in range(len(refs), -(-len(data) // HEAP_BYTES)):
            refs.append(self.put(bytes(data[number * HEAP_BYTES : (number + 1) * HEAP_BYTES])))
        return list(refs)

    def base(self, name: str, base: Base, scale: int, members: Sequence[str] = ()) -> list[int]:
        """The part of a base, none where nothing is compacted; what did not change stays."""
        state = (base.cut, base.entries, scale, tuple(members))
        if not base.cut:
            return []
        kept = self._bases.get(name)
        if kept is None or kept[0] != state:
            kept = self._bases[name] = (state, self.following)
            self.waiting[self.following] = base.copy()
            self.following += 1
        return [kept[1]]

    def encode(self, most: int) -> None:
        """Make bytes of some bases that wait for it, each with its own checksum before it."""
        for number in list(itertools.islice(self.waiting, most)):
            data = json.dumps(self.waiting.pop(number).packed()).encode()
            self.fresh[number] = crc32(data).to_bytes(CHECK_BYTES, "big") + data

    def known(
        self,
        name: str,
        refs: Sequence[int],
        parts: Mapping[int, bytes],
        scale: int,
        members: Sequence[str] = (),
    ) -> Base:
        """The base of a part that is stored already. Raises Unusable."""
        if not refs:
            return Base()
        [number] = refs
        data = parts.get(number, b"")
        if crc32(data[CHECK_BYTES:]) != int.from_bytes(data[:CHECK_BYTES], "big") or not data:
            raise Unusable(f"part {number} is {'broken' if data else 'missing'}")
        base = Base.unpacked(json.loads(data[CHECK_BYTES:]))
        self._bases[name] = ((base.cut, base.entries, scale, tuple(members)), number)
        return base

    def runs(self, index: Index) -> list[list[Ref]]:
        """The parts of an index."""
        return [self._run(run) for run in index.runs()]

    def _run(self, run: Run) -> list[Ref]:
        kept = self._runs.get(id(run))
        if kept is None:
            firsts = range(0, len(run), RUN_ENTRIES)
            refs = [self.put(run.part(first, first + RUN_ENTRIES)) for first in firsts]
            kept = self._runs[id(run)] = (run, refs)
        return kept[1]

    def learn(
        self,
        packed: Packed,
        heap: Heap,
        runs: list[tuple[Run, list[list[int]]]],
        returns: bytes,
    ) -> None:
        """Know parts that are stored already."""
        self._same[packed["name"]] = (returns, Ref(*packed["returns"]))
        parts = [Ref(*ref) for ref in packed["heap"]]
        self._heaps[packed["name"]] = _Cut(heap, parts, len(heap.data))
        for run, refs in runs:
            self._runs[id(run)] = (run, [Ref(*ref) for ref in refs])

    def keep(self, ledgers: Iterable[Ledger]) -> None:
        """Forget the runs that no index has any more."""
        indices = [index for ledger in ledgers for index in (ledger.index, ledger.past.index)]
        alive = {id(run) for index in indices for run in index.runs()}
        self._runs = {key: kept for key, kept in self._runs.items() if key in alive}


def part(ref: Sequence[int], parts: Mapping[int, bytes]) -> bytes:
    """A part that is stored. Raises Unusable where it is missing or broken."""
    number, check = ref[:2]
    data = parts.get(number)
    if data is None or crc32(data) != check:
        raise Unusable(f"part {number} is {'missing' if data is None else 'broken'}")
    return data

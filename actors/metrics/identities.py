"""Ids are kept exactly, in a few bytes each, and an id that came before is always found.

An id is a reference of 64 bits: a natural number is itself, a text is the complement of its place
in a heap of UTF-8. Whether an id is known is asked of its CRC-32: sorted arrays, each at least
eight times as long as the next, before them a dict of the latest. A CRC that fits proves nothing,
so whoever asks compares the ids; one that fits nowhere proves that the id is new.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final
from zlib import crc32

import numpy as np

from actors.metrics.arrays import Digests, Flags, Ints

Id = int | str

RECENT_MAX: Final = 16_384
TIER: Final = 8
_NUMERIC_DIGITS_MAX = 18
_NUMBER_END: Final = 10**_NUMERIC_DIGITS_MAX
_END = b"\xff"  # stands nowhere in UTF-8


def canonical_id(given: Id) -> Id:
    """One id for 7 and "7": natural numbers below 10^18 as int, everything else as text."""
    if isinstance(given, int):
        return given if 0 <= given < _NUMBER_END else str(given)
    if given >= ":":  # does not begin with a digit: most texts
        return given
    if len(given) <= _NUMERIC_DIGITS_MAX and given.isascii() and given.isdecimal():
        number = int(given)
        return number if len(str(number)) == len(given) else given
    return given


def digest(identity: Id) -> int:
    """The CRC-32 of a canonical id as text."""
    return crc32(encode(identity))


def encode(identity: Id) -> bytes:
    """A canonical id as bytes."""
    return str(identity).encode("utf-8", "surrogatepass")


class Heap:
    """Texts, appended and never taken out."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)

    def put(self, identity: Id) -> int:
        """Keep a canonical id and return its reference."""
        if isinstance(identity, int):
            return identity
        data = self.data
        place = len(data)
        data += identity.encode("utf-8", "surrogatepass") + _END
        return ~place

    def put_all(self, encoded: Sequence[bytes]) -> Ints:
        """Keep texts, as `encode` gives them, and return their references."""
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1
        starts = np.cumsum(lengths) - lengths + len(self.data)
        self.data += _END.join(encoded) + _END if encoded else b""
        return ~starts

    def get(self, reference: int) -> Id:
        """The id of a reference."""
        if reference >= 0:
            return reference
        place = ~reference
        end = self.data.index(_END, place)
        return self.data[place:end].decode("utf-8", "surrogatepass")

    def purged(self, references: Ints) -> tuple[Heap, Ints]:
        """A heap of these ids alone, and their references in it."""
        data = np.frombuffer(bytes(self.data), np.uint8)
        ends = np.flatnonzero(data == _END[0])
        lengths = np.diff(ends, prepend=-1)
        texts = references < 0
        places = np.searchsorted(ends, ~references[texts])
        kept = np.zeros(len(ends), np.bool_)
        kept[places] = True
        starts = np.cumsum(np.where(kept, lengths, 0)) - lengths
        moved = references.copy()
        moved[texts] = ~starts[places]
        return Heap(data[np.repeat(kept, lengths)].tobytes()), moved


class Run:
    """Digests in ascending order, each with the instant of its trade. Never changes.

    `bits` has `mask` + 1 bits, eight for each digest: where that of a digest is not set, the
    digest is none of these. Most new ids are told by that.
    """

    def __init__(self, digests: Digests, instants: Ints) -> None:
        self.digests = digests
        self.instants = instants
        self._view = memoryview(self.digests.data)
        self.mask = (8 << max(len(digests) - 1, 0).bit_length()) - 1
        there = np.zeros(self.mask + 1, np.bool_)
        there[self.digests & np.uint32(min(self.mask, 2**32 - 1))] = True
        self.bits = np.packbits(there, bitorder="little").tobytes()

    def __len__(self) -> int:
        return len(self._view)

    @classmethod
    def sorted(cls, digests: Digests, instants: Ints) -> Run:
        """A run of digests in any order."""
        order = np.argsort(digests)
        return cls(digests[order], instants[order])

    @classmethod
    def merged(cls, one: Run, other: Run) -> Run:
        """Two runs as one."""
        digests = np.concatenate((one.digests, other.digests))
        order = np.argsort(digests, kind="stable")  # fast where two stretches are in order
        return cls(digests[order], np.concatenate((one.instants, other.instants))[order])

    @classmethod
    def of(cls, parts: Sequence[bytes]) -> Run:
        """A run from its parts, one after the other."""
        counts = [len(part) // 12 for part in parts]
        digests = [np.frombuffer(p, np.uint32, n) for p, n in zip(parts, counts, strict=True)]
        instants = [
            np.frombuffer(p, np.int64, n, 4 * n) for p, n in zip(parts, counts, strict=True)
        ]
        return cls(np.concatenate(digests), np.concatenate(instants))

    def part(self, first: int, last: int) -> bytes:
        """Some of the entries as bytes: 4 of each digest, then 8 of each instant."""
        return self.digests[first:last].tobytes() + self.instants[first:last].tobytes()

    def find(self, wanted: int) -> Sequence[int]:
        """The instants that stand beside a digest."""
        view = self._view
        place = bisect_left(view, wanted)
        if place == len(view) or view[place] != wanted:
            return ()
        found = []
        while place < len(view) and view[place] == wanted:
            found.append(int(self.instants[place]))
            place += 1
        return found


class Index:
    """Where the trade of an id closed, as far as a digest can tell."""

    def __init__(self, runs: Sequence[Run] = ()) -> None:
        self._recent: dict[Id, int] = {}
        self._runs: list[Run] = list(runs)
        self.moved: dict[Id, int] = {}  # corrected ones that are not among the latest

    def put(self, identity: Id, when: int) -> None:
        """Keep where a new id's trade closed."""
        self._recent[identity] = when
        if len(self._recent) >= RECENT_MAX:
            self._fold()

    def move(self, identity: Id, when: int) -> None:
        """A correction closed a known id's trade at another instant."""
        if identity in self._recent:
            self._recent[identity] = when
        else:
            self.moved[identity] = when

    def candidates(self, identity: Id) -> Sequence[int]:
        """Instants at which a trade of this id may have closed; none for an id that is new."""
        found = self._recent.get(identity)
        if found is None and self.moved:
            found = self.moved.get(identity)
        if found is not None:
            return (found,)
        if not self._runs:
            return ()
        wanted = digest(identity)
        instants: list[int] = []
        for run in self._runs:
            bit = wanted & run.mask
            if run.bits[bit >> 3] >> (bit & 7) & 1:
                instants += run.find(wanted)
        return instants

    def runs(self) -> list[Run]:
        """All of it but what moved."""
        if self._recent:
            self._fold()
        return list(self._runs)

    def put_run(self, run: Run) -> None:
        """Keep many new ids at once."""
        self._add(run)

    def seen(self, digests: Digests) -> Flags:
        """Which digests may belong to a known id."""
        if self._recent:
            self._fold()
        maybe = np.zeros(len(digests), np.bool_)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run.digests, digests), len(run) - 1)
            maybe |= run.digests[places] == digests
        return maybe

    def purge(self, before: int) -> None:
        """Forget the ids whose trades closed before an instant."""
        kept = []
        for run in self.runs():
            stays = run.instants >= before
            if stays.any():
                kept.append(Run(run.digests[stays], run.instants[stays]))
        self._runs = kept
        moved = {one: when for one, when in self.moved.items() if when >= before}
        if moved:
            digests = np.frombuffer(array("I", map(digest, moved)), np.uint32)
            instants = np.fromiter(moved.values(), np.int64, len(moved))
            self._add(Run.sorted(digests, instants))
        self.moved = {}

    def _fold(self) -> None:
        recent = self._recent
        digests = array("I", map(digest, recent))
        self._add(
            Run.sorted(
                np.frombuffer(digests, np.uint32).copy(),
                np.fromiter(recent.values(), np.int64, len(recent)),
            )
        )
        self._recent = {}

    def _add(self, run: Run) -> None:
        runs = self._runs
        while runs and len(runs[-1]) < TIER * len(run):
            run = Run.merged(runs.pop(), run)
        runs.append(run)

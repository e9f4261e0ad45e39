"""Keeping snapshots: a start reads the last one and the journal's tail instead of all of it.

A snapshot stands for one seq. Its parts are written a few at a time between events; its manifest,
which makes it count, only once alerts' cursor has come as far, because a start must not know more
than alerts were told. A manifest that does not fit (another format, other quarantined events, a
broken part, another currency, days compacted that are open now) is passed over and dropped, and the
whole journal gives the same figures.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final, NamedTuple

from anyio.lowlevel import checkpoint

from actors.metrics.common import Common, packed, unpacked
from actors.metrics.depot import Depot, Packed, Unusable
from actors.metrics.entries import LATER
from actors.metrics.ledger import Ledger
from actors.metrics.ledgers import Ledgers, cut_of
from actors.metrics.replay import Work, here
from actors.metrics.snapshot import FORMAT, fits, pack, unpack
from actors.place import cursor_key
from runtime.store import Store, StoreError, Tx

PREFIX: Final = "snapshot/metrics/"
MANIFEST: Final = f"{PREFIX}manifest"
SAVE_EVERY: Final = 20_000  # events that a start then has to replay
PARTS_AT_ONCE: Final = 4
PARTS_READ: Final = 8  # at a start, when nobody else needs the disk


class _Pending(NamedTuple):
    seq: int
    manifest: bytes
    used: set[int]


class Keeper:
    """Loads and saves the ledgers of one reader."""

    def __init__(self, store: Store, reader: str) -> None:
        self._store = store
        self._reader = reader
        self._depot = Depot()
        self._stored: set[int] = set()
        self._saved = 0
        self._compacted = 0
        self._pending: _Pending | None = None
        self._stale = False  # a manifest that was passed over is still there
        self.passed_over = ""  # why the last snapshot was not used

    async def load(
        self,
        until: int,
        left_out: set[int],
        ledgers: Ledgers,
        horizon: int = LATER,
        work: Work = here,
    ) -> int:
        """Fill in the ledgers of the last snapshot, and return its seq; 0 without a usable one.

        One that has compacted what is after the `horizon` is not: the journal opens it again.
        `work` says where bytes become a ledger. Raises StoreError.
        """
        manifest = await self._store.read(lambda tx: tx.state.get(MANIFEST))
        if manifest is None:
            return 0
        options = ledgers.options
        try:
            given = _read(manifest, until, left_out)
            kept = {}
            for one in given["bots"]:
                parts = await self._parts(_numbers(one))
                own = options(one["name"])
                kept[one["name"]] = await work(unpack, one, own, parts, self._depot)
            commons = {
                name: unpacked(name, one, await self._parts(one["base"]), self._depot)
                for name, one in given["commons"].items()
            }
            for one in given["bots"]:
                if one["currency"] in commons:
                    fits(one, options(one["name"]))
            _settled(kept, commons, horizon)
        except (Unusable, ValueError, LookupError, TypeError, AttributeError) as error:
            self.passed_over = str(error) or type(error).__name__
            await self._forget()
            return 0
        ledgers.take_over(kept, commons)
        self._depot.following = given["following"]
        self._saved, self._compacted = given["seq"], ledgers.compacted()
        return self._saved

    async def step(self, ledgers: Ledgers, seq: int, left_out: set[int]) -> None:
        """Do a little of the work there is: begin a snapshot, write some parts, or end it."""
        if self._stale and not await self._drop():
            return
        pending = self._pending
        if pending is None:
            more = max(seq - self._saved, ledgers.compacted() - self._compacted)
            if more >= SAVE_EVERY:
                self._begin(ledgers, seq, left_out)
            return
        fresh = self._depot.fresh
        for _ in range(0 if fresh else min(PARTS_AT_ONCE, len(self._depot.waiting))):
            self._depot.encode(1)
            await checkpoint()
        parts = list(itertools.islice(fresh.items(), PARTS_AT_ONCE))
        if parts and not await self._store.try_write(lambda tx: _put(tx, parts)):
            return
        for number, _ in parts:
            del fresh[number]
            self._stored.add(number)
        if not fresh and not self._depot.waiting:
            await self._end(pending)

    def _begin(self, ledgers: Ledgers, seq: int, left_out: set[int]) -> None:
        bots = [pack(ledger, self._depot) for ledger in ledgers.of.values()]
        self._depot.keep(ledgers.of.values())
        commons = {
            name: packed(name, common, self._depot) for name, common in ledgers.commons().items()
        }
        self._compacted = ledgers.compacted()
        manifest = {
            "format": FORMAT,
            "seq": seq,
            "left_out": sorted(one for one in left_out if one <= seq),
            "following": self._depot.following,
            "bots": bots,
            "commons": commons,
        }
        used = {number for bot in bots for number in _numbers(bot)}
        used.update(number for common in commons.values() for number in common["base"])
        self._pending = _Pending(seq, json.dumps(manifest).encode(), used)

    async def _end(self, pending: _Pending) -> None:
        """Let the snapshot count, if alerts have come as far, and drop what it does not need."""

        def commit(tx: Tx) -> bool:
            if int(tx.state.get(cursor_key(self._reader)) or 0) < pending.seq:
                return False
            tx.state.put(MANIFEST, pending.manifest)
            for number in self._stored - pending.used:
                tx.state.delete(_key(number))
            return True

        try:
            if not await self._store.write(commit):
                return
        except StoreError:
            return
        self._stored &= pending.used
        self._saved, self._pending = pending.seq, None

    async def _parts(self, wanted: Iterable[int]) -> dict[int, bytes]:
        parts: dict[int, bytes] = {}
        numbers = iter(wanted)
        while some := list(itertools.islice(numbers, PARTS_READ)):
            found = await self._store.read(partial(_get, some))
            parts.update((number, data) for number, data in found if data is not None)
        self._stored |= parts.keys()
        return parts

    async def _forget(self) -> None:
        """Begin anew, with numbers that no part has."""
        keys = await self._store.read(lambda tx: tx.state.keys(PREFIX))
        self._stored = {int(key.removeprefix(PREFIX)) for key in keys if key != MANIFEST}
        self._depot = Depot(max(self._stored, default=0) + 1)
        await self._drop()

    async def _drop(self) -> bool:
        """Delete a manifest that was passed over; whether the disk took it.

        What the journal takes from now on may be of days that it has compacted.
        """
        self._stale = not await self._store.try_write(lambda tx: tx.state.delete(MANIFEST))
        return not self._stale


def _read(manifest: bytes, until: int, left_out: set[int]) -> Packed:
    packed: Packed = json.loads(manifest)
    if packed["format"] != FORMAT:
        raise Unusable(f"its format is {packed['format']}, not {FORMAT}")
    if packed["seq"] > until:
        raise Unusable(f"it stands for seq {packed['seq']}, alerts for {until}")
    if packed["left_out"] != sorted(seq for seq in left_out if seq <= packed["seq"]):
        raise Unusable("other events are in quarantine now")
    return packed


def _settled(ledgers: dict[str, Ledger], commons: dict[str, Common], horizon: int) -> None:
    if cut_of(ledgers.values(), commons.values()) > horizon:
        raise Unusable("it has compacted what metrics.retention_days keeps open now")


def _numbers(packed: Packed) -> Iterator[int]:
    yield from (ref[0] for ref in _refs(packed))
    yield from packed["base"]


def _refs(packed: Packed) -> Iterator[list[int]]:
    yield packed["returns"]
    yield from packed["groups"]
    yield from packed["heap"]
    for run in (*packed["index"], *packed["past"]):
        yield from run


def _key(number: int) -> str:
    return f"{PREFIX}{number}"


def _get(numbers: list[int], tx: Tx) -> list[tuple[int, bytes | None]]:
    return [(number, tx.state.get(_key(number))) for number in numbers]


def _put(tx: Tx, parts: list[tuple[int, bytes]]) -> None:
    for number, data in parts:
        tx.state.put(_key(number), data)

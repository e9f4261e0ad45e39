"""The store's place in the tree: it notices when a disk fails writes, and when it works again.

The database's thread serves everyone; this actor tells alerts, which then send from memory. It
also writes down what went to quarantine, again and again until the disk takes it.
"""

from __future__ import annotations

from collections import deque

import msgspec

from actors.alerts.triggers import Internal
from actors.place import poison_key
from runtime.actor import Actor
from runtime.ref import Ref
from runtime.store import Entry, Store, Tx
from runtime.system import Quarantined

LOOK_EVERY_S = 5.0
PROBE_KEY = "probe"
STREAM = "quarantine"
UNWRITTEN_MAX = 1_000  # records that wait for the disk; the oldest goes


class _Look(msgspec.Struct, frozen=True):
    pass


class Keep(msgspec.Struct, frozen=True):
    """Write a record of the quarantine down; `seq` is the event that its reader passes over."""

    record: Quarantined
    seq: int | None = None


class StoreActor(Actor[_Look | Keep]):
    """Probes the disk while writes fail, so that a recovery is noticed without traffic."""

    def __init__(self, store: Store, alerts: Ref[Internal]) -> None:
        self._store = store
        self._alerts = alerts
        self._failing: bool | None = None  # None: an earlier life may have told of it
        self._unwritten: deque[Keep] = deque(maxlen=UNWRITTEN_MAX)

    async def started(self) -> None:
        """Look now and then; fail to start where the store cannot be read."""
        await self._store.read(lambda tx: tx.journal.head())
        self.ctx.every(LOOK_EVERY_S, _Look())

    async def receive(self, message: _Look | Keep) -> None:
        """Keep what is to be kept; look whether the disk works. A failing disk is no crash."""
        if isinstance(message, Keep):
            self._unwritten.append(message)
        await self._write_down()
        if isinstance(message, _Look):
            await self._look()

    async def _write_down(self) -> None:
        waiting = list(self._unwritten)
        if waiting and await self._store.try_write(lambda tx: _keep(tx, waiting)):
            self._unwritten.clear()

    async def _look(self) -> None:
        if self._store.stats().last_error:
            stamp = self.ctx.clock.now().isoformat().encode()
            await self._store.try_write(lambda tx: tx.state.put(PROBE_KEY, stamp))
        error = self._store.stats().last_error
        if bool(error) != self._failing:
            self._failing = bool(error)
            await self._alerts.tell(
                Internal(
                    trigger="storage",
                    subject="disk",
                    severity="critical",
                    title="Sidewatch cannot write to its disk",
                    text=error or "Writes succeed again.",
                    holds=self._failing,
                )
            )


def _keep(tx: Tx, waiting: list[Keep]) -> None:
    entries = [
        Entry(STREAM, msgspec.json.encode(keep.record), keep.record.at.timestamp())
        for keep in waiting
    ]
    tx.journal.append(entries)
    for keep in waiting:
        if keep.seq is not None:
            tx.state.put(poison_key(keep.record.actor, keep.seq), b"")

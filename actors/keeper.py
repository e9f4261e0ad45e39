"""The store's place in the tree: it notices when a disk fails writes, and when it works again.

A file that is spoilt stays so: that is told by itself, as only a restart sets it aside.
The database's thread serves everyone; this actor tells alerts, which then send from memory. It
also writes down what went to quarantine, again and again until the disk takes it. And it tells of a
database that took another's place, at each start until alerts has that on disk.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.alerts.commands import Commit, NotStored
from actors.alerts.triggers import Internal
from actors.messages import Wake
from actors.place import poison_key
from runtime.actor import Actor
from runtime.mailbox import MailboxPolicy
from runtime.ref import AskFailed, AskTimeout, Ref
from runtime.store import Entry, Store, Tx
from runtime.system import Quarantined

LOOK_EVERY_S = 5.0
COMMIT_S = 1.0
PROBE_KEY = "probe"
CANNOT_WRITE = "Sidewatch cannot write to its disk"
BROKEN = "Sidewatch: the database is broken, restart it"
STREAM = "quarantine"
KEPT = 10_000  # records on disk; older ones go, but what a reader passes over stays known
UNWRITTEN_MAX = 1_000  # records that wait for the disk; the oldest goes
MAILBOX = MailboxPolicy(capacity=8, when_full="coalesce", key=type)


class _Look(msgspec.Struct, frozen=True):
    pass


class Keep(msgspec.Struct, frozen=True):
    """A record of the quarantine to write down; `seq` is the event that its reader passes over."""

    record: Quarantined
    seq: int | None = None


class Unwritten:
    """Records that wait for the disk. They outlive the actor that writes them down.

    `lost` counts those that too many newer ones have taken the place of.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Keep] = {}
        self._next = 0
        self.lost = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, keep: Keep) -> None:
        """Add a record."""
        if len(self._kept) >= UNWRITTEN_MAX:
            del self._kept[next(iter(self._kept))]
            self.lost += 1
        self._kept[self._next] = keep
        self._next += 1

    def waiting(self) -> dict[int, Keep]:
        """Return what waits, oldest first, each with its number."""
        return dict(self._kept)

    def written(self, numbers: dict[int, Keep]) -> None:
        """Forget what is on disk."""
        for number in numbers:
            self._kept.pop(number, None)


class Untold:
    """What this start found its database to be, and nobody knows yet; it outlives the actor.

    `fault` is what alerts is to hear of it, if anything; `settled` is called once all is on disk.
    """

    def __init__(
        self, fault: Internal | None = None, settled: Callable[[], None] | None = None
    ) -> None:
        self.fault = fault
        self.settled = settled
        self.told = False


class StoreActor(Actor[_Look | Wake]):
    """Probes the disk while writes fail, so that a recovery is noticed without traffic.

    A Wake says that there is something to write down, or to tell.
    """

    def __init__(
        self,
        store: Store,
        alerts: Ref[Internal | Commit],
        unwritten: Unwritten,
        untold: Untold | None = None,
    ) -> None:
        self._store = store
        self._alerts = alerts
        self._unwritten = unwritten
        self._untold = untold or Untold()
        self._failing: dict[str, bool] = {}  # what is not there an earlier life may have told of
        self._told_lost = 0

    async def started(self) -> None:
        """Look now and then; fail to start where the store cannot be read."""
        await self._store.read(lambda tx: tx.journal.head())
        self.ctx.every(LOOK_EVERY_S, _Look())

    async def receive(self, message: _Look | Wake) -> None:
        """Keep what is to be kept; look whether the disk works. A failing disk is no crash."""
        await self._write_down()
        await self._settle()
        if isinstance(message, _Look):
            await self._look()

    async def _write_down(self) -> None:
        waiting = self._unwritten.waiting()
        if waiting and await self._store.try_write(lambda tx: _keep(tx, list(waiting.values()))):
            self._unwritten.written(waiting)
        lost = self._unwritten.lost
        if lost > self._told_lost:
            self._told_lost = lost
            text = f"{lost} records of the quarantine in all: more than {UNWRITTEN_MAX} waited"
            self.ctx.system.report("unwritten", self.ctx.name, text)

    async def _settle(self) -> None:
        """Tell of the database, and have it known once that is on disk; else with the next look."""
        untold = self._untold
        if untold.settled is None:
            return
        if untold.fault is not None and not untold.told:
            await self._alerts.tell(untold.fault)
            untold.told = True
        try:
            await self._alerts.ask(Commit(), timeout_s=COMMIT_S)
        except (AskTimeout, AskFailed, NotStored):
            return
        if await self._store.settle():
            untold.settled()
            untold.settled = None

    async def stopping(self) -> None:
        """Write down what came last."""
        await self._write_down()

    async def _look(self) -> None:
        if self._store.stats().last_error:
            stamp = self.ctx.clock.now().isoformat().encode()
            await self._store.try_write(lambda tx: tx.state.put(PROBE_KEY, stamp))
        stats = self._store.stats()
        await self._tell("disk", CANNOT_WRITE, stats.last_error, "Writes succeed again.")
        await self._tell("file", BROKEN, stats.broken, "The file that is open now is sound.")

    async def _tell(self, subject: str, title: str, error: str, over: str) -> None:
        if bool(error) == self._failing.get(subject):
            return
        self._failing[subject] = bool(error)
        message = Internal("storage", subject, "critical", title, error or over, holds=bool(error))
        await self._alerts.tell(message)


def _keep(tx: Tx, waiting: list[Keep]) -> None:
    entries = [
        Entry(STREAM, msgspec.json.encode(keep.record), keep.record.at.timestamp())
        for keep in waiting
    ]
    tx.journal.append(entries)
    tx.journal.trim(STREAM, KEPT)
    for keep in waiting:
        if keep.seq is not None:
            tx.state.put(poison_key(keep.record.actor, keep.seq), b"")

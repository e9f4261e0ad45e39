"""The database: one connection, one thread that owns it, one fsync for many writers.

A write is a function of `Tx`. Functions that wait together are committed together, each behind its
own savepoint, so that one that fails takes no other along. A waiter wakes after the fsync, or gets
the error. `inline=True` runs everything on the caller's thread, for tests in virtual time.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import current_token

from runtime.clock import Clock
from runtime.store import schema
from runtime.store.commit import Committer, Op, nothing
from runtime.store.errors import StoreClosed, StoreError, StoreFull
from runtime.store.file import DatabaseFile
from runtime.store.report import OpenReport, StoreStats
from runtime.store.transaction import Tx

T = TypeVar("T")
BATCH_OPS_MAX = 1_000
QUEUED_OPS_MAX = 10_000
GIVE_UP_S = 0.5


class Store:
    """The store. `open` before use, on the event loop; `close` ends the thread."""

    def __init__(self, path: Path, clock: Clock, *, inline: bool = False) -> None:
        self.path = path
        self._inline = inline
        self._ops: deque[Op] = deque()
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._call_soon: Callable[..., Any] | None = None
        self._committed: list[Callable[[int], None]] = []
        self._head = 0
        self.fault: Callable[[str], None] = nothing
        self._file = DatabaseFile(path, clock, closing=lambda: self._closing, fault=self._reach)
        self._committer = Committer(self._file, foresee=self._foresee, fault=self._reach)

    # ------------------------------------------------------------ life

    async def open(self) -> OpenReport:
        """Open or create the file. A broken one is set aside and a fresh one started.

        Cancelled, it gives up: the check of a large file is cut short, and nothing stays open.
        Raises StoreError where the directory is not writable or the schema is newer.
        """
        native: Any = current_token().native_token
        soon = getattr(native, "call_soon_threadsafe", None)
        self._call_soon = soon if soon is not None else native.run_sync_soon
        self._closing = False
        if self._inline:
            return self._open()
        event, op = anyio.Event(), Op(nothing, reads=True, durable=False)
        op.done = event.set
        self._thread = threading.Thread(
            target=self._live, args=(op,), name="store-writer", daemon=True
        )
        self._thread.start()
        try:
            await event.wait()
        except anyio.get_cancelled_exc_class():
            await self._give_up(self._thread)
            raise
        if op.error is not None:
            raise op.error
        report: OpenReport = op.value
        return report

    async def close(self) -> None:
        """Commit what waits, then close. Cancelled, it leaves that to the thread."""
        if self._inline or self._thread is None:
            self._file.close()
            return
        self._ask_to_close()
        await anyio.to_thread.run_sync(self._thread.join, abandon_on_cancel=True)

    def _ask_to_close(self) -> None:
        with self._ready:
            self._closing = True
            self._ready.notify()

    async def _give_up(self, thread: threading.Thread) -> None:
        """Have the thread end, also one that checks the file; one that the disk holds is left."""
        self._ask_to_close()
        with anyio.move_on_after(GIVE_UP_S, shield=True):
            while thread.is_alive():
                self._file.interrupt()
                await anyio.sleep(GIVE_UP_S / 100)

    def _live(self, op: Op) -> None:
        try:
            op.value = self._open()
            self._file.mark.keep()
        except BaseException as error:  # noqa: BLE001 - handed to whoever opens
            op.error = error
        self._wake(None, [op])
        if op.error is None:
            self._run()

    def _open(self) -> OpenReport:
        report = self._file.open()
        self._head = report.head
        self._committer.begin(report.lost)
        return report

    # ------------------------------------------------------------ use

    def on_commit(self, callback: Callable[[int], None]) -> None:
        """Call on the event loop after each commit that appended, with the journal's head."""
        self._committed.append(callback)

    async def write(
        self, func: Callable[[Tx], T], *, ahead: Callable[[T], None] | None = None
    ) -> T:
        """Run a function in a transaction; returns after the fsync what it returned.

        `ahead` is called on the event loop with what it returned while the disk still works at it:
        for what can be prepared, and must not be done yet, as the commit may fail.
        Raises what the function raised (only its own changes are undone), or StoreError.
        """
        return await self._submit(func, ahead=ahead)  # type: ignore[no-any-return]

    async def note(self, func: Callable[[Tx], T]) -> T:
        """Write without waiting for the fsync, unless one that waits for it is in the same batch.

        A killed process loses nothing of it; a power cut may, in order: what a later `write`
        commits never survives without it. For what the next start would undo anyway.
        """
        return await self._submit(func, durable=False)  # type: ignore[no-any-return]

    async def try_write(self, func: Callable[[Tx], object]) -> bool:
        """Write, and say whether it worked; `stats` tells why not."""
        try:
            await self._submit(func)
        except StoreError:
            return False
        return True

    async def read(self, func: Callable[[Tx], T]) -> T:
        """Run a function that only reads."""
        return await self._submit(func, reads=True)  # type: ignore[no-any-return]

    def begin(self, func: Callable[[Tx], T]) -> Callable[[], Awaitable[T]]:
        """Begin to read; await what this returns for the outcome. Raises StoreClosed, StoreFull."""
        if self._inline:
            return partial(self._submit, func, reads=True)
        return partial(self._outcome, *self._enqueue(func, reads=True, durable=False))

    async def settle(self) -> bool:
        """Take the database as it is, new or short of its end, for the known one; false: it failed.

        Until then each `open` reports it anew.
        """
        return await self.try_write(_settle)

    def head(self) -> int:
        """Return the journal's newest committed seq."""
        return self._head

    def stats(self) -> StoreStats:
        """Return counts, and the last error while writes fail."""
        return self._committer.stats._replace(queued=len(self._ops))

    async def _submit(
        self,
        func: Callable[[Tx], Any],
        *,
        reads: bool = False,
        durable: bool = True,
        ahead: Callable[[Any], None] | None = None,
    ) -> Any:
        durable = durable and not reads
        op, event = self._enqueue(func, reads=reads, durable=durable, ahead=ahead)
        return await self._outcome(op, event)

    def _enqueue(
        self,
        func: Callable[[Tx], Any],
        *,
        reads: bool,
        durable: bool,
        ahead: Callable[[Any], None] | None = None,
    ) -> tuple[Op, anyio.Event]:
        if self._file.link is None or self._closing:
            raise StoreClosed("the store is not open")
        if len(self._ops) >= QUEUED_OPS_MAX:
            raise StoreFull(f"{QUEUED_OPS_MAX} writes wait for the disk")
        op, event = Op(func, reads=reads, durable=durable), anyio.Event()
        op.ahead = ahead
        if not self._inline:
            op.done = event.set
            with self._ready:
                self._ops.append(op)
                self._ready.notify()
        return op, event

    async def _outcome(self, op: Op, event: anyio.Event) -> Any:
        if self._inline:
            await anyio.lowlevel.checkpoint()
            self._announce(self._committer.commit([op]), [op])
        else:
            await event.wait()
        if op.error is not None:
            raise op.error
        return op.value

    # ------------------------------------------------------------ the writer's thread

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._ops and not self._closing:
                    self._ready.wait()
                batch = [self._ops.popleft() for _ in range(min(len(self._ops), BATCH_OPS_MAX))]
            if not batch:
                self._file.close()
                return
            head = self._committer.commit(batch)
            self._wake(head, batch)

    def _wake(self, head: int | None, batch: list[Op]) -> None:
        assert self._call_soon is not None
        try:
            self._call_soon(self._announce, head, batch)
        except RuntimeError:
            return  # the loop has ended: nobody waits any more

    def _announce(self, head: int | None, batch: list[Op]) -> None:
        if head is not None and head != self._head:
            self._head = head
            for callback in self._committed:
                try:
                    callback(head)
                except Exception:  # the writers have their answer on disk, and the loop goes on
                    logging.getLogger(__name__).exception("a callback of the application failed")
        for op in batch:
            op.done()

    def _reach(self, point: str) -> None:
        self.fault(point)  # whichever is set by then

    def _foresee(self, ops: list[Op]) -> None:
        """Let those who want to prepare for the outcome do so while the commit is under way."""
        if self._inline:
            _look_ahead(ops)
        elif ops:
            assert self._call_soon is not None
            with suppress(RuntimeError):  # the loop has ended
                self._call_soon(_look_ahead, ops)


def _look_ahead(ops: list[Op]) -> None:
    for op in ops:
        assert op.ahead is not None
        try:
            op.ahead(op.value)
        except Exception:  # what could not be prepared is done when its time comes
            logging.getLogger(__name__).exception("could not prepare for a commit")


def _settle(tx: Tx) -> None:
    tx.state.delete(schema.NEW)
    tx.state.delete(schema.LOST)

"""The database: one connection, one thread that owns it, one fsync for many writers.

A write is a function of `Tx`. Functions that wait together are committed together, each behind its
own savepoint, so that one that fails takes no other along. A waiter wakes after the fsync, or gets
the error. `inline=True` runs everything on the caller's thread, for tests in virtual time.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

import anyio
from anyio.lowlevel import current_token

from runtime.clock import Clock
from runtime.store import aside, schema
from runtime.store.errors import StoreClosed, StoreCorrupt, StoreError, StoreFull
from runtime.store.mark import Mark
from runtime.store.report import OpenReport, StoreStats
from runtime.store.transaction import Tx

T = TypeVar("T")
BATCH_OPS_MAX = 1_000
QUEUED_OPS_MAX = 10_000
GIVE_UP_S = 0.5
RESTART = "restart Sidewatch, which sets a broken database aside and starts a fresh one"


class _Op:
    __slots__ = ("ahead", "done", "durable", "error", "func", "reads", "value")

    def __init__(self, func: Callable[[Tx], Any], *, reads: bool, durable: bool) -> None:
        self.func = func
        self.ahead: Callable[[Any], None] | None = None
        self.reads = reads
        self.durable = durable
        self.done: Callable[[], None] = _nothing
        self.value: Any = None
        self.error: BaseException | None = None


class Store:
    """The store. `open` before use, on the event loop; `close` ends the thread."""

    def __init__(self, path: Path, clock: Clock, *, inline: bool = False) -> None:
        self.path = path
        self._clock = clock
        self._inline = inline
        self._link: sqlite3.Connection | None = None
        self._lock: IO[bytes] | None = None
        self._mark = Mark(path)
        self._ops: deque[_Op] = deque()
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._checked: sqlite3.Connection | None = None
        self._closing = False
        self._call_soon: Callable[..., Any] | None = None
        self._committed: list[Callable[[int], None]] = []
        self._head = 0
        self._full = True
        self._file = (0, 0)
        self._stats = StoreStats(0, 0, 0, 0, "")
        self.fault: Callable[[str], None] = _no_fault

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
        event, op = anyio.Event(), _Op(_nothing, reads=True, durable=False)
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
            self._shut()
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
                checked = self._checked
                if checked is not None:
                    with suppress(sqlite3.ProgrammingError):  # closed since
                        checked.interrupt()  # the statement in hand alone: hence again and again
                await anyio.sleep(GIVE_UP_S / 100)

    def _live(self, op: _Op) -> None:
        try:
            op.value = self._open()
            self._mark.keep()
        except BaseException as error:  # noqa: BLE001 - handed to whoever opens
            op.error = error
        self._wake(None, [op])
        if op.error is None:
            self._run()

    def _open(self) -> OpenReport:
        """Open, or leave nothing behind: no lock, no connection."""
        try:
            return self._take()
        except (sqlite3.Error, OSError) as error:
            self._shut()
            raise StoreError(f"cannot open {self.path}: {error}") from error
        except BaseException:
            self._shut()
            raise

    def _take(self) -> OpenReport:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = schema.lock(self.path)
        moved = aside.unfinished(self.path)
        fresh = not self.path.exists()
        try:
            link = self._try_open(fresh=fresh, moved=moved)
        except (StoreCorrupt, sqlite3.DatabaseError) as error:
            # Cut short, a check finds faults in a sound file.
            if isinstance(error, sqlite3.OperationalError) or self._closing:
                raise
            moved = aside.set_aside(self.path, self._clock.now())
            self.fault("store.set_aside")
            link = self._link = self._try_open(fresh=True, moved=moved)
            self.fault("store.created")
        self._link = link
        found = self.path.stat()
        self._file = (found.st_dev, found.st_ino)
        self._full = True
        tx = Tx(link)
        self._head = tx.journal.head()
        new = tx.state.get(schema.NEW)
        created = fresh or (bool(moved) and new is not None)
        lost, kept = (0, "") if created else self._missing(tx)
        self._mark.write(self._head)
        aside.finished(self.path)
        self._stats = self._stats._replace(broken="", lost=lost)
        released = tx.queue.release_inflight(self._clock.now().timestamp())
        named = (new or b"").decode()
        return OpenReport(new is not None, named, self._head, released, lost, kept)

    def _missing(self, tx: Tx) -> tuple[int, str]:
        """Count the acknowledged entries that are gone, those that nobody settled yet included.

        Returns the name of the copy of the log that should have held them, too.
        """
        before, _, kept = (tx.state.get(schema.LOST) or b"0").decode().partition(" ")
        lost = max(int(before), self._mark.read() - self._head)
        if lost > int(before):
            kept = kept or schema.keep_log(self.path, self._clock.now())
            tx.state.put(schema.LOST, f"{lost} {kept}".encode())
        return lost, kept

    def _try_open(self, *, fresh: bool, moved: str) -> sqlite3.Connection:
        link = schema.connect(self.path)
        self._checked = None if fresh else link  # to create one takes no time, and is not cut short
        try:
            schema.prepare(link, fresh=fresh, aside=moved)
        except BaseException:
            link.close()
            raise
        finally:
            self._checked = None
        self.path.chmod(0o600)
        return link

    def _shut(self) -> None:
        link, self._link = self._link, None
        lock, self._lock = self._lock, None
        self._mark.close()
        try:
            if link is not None:
                link.close()
        finally:
            if lock is not None:
                lock.close()

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
        return self._stats._replace(queued=len(self._ops))

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
    ) -> tuple[_Op, anyio.Event]:
        if self._link is None or self._closing:
            raise StoreClosed("the store is not open")
        if len(self._ops) >= QUEUED_OPS_MAX:
            raise StoreFull(f"{QUEUED_OPS_MAX} writes wait for the disk")
        op, event = _Op(func, reads=reads, durable=durable), anyio.Event()
        op.ahead = ahead
        if not self._inline:
            op.done = event.set
            with self._ready:
                self._ops.append(op)
                self._ready.notify()
        return op, event

    async def _outcome(self, op: _Op, event: anyio.Event) -> Any:
        if self._inline:
            await anyio.lowlevel.checkpoint()
            self._announce(self._commit([op]), [op])
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
                self._shut()
                return
            head = self._commit(batch)
            self._wake(head, batch)

    def _wake(self, head: int | None, batch: list[_Op]) -> None:
        assert self._call_soon is not None
        try:
            self._call_soon(self._announce, head, batch)
        except RuntimeError:
            return  # the loop has ended: nobody waits any more

    def _announce(self, head: int | None, batch: list[_Op]) -> None:
        if head is not None and head != self._head:
            self._head = head
            for callback in self._committed:
                try:
                    callback(head)
                except Exception:  # the writers have their answer on disk, and the loop goes on
                    logging.getLogger(__name__).exception("a callback of the application failed")
        for op in batch:
            op.done()

    def _commit(self, batch: list[_Op]) -> int | None:
        """Run a batch in one transaction; every waiter of a failed one gets the error."""
        link = self._link
        assert link is not None
        tx = Tx(link)
        writes, durable = any(not op.reads for op in batch), any(op.durable for op in batch)
        wrote = False
        try:
            if writes:
                self._check_place()
                self._sync(link, full=durable)
                link.execute("BEGIN IMMEDIATE")
            for op in batch:
                changes = link.total_changes
                self._run_one(link, tx, op)
                wrote |= op.error is None and link.total_changes != changes
            head = None
            if writes:
                head = tx.journal.head()
                self._foresee([op for op in batch if op.ahead is not None and op.error is None])
                self.fault("store.commit")
                link.execute("COMMIT")
                self.fault("store.committed")
        except Exception as error:  # noqa: BLE001 - or the thread ends, and every waiter hangs
            self._undo(link, batch, error)
            return None
        if durable and head is not None:
            self._mark.write(head)
        stats = self._stats
        self._stats = stats._replace(
            commits=stats.commits + writes,
            operations=stats.operations + len(batch),
            # a commit that changes nothing has not asked the disk
            last_error="" if wrote else stats.last_error,
        )
        return head

    def _foresee(self, ops: list[_Op]) -> None:
        """Let those who want to prepare for the outcome do so while the commit is under way."""
        if self._inline:
            _look_ahead(ops)
        elif ops:
            assert self._call_soon is not None
            with suppress(RuntimeError):  # the loop has ended
                self._call_soon(_look_ahead, ops)

    def _check_place(self) -> None:
        """Raise where the file is no longer where it was opened: what is written is lost.

        SQLite would go on with a file that was removed and say nothing.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise StoreError("the database file is gone") from None
        if (found.st_dev, found.st_ino) != self._file:
            raise StoreError("another file took the place of the database")

    def _sync(self, link: sqlite3.Connection, *, full: bool) -> None:
        """Choose whether the next commit waits for the fsync (in WAL, NORMAL does not)."""
        if full != self._full:
            link.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            self._full = full

    def _run_one(self, link: sqlite3.Connection, tx: Tx, op: _Op) -> None:
        if op.reads:
            try:
                op.value = op.func(tx)
            except sqlite3.Error as error:
                self._look_at(error)
                op.error = StoreError(f"the read failed: {error}")
                op.error.__cause__ = error
            except Exception as error:  # noqa: BLE001 - handed to whoever asked
                op.error = error
            return
        link.execute("SAVEPOINT op")
        try:
            op.value = op.func(tx)
        except sqlite3.Error:
            raise  # the disk, not the function: the whole batch fails
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            op.error = error
            link.execute("ROLLBACK TO op")
        link.execute("RELEASE op")

    def _look_at(self, error: Exception) -> None:
        """Note that the file itself is spoilt: only the next start can set it aside."""
        if schema.is_broken(error):
            self._stats = self._stats._replace(broken=f"{error}: {RESTART}"[:500])

    def _undo(self, link: sqlite3.Connection, batch: list[_Op], error: Exception) -> None:
        self._look_at(error)
        if link.in_transaction:
            try:
                link.execute("ROLLBACK")
            except sqlite3.Error as again:
                error.add_note(f"rollback: {again}")
        for op in batch:
            if op.reads:  # it has no part in the failure, but may have seen what is undone
                op.error = None
                self._run_one(link, Tx(link), op)
                continue
            failure = StoreError(f"the write failed: {error}")
            failure.__cause__ = error
            op.error = failure
        self._stats = self._stats._replace(
            failed=self._stats.failed + len(batch), last_error=str(error)[:500]
        )


def _look_ahead(ops: list[_Op]) -> None:
    for op in ops:
        assert op.ahead is not None
        try:
            op.ahead(op.value)
        except Exception:  # what could not be prepared is done when its time comes
            logging.getLogger(__name__).exception("could not prepare for a commit")


def _nothing(*_: object) -> None:
    return None


def _no_fault(_point: str) -> None:
    return None


def _settle(tx: Tx) -> None:
    tx.state.delete(schema.NEW)
    tx.state.delete(schema.LOST)

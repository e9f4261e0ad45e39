"""Commit: functions that wait together run in one transaction, and wait for one fsync.

Each is behind its own savepoint, so that one that fails takes no other along. Where the disk fails,
the whole batch has failed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from runtime.store import schema
from runtime.store.errors import StoreError
from runtime.store.file import DatabaseFile
from runtime.store.report import StoreStats
from runtime.store.transaction import Tx

RESTART = "restart Sidewatch, which sets a broken database aside and starts a fresh one"


def nothing(*_: object) -> None:
    """Do nothing."""


class Op:
    """A function that waits for its turn, and what has become of it.

    `durable`: whoever waits for it waits for the fsync, too. `done` is called at the end, on the
    event loop, and `ahead` with its value while the commit is under way.
    """

    __slots__ = ("ahead", "done", "durable", "error", "func", "reads", "value")

    def __init__(self, func: Callable[[Tx], Any], *, reads: bool, durable: bool) -> None:
        self.func = func
        self.ahead: Callable[[Any], None] | None = None
        self.reads = reads
        self.durable = durable
        self.done: Callable[[], None] = nothing
        self.value: Any = None
        self.error: BaseException | None = None


class Committer:
    """Commits batches to a file that is open, on the thread that owns it, and counts them.

    `foresee` gets those who want to prepare for the outcome, while the commit is under way.
    """

    def __init__(
        self,
        file: DatabaseFile,
        *,
        foresee: Callable[[list[Op]], None],
        fault: Callable[[str], None],
    ) -> None:
        self.stats = StoreStats(0, 0, 0, 0, "")
        self._file = file
        self._foresee = foresee
        self._fault = fault
        self._full = True

    def begin(self, lost: int) -> None:
        """Begin with a file that was opened anew; `lost` as in the OpenReport."""
        self._full = True
        self.stats = self.stats._replace(broken="", lost=lost)

    def commit(self, batch: list[Op]) -> int | None:
        """Run a batch in one transaction; every waiter of a failed one gets the error.

        Returns the journal's head, None where nothing was written.
        """
        link = self._file.link
        assert link is not None
        tx = Tx(link)
        writes, durable = any(not op.reads for op in batch), any(op.durable for op in batch)
        wrote = False
        try:
            if writes:
                self._file.check_place()
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
                self._fault("store.commit")
                link.execute("COMMIT")
                self._fault("store.committed")
        except Exception as error:  # noqa: BLE001 - or the thread ends, and every waiter hangs
            self._undo(link, batch, error)
            return None
        if durable and head is not None:
            self._file.mark.write(head)
        stats = self.stats
        self.stats = stats._replace(
            commits=stats.commits + writes,
            operations=stats.operations + len(batch),
            # a commit that changes nothing has not asked the disk
            last_error="" if wrote else stats.last_error,
        )
        return head

    def _sync(self, link: sqlite3.Connection, *, full: bool) -> None:
        """Choose whether the next commit waits for the fsync (in WAL, NORMAL does not)."""
        if full != self._full:
            link.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            self._full = full

    def _run_one(self, link: sqlite3.Connection, tx: Tx, op: Op) -> None:
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
            self.stats = self.stats._replace(broken=f"{error}: {RESTART}"[:500])

    def _undo(self, link: sqlite3.Connection, batch: list[Op], error: Exception) -> None:
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
        self.stats = self.stats._replace(
            failed=self.stats.failed + len(batch), last_error=str(error)[:500]
        )

"""The file of a store: taken for one process alone, opened or set aside, checked, given back.

All but `interrupt` is for the thread that owns the connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from runtime.clock import Clock
from runtime.store import aside, schema
from runtime.store.errors import StoreCorrupt, StoreError
from runtime.store.mark import Mark
from runtime.store.report import OpenReport
from runtime.store.transaction import Tx


class DatabaseFile:
    """The file, with its one connection, its lock and its mark.

    `closing` says whether whoever opens has given up; `fault` names each point that it reaches.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        closing: Callable[[], bool],
        fault: Callable[[str], None],
    ) -> None:
        self.path = path
        self.link: sqlite3.Connection | None = None
        self.mark = Mark(path)
        self._clock = clock
        self._closing = closing
        self._fault = fault
        self._lock: IO[bytes] | None = None
        self._checked: sqlite3.Connection | None = None
        self._place = (0, 0)

    def open(self) -> OpenReport:
        """Open, or leave nothing behind: no lock, no connection."""
        try:
            return self._take()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StoreError(f"cannot open {self.path}: {error}") from error
        except BaseException:
            self.close()
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
            if isinstance(error, sqlite3.OperationalError) or self._closing():
                if fresh:  # what a full disk left of it is no database that broke
                    self.path.unlink(missing_ok=True)
                raise
            moved = aside.set_aside(self.path, self._clock.now())
            self._fault("store.set_aside")
            link = self.link = self._try_open(fresh=True, moved=moved)
            self._fault("store.created")
        self.link = link
        found = self.path.stat()
        self._place = (found.st_dev, found.st_ino)
        tx = Tx(link)
        head = tx.journal.head()
        new = tx.state.get(schema.NEW)
        created = fresh or (bool(moved) and new is not None)
        lost, kept = (0, "") if created else self._missing(tx, head)
        self.mark.write(head)
        aside.finished(self.path)
        released = tx.queue.release_inflight(self._clock.now().timestamp())
        named = (new or b"").decode()
        return OpenReport(new is not None, named, head, released, lost, kept)

    def _missing(self, tx: Tx, head: int) -> tuple[int, str]:
        """Count the acknowledged entries that are gone, those that nobody settled yet included.

        Returns the name of the copy of the log that should have held them, too.
        """
        before, _, kept = (tx.state.get(schema.LOST) or b"0").decode().partition(" ")
        lost = max(int(before), self.mark.read() - head)
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

    def interrupt(self) -> None:
        """Cut a check short, from another thread: the statement in hand alone, so call it again."""
        checked = self._checked
        if checked is not None:
            with suppress(sqlite3.ProgrammingError):  # closed since
                checked.interrupt()

    def check_place(self) -> None:
        """Raise where the file is no longer where it was opened: what is written is lost.

        SQLite would go on with a file that was removed and say nothing.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise StoreError("the database file is gone") from None
        if (found.st_dev, found.st_ino) != self._place:
            raise StoreError("another file took the place of the database")

    def close(self) -> None:
        """Give back the connection, the mark and the lock, what there is of them."""
        link, self.link = self.link, None
        lock, self._lock = self._lock, None
        self.mark.close()
        try:
            if link is not None:
                link.close()
        finally:
            if lock is not None:
                lock.close()

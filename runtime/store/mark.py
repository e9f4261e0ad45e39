"""The mark: how far the journal was acknowledged is known beside the database, too.

SQLite drops the end of a log that it cannot read, and says nothing. The mark is written after each
commit that is on disk, before its waiters wake, without an fsync of its own; a thread brings it to
disk within a second or so. A killed process leaves it exact, a power cut leaves an older one. It is
never ahead of the disk, so that a journal that ends before it has lost what was acknowledged, and a
torn end that nobody was told of is none.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

SUFFIX = ".head"
DIGITS = 20
SYNC_EVERY_S = 1.0
sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has but the one


class Mark:
    """One database's mark. A disk that refuses it costs the notice of a loss, nothing else."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + SUFFIX)
        self._handle: int | None = None
        self._written: int | None = None
        self._sync: _Sync | None = None

    def read(self) -> int:
        """Return the newest seq known to be acknowledged; 0 where none is."""
        with suppress(OSError, ValueError), self._path.open("rb") as file:
            return max(0, int(file.read(DIGITS)))
        return 0

    def keep(self) -> None:
        """Bring to disk what is written, now and until closed, and let nobody wait for it.

        What is written already as well: of a database that was set aside the mark is ahead.
        """
        with suppress(RuntimeError):  # no room for a thread: the kernel does it, in half a minute
            sync = _Sync(self._path)
            sync.start()
            sync.news.set()
            self._sync = sync

    def write(self, head: int) -> None:
        """Note that everything up to `head` is on disk. In place, so that no length changes."""
        if head == self._written:
            return
        with suppress(OSError):
            if self._handle is None:
                self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._handle, f"{head:0{DIGITS}d}\n".encode(), 0)
            self._written = head
        if self._sync is not None:
            self._sync.news.set()

    def close(self) -> None:
        """Give the file back."""
        sync, self._sync = self._sync, None
        if sync is not None:
            sync.end()
        handle, self._handle, self._written = self._handle, None, None
        if handle is not None:
            os.close(handle)


class _Sync(threading.Thread):
    """Brings the mark to disk; sleeps while nothing is written. A disk that hangs holds it alone.

    It lets a second pass first: what follows at once, such as an alert, has the disk to itself.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(name="store-mark", daemon=True)
        self._path = path
        self._ended = threading.Event()
        self.news = threading.Event()

    def run(self) -> None:
        while self.news.wait() and not self._ended.wait(SYNC_EVERY_S):
            self.news.clear()
            with suppress(OSError):
                handle = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
                try:
                    sync_data(handle)
                finally:
                    os.close(handle)

    def end(self) -> None:
        """Let the thread end; nobody waits for it."""
        self._ended.set()
        self.news.set()

"""The mark: how far the journal was acknowledged is known beside the database, too.

SQLite drops the end of a log that it cannot read, and says nothing. The mark is written after each
commit that is on disk, before its waiters wake, and without an fsync of its own: a killed process
leaves it exact, a power cut leaves an older one. It is never ahead of the disk, so that a journal
that ends before it has lost what was acknowledged, and a torn end that nobody was told of is none.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SUFFIX = ".head"
DIGITS = 20


class Mark:
    """One database's mark. A disk that refuses it costs the notice of a loss, nothing else."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + SUFFIX)
        self._handle: int | None = None
        self._written: int | None = None

    def read(self) -> int:
        """Return the newest seq known to be acknowledged; 0 where none is."""
        with suppress(OSError, ValueError), self._path.open("rb") as file:
            return max(0, int(file.read(DIGITS)))
        return 0

    def write(self, head: int) -> None:
        """Note that everything up to `head` is on disk. In place, so that no length changes."""
        if head == self._written:
            return
        with suppress(OSError):
            if self._handle is None:
                self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._handle, f"{head:0{DIGITS}d}\n".encode(), 0)
            self._written = head

    def close(self) -> None:
        """Give the file back."""
        handle, self._handle, self._written = self._handle, None, None
        if handle is not None:
            os.close(handle)

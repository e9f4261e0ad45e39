"""The mark: a data directory remembers its database, so that one that vanished is noticed.

Without it a deleted database looks like a first start: no history, and no alert that waited.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from config import files

NAME = "sidewatch.created"
BYTES_MAX = 64


def created(folder: Path) -> str:
    """Return when the directory's database was created, as RFC 3339; empty where none was."""
    try:
        text = files.read(folder / NAME, BYTES_MAX).decode().strip()
        return datetime.fromisoformat(text).isoformat(timespec="seconds")
    except files.UnreadableError:
        return ""
    except ValueError:  # somebody's own text: it still says that there was one
        return "an unknown time"


def write(folder: Path, now: datetime) -> None:
    """Remember a database created now. A disk that refuses costs the memory, not the start."""
    with suppress(OSError):
        (folder / NAME).write_text(f"{now.isoformat(timespec='seconds')}\n")

"""Aside: a broken file makes room for a fresh one; where a start dies at it, the next one finishes.

A note beside the database names the place of the broken file. It is on disk before that moves, and
goes once the fresh one is complete: else the next start would find no database, or half of one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from runtime.store.errors import StoreCorrupt

NOTE = ".aside"
NAME_BYTES_MAX = 255


def set_aside(path: Path, now: datetime) -> str:
    """Move a broken file and its WAL to `<name>.corrupt-<stamp>`; returns the new name.

    Raises StoreCorrupt where it cannot be moved. A disk that refuses the note costs the note.
    """
    target = path.with_name(f"{path.name}.corrupt-{now:%Y%m%dT%H%M%SZ}")
    stem, number = target.name, 1
    while target.exists():
        number += 1
        target = path.with_name(f"{stem}-{number}")
    with suppress(OSError), _note_of(path).open("wb") as note:
        note.write(target.name.encode())
        note.flush()
        os.fsync(note.fileno())
    try:
        _move(path, target, "")
        _move(path, target, "-wal", "-shm")
    except OSError as error:
        raise StoreCorrupt(f"{path.name} is broken and cannot be moved: {error}") from error
    return target.name


def unfinished(path: Path) -> str:
    """Return the name of a broken file that a start has moved, and not told; else nothing.

    What is left of it goes after it: nothing else has been made in its place yet.
    """
    try:
        with _note_of(path).open("rb") as note:
            target = path.with_name(note.read(NAME_BYTES_MAX).decode())
    except (OSError, ValueError):
        return ""
    if not target.name.startswith(f"{path.name}.corrupt-") or not target.exists():
        return ""
    if not path.exists():
        with suppress(OSError):
            _move(path, target, "-wal", "-shm")
    return target.name


def finished(path: Path) -> None:
    """Forget what was set aside: the fresh database knows it by itself."""
    with suppress(OSError):
        _note_of(path).unlink(missing_ok=True)


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + NOTE)


def _move(path: Path, target: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(target.with_name(target.name + suffix))

"""Examine: what is wrong with a database that nobody has open. Nothing of it is changed."""

from __future__ import annotations

import fcntl
import sqlite3
from contextlib import closing
from pathlib import Path

from runtime.store import schema
from runtime.store.errors import StoreError


def examine(path: Path) -> str:
    """Say what is wrong; empty where nothing is, or where only a start can tell.

    It cannot be told while a process has the database, nor where the last one was killed: then the
    newest part is in the log, and to read that would be to change it.
    """
    log = path.with_name(path.name + "-wal")
    if not path.exists() or (log.exists() and log.stat().st_size) or _in_use(path):
        return ""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as link:
            schema.check(link)
    except (sqlite3.Error, StoreError) as error:
        return f"{path}: {error}"
    return ""


def _in_use(path: Path) -> bool:
    try:
        with schema.lock_of(path).open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False

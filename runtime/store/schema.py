"""The database file: its schema, and its checks at start."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from runtime.store.errors import StoreCorrupt, StoreError

APPLICATION_ID = 0x53574348  # "SWCH"
VERSION = 4
NEW = "store/new"  # of the state: a new database that is not settled yet, and whom it replaces
LOST = "store/lost"  # of the state: how many entries are gone that nobody settled, and their log

SCHEMA = """
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    at REAL NOT NULL,
    data BLOB NOT NULL,
    n INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX journal_stream ON journal (stream, seq);
CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    seq INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE queue (
    topic TEXT NOT NULL,
    id TEXT NOT NULL,
    grp TEXT NOT NULL,
    state TEXT NOT NULL,
    due REAL NOT NULL,
    priority INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    detail TEXT NOT NULL DEFAULT '',
    data BLOB NOT NULL,
    PRIMARY KEY (topic, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_order ON queue (topic, state, priority DESC, created, id, due);
CREATE INDEX queue_group ON queue (grp);
CREATE TABLE state (
    key TEXT PRIMARY KEY,
    data BLOB NOT NULL
) STRICT, WITHOUT ROWID;
"""

# From each older version to the next. 2: keys leave the journal's rows, a row may hold a run.
# 3: a key knows the first seq of the run that it came with; 0: it does not.
# 4: waiting work is found in the order in which it goes out.
STEPS = {
    1: """
CREATE TABLE keys (
    key TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
INSERT INTO keys SELECT key FROM journal WHERE key IS NOT NULL ORDER BY key;
DROP INDEX journal_key;
ALTER TABLE journal DROP COLUMN key;
ALTER TABLE journal ADD COLUMN n INTEGER NOT NULL DEFAULT 1;
""",
    2: "ALTER TABLE keys ADD COLUMN seq INTEGER NOT NULL DEFAULT 0",
    3: """
DROP INDEX queue_work;
CREATE INDEX queue_order ON queue (topic, state, priority DESC, created, id, due);
""",
}


def lock_of(path: Path) -> Path:
    """Return the file whose lock says that a process has a database."""
    return path.with_name(path.name + ".lock")


def lock(path: Path) -> IO[bytes]:
    """Take the file for this process alone, until the returned handle is closed.

    Raises StoreError where another process has it: two would deliver every alert twice.
    """
    handle = lock_of(path).open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise StoreError(f"{path.parent} is in use by another Sidewatch") from error
    return handle


def connect(path: Path) -> sqlite3.Connection:
    """Open the one connection: WAL, fsync at each commit, transactions by hand."""
    link = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=2.0)
    try:
        link.execute("PRAGMA journal_mode=WAL")
        link.execute("PRAGMA synchronous=FULL")
        link.execute("PRAGMA foreign_keys=ON")
        link.execute("PRAGMA cache_size=-8192")
        link.execute("PRAGMA journal_size_limit=67108864")
    except sqlite3.Error:
        link.close()
        raise
    return link


def prepare(link: sqlite3.Connection, *, fresh: bool, aside: str = "") -> None:
    """Create the schema in a fresh file, or check the one that is there and bring it up to date.

    A fresh one says of itself that it is new, and what was set aside for it. So is one that is to
    take the place of what is `aside`, and of which there is nothing yet.
    Raises StoreError for a newer version, StoreCorrupt for a file that is not a sound one of ours.
    """
    if fresh or (aside and _is_blank(link)):
        _change(link, SCHEMA, VERSION, {NEW: aside.encode()})
        return
    for older in range(check(link), VERSION):
        _change(link, STEPS[older], older + 1)


def check(link: sqlite3.Connection) -> int:
    """Return the schema's version of a sound database.

    Raises StoreError for a newer version, StoreCorrupt for a file that is not a sound one of ours.
    """
    version = int(link.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StoreError(f"the database has schema {version}, this version knows {VERSION}")
    application = link.execute("PRAGMA application_id").fetchone()[0]
    if version < 1 or application != APPLICATION_ID:
        raise StoreCorrupt("the file is empty, or not a Sidewatch database")
    findings = [row[0] for row in link.execute("PRAGMA quick_check(5)")]
    if findings != ["ok"]:
        raise StoreCorrupt("; ".join(findings)[:500])
    return version


def _is_blank(link: sqlite3.Connection) -> bool:
    version = link.execute("PRAGMA user_version").fetchone()[0]
    return not version and not link.execute("SELECT 1 FROM sqlite_master").fetchone()


def _change(
    link: sqlite3.Connection,
    statements: str,
    version: int,
    state: Mapping[str, bytes] | None = None,
) -> None:
    """Change the schema and put what goes with it into the state, all of it or nothing."""
    link.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements.split(";"):
            if statement.strip():
                link.execute(statement)
        link.executemany("INSERT INTO state VALUES (?, ?)", (state or {}).items())
        link.execute(f"PRAGMA application_id={APPLICATION_ID}")
        link.execute(f"PRAGMA user_version={version}")
        link.execute("COMMIT")
    except BaseException:
        if link.in_transaction:
            link.execute("ROLLBACK")
        raise


def is_broken(error: Exception) -> bool:
    """Say whether an error means that the file is spoilt, rather than that the disk refuses."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def keep_log(path: Path, now: datetime) -> str:
    """Copy the WAL, of which SQLite reads a part only, to `<name>.lost-<stamp>-wal`.

    Returns the copy's name, empty where the WAL is, or where there is no room for it.
    """
    log = path.with_name(f"{path.name}-wal")
    copy = path.with_name(f"{path.name}.lost-{now:%Y%m%dT%H%M%SZ}-wal")
    with suppress(OSError):
        if not log.stat().st_size:
            return ""
        shutil.copyfile(log, copy)
        return copy.name
    with suppress(OSError):
        copy.unlink(missing_ok=True)
    return ""

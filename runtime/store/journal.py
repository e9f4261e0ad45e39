"""The journal: ordered events, each with a seq that never goes back and is never used twice.

A row holds a run of events of one stream, one a line, so that a thousand cost one row. Its `seq` is
the last one's, and its events have the `n` seqs up to there. Keys stand in a table of their own:
what was said once is known for good, whatever becomes of its row.
"""

# ruff: noqa: S608 - the parts joined are this file's own constants, the values are bound

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

NEXT_SEQ = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0) + ?1"

NOTE = f"INSERT OR IGNORE INTO keys VALUES (?2, {NEXT_SEQ})"
REMEMBER = f"INSERT OR IGNORE INTO keys SELECT value, {NEXT_SEQ} FROM json_each(?2)"
KNOWN = "SELECT json_group_array(value) FROM json_each(?) WHERE value IN (SELECT key FROM keys)"
# The runs that hold the seqs noted for some keys, oldest first, until they hold enough bytes.
EARLIER = """
SELECT CAST(group_concat(data, char(10)) AS BLOB) FROM journal WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, sum(length(data)) OVER (ORDER BY seq) - length(data) AS before
        FROM journal WHERE seq IN (
            SELECT run.seq FROM keys JOIN journal AS run
                ON run.seq = (SELECT min(seq) FROM journal WHERE seq >= keys.seq)
                AND run.seq - run.n < keys.seq
            WHERE keys.seq > 0 AND key IN (SELECT value FROM json_each(?1))
        )
    ) WHERE before < ?2
)
"""
# SQLite promises an aggregate no order of its rows before 3.44; it tells in which it had them
JOINED = """
SELECT min(stream), max(stream), sum(n), min(seq - n), max(seq), max(at),
    CAST(group_concat(data, char(10)) AS BLOB), group_concat(seq)
FROM (
    SELECT seq, n, stream, at, data FROM journal WHERE seq > ?1 AND seq <= ?1 + ?2 ORDER BY seq
)
"""
NUL = "\\u0000"  # SQLite's JSON ends a text there


class Entry(NamedTuple):
    """One event to append. The same `key` twice is a duplicate."""

    stream: str
    data: bytes
    at: float
    key: str | None = None


class Row(NamedTuple):
    """One event of the journal."""

    seq: int
    stream: str
    at: float
    data: bytes


class Run(NamedTuple):
    """Events of one stream with the `n` seqs from `seq` on, one line each."""

    seq: int
    n: int
    stream: str
    at: float
    data: bytes

    @property
    def last(self) -> int:
        """Return the last event's seq."""
        return self.seq + self.n - 1

    def lines(self) -> list[bytes]:
        """Return each event's bytes, in order."""
        return self.data.split(b"\n") if self.n > 1 else [self.data]

    def rows(self) -> Iterator[Row]:
        """Return the events one by one."""
        for place, line in enumerate(self.lines()):
            yield Row(self.seq + place, self.stream, self.at, line)


class Journal:
    """The journal within one transaction."""

    def __init__(self, link: sqlite3.Connection) -> None:
        self._link = link

    # ------------------------------------------------------------ writing

    def append(self, entries: Iterable[Entry]) -> list[int | None]:
        """Append in order, a row each; returns each one's seq, None for a duplicate."""
        seqs: list[int | None] = []
        for entry in entries:
            if self._is_new(entry.key):
                seqs.append(self._insert(entry.stream, entry.at, 1, entry.data))
            else:
                seqs.append(None)
        return seqs

    def append_run(
        self, stream: str, at: float, data: bytes, keys: Sequence[str | None]
    ) -> list[int]:
        """Append events of one stream as one row: one a line, each with its key.

        Returns the places of the duplicates, which are left out.
        """
        duplicates = self._remember(keys)
        count = len(keys) - len(duplicates)
        if duplicates and count:
            known = set(duplicates)
            lines = enumerate(data.split(b"\n"))
            data = b"\n".join(line for place, line in lines if place not in known)
        if count:
            self._insert(stream, at, count, data)
        return duplicates

    def _insert(self, stream: str, at: float, n: int, data: bytes) -> int:
        done = self._link.execute(
            f"INSERT INTO journal (seq, n, stream, at, data) VALUES ({NEXT_SEQ}, ?1, ?2, ?3, ?4)",
            (n, stream, at, data),
        )
        assert done.lastrowid is not None
        return done.lastrowid

    def _is_new(self, key: str | None) -> bool:
        if key is None:
            return True
        return self._link.execute(NOTE, (1, key)).rowcount == 1

    def _remember(self, keys: Sequence[str | None]) -> list[int]:
        """Keep the keys that are new; return the places of those that are not.

        One statement for all: a call for each would hand the interpreter over each time, and a
        busy event loop gives it back 5 ms later.
        """
        named = [key for key in keys if key is not None]
        text = json.dumps(named, ensure_ascii=False)
        if len(named) <= 1 or NUL in text:
            return [place for place, key in enumerate(keys) if not self._is_new(key)]
        self._link.execute("SAVEPOINT remember")
        if self._link.execute(REMEMBER, (1, text)).rowcount == len(named):
            self._link.execute("RELEASE remember")
            return []
        self._link.execute("ROLLBACK TO remember")
        self._link.execute("RELEASE remember")
        known: set[str] = set(json.loads(self._link.execute(KNOWN, (text,)).fetchone()[0]))
        duplicates = []
        for place, key in enumerate(keys):
            if key in known:
                duplicates.append(place)
            elif key is not None:
                known.add(key)
        self._link.execute(REMEMBER, (1, text))
        return duplicates

    def known(self, keys: Sequence[str]) -> set[str]:
        """Return which of these keys were said before."""
        plain = json.dumps([key for key in keys if "\0" not in key], ensure_ascii=False)
        found: set[str] = set(json.loads(self._link.execute(KNOWN, (plain,)).fetchone()[0]))
        one = "SELECT key FROM keys WHERE key = ?"
        others = [self._link.execute(one, (key,)).fetchone() for key in keys if "\0" in key]
        return found | {row[0] for row in others if row}

    def earlier(self, keys: Sequence[str], bytes_max: int) -> bytes:
        """Return the runs that these keys came with, one event a line, among them others.

        Without those that are gone. No further run once they hold `bytes_max`: so many keys cost
        no more than that and one run, and what a single run holds is found whatever its size.
        """
        text = json.dumps([key for key in keys if "\0" not in key], ensure_ascii=False)
        found = self._link.execute(EARLIER, (text, bytes_max)).fetchone()[0]
        return b"" if found is None else bytes(found)

    def trim(self, stream: str, keep: int) -> int:
        """Delete all but the newest `keep` rows of a stream; returns how many went."""
        sql = (
            "DELETE FROM journal WHERE stream = ?1 AND seq <= (SELECT seq FROM journal"
            " WHERE stream = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)"
        )
        return self._link.execute(sql, (stream, keep)).rowcount

    # ------------------------------------------------------------ reading

    def runs(self, after: int, limit: int, streams: Sequence[str] | None = None) -> list[Run]:
        """Return the runs with seqs > `after`, oldest first, until they hold `limit` events.

        The last one is whole, even where it goes beyond the limit.
        """
        found: list[Run] = []
        held = 0
        where, values = _streams(streams)
        rows = self._link.execute(
            f"SELECT seq, n, stream, at, data FROM journal WHERE seq > ?{where}"
            " ORDER BY seq LIMIT ?",
            (after, *values, limit),
        )
        for last, n, stream, at, data in rows:
            run = Run(last - n + 1, n, stream, at, data)
            found.append(run if found else _from(after, run))
            held += found[-1].n  # of the first one only what is left counts
            if held >= limit:
                break
        rows.close()
        return found

    def joined(self, after: int, limit: int) -> Run | None:
        """Return the runs with seqs > `after` that hold at most `limit` events, as one.

        None where they are not all of one stream, their seqs have a gap, none fits, or SQLite had
        them in another order. `at` is the latest. One step of SQLite's, which leaves the
        interpreter to others meanwhile.
        """
        row = self._link.execute(JOINED, (after, limit)).fetchone()
        stream, other, n, before, last, at, data, order = row
        if stream is None or stream != other or before != after or last != after + n:
            return None
        seqs = list(map(int, order.split(",")))
        return Run(after + 1, n, stream, at, data) if seqs == sorted(seqs) else None

    def read(self, after: int, limit: int, streams: Sequence[str] | None = None) -> list[Row]:
        """Return up to `limit` events with seq > `after`, oldest first."""
        rows = [row for run in self.runs(after, limit, streams) for row in run.rows()]
        return rows[:limit]

    def last(self, stream: str, limit: int) -> list[Row]:
        """Return up to `limit` events of one stream, newest first."""
        found: list[Row] = []
        rows = self._link.execute(
            "SELECT seq, n, stream, at, data FROM journal WHERE stream = ? ORDER BY seq DESC"
            " LIMIT ?",
            (stream, limit),
        )
        for last, n, _, at, data in rows:
            found += reversed(list(Run(last - n + 1, n, stream, at, data).rows()))
            if len(found) >= limit:
                break
        rows.close()
        return found[:limit]

    def head(self) -> int:
        """Return the newest seq, 0 when empty."""
        return int(self._link.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0])

    def count(self, stream: str) -> int:
        """Return how many events a stream has."""
        sql = "SELECT coalesce(sum(n), 0) FROM journal WHERE stream = ?"
        return int(self._link.execute(sql, (stream,)).fetchone()[0])


def _from(after: int, run: Run) -> Run:
    """Return what a run holds beyond a seq."""
    had = after - run.seq + 1
    if had <= 0:
        return run
    rest = run.data.split(b"\n", had)[had]
    return Run(after + 1, run.n - had, run.stream, run.at, rest)


def _streams(streams: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    if streams is None:
        return "", ()
    return f" AND stream IN ({','.join('?' * len(streams))})", tuple(streams)

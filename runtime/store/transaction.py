"""What one transaction can do: append to the journal, change queues, change keyed state.

Times are unix seconds (UTC). `data` is bytes that the store does not look into.
"""

# ruff: noqa: S608 - the parts joined are this file's own constants, the values are bound

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from runtime.store.journal import Journal


class Job(NamedTuple):
    """One piece of work. `state`: queued, inflight, held, done, dead."""

    topic: str
    id: str
    group: str
    state: str
    due: float
    priority: int
    attempts: int
    created: float
    updated: float
    detail: str
    data: bytes


class Queue:
    """Durable work by topic. Claimed work is `inflight` until done, retried or released."""

    def __init__(self, link: sqlite3.Connection) -> None:
        self._link = link

    def put(
        self,
        topic: str,
        id: str,  # noqa: A002 - the field's own name
        data: bytes,
        *,
        now: float,
        due: float | None = None,
        priority: int = 0,
        group: str = "",
        held: bool = False,
        detail: str = "",
    ) -> bool:
        """Add work; false when that id is there already."""
        done = self._link.execute(
            "INSERT INTO queue (topic, id, grp, state, due, priority, created, updated, detail,"
            " data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                topic,
                id,
                group,
                "held" if held else "queued",
                now if due is None else due,
                priority,
                now,
                now,
                detail,
                data,
            ),
        )
        return done.rowcount == 1

    def claim(
        self,
        topic: str,
        now: float,
        limit: int = 1,
        choose: Callable[[list[Job]], list[Job]] = list,
    ) -> list[Job]:
        """Take due work: highest priority first, oldest first within it; counts an attempt.

        `choose` says which of what was found, at most `limit`.
        """
        jobs = self._jobs(
            "topic = ? AND state = 'queued' AND due <= ? ORDER BY priority DESC, created, id"
            " LIMIT ?",
            (topic, now, limit),
        )
        claimed = []
        for job in choose(jobs) if jobs else ():
            self._link.execute(
                "UPDATE queue SET state = 'inflight', attempts = attempts + 1, updated = ?"
                " WHERE topic = ? AND id = ?",
                (now, topic, job.id),
            )
            claimed.append(job._replace(state="inflight", attempts=job.attempts + 1, updated=now))
        return claimed

    def waits(self, topic: str, limit: int) -> int:
        """Return how much queued work a topic has; more than `limit` counts as one more."""
        sql = (
            "SELECT count(*) FROM"
            " (SELECT 1 FROM queue WHERE topic = ? AND state = 'queued' LIMIT ?)"
        )
        return int(self._link.execute(sql, (topic, limit + 1)).fetchone()[0])

    def replace(self, topic: str, id: str, data: bytes) -> bool:  # noqa: A002
        """Change waiting or parked work, claimed by nobody; false when it is too late for that."""
        done = self._link.execute(
            "UPDATE queue SET data = ? WHERE topic = ? AND id = ?"
            " AND state IN ('queued', 'held', 'dead')",
            (data, topic, id),
        )
        return done.rowcount == 1

    def done(self, topic: str, id: str, now: float, detail: str = "") -> None:  # noqa: A002
        """Mark work as done."""
        self._mark(topic, id, "done", now, detail)

    def dead(self, topic: str, id: str, now: float, detail: str) -> None:  # noqa: A002
        """Park work that cannot be done; `revive` tries it again."""
        self._mark(topic, id, "dead", now, detail)

    def retry(self, topic: str, id: str, now: float, due: float, detail: str) -> None:  # noqa: A002
        """Put work back, due later."""
        self._mark(topic, id, "queued", now, detail, due=due)

    def release(self, topic: str, id: str, now: float, due: float | None = None) -> None:  # noqa: A002
        """Let held or claimed work go (again), without a new detail."""
        self._link.execute(
            "UPDATE queue SET state = 'queued', due = coalesce(?, due), updated = ?"
            " WHERE topic = ? AND id = ? AND state IN ('held', 'inflight')",
            (due, now, topic, id),
        )

    def release_inflight(self, now: float, topic: str | None = None) -> int:
        """Put everything claimed back, as at a start; returns how many."""
        where, values = ("", ()) if topic is None else (" AND topic = ?", (topic,))
        return self._link.execute(
            "UPDATE queue SET state = 'queued', due = min(due, ?), updated = ?"
            f" WHERE state = 'inflight'{where}",  # it was due, whatever the wall clock says since
            (now, now, *values),
        ).rowcount

    def tried(self, topic: str) -> list[str]:
        """Return the groups of a topic's queued work that was claimed before."""
        sql = "SELECT DISTINCT grp FROM queue WHERE topic = ? AND state = 'queued' AND attempts > 0"
        return [row[0] for row in self._link.execute(sql, (topic,))]

    def revive(self, topic: str, now: float) -> int:
        """Queue a topic's parked work again; returns how many."""
        return self._link.execute(
            "UPDATE queue SET state = 'queued', due = ?1, updated = ?1"
            " WHERE topic = ?2 AND state = 'dead'",
            (now, topic),
        ).rowcount

    def hasten(self, topic: str, now: float, limit: int) -> int:
        """Make the topic's most urgent waiting work due now; returns how many was not."""
        rows = self._link.execute(
            "SELECT id FROM queue WHERE topic = ? AND state = 'queued'"
            " ORDER BY priority DESC, created, id LIMIT ?",
            (topic, limit),
        )
        sql = "UPDATE queue SET due = ?1 WHERE topic = ?2 AND id = ?3 AND due > ?1"
        return sum(self._link.execute(sql, (now, topic, *row)).rowcount for row in rows.fetchall())

    def put_back_in_time(self, topic: str, now: float) -> int:
        """Keep waits as long as they were where the wall clock has gone back; returns how many.

        Work that was last touched after `now` was dated by a clock that was ahead.
        """
        return self._link.execute(
            "UPDATE queue SET due = due - (updated - ?1), updated = ?1"
            " WHERE topic = ?2 AND state = 'queued' AND updated > ?1",
            (now, topic),
        ).rowcount

    def get(self, topic: str, id: str) -> Job | None:  # noqa: A002
        """Return one piece of work."""
        jobs = self._jobs("topic = ? AND id = ?", (topic, id))
        return jobs[0] if jobs else None

    def group(self, group: str) -> list[Job]:
        """Return a group's work, oldest first."""
        return self._jobs("grp = ? ORDER BY created, topic, id", (group,))

    def undone(self, topic: str, priority: int, limit: int) -> list[Job]:
        """Return a topic's queued, claimed and parked work of one priority, oldest first."""
        return self._jobs(
            "topic = ? AND state IN ('queued', 'inflight', 'dead') AND priority = ?"
            " ORDER BY created, id LIMIT ?",
            (topic, priority, limit),
        )

    def stale(self, topic: str, before: float, priority_below: int, limit: int) -> list[Job]:
        """Return a topic's queued work of low priority from before that instant, oldest first."""
        return self._jobs(
            "topic = ? AND state = 'queued' AND priority < ? AND created < ?"
            " ORDER BY created, id LIMIT ?",
            (topic, priority_below, before, limit),
        )

    def hold(self, topic: str, id: str, now: float, detail: str) -> None:  # noqa: A002
        """Take queued work back until it is released, or told in another way."""
        self._mark(topic, id, "held", now, detail)

    def held(self, limit: int) -> list[Job]:
        """Return held work of all topics, oldest first."""
        return self._jobs("state = 'held' ORDER BY created, id LIMIT ?", (limit,))

    def next_due(self, topic: str) -> float | None:
        """Return when the topic's next queued work is due."""
        sql = "SELECT min(due) FROM queue WHERE topic = ? AND state = 'queued'"
        value = self._link.execute(sql, (topic,)).fetchone()[0]
        return None if value is None else float(value)

    def count(self, topic: str | None = None) -> dict[str, int]:
        """Return how much work is in each state, of one topic or of all."""
        where, values = ("", ()) if topic is None else (" WHERE topic = ?", (topic,))
        sql = f"SELECT state, count(*) FROM queue{where} GROUP BY state"
        return {row[0]: int(row[1]) for row in self._link.execute(sql, values)}

    def purge(self, before: float) -> int:
        """Delete done work last touched before that instant."""
        sql = "DELETE FROM queue WHERE state = 'done' AND updated < ?"
        return self._link.execute(sql, (before,)).rowcount

    def _mark(
        self,
        topic: str,
        id_: str,
        state: str,
        now: float,
        detail: str,
        *,
        due: float | None = None,
    ) -> None:
        self._link.execute(
            "UPDATE queue SET state = ?, updated = ?, detail = ?, due = coalesce(?, due)"
            " WHERE topic = ? AND id = ?",
            (state, now, detail, due, topic, id_),
        )

    def _jobs(self, where: str, values: tuple[object, ...]) -> list[Job]:
        rows = self._link.execute(
            "SELECT topic, id, grp, state, due, priority, attempts, created, updated, detail, data"
            f" FROM queue WHERE {where}",
            values,
        )
        return [Job(*row) for row in rows]


class State:
    """Keyed values; keys sort as text."""

    def __init__(self, link: sqlite3.Connection) -> None:
        self._link = link

    def get(self, key: str) -> bytes | None:
        """Return a value, None when absent."""
        row = self._link.execute("SELECT data FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put(self, key: str, data: bytes) -> None:
        """Set a value."""
        sql = "INSERT INTO state VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data"
        self._link.execute(sql, (key, data))

    def delete(self, key: str) -> None:
        """Remove a value; absent is fine."""
        self._link.execute("DELETE FROM state WHERE key = ?", (key,))

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below a prefix, in order, without their values."""
        rows = self._link.execute(
            "SELECT key FROM state WHERE key >= ? AND key < ? ORDER BY key",
            (prefix, prefix + "\U0010ffff"),
        )
        return [row[0] for row in rows]

    def scan(
        self, prefix: str, limit: int = 1_000, *, before: str | None = None, newest: bool = False
    ) -> Iterator[tuple[str, bytes]]:
        """Return (key, value) below a prefix in key order, or in reverse with `newest`.

        `before` starts the reverse below that key.
        """
        last = before if before is not None else prefix + "\U0010ffff"
        order = "DESC" if newest else "ASC"
        rows = self._link.execute(
            f"SELECT key, data FROM state WHERE key >= ? AND key < ? ORDER BY key {order} LIMIT ?",
            (prefix, last, limit),
        ).fetchall()
        return iter(rows)


class Tx:
    """One transaction over journal, queue and state: all of it happens, or none."""

    def __init__(self, link: sqlite3.Connection) -> None:
        self.journal = Journal(link)
        self.queue = Queue(link)
        self.state = State(link)

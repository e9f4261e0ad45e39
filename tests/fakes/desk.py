"""The alerts' book with a database in memory and a clock by hand: no loop, no waiting."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from actors.alerts import disk, outbox
from actors.alerts.book import Book
from actors.alerts.dispatch import HELD_MAX
from actors.alerts.routing import Policy
from runtime.store import Tx
from runtime.store.schema import SCHEMA

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP_S = 5
CHANNELS = ["slack", "mail"]


class Desk:
    """The book with what the actor does around it, without waiting for anything."""

    def __init__(self, *, hourly_limit=10, tell_resolved=True, policy=None, delivers=(), **plans):
        self.link = sqlite3.connect(":memory:", isolation_level=None)
        self.link.executescript(SCHEMA)
        self.tx = Tx(self.link)
        self.policy = policy or Policy(CHANNELS)
        self.delivers = delivers
        self.make = lambda: Book(self.policy, hourly_limit, tell_resolved=tell_resolved, **plans)
        self.now_s = 0
        self.origin = 50_000
        self.book = self.make()

    @property
    def now(self):
        return START + timedelta(seconds=self.now_s)

    @property
    def tick(self):
        return float(self.origin + self.now_s)

    def take(self, *findings):
        steps = self.book.consider(findings, self.now, self.tick)
        self.write(steps)
        return steps

    def write(self, steps):
        disk.write(self.book, self.tx, steps, self.now, self.tick)
        self.book.written()
        for channel in self.delivers:
            self.deliver(channel)

    def look(self):
        self.write(self.book.look(self.now, self.tick))
        if self.book.dispatch.digest_due(self.now):
            step = self.book.digest(self.tx.queue.held(HELD_MAX), [], self.now)
            self.write([] if step is None else [step])

    def wait(self, seconds):
        for _ in range(0, seconds, STEP_S):
            self.now_s += STEP_S
            self.look()

    def deliver(self, channel):
        for job in self.tx.queue.claim(channel, self.now.timestamp(), 1_000):
            self.tx.queue.done(channel, job.id, self.now.timestamp(), "ok")

    def restart(self, policy=None):
        self.policy = policy or self.policy
        self.origin += 12_345
        self.book = self.make()
        disk.load(self.book, self.tx, self.now, self.tick)

    def alerts(self):
        return outbox.history(self.tx, 10_000)

    def jobs(self, channel="slack"):
        jobs = [job for alert in reversed(self.alerts()) for job in self.tx.queue.group(alert.id)]
        return [(job, outbox.notice_of(job)) for job in jobs if job.topic == channel]

    def sent(self, channel="slack"):
        """Every message that goes out by itself."""
        return [
            (notice.kind, notice.title)
            for job, notice in self.jobs(channel)
            if not job.detail.startswith("told in") and job.state != "held"
        ]

    def held(self):
        """Return the ids of the messages that are held, each once for all channels."""
        jobs = [job for channel in CHANNELS for job, _ in self.jobs(channel)]
        return {job.id.rpartition("/")[0] for job in jobs if job.state == "held"}

    def dump(self):
        return self.link.execute("SELECT * FROM queue ORDER BY topic, id").fetchall()

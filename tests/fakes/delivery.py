"""The whole delivery in virtual time: real alerts, outbox and senders, providers that misbehave.

A world outlives the lives of its processes: the providers, the clock, and a model that counts what
was accepted. A life ends in order, or by a kill: what it had committed is all that the next finds.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter, deque
from contextlib import asynccontextmanager
from datetime import time
from random import Random

import anyio

from actors.alerts import outbox
from actors.alerts.actor import AlertsActor, Left
from actors.alerts.book import Book
from actors.alerts.commands import ListSilences
from actors.alerts.debounce import RANK
from actors.alerts.escalation import Plan
from actors.alerts.handover import Handover
from actors.alerts.quiet import Hours
from actors.alerts.routing import Policy
from actors.alerts.triggers import Internal, Limits
from actors.messages import HealthUpdate, RiskUpdate, Wake
from actors.senders.actor import SenderActor, SendNow
from actors.senders.channel import Receipt, SendError
from runtime.actor import Actor
from runtime.clock import LoopClock
from runtime.spec import ChildSpec, SupervisorSpec
from runtime.store import Store
from runtime.system import System

CHANNELS = ("slack", "mail")
DEBOUNCE_S = 300.0
ATTEMPT_S = 10.0
ONCE = ("happened", "storm")
MODES = ("ok", "fail", "refuse", "hang", "lie", "slow")


class Provider:
    """A provider of messages, over all lives. `taken` is what it took, with the instant."""

    def __init__(self, name):
        self.name = name
        self.mode = "ok"
        self.retry_after_s = None
        self.taken = []
        self.prepared = []
        self.requests = 0

    @property
    def ids(self):
        return Counter(notice.id for _, notice in self.taken)

    async def take(self, notice):
        """Answer as the mode says; "lie" takes the message and answers garbage."""
        self.requests += 1
        if self.mode == "hang":
            await anyio.sleep(ATTEMPT_S)
            raise SendError("no answer within 10 s", permanent=False)
        if self.mode == "slow":
            await anyio.sleep(2.0)
        if self.mode == "fail":
            raise SendError("503 busy", permanent=False, retry_after_s=self.retry_after_s)
        if self.mode == "refuse":
            raise SendError("400 no such chat", permanent=True)
        self.taken.append((anyio.current_time(), notice))
        if self.mode == "lie":
            raise SendError("200 <html>maintenance</html>", permanent=False)
        return Receipt("200 ok")


class Line:
    """A channel to a provider in one life; a dead process reaches nobody."""

    rate_s = 1.0

    def __init__(self, provider, life):
        self.name = provider.name
        self._provider = provider
        self._life = life

    def prepare(self, notice):
        self._provider.prepared.append(notice)
        if self._provider.mode == "stumble":
            raise RuntimeError("cannot prepare")

    async def send(self, notice):
        if self._life.dead:
            raise SendError("this process is dead", permanent=False)
        return await self._provider.take(notice)

    async def close(self):
        return None


class CountingBook(Book):
    """Notes when what only happens was told."""

    world = None

    def consider(self, findings, now, tick):
        return self._noted(super().consider(findings, now, tick))

    def look(self, now, tick):
        return self._noted(super().look(now, tick))

    def _noted(self, steps):
        for step in steps:
            if step.alert.trigger in ONCE and not self.world.life.dead:
                rank = RANK[step.alert.severity]
                self.world.fired.append((anyio.current_time(), step.alert.title, rank))
        return steps


class CountingAlerts(AlertsActor):
    """Counts each occurrence that it has handled, and nothing that crashed it."""

    world = None

    async def receive(self, message):
        answer = await super().receive(message)
        self.world.count(message)
        return answer


class Page(Actor):
    """What browsers are told."""

    def __init__(self, told):
        self._told = told

    async def receive(self, message):
        self._told.append(message)


class World:
    """Everything that a crash does not touch."""

    def __init__(self, folder, seed, *, hourly_limit=10, remind_s=0.0):
        self.folder = folder
        self.chance = Random(seed)
        self.clock = LoopClock()
        self.hourly_limit = hourly_limit
        # Each other world has a quiet time, in the middle of which it begins at midnight.
        self.quiet = Hours(time(23, 50), time(0, 40)) if seed % 2 else None
        self.reminders = Plan(remind_s)
        self.providers = {name: Provider(name) for name in CHANNELS}
        self.accepted = 0
        self.fired = []
        self.switched_on = set()
        self.drawdowns = Counter()  # the worst since it is bad, by bot
        self.life = None
        self.lives = 0
        self.jumped = False
        self.broken = False
        self.reports = []
        folder.mkdir(parents=True, exist_ok=True)

    def count(self, message):
        """Count what happens anew: what merely still holds, and is no worse, is nothing."""
        if self.life.dead:
            return
        if isinstance(message, Internal):
            self.accepted += message.holds
        elif isinstance(message, RiskUpdate) and message.risk.drawdown_today is not None:
            drawdown = message.risk.drawdown_today
            bad = drawdown if drawdown >= Limits().drawdown_day else 0.0
            self.accepted += bad > self.drawdowns[message.bot]
            self.drawdowns[message.bot] = max(bad, self.drawdowns[message.bot]) if bad else 0.0
        elif isinstance(message, HealthUpdate):
            on = {bot for bot, h in message.health.bots.items() if h.kill_switch.active}
            self.accepted += len(on - self.switched_on)
            self.switched_on = on

    @property
    def path(self):
        return self.folder / f"life{self.lives}.db"

    @asynccontextmanager
    async def living(self):
        """Run a process on what the last one has left."""
        before = self.path
        self.lives += 1
        for suffix in ("", "-wal"):
            part = before.with_name(before.name + suffix)
            if part.exists():
                shutil.copy(part, self.path.with_name(self.path.name + suffix))
        life = self.life = Life(self)
        await life.store.open()
        try:
            async with life.system:
                yield life
        finally:
            life.dead = True
            await life.store.close()


class Life:
    """One process: its store, its system, and whether it was killed."""

    def __init__(self, world):
        self.world = world
        self.dead = False
        self.crash_at = None
        self.left = Left()
        self.told = deque(maxlen=1_000)
        self.handovers = {name: Handover() for name in CHANNELS}
        self.store = Store(world.path, world.clock, inline=True)
        senders = [ChildSpec(id=n, name=n, start=self._sender, args=(n,)) for n in CHANNELS]
        self.system = System(
            SupervisorSpec(
                id="root",
                children=[
                    ChildSpec(id="broadcaster", name="broadcaster", start=Page, args=(self.told,)),
                    ChildSpec(id="alerts", name="alerts", start=self._alerts),
                    *senders,
                ],
                intensity=1_000_000,
            ),
            clock=world.clock,
            report=world.reports.append,
            on_quarantine=lambda *_: None,
        )

    def ref(self, name):
        return self.system.ref(name)

    def _alerts(self):
        world = self.world
        policy = Policy(list(CHANNELS), debounce_s=DEBOUNCE_S)

        def book():
            made = CountingBook(
                policy,
                world.hourly_limit,
                tell_resolved=True,
                escalation=world.reminders,
                quiet=world.quiet,
            )
            made.world = world
            return made

        actor = self.alerts = CountingAlerts(
            self.store,
            book=book,
            limits_of=self._limits,
            broadcaster=self.ref("broadcaster"),
            wake=lambda: [self.ref(name).offer(Wake()) for name in CHANNELS],
            emergency=self._emergency,
            left=self.left,
            handovers=self.handovers,
        )
        actor.world = world
        return actor

    def _limits(self, bot):
        if bot == "poison":
            raise RuntimeError("poison")
        return Limits()

    def _emergency(self, notice, channels):
        for name in channels:
            self.ref(name).offer(SendNow(notice))

    def _sender(self, name):
        return SenderActor(
            name,
            Line(self.world.providers[name], self),
            self.store,
            alerts=self.ref("alerts"),
            broadcaster=self.ref("broadcaster"),
            random=self.world.chance,
            faults=self._fault,
            handover=self.handovers[name],
        )

    def _fault(self, point):
        if point == self.crash_at:
            self.crash_at = None
            raise RuntimeError(f"crash at {point}")

    def break_disk(self):
        def full(point):
            if point == "store.commit":
                raise sqlite3.OperationalError("database or disk is full")

        self.store.fault = full

    def remind_no_more(self):
        self.world.reminders = self.alerts._book.escalation = Plan()

    def mend_disk(self):
        self.store.fault = lambda _point: None

    async def settle(self):
        """Wait until alerts has handled and written all that it was told.

        What is only counted is written within a second. A kill before that has the journal
        tell it again; these messages come from no journal.
        """
        node = None
        while node is None or node.mailbox or node.in_hand or self.alerts._book.dirty:
            await anyio.sleep(0.25)
            await self.ref("alerts").ask(ListSilences(), timeout_s=60.0)
            node = next(n for n in self.system.status().root.children if n.name == "alerts")

    def kill(self):
        """Keep what is committed now; whatever this life still does reaches nobody."""
        self.dead = True
        kept = self.world.path
        for suffix in ("", "-wal"):
            part = kept.with_name(kept.name + suffix)
            if part.exists():
                shutil.copy(part, part.with_name("killed-" + part.name))

    def bury(self):
        """Put what the killed one had committed in the place of what it wrote while ending."""
        kept = self.world.path
        for suffix in ("", "-wal"):
            part = kept.with_name(kept.name + suffix)
            part.unlink(missing_ok=True)
            killed = part.with_name("killed-" + part.name)
            if killed.exists():
                killed.rename(part)

    async def jobs(self):
        """Return every job with its notice, by channel."""

        def read(tx):
            alerts = outbox.history(tx, 1_000_000)
            return [job for alert in alerts for job in tx.queue.group(alert.id)]

        jobs = await self.store.read(read)
        return {
            name: [(job, outbox.notice_of(job)) for job in jobs if job.topic == name]
            for name in CHANNELS
        }

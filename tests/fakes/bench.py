"""One actor in a real system, its neighbours only listening, on a store on the caller's thread."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from runtime.actor import Actor
from runtime.clock import LoopClock
from runtime.spec import ChildSpec, SupervisorSpec
from runtime.store import Store
from runtime.system import System


class Listener(Actor):
    """Keeps what it is told."""

    def __init__(self, heard):
        self._heard = heard

    async def receive(self, message):
        self._heard.append(message)


@dataclass
class Bench:
    """The running system. `heard` lists what each neighbour was told, in order."""

    store: Store
    clock: LoopClock
    system: System = None
    heard: dict = field(default_factory=dict)
    reports: list = field(default_factory=list)
    quarantined: list = field(default_factory=list)

    def ref(self, name):
        return self.system.ref(name)

    def kinds(self, name):
        return [report.kind for report in self.reports if report.name == name]

    def actor(self, name):
        return next(a for a in self.system.status().root.children if a.name == name)

    def break_disk(self):
        def full(point):
            if point == "store.commit":
                raise sqlite3.OperationalError("database or disk is full")

        self.store.fault = full

    def mend_disk(self):
        self.store.fault = lambda _point: None


@asynccontextmanager
async def opened(tmp_path, clock=None):
    """An open store in this folder, on the loop's clock."""
    clock = clock or LoopClock()
    clock.monotonic()
    store = Store(tmp_path / "bench.db", clock, inline=True)
    await store.open()
    try:
        yield store, clock
    finally:
        await store.close()


@asynccontextmanager
async def bench(
    tmp_path, start, *, neighbours=(), prepare=None, mailbox=None, on_quarantine=None, clock=None
):
    """Run `start(bench)` as the actor "tested"; `prepare(tx)` fills the store before."""
    async with opened(tmp_path, clock) as (store, its_clock):
        table = Bench(store, its_clock, heard={name: [] for name in neighbours})
        if prepare is not None:
            await store.write(prepare)
        options = {} if mailbox is None else {"mailbox": mailbox}
        listeners = [
            ChildSpec(id=name, name=name, start=Listener, args=(heard,))
            for name, heard in table.heard.items()
        ]
        tested = ChildSpec(id="tested", name="tested", start=lambda: start(table), **options)
        table.system = System(
            SupervisorSpec(id="root", children=[*listeners, tested], intensity=20),
            clock=its_clock,
            report=table.reports.append,
            on_quarantine=on_quarantine or (lambda kept, _message: table.quarantined.append(kept)),
        )
        async with table.system:
            yield table

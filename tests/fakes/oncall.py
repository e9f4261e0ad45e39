"""Alerts and their senders in one system, over one store, with channels that answer by script."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio

from actors.alerts import outbox
from actors.alerts.actor import AlertsActor
from actors.alerts.book import Book
from actors.alerts.commands import ListSilences
from actors.alerts.routing import Policy, Routes
from actors.alerts.triggers import Internal, Limits
from actors.messages import Wake
from actors.senders.actor import SenderActor
from actors.senders.channel import ATTEMPT_S, Receipt, SendError
from runtime.spec import ChildSpec, SupervisorSpec
from runtime.system import System
from tests.fakes.bench import Listener, opened
from tests.fakes.sender import NoJitter


class Line:
    """A channel that does `how` each time: ok, hang, 500, 429, refuse. `got` is what arrived."""

    rate_s = 0.0

    def __init__(self, name):
        self.name = name
        self.how = "ok"
        self.got = []
        self.tried = []

    async def send(self, notice):
        self.tried.append(notice.id)
        if self.how == "hang":
            await anyio.sleep(ATTEMPT_S)
            raise SendError("no answer within 10 s", permanent=False)
        if self.how == "500":
            raise SendError("500 oops", permanent=False)
        if self.how == "429":
            raise SendError("429 slow down", permanent=False, retry_after_s=60.0)
        if self.how == "refuse":
            raise SendError("404 no such channel", permanent=True)
        self.got.append((anyio.current_time(), notice))
        return Receipt("200 ok")

    async def close(self):
        pass


class Duty:
    """What is on duty: `lines` by name, `route` of criticals, the plans of the book."""

    def __init__(self, *names, route, **plans):
        self.lines = {name: Line(name) for name in names}
        self.policy = Policy(list(names), routes=Routes(critical=route))
        self.plans = plans

    def alerts(self):
        return AlertsActor(
            self.store,
            book=lambda: Book(self.policy, 10, tell_resolved=True, **self.plans),
            limits_of=lambda _bot: Limits(),
            broadcaster=self.system.ref("broadcaster"),
            wake=self._wake,
            emergency=lambda _notice, _channels: None,
        )

    def sender(self, name):
        return SenderActor(
            name,
            self.lines[name],
            self.store,
            alerts=self.system.ref("senders' troubles"),
            broadcaster=self.system.ref("broadcaster"),
            random=NoJitter(),
        )

    def _wake(self):
        for name in self.lines:
            self.system.ref(name).offer(Wake())

    @asynccontextmanager
    async def run(self, tmp_path, later_s=0.0):
        async with opened(tmp_path) as (self.store, self.clock):
            self.clock.jump(later_s)
            ears = ("broadcaster", "senders' troubles")
            children = [ChildSpec(id=n, name=n, start=Listener, args=([],)) for n in ears]
            children += [
                ChildSpec(id=name, name=name, start=lambda name=name: self.sender(name))
                for name in self.lines
            ]
            children.append(ChildSpec(id="alerts", name="alerts", start=self.alerts))
            self.system = System(SupervisorSpec(id="root", children=children), clock=self.clock)
            async with self.system:
                self.began = anyio.current_time()
                yield self

    async def trouble(self, subject="x", *, holds=True, severity="critical"):
        ref = self.system.ref("alerts")
        await ref.tell(Internal("storage", subject, severity, "Disk full", "text", holds=holds))
        await ref.ask(ListSilences())

    def got(self, name):
        """What a channel got: (seconds since the start, kind, remarks)."""
        return [
            (round(at - self.began, 1), notice.kind, notice.remarks)
            for at, notice in self.lines[name].got
        ]

    async def history(self):
        return await self.store.read(lambda tx: outbox.history(tx, 100))

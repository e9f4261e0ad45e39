"""The tree's core in virtual time, from settings: ingest, feed, metrics, health, alerts.

No socket, no sender, no thread: what is decided stays in the outbox, where a test reads it.
"""

from __future__ import annotations

import dataclasses
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import msgspec
from msgspec.structs import replace

from actors.alerts import outbox
from actors.messages import Pinged
from config.sections import Console
from runtime.clock import LoopClock
from runtime.store import Store
from sidewatch import tree
from sidewatch.tree import Tree

SETTLE_S = 0.5


class Core(Tree):
    """Everything between an event's arrival and the outbox."""

    def _root(self):
        root = super()._root()
        chosen = [
            c
            for c in root.children
            if c.id in ("store", "core", "feed", "feed-health", "broadcaster")
        ]
        core = chosen[1]
        actors = [child for child in core.children if not child.id.startswith("pinger")]
        chosen[1] = dataclasses.replace(core, children=actors)
        return dataclasses.replace(root, children=chosen)

    async def post(self, type_, bot="alpha", **fields):
        """Take one event in, as the API does, and let it go its way."""
        at = self.clock.now().isoformat()
        event = {"type": type_, "bot": bot, "at": at} | fields
        answer = await self.lasting.ingest.events(msgspec.json.encode(event), "application/json")
        assert answer.accepted == 1, answer.rejected
        await anyio.sleep(SETTLE_S)

    async def trade(self, number, pnl, bot="alpha"):
        """Take a closed trade in."""
        at = (self.clock.now() - timedelta(seconds=1)).isoformat()
        fields = {"symbol": "X", "side": "long", "quantity": "1", "opened_at": at}
        await self.post("trade", bot, id=number, pnl=str(pnl), **fields)

    async def pinged(self, api, *, connected):
        """Let an exchange answer, or not."""
        now = self.clock.now()
        await self.ref("health").tell(Pinged(api, now, connected, 5.0 if connected else None, "?"))
        await anyio.sleep(SETTLE_S)

    async def deliver(self, channel="console"):
        """Deliver what waits on a channel."""
        now = self.clock.now().timestamp()

        def mark(tx):
            for job in tx.queue.claim(channel, now, 1_000):
                tx.queue.done(channel, job.id, now, "ok")

        await self.store.write(mark)

    async def alerts(self, trigger=None):
        """Every alert, oldest first."""
        alerts = await self.store.read(lambda tx: outbox.history(tx, 1_000))
        return [a for a in reversed(alerts) if trigger in (None, a.trigger)]

    async def notices(self, channel="console"):
        """Every message on one channel, oldest first."""
        jobs = []
        for alert in await self.alerts():
            jobs += await self.store.read(lambda tx, alert=alert: tx.queue.group(alert.id))
        return [outbox.notice_of(job) for job in jobs if job.topic == channel]


@asynccontextmanager
async def running(tmp_path, monkeypatch, settings):
    """Run the core on these settings and on what an earlier run has left in the folder."""

    def inline(path, clock):
        return Store(path, clock, inline=True)

    monkeypatch.setattr(tree, "Store", inline)
    storage = replace(settings.storage, data_dir=tmp_path)
    server = replace(settings.server, public_url="http://sidewatch.test")
    settings = replace(settings, storage=storage, server=server, console=Console(enabled=True))
    clock = LoopClock()
    clock.monotonic()
    core = Core(settings, [], clock)
    await core.store.open()
    try:
        async with core.system:
            await anyio.sleep(SETTLE_S)
            yield core
    finally:
        await core.store.close()

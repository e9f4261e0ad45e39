"""A poison event in the whole tree: it alone is quarantined, and visible; siblings go on."""

import sqlite3

import anyio
import httpx
import pytest
from msgspec.structs import replace

from actors.messages import Wake
from actors.metrics.ledger import Ledger
from config.secret import ensure
from config.settings import Settings, load
from sidewatch.door import address, open_sockets
from sidewatch.tree import Tree
from tests.acceptance.process import instant, trade
from web.server import close

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]


def settings_for(folder, backend) -> Settings:
    settings = load(None, {"SIDEWATCH_DATA_DIR": str(folder), "SIDEWATCH_PORT": "0"})
    server = replace(settings.server, backend=backend)
    return replace(settings, auth=ensure(folder, settings.auth), server=server)


def actor(status, name):
    todo = [status.root]
    while todo:
        node = todo.pop()
        if node.name == name:
            return node
        todo += getattr(node, "children", [])
    raise LookupError(name)


async def until(condition):
    with anyio.fail_after(20):
        while not await condition():
            await anyio.lowlevel.checkpoint()


@pytest.fixture
def poison(monkeypatch):
    """Make one event crash the metrics, each time after calling what is put here."""
    apply = Ledger.apply
    before = []

    def poisoned(self, event):
        if getattr(event, "id", None) == "tpoison":
            for call in before:
                call()
            raise RuntimeError("poison")
        return apply(self, event)

    monkeypatch.setattr(Ledger, "apply", poisoned)
    return before


async def test_it_outlives_a_disk_that_fails_just_then(tmp_path, anyio_backend_name, poison):
    settings = settings_for(tmp_path, anyio_backend_name)
    sockets = open_sockets(settings)
    tree = Tree(settings, sockets)
    await tree.store.open()
    failed = []

    def full(point):
        if point == "store.commit":
            failed.append(point)
            raise sqlite3.OperationalError("database or disk is full")

    poison.append(lambda: setattr(tree.store, "fault", full))
    headers = {"Authorization": f"Bearer {settings.auth.ingest_token.reveal()}"}
    try:
        async with (
            tree.system,
            httpx.AsyncClient(base_url=address(settings, sockets), headers=headers) as client,
        ):
            await client.post("/api/v1/events", json=trade("poison", 1))

            async def told():
                return tree.system.quarantine_count and failed

            await until(told)
            poison.clear()
            tree.store.fault = lambda _point: None

            async def kept():
                tree.ref("store").post(Wake())  # sooner than its next look
                rows = await tree.store.read(lambda tx: tx.journal.last("quarantine", 5))
                return len(rows) == 1

            await until(kept)
            answer = await client.post("/api/v1/events", json=trade(1, 5))
            assert answer.json()["accepted"] == 1
            status = tree.system.status()
            for sibling in ("store", "health", "feed", "broadcaster", "server"):
                assert actor(status, sibling).restarts_total == 0
    finally:
        await tree.store.close()
        close(sockets)


async def test_it_quarantines_a_poison_event_and_goes_on(tmp_path, anyio_backend_name, poison):
    settings = settings_for(tmp_path, anyio_backend_name)
    sockets = open_sockets(settings)
    tree = Tree(settings, sockets)
    await tree.store.open()
    headers = {"Authorization": f"Bearer {settings.auth.ingest_token.reveal()}"}
    read = {"Authorization": f"Bearer {settings.auth.read_token.reveal()}"}
    try:
        async with (
            tree.system,
            httpx.AsyncClient(base_url=address(settings, sockets), headers=headers) as client,
        ):
            switch = {"type": "kill_switch", "bot": "native", "at": instant(), "active": True}
            trades = [trade(number, 5) for number in range(100)]
            events = [*trades[:70], trade("poison", 1), *trades[70:], switch]
            answer = await client.post("/api/v1/events", json=events)
            assert answer.json()["accepted"] == 102

            async def both_counted():
                path = "/api/v1/metrics/realtime"
                bots = (await client.get(path, headers=read)).json().get("bots", {})
                return bots.get("native", {}).get("trades") == 100

            await until(both_counted)

            async def kept():
                rows = await tree.store.read(lambda tx: tx.journal.last("quarantine", 5))
                return len(rows) == 1

            await until(kept)
            shown = (await client.get("/api/v1/supervisor", headers=read)).json()
            assert shown["quarantine"] == 1
            listed = (await client.get("/api/v1/supervisor/quarantine", headers=read)).json()
            assert "tpoison" in listed["quarantine"][0]["message"]
            status = tree.system.status()
            metrics = actor(status, "metrics")
            assert (metrics.quarantined, metrics.restarts_total) == (1, 3)
            for sibling in ("health", "alerts", "feed", "feed-health", "broadcaster", "server"):
                assert actor(status, sibling).restarts_total == 0
    finally:
        await tree.store.close()
        close(sockets)

    # A new process leaves the poison out of its rebuild.
    again = Tree(settings, open_sockets(settings))
    await again.store.open()
    try:
        async with again.system:
            assert actor(again.system.status(), "metrics").restarts_total == 0
            assert again.lasting.metrics_position.poisoned
    finally:
        await again.store.close()
        close(again.sockets)

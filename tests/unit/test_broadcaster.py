"""The broadcaster: what actors tell reaches the hub in order, the tree's status by the clock."""

from datetime import UTC, datetime

import anyio
import msgspec
import pytest

from actors.broadcaster import STATUS_EVERY_S, Broadcaster, coalesces
from actors.hub import Hub
from actors.messages import Alert, AlertChanged, Health, HealthUpdate, MetricsUpdate
from runtime.mailbox import MailboxPolicy
from tests.fakes.bench import bench

pytestmark = pytest.mark.anyio
AT = datetime(2026, 11, 24, tzinfo=UTC)
MAILBOX = MailboxPolicy(
    capacity=64, when_full="coalesce", key=coalesces, never_drop=(AlertChanged,)
)


def changed(identity, *, new=True):
    return AlertChanged(Alert(identity, "loss", "info", "alpha", "t", "x", "open", AT), new)


def health(level):
    return HealthUpdate("alpha", 0, Health(AT, level, [], {}, {}))


def broadcasting(tmp_path):
    def start(table):
        table.hub = Hub(table.clock)
        return Broadcaster(table.hub)

    return bench(tmp_path, start, mailbox=MAILBOX)


async def drain(client, wait_s=0.5):
    got = []
    with anyio.move_on_after(wait_s):
        while True:
            got.append(msgspec.json.decode((await client.next()).data))
    return got


async def test_it_carries_each_kind_of_message(tmp_path):
    async with broadcasting(tmp_path) as table:
        client = table.hub.join()
        ref = table.ref("tested")
        await ref.tell(MetricsUpdate(AT, {}, {}))
        await ref.tell(health("CRITICAL"))
        await ref.tell(changed("a1"))
        await ref.tell(changed("a1", new=False))
        kinds = [message["type"] for message in await drain(client)]
        assert sorted(kind for kind in kinds if kind != "supervisor_update") == [
            "alert_triggered",
            "alert_update",
            "health_update",
            "metrics_update",
        ]
        assert kinds.index("alert_triggered") < kinds.index("alert_update")


async def test_it_publishes_the_tree_by_the_clock_while_somebody_looks(tmp_path):
    async with broadcasting(tmp_path) as table:
        await anyio.sleep(10.5)
        assert table.hub.seq == 0
        client = table.hub.join()
        got = await drain(client, 3 * STATUS_EVERY_S)
        assert [message["type"] for message in got] == ["supervisor_update"] * 3
        assert got[0]["supervisor"]["root"]["children"][0]["name"] == "tested"


async def test_it_never_loses_an_alert_and_keeps_the_latest_health(tmp_path):
    async with broadcasting(tmp_path) as table:
        await anyio.sleep(0.5)
        client = table.hub.join()
        ref = table.ref("tested")
        for n in range(20):
            assert ref.offer(health("CRITICAL" if n < 19 else "DEGRADED"))
        for n in range(20):
            await ref.tell(changed(f"a{n}"))
        got = await drain(client, 0.5)
        alerts = [m["alert"]["id"] for m in got if m["type"] == "alert_triggered"]
        assert alerts == [f"a{n}" for n in range(20)]
        assert [m["health"]["level"] for m in got if "health" in m] == ["DEGRADED"]
        assert table.system.dead_letter_count == 0


def test_it_coalesces_health_alone():
    one, other = MetricsUpdate(AT, {}, {}), MetricsUpdate(AT, {}, {})
    assert coalesces(health("HEALTHY")) == coalesces(health("CRITICAL"))
    assert coalesces(one) != coalesces(other)
    assert coalesces(changed("a1")) != coalesces(health("HEALTHY"))

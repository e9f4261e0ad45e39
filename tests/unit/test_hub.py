"""The hub: figures coalesce, alerts never drop, a slow client is let go and comes back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import msgspec
import pytest

from actors.hub import RING, Client, Hub, TooSlow
from actors.messages import Alert, Health, MetricsUpdate
from actors.metrics.ledger import Ledger, LedgerOptions
from runtime.status import SystemStatus

pytestmark = pytest.mark.anyio
START = datetime(2026, 11, 24, tzinfo=UTC)
STATUS = SystemStatus(at=START, root=None, quarantine=0, dead_letters=0, zombies=0, blocked="")


class FakeClock:
    at = START

    def now(self):
        return self.at

    def monotonic(self):
        return 0.0


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def hub(clock):
    return Hub(clock)


def alert(n):
    return Alert(f"a{n}", "drawdown", "critical", "alpha", "t", "x", "open", START)


def update(bot, equity=1_000):
    metrics = Ledger(LedgerOptions(starting_equity=Decimal(equity))).metrics(START)
    return MetricsUpdate(START, {bot: metrics}, {"USD": metrics})


def unknown(bot):
    return MetricsUpdate(START, {bot: Ledger(LedgerOptions()).metrics(START)}, {})


def health(level="HEALTHY"):
    return Health(START, level, [], {}, {})


async def take(client):
    with anyio.fail_after(1):
        return msgspec.json.decode((await client.next()).data)


async def silent(client):
    with anyio.move_on_after(1) as scope:
        await client.next()
    return scope.cancelled_caught


async def test_it_sends_each_kind_with_type_seq_and_time(hub):
    client = hub.join()
    hub.metrics(update("alpha"))
    hub.health(health("DEGRADED"))
    hub.supervisor(STATUS)
    hub.alert(alert(1), new=True)
    hub.alert(alert(1), new=False)
    got = [await take(client) for _ in range(5)]
    assert [message["type"] for message in got] == [
        "alert_triggered",
        "alert_update",
        "metrics_update",
        "health_update",
        "supervisor_update",
    ]
    assert got[0]["alert"]["id"] == "a1"
    assert got[0]["at"] == "2026-11-24T00:00:00Z"
    assert got[2]["points"] == {"alpha": [[START.timestamp(), 1_000.0, 0.0]]}
    assert got[3]["health"]["level"] == "DEGRADED"
    assert await silent(client)


async def test_it_draws_no_point_where_equity_is_unknown(hub):
    client = hub.join()
    hub.metrics(unknown("alpha"))
    assert (await take(client))["points"] == {}


def test_it_gives_seqs_that_grow_over_restarts_and_with_the_clock(hub, clock):
    first = hub.frame("x").seq
    assert first == int(START.timestamp() * 1_000)
    assert hub.frame("x").seq == first + 1
    clock.at = START - timedelta(hours=1)
    assert hub.frame("x").seq == first + 2
    clock.at = START + timedelta(seconds=1)
    assert hub.frame("x").seq == first + 1_000
    assert Hub(clock).frame("x").seq == first + 1_000


async def test_it_keeps_only_the_latest_health_for_a_slow_client(hub):
    client = hub.join()
    hub.health(health("CRITICAL"))
    hub.health(health("DEGRADED"))
    assert (await take(client))["health"]["level"] == "DEGRADED"
    assert await silent(client)


async def test_it_replaces_waiting_figures_by_those_of_every_bot(hub):
    slow, slower = hub.join(), hub.join()
    hub.metrics(update("alpha"))
    hub.metrics(update("beta", 2_000))
    hub.metrics(update("alpha", 3_000))
    got = await take(slow)
    assert sorted(got["metrics"]["bots"]) == ["alpha", "beta"]
    assert got["points"]["alpha"][0][1] == 3_000.0
    assert got["points"]["beta"][0][1] == 2_000.0
    assert await take(slower) == got
    assert await silent(slow)


async def test_it_sends_only_what_changed_to_a_client_that_keeps_up(hub):
    client = hub.join()
    for bot in ("alpha", "beta"):
        hub.metrics(update(bot))
        assert list((await take(client))["metrics"]["bots"]) == [bot]


async def test_it_has_the_figures_of_before_a_client_came(hub):
    hub.metrics(update("alpha"))
    client = hub.join()
    hub.metrics(update("beta"))
    hub.metrics(update("beta"))
    assert sorted((await take(client))["metrics"]["bots"]) == ["alpha", "beta"]


async def test_it_waits_for_a_page_that_acknowledges(hub):
    client = hub.join()
    client.acknowledge()
    for _ in range(2):
        hub.metrics(update("alpha"))
        await take(client)
    hub.metrics(update("alpha"))
    assert await silent(client)
    hub.health(health())
    assert (await take(client))["type"] == "health_update"
    client.acknowledge()
    assert (await take(client))["type"] == "metrics_update"


async def test_it_does_not_wait_for_a_page_that_never_acknowledges(hub):
    client = hub.join()
    for _ in range(5):
        hub.metrics(update("alpha"))
        assert (await take(client))["type"] == "metrics_update"


async def test_it_wakes_a_client_that_waits(hub):
    client = hub.join()
    got = []

    async def wait():
        got.append(await take(client))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.sleep(0.5)
        hub.alert(alert(1), new=True)
    assert got[0]["alert"]["id"] == "a1"


async def test_it_lets_go_of_a_client_too_slow_for_its_alerts(hub):
    slow, quick = hub.join(), hub.join()
    for n in range(RING):
        hub.alert(alert(n), new=True)
    for n in range(RING):
        assert (await take(quick))["alert"]["id"] == f"a{n}"
    assert not slow.closed
    hub.alert(alert(RING), new=True)
    assert slow.closed
    with pytest.raises(TooSlow):
        await slow.next()
    assert (await take(quick))["alert"]["id"] == f"a{RING}"


async def test_it_replays_what_a_client_missed(hub):
    client = hub.join()
    for n in range(3):
        hub.alert(alert(n), new=True)
    first = await client.next()
    hub.leave(client)
    again = hub.join()
    hub.replay(again, first.seq)
    assert [(await take(again))["alert"]["id"] for _ in range(2)] == ["a1", "a2"]
    assert await silent(again)
    assert await silent(hub.join())


async def test_it_keeps_alerts_while_nobody_looks(hub):
    hub.alert(alert(1), new=True)
    seq = hub.seq
    hub.health(health())
    hub.metrics(update("alpha"))
    hub.supervisor(STATUS)
    assert hub.seq == seq
    client = hub.join()
    hub.replay(client, 0)
    assert (await take(client))["alert"]["id"] == "a1"


def test_it_refuses_one_client_too_many(clock):
    hub = Hub(clock, clients_max=1)
    client = hub.join()
    assert isinstance(client, Client)
    assert hub.join() is None
    hub.leave(client)
    hub.leave(client)
    assert hub.join() is not None


async def test_it_is_drained_when_the_last_client_has_left(hub):
    await hub.drained()
    clients = [hub.join(), hub.join()]
    ended = []

    async def serve(client):
        with pytest.raises(TooSlow):
            await client.next()
        hub.leave(client)
        ended.append(client)

    async with anyio.create_task_group() as tasks:
        for client in clients:
            tasks.start_soon(serve, client)
        await anyio.sleep(1)
        hub.close()
        await hub.drained()
    assert len(ended) == 2

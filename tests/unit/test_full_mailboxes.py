"""The tree while a mailbox is full: nothing that must not be lost is, and nobody waits for it."""

from contextlib import asynccontextmanager, contextmanager

import anyio
import pytest

from actors.alerts.actor import AlertsActor
from actors.alerts.triggers import Internal
from actors.health.actor import HealthActor, HealthQuery
from actors.messages import Refresh, Wake
from actors.metrics.actor import MetricsActor
from actors.metrics.queries import MetricsQuery
from actors.senders.actor import SenderActor, SendNow
from config.settings import load
from runtime.system import Reported
from sidewatch import reports
from sidewatch.tree import SENDER
from tests.fakes.bench import bench
from tests.fakes.core import running
from tests.fakes.notices import notice
from tests.fakes.sender import NEIGHBOURS, FakeChannel, NoJitter, job, queue

pytestmark = pytest.mark.anyio
SETTINGS = load(None, {})


@contextmanager
def held(monkeypatch, kind):
    """Let no actor of this kind handle anything until the block ends; give what it handles then."""
    receive, heard, go = kind.receive, [], anyio.Event()

    async def late(self, message):
        await go.wait()
        heard.append(message)
        return await receive(self, message)

    monkeypatch.setattr(kind, "receive", late)
    yield heard
    go.set()


def fill(core, name, message):
    """Offer messages until there is no room."""
    while core.ref(name).offer(message):
        pass


async def test_it_tells_alerts_of_each_fault_once_there_is_room(tmp_path, monkeypatch):
    async with running(tmp_path, monkeypatch, SETTINGS) as core:
        with held(monkeypatch, AlertsActor):
            fill(core, "alerts", Internal("channel", "x", "info", "t", "t", holds=False))
            for actor in ("metrics", "health"):
                for _ in range(2_000):
                    core.reports.heard(Reported("quarantined", actor, "why"))
            core.reports.heard(Reported("gave_up", "core", "why"))
            await anyio.sleep(1)
        await anyio.sleep(1)
        assert len(await core.alerts("actor_quarantined")) == 2
        assert len(await core.alerts("actor_gave_up")) == 1
        assert core.system.dead_letter_count == 0


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [(MetricsActor, "metrics", MetricsQuery()), (HealthActor, "health", HealthQuery())],
)
async def test_it_asks_for_everything_again_once_there_is_room(
    tmp_path, monkeypatch, kind, name, message
):
    async with running(tmp_path, monkeypatch, SETTINGS) as core:
        with held(monkeypatch, kind) as heard:
            fill(core, name, message)
            core.ref("alerts")._slot.incarnation.fail(RuntimeError("crash"))
            await anyio.sleep(1)
            alerts = core.ref("alerts")._slot
            assert (alerts.number, alerts.state) == (2, "running")
        await anyio.sleep(1)
        assert heard.count(Refresh()) == 1


async def test_it_sees_a_sign_of_life_though_health_has_no_room(tmp_path, monkeypatch):
    async with running(tmp_path, monkeypatch, SETTINGS) as core:
        with held(monkeypatch, HealthActor):
            fill(core, "health", HealthQuery())
            await core.post("heartbeat", state="running")
        await anyio.sleep(1)
        found = await core.ref("health").ask(HealthQuery())
        assert found.bots["alpha"].state == "running"


async def test_it_logs_what_may_come_with_each_message_once_a_minute(tmp_path, monkeypatch):
    async with running(tmp_path, monkeypatch, SETTINGS) as core:
        lines = []
        monkeypatch.setattr(reports.log, "warning", lambda *_, **said: lines.append(said["detail"]))
        for _ in range(2):
            for number in range(500):
                core.reports.heard(Reported("refused", "metrics", f"no room for {number}"))
            await anyio.sleep(61)
        core.reports.heard(Reported("refused", "health", "another"))
        await anyio.sleep(1)
        first = "no room for 0"
        assert lines == [first, "499 more like the last one", first, "another"]
        assert len(await core.alerts("actor_refused")) == 2


@asynccontextmanager
async def sending(tmp_path, channel):
    def start(table):
        return SenderActor(
            "fake",
            channel,
            table.store,
            alerts=table.ref("alerts"),
            broadcaster=table.ref("broadcaster"),
            random=NoJitter(),
        )

    channel.began = anyio.current_time()
    async with bench(tmp_path, start, neighbours=NEIGHBOURS, mailbox=SENDER) as table:
        yield table


async def test_it_lets_one_wake_wait_for_a_sender_however_many_come(tmp_path):
    async with sending(tmp_path, FakeChannel(takes_s=5)) as table:
        await anyio.sleep(1)
        table.ref("tested").post(SendNow(notice(id="first")))
        await anyio.sleep(1)
        for _ in range(5_000):
            table.ref("tested").post(Wake())
        table.ref("tested").post(SendNow(notice(id="second")))
        assert table.actor("tested").mailbox == 3
        assert table.system.dead_letter_count == 0


async def test_it_starts_a_sender_again_whose_mailbox_is_full(tmp_path):
    channel = FakeChannel(takes_s=1)
    async with sending(tmp_path, channel) as table:
        await anyio.sleep(1)
        count = 0
        while table.ref("tested").offer(SendNow(notice(id=f"n{count}"))):
            count += 1
        table.ref("tested").post(SendNow(notice(id="too many")))
        table.ref("tested")._slot.incarnation.fail(RuntimeError("crash"))
        await anyio.sleep(5)
        assert (table.actor("tested").restarts_total, len(channel.sent)) == (1, 5)
        letters = [(letter.actor, letter.reason) for letter in table.system.dead_letters]
        assert letters == [("tested", "no room")]


async def test_it_sends_what_a_wake_without_room_was_to_tell_of(tmp_path):
    channel = FakeChannel(takes_s=1)
    async with sending(tmp_path, channel) as table:
        await anyio.sleep(1)
        count = 0
        while table.ref("tested").offer(SendNow(notice(id=f"m{count}"))):
            count += 1
        await table.store.write(queue("n1"))
        table.ref("tested").post(Wake())
        assert table.system.dead_letter_count == 1
        await anyio.sleep(count + 5)
        assert (await job(table)).state == "done"
        assert (len(channel.sent), channel.ids[-1]) == (count + 1, "n1")

"""A stop is soon over, whoever hangs; what was in hand is sent again by the next start."""

import subprocess
import sys
from pathlib import Path

import anyio
import httpx
import pytest

from actors.alerts.triggers import Internal
from actors.deadman import Deadman
from actors.health.pinger import Pinger
from actors.leaving import Left, brief
from actors.messages import SendTest
from actors.senders.actor import STOP_S, STOPS, SendNow
from tests.fakes.bench import bench
from tests.fakes.delivery import World
from tests.fakes.notices import notice
from tests.fakes.sender import FakeChannel, job, sending

pytestmark = pytest.mark.anyio
FOREVER = 3_600.0
ROOT = Path(__file__).resolve().parents[2]


async def stopped_after_s(system):
    began = anyio.current_time()
    await system.stop()
    return round(anyio.current_time() - began, 3)


async def test_it_cuts_an_attempt_short_and_sends_it_again_in_the_next_process(tmp_path):
    channel = FakeChannel(takes_s=FOREVER)
    async with sending(tmp_path, channel, "n1", "n2") as table:
        await anyio.sleep(1)
        assert await stopped_after_s(table.system) == STOP_S
        assert [(await job(table, n)).state for n in ("n1", "n2")] == ["inflight", "queued"]
        assert (channel.ids, channel.closed) == (["n1"], 1)
        assert [report.kind for report in table.reports if "stop" in report.kind] == []
    again = FakeChannel()
    async with sending(tmp_path, again):
        await anyio.sleep(1)
        assert again.ids == ["n1", "n2"]


async def test_it_marks_what_is_answered_within_the_grace(tmp_path):
    channel = FakeChannel(takes_s=1.5)
    async with sending(tmp_path, channel, "n1", "n2") as table:
        await anyio.sleep(1)
        assert await stopped_after_s(table.system) == 0.5
        assert [(await job(table, n)).state for n in ("n1", "n2")] == ["done", "queued"]
        assert channel.ids == ["n1"]  # and it begins nothing more


async def test_it_answers_a_test_and_ends_what_it_sent_from_memory(tmp_path):
    async with sending(tmp_path, FakeChannel(takes_s=FOREVER)) as table:
        answers = []

        async def ask():
            answers.append(await table.ref("tested").ask(SendTest(notice(id="t1")), timeout_s=60))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(1)
            assert await stopped_after_s(table.system) == STOP_S
        assert [(a.ok, a.detail, a.ms) for a in answers] == [(False, STOPS, 2_000.0)]
    async with sending(tmp_path, FakeChannel(takes_s=FOREVER)) as table:
        await table.ref("tested").tell(SendNow(notice(id="m1")))
        await anyio.sleep(1)
        assert await stopped_after_s(table.system) == STOP_S
        assert table.kinds("tested").count("emergency_failed") == 1


async def test_it_waits_for_all_hanging_channels_together(tmp_path):
    world = World(tmp_path / "world", 1)
    async with world.living() as life:
        for provider in world.providers.values():
            provider.mode = "hang"
        trouble = Internal("state", "a", "critical", "Trouble", "text")
        await life.ref("alerts").tell(trouble)
        await life.settle()
        assert [p.requests for p in world.providers.values()] == [1, 1]
        assert await stopped_after_s(life.system) <= STOP_S
    for provider in world.providers.values():
        provider.mode = "ok"
    async with world.living() as life:
        await anyio.sleep(5)
        sent = [provider.ids for provider in world.providers.values()]
        assert [list(ids.values()) for ids in sent] == [[1], [1]]


async def hang(_request):
    await anyio.sleep(FOREVER)


async def test_it_lets_go_of_an_exchange_that_hangs(tmp_path):
    def start(table):
        transport = httpx.MockTransport(hang)
        return Pinger("kraken", "https://kraken.example", table.ref("health"), transport=transport)

    async with bench(tmp_path, start, neighbours=("health",)) as table:
        await anyio.sleep(1)
        assert await stopped_after_s(table.system) == 0.0
        assert table.heard["health"] == []  # to be stopped says nothing of the exchange


async def test_it_lets_go_of_a_heartbeat_that_hangs(tmp_path):
    def start(table):
        return Deadman(
            "https://beat.example",
            status=table.system.status,
            channels=lambda: {"slack": ""},
            store=table.store,
            alerts=table.ref("alerts"),
            client=lambda: httpx.AsyncClient(transport=httpx.MockTransport(hang)),
        )

    async with bench(tmp_path, start, neighbours=("alerts",)) as table:
        await anyio.sleep(1)
        assert await stopped_after_s(table.system) <= 1.0


async def test_it_keeps_its_own_limit_while_nobody_stops(tmp_path):
    async with sending(tmp_path, FakeChannel()) as table:
        began = anyio.current_time()
        with pytest.raises(TimeoutError), brief(table.system, 7.0, 0.0):
            await anyio.sleep(FOREVER)
        assert anyio.current_time() - began == pytest.approx(7.0)
        assert table.system.at_stop == set()
        table.system.stop_asked = True
        with pytest.raises(Left), brief(table.system, 7.0, 2.0):
            await anyio.sleep(FOREVER)
        assert anyio.current_time() - began == pytest.approx(9.0)


def test_it_ends_the_process_while_a_thread_waits_for_somebody():
    waits = "import threading; threading.Thread(target=threading.Event().wait).start()"
    for before in (waits, ""):
        code = f"from sidewatch.start import leave\n{before}\nprint('said')\nleave(7)"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (7, "said\n")

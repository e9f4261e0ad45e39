"""A provider's Retry-After is kept to by the next life of a sender, too."""

import anyio
import pytest

from actors.messages import SendTest
from actors.senders.channel import SendError
from tests.fakes.notices import notice
from tests.fakes.sender import TRANSIENT, FakeChannel, job, sending

pytestmark = pytest.mark.anyio

BUSY = SendError("429", permanent=False, retry_after_s=60.0)


async def lives(tmp_path, *, later_s=0.0, fingerprint="old"):
    """Be asked to wait, end after 10 s, and begin again; returns when the next attempt was."""
    async with sending(tmp_path, FakeChannel(BUSY), "n1", "n2", fingerprint="old") as table:
        await anyio.sleep(10)
        until = table.clock.now().timestamp() + 50
        assert (await job(table)).due == pytest.approx(until, abs=0.1)
    channel = FakeChannel()
    began = anyio.current_time()
    async with sending(tmp_path, channel, fingerprint=fingerprint) as table:
        table.clock.jump(later_s)
        await anyio.sleep(120)
        assert {(await job(table, id_)).state for id_ in ("n1", "n2")} == {"done"}
    return channel.times[0] + channel.began - began


@pytest.fixture
def one_clock(monkeypatch):
    """The wall clock goes on from life to life, as a machine's does."""
    from runtime.clock import LoopClock
    from tests.fakes import bench

    clock = LoopClock()
    monkeypatch.setattr(bench, "LoopClock", lambda: clock)
    return clock


async def test_it_asks_no_earlier_after_a_restart(tmp_path, one_clock):
    assert await lives(tmp_path) == pytest.approx(50.0, abs=0.5)


async def test_it_asks_another_provider_at_once(tmp_path, one_clock):
    assert await lives(tmp_path, fingerprint="new") == pytest.approx(0.0, abs=0.5)


async def test_it_waits_at_most_twice_as_long_where_the_clock_is_set_back(tmp_path, one_clock):
    async with sending(tmp_path, FakeChannel(BUSY), "n1") as table:
        await anyio.sleep(10)
        table.clock.jump(-600.0)
    channel = FakeChannel()
    async with sending(tmp_path, channel):
        await anyio.sleep(1_000)
    assert 60.0 <= channel.times[0] <= 121.0


async def test_it_asks_no_earlier_after_a_crash(tmp_path):
    crashes = ["once"]

    def crash(point):
        if point == "sender.claimed" and len(channel.sent) == 1 and crashes:
            crashes.clear()
            raise RuntimeError("crash")

    channel = FakeChannel(BUSY, BUSY)
    async with sending(tmp_path, channel, "n1", "n2", faults=crash):
        await anyio.sleep(200)
    gaps = [b - a for a, b in zip(channel.times, channel.times[1:], strict=False)]
    assert gaps[0] >= 60.0
    assert gaps[1] >= 60.0


@pytest.mark.parametrize("passes", [True, False])
async def test_it_forgets_the_wish_once_the_provider_answers(tmp_path, one_clock, passes):
    script = [BUSY] if passes else [BUSY, TRANSIENT]
    async with sending(tmp_path, FakeChannel(*script), "n1", "n2") as table:
        await anyio.sleep(1)
        if passes:
            assert (await table.ref("tested").ask(SendTest(notice(kind="test")))).ok
        else:
            await anyio.sleep(60)
    channel = FakeChannel()
    async with sending(tmp_path, channel):
        await anyio.sleep(30)
    assert channel.times[:1] == [pytest.approx(0.0, abs=1.1)]

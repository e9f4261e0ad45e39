"""The sender over a real store: what goes out, when, how often, and what history then says."""

from functools import partial

import anyio
import msgspec
import pytest

from actors.alerts import record
from actors.alerts.record import Attempt
from actors.messages import AlertChanged, SendTest, Wake
from actors.senders import actor as sender_module
from actors.senders.channel import SendError
from actors.senders.trouble import PARKED
from tests.fakes.notices import notice
from tests.fakes.sender import REFUSED, TRANSIENT, FakeChannel, attempts, job, queue, sending

pytestmark = pytest.mark.anyio


class Crash:
    """A fault that raises once at a named point."""

    def __init__(self, point):
        self.point = point

    def __call__(self, point):
        if point == self.point:
            self.point = ""
            raise RuntimeError(f"killed at {point}")


async def test_it_delivers_and_tells_history(tmp_path):
    channel = FakeChannel()
    async with sending(tmp_path, channel, "n1") as table:
        await anyio.sleep(1)
        sent = await job(table)
        assert (sent.state, sent.attempts, sent.detail) == ("done", 1, "200 ok")
        assert channel.ids == ["n1"]
        assert await attempts(table) == [Attempt("n1", "7f3a", "fake", 1, True, "200 ok", 0.0)]
        [told] = table.heard["broadcaster"]
        assert isinstance(told, AlertChanged)
        assert not told.new
        assert [(d.channel, d.state) for d in told.alert.deliveries] == [("fake", "delivered")]
        [over] = table.heard["alerts"]  # an earlier life may have told of trouble
        assert (over.trigger, over.subject, over.holds) == ("channel", "fake", False)
    assert channel.closed == 1


async def test_it_wakes_for_what_is_queued_later(tmp_path):
    channel = FakeChannel()
    async with sending(tmp_path, channel) as table:
        await anyio.sleep(5)
        assert channel.sent == []
        await table.store.write(queue("n1"))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(1)
        assert channel.ids == ["n1"]


async def test_it_waits_for_work_that_is_due_later(tmp_path):
    channel = FakeChannel()
    async with sending(tmp_path, channel) as table:
        now = table.clock.now().timestamp()
        data = msgspec.json.encode(notice(id="n1", alert_id="gone"))
        await table.store.write(
            lambda tx: tx.queue.put("fake", "n1/fake", data, now=now, due=now + 7)
        )
        await table.ref("tested").tell(Wake())
        await anyio.sleep(10)
        assert channel.times == [pytest.approx(7.0, abs=0.01)]
        assert table.heard["broadcaster"] == []  # its alert is not in the store


async def test_it_sends_the_most_urgent_first_and_keeps_the_rate(tmp_path):
    channel = FakeChannel(rate_s=1.5)
    async with sending(tmp_path, channel, "n1", "n2") as table:
        await table.store.write(queue("low", severity="info"))
        await anyio.sleep(10)
        assert channel.sent == [(0.0, "n1"), (1.5, "n2"), (3.0, "low")]


async def test_it_keeps_the_rate_when_woken_often(tmp_path):
    channel = FakeChannel(rate_s=1.0)
    async with sending(tmp_path, channel, "n1", "n2") as table:
        for _ in range(20):
            await table.ref("tested").tell(Wake())
        await anyio.sleep(5)
        assert channel.times == [0.0, 1.0]


async def test_it_retries_by_the_schedule_one_probe_at_a_time(tmp_path):
    channel = FakeChannel(*[TRANSIENT] * 6)
    async with sending(tmp_path, channel, "n1", "n2") as table:
        await anyio.sleep(7.6)
        waiting = await job(table)
        assert (waiting.state, waiting.attempts, waiting.detail) == ("queued", 5, "503 busy")
        assert waiting.due == pytest.approx(table.clock.now().timestamp() + 3.3, abs=0.01)
        await anyio.sleep(20)
        expected = [0.0, 0.5, 1.5, 3.5, 7.5, 10.9, 14.3]
        assert channel.times[:7] == pytest.approx(expected, abs=0.01)
        assert channel.ids == ["n1"] * 7 + ["n2"]
        assert [a.ok for a in await attempts(table)] == [False] * 6 + [True, True]


@pytest.mark.parametrize("back_s", [5.0, 3_600.0])
async def test_it_waits_no_longer_when_the_clock_goes_back(tmp_path, back_s):
    channel = FakeChannel(SendError("429", permanent=False, retry_after_s=30.0))
    async with sending(tmp_path, channel, "n1") as table:
        await anyio.sleep(10)
        table.clock.jump(-back_s)
        await table.store.write(queue("n2"))
        await anyio.sleep(21)
        assert channel.sent == [(0.0, "n1"), (30.0, "n1"), (30.0, "n2")]


async def test_it_waits_no_longer_when_the_clock_went_back_over_a_restart(tmp_path):
    async with sending(tmp_path, FakeChannel(TRANSIENT, TRANSIENT), "n1") as table:
        await anyio.sleep(0.1)
        table.clock.jump(86_400.0)
        await anyio.sleep(1)
    channel = FakeChannel()
    async with sending(tmp_path, channel):
        await anyio.sleep(2)
        assert channel.ids == ["n1"]


async def test_it_heeds_retry_after(tmp_path):
    channel = FakeChannel(SendError("429", permanent=False, retry_after_s=30.0))
    async with sending(tmp_path, channel, "n1"):
        await anyio.sleep(60)
        assert channel.times == pytest.approx([0.0, 30.0], abs=0.01)


async def test_it_probes_with_a_critical_that_came_after(tmp_path):
    channel = FakeChannel(*[TRANSIENT] * 2)
    async with sending(tmp_path, channel) as table:
        await table.store.write(queue("low", severity="info"))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(0.1)
        await table.store.write(queue("urgent"))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(10)
        assert channel.ids == ["low", "urgent", "urgent", "low"]


async def test_it_tells_of_an_outage_once_and_of_its_end(tmp_path):
    channel = FakeChannel(*[TRANSIENT] * 6)
    async with sending(tmp_path, channel, "n1") as table:
        await anyio.sleep(3)
        assert table.heard["alerts"] == []
        await anyio.sleep(9)
        [down] = table.heard["alerts"]
        assert (down.trigger, down.subject, down.severity) == ("channel", "fake", "critical")
        assert (down.title, down.holds) == ("Channel fake is down", True)
        assert "503 busy" in down.text
        await anyio.sleep(30)
        assert [trouble.holds for trouble in table.heard["alerts"]] == [True, False]


async def test_it_parks_what_is_refused_and_goes_on(tmp_path):
    channel = FakeChannel(REFUSED, REFUSED, rate_s=1.0)
    async with sending(tmp_path, channel, "n1", "n2", "n3") as table:
        await anyio.sleep(1.5)
        parked = await job(table)
        assert (parked.state, parked.attempts, parked.detail) == ("dead", 1, "400 no such chat")
        [trouble] = table.heard["alerts"]
        assert trouble.title == "Channel fake refuses messages"
        assert trouble.text.startswith(f"400 no such chat. What it refuses is {PARKED}, and")
        assert table.heard["broadcaster"][0].alert.deliveries[0].state == "parked"
        await anyio.sleep(10)
        assert channel.sent == [(0.0, "n1"), (1.0, "n2"), (2.0, "n3")]
        assert (await job(table, "n3")).state == "done"
        _, over = table.heard["alerts"]
        assert over.text == f"It delivers again. What it refused is {PARKED}."
        assert [trouble.holds for trouble in table.heard["alerts"]] == [True, False]


async def test_it_revives_parked_work_after_a_test_went_through(tmp_path):
    channel = FakeChannel(REFUSED, REFUSED, rate_s=1.0)
    async with sending(tmp_path, channel, "n1") as table:
        await anyio.sleep(5)
        ask = partial(table.ref("tested").ask, SendTest(notice(id="test")))
        refused = await ask()
        assert (refused.ok, refused.detail) == (False, "400 no such chat")
        await anyio.sleep(5)
        assert (await job(table)).state == "dead"
        answer = await ask()
        assert (answer.ok, answer.detail) == (True, "200 ok")
        await anyio.sleep(5)
        assert channel.sent[-2:] == [(10.0, "test"), (11.0, "n1")]
        assert (await job(table)).state == "done"
        assert table.heard["alerts"][-1].text == "It delivers again."


async def test_it_answers_a_test_with_how_long_it_took(tmp_path):
    channel = FakeChannel(takes_s=0.25)
    async with sending(tmp_path, channel) as table:
        answer = await table.ref("tested").ask(SendTest(notice(id="test")))
        assert answer.ms == pytest.approx(250.0, abs=1)


@pytest.mark.parametrize(
    ("point", "ids"),
    [
        ("sender.claimed", ["n1"]),
        ("sender.sent", ["n1", "n1"]),
        ("sender.marked", ["n1"]),
    ],
)
async def test_it_sends_again_with_the_same_id_after_a_crash(tmp_path, point, ids):
    channel = FakeChannel()
    async with sending(tmp_path, channel, "n1", faults=Crash(point)) as table:
        await anyio.sleep(5)
        assert channel.ids == ids
        assert (await job(table)).state == "done"
        assert table.actor("tested").restarts_total == 1
        assert channel.closed == 1


async def test_it_sends_again_after_a_crash_behind_a_failed_attempt(tmp_path):
    channel = FakeChannel(TRANSIENT)
    async with sending(tmp_path, channel, "n1", faults=Crash("sender.failed")) as table:
        await anyio.sleep(5)
        assert channel.ids == ["n1", "n1"]
        assert (await job(table)).state == "done"


async def test_it_sends_again_in_the_next_process(tmp_path):
    channel = FakeChannel(takes_s=3_600.0)
    async with sending(tmp_path, channel, "n1") as table:
        await anyio.sleep(1)
        assert (await job(table)).state == "inflight"
    again = FakeChannel()
    async with sending(tmp_path, again) as table:
        await anyio.sleep(1)
        assert again.ids == ["n1"]
        assert (await job(table)).state == "done"


async def test_it_keeps_a_bounded_record_of_attempts(tmp_path, monkeypatch):
    monkeypatch.setattr(sender_module, "TRIM_EVERY", 5)
    monkeypatch.setattr(record, "KEPT", 3)
    channel = FakeChannel()
    async with sending(tmp_path, channel, *[f"n{n}" for n in range(5)]) as table:
        await anyio.sleep(1)
        assert [a.notice for a in await attempts(table)] == ["n2", "n3", "n4"]


class Forgetful(FakeChannel):
    """A channel that learns something with each attempt."""

    kept = ""
    recalled = ""

    async def send(self, message):
        self.kept = f"learnt from {message.id}"
        return await super().send(message)

    def recall(self, kept):
        self.recalled = kept


@pytest.mark.parametrize("answer", [None, TRANSIENT, REFUSED])
async def test_it_keeps_what_a_channel_learnt_over_a_restart(tmp_path, answer):
    first, second = Forgetful(answer), Forgetful()
    async with sending(tmp_path, first, "n1"):
        await anyio.sleep(0.1)
    async with sending(tmp_path, second):
        await anyio.sleep(0.1)
    assert first.recalled == ""
    assert second.recalled == "learnt from n1"


@pytest.mark.parametrize("answer", [None, REFUSED])
async def test_it_keeps_what_a_channel_learnt_in_a_test(tmp_path, answer):
    first, second = Forgetful(answer), Forgetful()
    async with sending(tmp_path, first) as table:
        await table.ref("tested").ask(SendTest(notice(id="t1", kind="test")))
    async with sending(tmp_path, second):
        await anyio.sleep(0.1)
    assert second.recalled == "learnt from t1"


async def test_it_sends_at_once_what_a_clock_that_was_ahead_had_claimed(tmp_path):
    async with sending(tmp_path, FakeChannel(takes_s=3_600.0)) as table:
        table.clock.jump(86_400)
        data = msgspec.json.encode(notice(id="n1"))
        now = table.clock.now().timestamp()
        await table.store.write(lambda tx: tx.queue.put("fake", "n1/fake", data, now=now))
        await table.ref("tested").tell(Wake())
        await anyio.sleep(1)
        assert (await job(table)).state == "inflight"
    again = FakeChannel()
    async with sending(tmp_path, again):
        await anyio.sleep(1)
        assert again.ids == ["n1"]

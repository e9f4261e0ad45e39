"""A critical that no channel has delivered goes to the next one, and is told apart by saying so."""

import anyio
import pytest

from actors.alerts import failover
from actors.alerts.commands import Acknowledge
from actors.alerts.failover import Plan
from runtime.store import Job
from tests.fakes.oncall import Duty

pytestmark = pytest.mark.anyio

NOW = 1_000.0
PLAN = Plan(["slack", "email", "telegram"])


def job(topic, state="queued", due=NOW, detail=""):
    return Job(topic, f"a.1/{topic}", "a", state, due, 2, 1, NOW, NOW, detail, b"")


# ---------------------------------------------------------------- decided purely


def test_it_waits_15_s_then_takes_the_next_that_was_not_asked():
    jobs = [job("slack", "inflight")]
    assert failover.due(jobs, PLAN, 14.9, NOW) is None
    assert failover.due(jobs, PLAN, 15.0, NOW) == "email"
    assert failover.due([*jobs, job("email")], PLAN, 15.0, NOW) == "telegram"


@pytest.mark.parametrize(
    ("jobs", "next_"),
    [
        ([job("slack", "dead")], "email"),
        ([job("slack", "queued", due=NOW + 60)], "email"),
        ([job("slack", "queued", due=NOW + 14)], None),
        ([job("slack", "dead"), job("email", "inflight")], None),
        ([job("slack", "dead"), job("email", "queued", due=NOW + 16)], "telegram"),
        ([job("slack", "done"), job("email", "dead")], None),
        ([job("slack", "dead"), job("email", "dead"), job("telegram", "dead")], None),
        ([], None),
    ],
)
def test_it_waits_no_longer_where_waiting_is_no_use(jobs, next_):
    assert failover.due(jobs, PLAN, 0.0, NOW) == next_


def test_it_counts_only_what_is_left_of_the_15_s():
    waiting = [job("slack", "queued", due=NOW + 6)]
    assert failover.due(waiting, PLAN, 8.0, NOW) is None
    assert failover.due(waiting, PLAN, 10.0, NOW) == "email"


def test_it_goes_nowhere_when_it_is_switched_off():
    assert failover.due([job("slack", "dead")], Plan(["email"], 0.0), 99.0, NOW) is None
    assert failover.over([job("slack", "dead")], Plan(["email"], 0.0))


# ---------------------------------------------------------------- with real senders

CHANNELS = ("slack", "email", "telegram")


def duty(order=CHANNELS, route=("slack",), after_s=15.0):
    return Duty(*CHANNELS, route=list(route), failover=Plan(list(order), after_s))


@pytest.mark.parametrize(
    ("how", "from_s", "to_s", "why"),
    [
        ("hang", 15, 16.1, "slack (no answer within 10 s)"),
        ("500", 15, 16.1, "slack (500 oops)"),
        ("429", 0, 1.1, "slack (429 slow down)"),
        ("refuse", 0, 1.1, "slack (404 no such channel)"),
    ],
)
async def test_it_fails_over_says_so_and_keeps_the_short_id(tmp_path, how, from_s, to_s, why):
    async with duty().run(tmp_path) as on:
        on.lines["slack"].how = how
        await on.trouble()
        await anyio.sleep(40)
        [(at, kind, remarks)] = on.got("email")
        assert from_s <= at <= to_s
        assert (kind, remarks) == ("fired", [f"Failover: not delivered by {why}"])
        assert on.got("telegram") == []
        [alert] = await on.history()
        notice = on.lines["email"].got[0][1]
        assert notice.alert_id == alert.id
        assert notice.id == f"{alert.id}.1"


async def test_it_goes_down_the_order_15_s_apart_and_each_gets_it_when_it_returns(tmp_path):
    async with duty(order=("telegram", "email")).run(tmp_path) as on:
        for line in on.lines.values():
            line.how = "500"
        await on.trouble()
        await anyio.sleep(14)
        assert on.lines["telegram"].tried == []
        await anyio.sleep(3)
        assert on.lines["telegram"].tried != []
        assert on.lines["email"].tried == []
        await anyio.sleep(16)
        assert on.lines["email"].tried != []
        for line in on.lines.values():
            line.how = "ok"
        await anyio.sleep(10)
        assert [len(on.got(name)) for name in CHANNELS] == [1, 1, 1]
        assert on.got("slack")[0][2] == []
        [alert] = await on.history()
        assert {d.state for d in alert.deliveries} == {"delivered"}


async def test_it_does_not_fail_over_what_one_of_its_channels_delivered(tmp_path):
    async with duty(route=("slack", "email")).run(tmp_path) as on:
        on.lines["slack"].how = "hang"
        await on.trouble()
        await anyio.sleep(60)
        assert len(on.got("email")) == 1
        assert on.lines["telegram"].tried == []


async def test_it_fails_over_neither_a_warning_nor_the_end_of_a_critical(tmp_path):
    async with duty().run(tmp_path) as on:
        await on.trouble()
        await anyio.sleep(2)
        on.lines["slack"].how = "500"
        await on.trouble(holds=False)
        await on.trouble("y", severity="warning")
        await anyio.sleep(60)
        assert on.lines["email"].tried.count(f"{(await on.history())[-1].id}.2") == 0
        assert [kind for _, kind, _ in on.got("slack")] == ["fired"]


async def test_it_fails_over_a_flash_as_one_message_that_says_that_it_is_over(tmp_path):
    async with duty().run(tmp_path) as on:
        on.lines["slack"].how = "500"
        await on.trouble()
        await anyio.sleep(5)
        await on.trouble(holds=False)
        await anyio.sleep(30)
        [notice] = [notice for _, notice in on.lines["email"].got]
        assert notice.title == "Disk full (over)"


async def test_it_tells_the_end_on_both_once_both_were_told(tmp_path):
    async with duty().run(tmp_path) as on:
        on.lines["slack"].how = "500"
        await on.trouble()
        await anyio.sleep(20)
        on.lines["slack"].how = "ok"
        await anyio.sleep(20)
        await on.trouble(holds=False)
        await anyio.sleep(5)
        for name in ("slack", "email"):
            assert [kind for _, kind, _ in on.got(name)] == ["fired", "resolved"]


@pytest.mark.parametrize(("dies_at_s", "email"), [(5, 1), (14.5, 1), (20, 1)])
async def test_it_neither_forgets_nor_repeats_a_failover_over_a_restart(tmp_path, dies_at_s, email):
    first = duty()
    first.lines["slack"].how = "hang"
    async with first.run(tmp_path) as on:
        await on.trouble()
        await anyio.sleep(dies_at_s)
    second = duty()
    second.lines["slack"].how = "hang"
    async with second.run(tmp_path, later_s=dies_at_s) as on:
        await anyio.sleep(17 - min(dies_at_s, 15))
        assert len(first.got("email")) + len(on.got("email")) == email
        await anyio.sleep(60)
        assert len(first.got("email")) + len(on.got("email")) == email
        assert on.got("telegram") == []


async def test_it_does_not_wait_for_a_wall_clock_that_went_back(tmp_path):
    async with duty().run(tmp_path) as on:
        on.lines["slack"].how = "500"
        await on.trouble()
        on.clock.jump(-3_600)
        await anyio.sleep(17)
        assert len(on.lines["email"].tried) > 0


async def test_it_stays_where_it_is_when_switched_off(tmp_path):
    async with duty(after_s=0.0).run(tmp_path) as on:
        on.lines["slack"].how = "refuse"
        await on.trouble()
        await anyio.sleep(60)
        assert on.lines["email"].tried == []


async def test_it_fails_over_what_is_acknowledged_too_while_nobody_was_told(tmp_path):
    async with duty().run(tmp_path) as on:
        on.lines["slack"].how = "500"
        await on.trouble()
        [alert] = await on.history()
        await on.system.ref("alerts").ask(Acknowledge(alert.id))
        await anyio.sleep(17)
        assert len(on.got("email")) == 1
        assert (await on.history())[0].state == "acknowledged"

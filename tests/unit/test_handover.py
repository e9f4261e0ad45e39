"""An alert's own transaction claims for an idle channel: sent at once, never lost or doubled."""

import sqlite3
from itertools import pairwise

import anyio
import pytest

from actors.alerts import outbox
from actors.alerts.handover import Claims, Handover
from actors.alerts.triggers import Internal
from actors.messages import SendTest, Wake
from tests.fakes.delivery import World
from tests.fakes.notices import notice

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path, anyio_backend):
    return World(tmp_path / "world", 2)


async def happen(life, subject, severity="critical"):
    message = Internal("happened", subject, severity, f"Trouble {subject}", "text", once=True)
    await life.ref("alerts").tell(message)


def counted(life):
    """Count the claims that senders make in turns of their own."""
    claims = []
    note = life.store.note

    async def counting(func):
        claims.append(func)
        return await note(func)

    life.store.note = counting
    return claims


def titles(world, name="slack"):
    return [one.title for _, one in world.providers[name].taken]


def ids(world):
    return [one.id for _, one in world.providers["slack"].taken]


async def states(life):
    return [(job.state, job.attempts) for job, _ in (await life.jobs())["slack"]]


async def test_it_sends_without_a_turn_at_the_store(world):
    async with world.living() as life:
        await anyio.sleep(1)
        claims = counted(life)
        slack = world.providers["slack"]
        slack.mode = "slow"
        await happen(life, "one")
        await anyio.sleep(1)
        assert slack.requests == 1
        assert claims == []
        assert await states(life) == [("inflight", 1)]
        await anyio.sleep(5)
        assert await states(life) == [("done", 1)]
        assert claims


async def test_it_claims_the_most_urgent_of_what_is_written_together(world):
    async with world.living() as life:
        await anyio.sleep(1)
        for subject, severity in (("a", "info"), ("b", "critical"), ("c", "critical")):
            await happen(life, subject, severity)
        await anyio.sleep(10)
        assert titles(world) == ["Trouble b", "Trouble c", "Trouble a"]


async def test_it_claims_what_waited_before(world):
    async with world.living() as life:
        await anyio.sleep(1)
        world.providers["slack"].mode = "slow"
        await happen(life, "first", "info")
        await anyio.sleep(0.5)
        await happen(life, "second")  # the channel is busy
        await happen(life, "third")
        await anyio.sleep(20)
        assert titles(world) == ["Trouble first", "Trouble second", "Trouble third"]


async def test_it_keeps_the_rate(world):
    async with world.living() as life:
        await anyio.sleep(1)
        for number in range(4):
            await happen(life, str(number))
            await anyio.sleep(0.3)
        await anyio.sleep(10)
        times = [at for at, _ in world.providers["slack"].taken]
        assert [round(b - a, 3) for a, b in pairwise(times)] == [1.0] * 3


async def test_it_sends_what_was_claimed_once_when_killed_before_it_is_sent(world):
    async with world.living() as life:
        await anyio.sleep(1)
        life.crash_at = None
        slack = world.providers["slack"]
        slack.mode = "hang"
        await happen(life, "one")
        await anyio.sleep(1)
        [(job, _)] = (await life.jobs())["slack"]
        assert (job.state, slack.requests) == ("inflight", 1)
        life.kill()
    life.bury()
    slack.mode = "ok"
    async with world.living() as life:
        await anyio.sleep(5)
        assert [f"{identity}/slack" for identity in ids(world)] == [job.id]
        assert await states(life) == [("done", 2)]


@pytest.mark.parametrize(("point", "again"), [("sender.claimed", 0), ("sender.sent", 1)])
async def test_it_is_taken_back_when_the_sender_crashes(world, point, again):
    async with world.living() as life:
        await anyio.sleep(1)
        life.crash_at = point
        await happen(life, "one")
        await anyio.sleep(10)
        sent = titles(world) + titles(world, "mail")  # one of the two has crashed
        assert sent == ["Trouble one"] * (2 + again)
        assert len(set(ids(world))) == 1
        await happen(life, "two")
        await anyio.sleep(10)
        sent = titles(world) + titles(world, "mail")
        assert sent.count("Trouble two") == 2


async def test_it_leaves_it_to_the_sender_while_the_disk_refuses(world):
    async with world.living() as life:
        await anyio.sleep(1)
        life.break_disk()
        await happen(life, "one")
        await anyio.sleep(3)
        life.mend_disk()
        await anyio.sleep(10)
        await happen(life, "two")
        await anyio.sleep(10)
        assert titles(world) == ["Trouble one", "Trouble two"]  # the first from memory
        assert {state for state, _ in await states(life)} == {"done"}


async def test_it_goes_on_after_a_test_of_the_channel(world):
    async with world.living() as life:
        await anyio.sleep(1)
        world.providers["slack"].mode = "slow"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(life.ref("slack").ask, SendTest(notice(id="test")))
            await anyio.sleep(0.5)
            await happen(life, "one")
        await anyio.sleep(10)
        await happen(life, "two")
        await anyio.sleep(10)
        assert titles(world)[1:] == ["Trouble one", "Trouble two"]


async def test_it_prepares_the_message_while_the_disk_works_at_it(world):
    async with world.living() as life:
        await anyio.sleep(1)
        slack, seen = world.providers["slack"], []
        fault = life.store.fault

        def look(point):
            if point == "store.commit":
                seen.append([one.title for one in slack.prepared])
            return fault(point)

        life.store.fault = look
        await happen(life, "one")
        await anyio.sleep(5)
        assert ["Trouble one"] in seen
        [(_, sent)] = slack.taken
        assert sent is slack.prepared[0]
        assert len(slack.prepared) == 1


async def test_it_sends_what_could_not_be_prepared(world, caplog):
    async with world.living() as life:
        await anyio.sleep(1)
        world.providers["slack"].mode = "stumble"
        await happen(life, "one")
        await anyio.sleep(5)
        assert titles(world) == ["Trouble one"]
        assert "cannot prepare" in caplog.text


async def test_it_forgets_what_it_prepared_for_a_commit_that_failed(world):
    async with world.living() as life:
        await anyio.sleep(1)
        slack, fault = world.providers["slack"], life.store.fault

        def refuse(point):
            if point == "store.commit":
                raise sqlite3.OperationalError("database or disk is full")
            return fault(point)

        life.store.fault = refuse
        await happen(life, "one")
        await anyio.sleep(1)
        life.store.fault = fault
        await anyio.sleep(10)
        prepared, *_ = slack.prepared
        [(_, sent)] = slack.taken  # from memory, and marked once the disk took it
        assert sent is not prepared
        assert "Storage failed" in sent.text


# ---------------------------------------------------------------- its states


def test_it_prepares_nothing_for_an_earlier_life():
    handover, prepared = Handover(), []
    handover.begin(prepared.append)
    ticket = taken(handover)
    handover.foresee(ticket, "job")
    assert prepared == ["job"]
    handover.begin(prepared.append)
    handover.foresee(ticket, "job")
    handover.begin()
    handover.foresee(taken(handover), "job")
    assert prepared == ["job"]


def taken(handover):
    handover.open()
    ticket = handover.take()
    assert ticket is not None
    return ticket


def test_it_is_open_only_while_the_sender_says_so():
    handover = Handover()
    assert handover.take() is None
    handover.open()
    handover.shut()
    assert handover.take() is None
    taken(handover)
    assert handover.take() is None
    assert repr(handover) == "<Handover taken>"


def test_it_opens_again_where_nothing_was_claimed():
    handover = Handover()
    handover.give(taken(handover), None)
    assert handover.take() is not None


def test_it_doubts_what_was_claimed_for_an_earlier_life():
    handover = Handover()
    ticket = taken(handover)
    handover.begin()
    handover.give(ticket, "job")
    assert handover.fetch() is None
    assert repr(handover) == "<Handover shut in doubt>"
    assert handover.clear_doubt()
    assert not handover.clear_doubt()


def test_it_doubts_what_ended_unknown():
    handover = Handover()
    claims = Claims({"slack": handover}, ["slack", "mail"])
    handover.open()
    claims = Claims({"slack": handover}, ["slack", "mail"])
    assert handover.taken
    claims.leave()
    assert not handover.taken
    assert handover.clear_doubt()
    assert handover.take() is None


async def test_it_takes_back_what_nobody_was_given(world):
    async with world.living() as life:
        await anyio.sleep(1)
        handover = life.handovers["slack"]
        ticket = handover.take()
        await happen(life, "one")
        await life.settle()
        now = world.clock.now().timestamp()
        [job] = await life.store.write(lambda tx: tx.queue.claim("slack", now))
        await life.ref("slack").tell(Wake())
        await anyio.sleep(5)
        assert titles(world) == []  # it waits for the end of the transaction
        handover.begin()
        handover.give(ticket, job)
        await life.ref("slack").tell(Wake())
        await anyio.sleep(5)
        assert titles(world) == ["Trouble one"]


async def test_it_shows_as_sending_what_it_claimed(world):
    async with world.living() as life:
        await anyio.sleep(1)
        for name in ("slack", "mail"):
            world.providers[name].mode = "slow"
        await happen(life, "one")
        await happen(life, "two")
        await anyio.sleep(1)
        alerts = await life.store.read(lambda tx: outbox.history(tx, 10))
        told = {change.alert.id: change.alert for change in life.told if change.new}
        assert [told[alert.id] for alert in alerts] == alerts
        shown = [[(d.state, d.attempts) for d in alert.deliveries] for alert in alerts]
        assert shown == [[("queued", 0)] * 2, [("inflight", 1)] * 2]

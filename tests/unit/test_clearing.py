"""An alert that clears while a message of it is in hand: one message, or two that are both true.

The whole delivery in virtual time: the provider holds an attempt, the end commits meanwhile, and
then the attempt fails.
"""

import anyio
import pytest
from msgspec.structs import replace

from actors.alerts import digest
from actors.alerts.triggers import Internal
from actors.messages import SendTest
from actors.senders.channel import SendError
from actors.senders.email import compose
from actors.senders.webhook import message_id
from tests.fakes.delivery import World
from tests.fakes.notices import notice

pytestmark = pytest.mark.anyio

HELD_S = 0.3
FIRED, OVER = ("fired", False), ("fired", True)


class Holding:
    """A provider that holds an attempt for a while, then fails it; `takes`: but has taken it."""

    def __init__(self, provider, fails, *, takes=False):
        self._take = provider.take
        self._provider = provider
        self._fails = list(fails)
        self._takes = takes
        provider.take = self

    async def __call__(self, notice):
        if not self._fails:
            return await self._take(notice)
        failure = self._fails.pop(0)
        await anyio.sleep(HELD_S)
        if failure is None:
            return await self._take(notice)
        if self._takes:
            await self._take(notice)
        raise failure


def busy(*, permanent=False):
    return SendError("503 busy", permanent=permanent)


async def trouble(life, subject="s", *, holds=True, severity="critical"):
    message = Internal("state", subject, severity, f"Trouble {subject}", "text", holds=holds)
    await life.ref("alerts").tell(message)


async def come_and_go(life):
    """Let trouble fire, and end while its message is in hand."""
    await trouble(life)
    await anyio.sleep(0.1)
    await trouble(life, holds=False)


def told(world):
    return [(n.kind, n.over) for _, n in world.providers["slack"].taken]


def known_as(world):
    return [message_id(n) for _, n in world.providers["slack"].taken]


async def settled(world, life):
    """See that nothing waits any more, and return how each message ended."""
    await anyio.sleep(30)
    jobs = (await life.jobs())["slack"]
    assert {job.state for job, _ in jobs} == {"done"}
    return [job.detail for job, _ in jobs]


async def test_it_is_one_message_where_the_attempt_fails_during_which_it_ended(tmp_path):
    world = World(tmp_path, 2)
    Holding(world.providers["slack"], [busy()])
    async with world.living() as life:
        await come_and_go(life)
        details = await settled(world, life)
    assert told(world) == [OVER]
    [(_, whole)] = world.providers["slack"].taken
    assert whole.title == "Trouble s (over)"
    assert sorted(details) == ["200 ok", f"told in {whole.id}"]


@pytest.mark.parametrize("failure", [busy(), busy(permanent=True)])
async def test_it_is_one_message_where_a_roll_up_fails(tmp_path, failure):
    """More waits than the channel takes soon: several alerts are in hand at once as they end."""
    world = World(tmp_path, 2)
    slack = world.providers["slack"]
    Holding(slack, [None, failure])
    many = [f"s{number}" for number in range(25)]
    async with world.living() as life:
        for subject in many:
            await trouble(life, subject)
        await anyio.sleep(1.0 + HELD_S + 0.1)  # one is out, and a roll-up in hand
        states = [job.state for job, _ in (await life.jobs())["slack"]]
        assert states.count("inflight") > 1
        for subject in many:
            await trouble(life, subject, holds=False)
        await settled(world, life)
        jobs = (await life.jobs())["slack"]
    [first] = [n.alert_id for _, n in slack.taken if n.kind == "resolved"]
    whole = [job for job, n in jobs if n.over]
    assert len(whole) == len(many) - 1
    assert first not in {job.group for job in whole}


async def test_it_tells_the_end_also_to_who_drops_what_has_come_before(tmp_path):
    """The provider took the beginning, and its answer was lost: only it knows."""
    world = World(tmp_path, 2)
    Holding(world.providers["slack"], [busy()], takes=True)
    async with world.living() as life:
        await come_and_go(life)
        await settled(world, life)
    assert told(world) == [FIRED, OVER]
    first, second = known_as(world)
    assert second == f"{first}-2"
    mails = [compose(n, "a@b.org", ["c@d.org"]) for _, n in world.providers["slack"].taken]
    assert mails[0]["Message-ID"] != mails[1]["Message-ID"]
    assert mails[1]["In-Reply-To"] == mails[0]["Message-ID"]


async def test_it_keeps_the_id_of_what_says_the_same(tmp_path):
    world = World(tmp_path, 2)
    Holding(world.providers["slack"], [busy(), busy(), busy()], takes=True)
    async with world.living() as life:
        await come_and_go(life)
        await settled(world, life)
    assert told(world) == [FIRED, OVER, OVER, OVER]
    assert len(set(known_as(world)[1:])) == 1


async def test_it_is_two_messages_where_the_attempt_succeeds_during_which_it_ended(tmp_path):
    world = World(tmp_path, 2)
    world.providers["slack"].mode = "slow"
    async with world.living() as life:
        await come_and_go(life)
        await settled(world, life)
    assert told(world) == [FIRED, ("resolved", False)]


def test_it_knows_a_digest_that_grows_by_another_id_each_time():
    first = notice(id="a.1", alert_id="a", kind="digest", title="1 alert held back")
    grown = digest.merged(first, replace(first, id="b.1", alert_id="b"))
    again = digest.merged(grown, replace(first, id="c.1", alert_id="c"))
    assert [message_id(n) for n in (first, grown, again)] == [
        "msg_a_1",
        "msg_a_1-b_1",
        "msg_a_1-c_1",
    ]
    assert {n.id for n in (first, grown, again)} == {"a.1"}


async def test_it_tells_once_what_was_refused_and_is_over_when_a_test_passes(tmp_path):
    world = World(tmp_path, 2)
    slack = world.providers["slack"]
    slack.mode = "refuse"
    async with world.living() as life:
        await trouble(life)
        await anyio.sleep(2)
        await trouble(life, holds=False)
        await anyio.sleep(2)
        assert {job.state for job, n in (await life.jobs())["slack"] if n.trigger == "state"} == {
            "dead"
        }
        slack.mode = "ok"
        await life.ref("slack").ask(SendTest(notice(kind="test")))
        await settled(world, life)
    assert [n.over for _, n in slack.taken if n.trigger == "state"] == [True]


async def test_it_says_of_what_was_refused_as_it_ended_that_it_is_over(tmp_path):
    world = World(tmp_path, 2)
    Holding(world.providers["slack"], [busy(permanent=True)])
    async with world.living() as life:
        await come_and_go(life)
        await anyio.sleep(10)
        jobs = (await life.jobs())["slack"]
        states = {n.kind: job.state for job, n in jobs if n.trigger == "state"}
        assert states == {"fired": "dead", "resolved": "done"}
        await life.ref("slack").ask(SendTest(notice(kind="test")))
        await settled(world, life)
    told_of_it = [
        (n.kind, n.over) for _, n in world.providers["slack"].taken if n.trigger == "state"
    ]
    assert told_of_it == [("resolved", False), OVER]


async def test_it_is_one_message_after_a_kill(tmp_path):
    world = World(tmp_path, 2)
    Holding(world.providers["slack"], [busy()])
    async with world.living() as life:
        await come_and_go(life)
        await anyio.sleep(0.1)
        life.kill()
    life.bury()
    async with world.living() as life:
        await settled(world, life)
    assert told(world) == [OVER]


@pytest.mark.parametrize("point", ["sender.claimed", "sender.failed"])
async def test_it_is_one_message_after_a_crash_of_the_sender(tmp_path, point):
    world = World(tmp_path, 2)
    Holding(world.providers["slack"], [busy()])
    async with world.living() as life:
        life.crash_at = point
        await come_and_go(life)
        await settled(world, life)
    assert told(world) == [OVER]


async def test_it_is_one_message_where_the_disk_refuses_the_mark(tmp_path):
    world = World(tmp_path, 2)
    Holding(world.providers["slack"], [busy()])
    async with world.living() as life:
        await come_and_go(life)
        await anyio.sleep(0.1)
        life.break_disk()
        await anyio.sleep(0.3)
        life.mend_disk()
        await settled(world, life)
    assert told(world) == [OVER]


async def test_it_tells_the_end_of_what_went_out_from_memory(tmp_path):
    """The disk refused the beginning, and works again as the end comes: both in one commit."""
    world = World(tmp_path, 2)
    async with world.living() as life:
        await anyio.sleep(0.5)
        life.break_disk()
        await trouble(life)
        await anyio.sleep(0.1)
        life.mend_disk()
        await trouble(life, holds=False)
        await settled(world, life)
    assert told(world) == [FIRED, OVER]


async def test_it_tells_nothing_twice_that_went_out_from_memory(tmp_path):
    world = World(tmp_path, 2)
    async with world.living() as life:
        await anyio.sleep(0.5)
        life.break_disk()
        await trouble(life)
        await anyio.sleep(0.1)
        await trouble(life, holds=False)
        await anyio.sleep(5)
        life.mend_disk()
        await settled(world, life)
    assert told(world) == [FIRED, ("resolved", False)]

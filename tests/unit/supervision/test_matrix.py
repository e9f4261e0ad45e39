"""Every way to fall, at every place of an actor's life, under each strategy."""

from itertools import product

import anyio
import pytest

from runtime.actor import Actor
from runtime.restart import Backoff
from runtime.spec import ChildSpec
from tests.unit.supervision.kit import Crash, finish, running, stray, supervisor, worker

pytestmark = pytest.mark.anyio

WAYS = ("exception", "cancelled within", "killed from outside", "hangs")
PLACES = ("started", "receive", "stopping", "timer", "linked", "down")
CASES = list(product(WAYS, PLACES))
RESTARTED = ("receive", "stopping", "timer")
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
ALONE = {"one_for_one": [1, 2, 1], "one_for_all": [2, 2, 2], "rest_for_one": [1, 2, 2]}
# A start that fails once more: what stands behind it has not been started in between.
TWICE = {"one_for_one": [1, 3, 1], "one_for_all": [3, 3, 2], "rest_for_one": [1, 3, 2]}


class Faller(Actor):
    """Falls once, in the given way at the given place; then it is well."""

    def __init__(self, way, place, log):
        self.way = way
        self.place = place
        self.log = log

    async def fall_at(self, place, incarnation=1):
        if place == self.place and self.ctx.incarnation == incarnation:
            self.log.append("falls")
            if self.way == "exception":
                raise Crash(place)
            if self.way == "cancelled within":
                await stray(self)
            await anyio.sleep(10_000)

    async def started(self):
        if self.ctx.incarnation == 1:
            if self.place == "linked":
                self.ctx.task(self.fall_at, "linked")
            if self.place == "timer":
                self.ctx.after(1.0, "tick")
            if self.place == "down":
                self.ctx.monitor(self.ctx.system.ref("watched"))
        await self.fall_at("started", incarnation=2)

    async def receive(self, message):
        if message == "tick":
            await self.fall_at("timer")
        elif message == "first":
            if self.place in ("started", "stopping") and self.ctx.incarnation == 1:
                raise Crash("to get there")
            await self.fall_at("receive")
        return message

    async def down(self, _message):
        await self.fall_at("down")

    async def stopping(self):
        await self.fall_at("stopping")


def tree(way, place, strategy, log):
    b = ChildSpec(
        id="b",
        start=Faller,
        args=(way, place, log),
        stuck_after_s=10.0,
        kill_stuck=True,
        start_within_s=10.0,
        shutdown=10.0,
    )
    group = supervisor(
        worker("a", []), b, worker("c", []), id="group", strategy=strategy, intensity=2,
        period_s=100.0,
    )  # fmt: skip
    watched = worker("watched", [], restart="temporary")
    return supervisor(watched, group, intensity=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("way", "place"), CASES)
async def test_it_survives_a_fall(way, place, strategy):
    log = []
    async with running(tree(way, place, strategy, log)) as run:
        await run.tell("group/b", "first")
        if place == "down":
            await run.tell("watched", finish)
        await anyio.sleep(5)
        assert log == ["falls"]
        if way == "killed from outside" or (way, place) == ("hangs", "linked"):
            run.kill("group/b")  # a linked task may wait as long as it likes
        for message in ("first", "last"):
            assert await run.ref("group/b").ask(message, timeout_s=60) == message
        numbers = TWICE if place == "started" else ALONE
        assert run.numbers("group/a", "group/b", "group/c") == numbers[strategy]
        assert await run.counts("group") == [3, 3, 0, 3]
        assert log == ["falls"]
        assert run.kinds("zombie", "gave_up", "quarantined", "dead_letter") == []
        b = run.actor("group/b")
        assert b.accepted == b.handled == 3 + (place in ("timer", "down"))
        assert run.root.children[-1].intensity == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("way", "place"), CASES)
async def test_it_stops_in_the_middle_of_a_fall(way, place, strategy):
    log = []
    async with running(tree(way, place, strategy, log)) as run:
        await run.tell("group/b", "first")
        if place == "down":
            await run.tell("watched", finish)
        await anyio.sleep(2)
        began = anyio.current_time()
        await run.system.stop()
        assert anyio.current_time() - began <= 10.0
    assert run.system.root.exit.ending == "shutdown"
    assert run.system.zombie_count == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("way", "place"), [case for case in CASES if case[1] in RESTARTED])
async def test_it_gives_up_by_a_fall_where_none_is_allowed(way, place, strategy):
    log = []
    child = ChildSpec(
        id="b", start=Faller, args=(way, place, log), stuck_after_s=10.0, kill_stuck=True
    )
    children = [worker("a", []), child, worker("c", [])]
    async with running(supervisor(*children, strategy=strategy, intensity=0)) as run:
        await run.tell("b", "first")
        await anyio.sleep(3)
        if way == "killed from outside" and run.root.state == "running":
            run.kill("b")
        assert await run.ended() == "shutdown"
        assert run.numbers("a", "b", "c") == [1, 1, 1]
        assert run.kinds("gave_up") == [("gave_up", "root")]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("way", WAYS)
async def test_it_waits_out_its_backoff_after_any_fall(way, strategy):
    log = []
    child = ChildSpec(
        id="b",
        start=Faller,
        args=(way, "receive", log),
        stuck_after_s=10.0,
        kill_stuck=True,
        backoff=Backoff(min_s=100, max_s=100, jitter=0),
    )
    async with running(supervisor(child, worker("c", []), strategy=strategy)) as run:
        await run.tell("b", "first")
        await anyio.sleep(2)
        if way == "killed from outside":
            run.kill("b")
        await anyio.sleep(50)
        assert run.state("b") == "restarting"
        assert run.state("c") == ("running" if strategy == "one_for_one" else "restarting")
        await anyio.sleep(70)
        assert [state for _, state in await run.admin().which_children()] == ["running"] * 2

"""Facts J, case 98: the death of an actor that another one watches, or of a linked task."""

import anyio
import pytest

from runtime.actor import Actor
from runtime.spec import ChildSpec
from tests.unit.supervision.kit import (
    Crash,
    crash,
    poison,
    running,
    settle,
    supervisor,
    worker,
)

pytestmark = pytest.mark.anyio


async def watch(name, actor):
    actor.ctx.monitor(actor.ctx.system.ref(name))


def watching(name):
    async def starting(actor):
        if actor.ctx.incarnation == 1:
            await watch(name, actor)

    return starting


async def test_it_098_crashes_of_an_unhandled_death():
    log = []
    children = [worker("b", log), worker("a", log, starting=watching("b"))]
    async with running(supervisor(*children, intensity=5)) as run:
        await run.tell("b", crash)
        assert run.numbers("a", "b") == [2, 2]
        assert "DeathPact: b ended: abnormal: Crash: b was told to" in run.details(
            "child_terminated"
        )


async def test_it_098_goes_on_when_a_death_is_handled():
    log = []
    children = [worker("b", log), worker("a", log, starting=watching("b"), down=True)]
    async with running(supervisor(*children, intensity=5)) as run:
        await run.tell("b", crash)
        assert run.numbers("a", "b") == [1, 2]
        assert "a down b" in log
        await run.tell("b", crash)  # one monitor, one notice
        assert log.count("a down b") == 1


async def test_it_098_hears_at_once_of_a_death_before_it_watched():
    log = []
    child = worker("b", log, restart="transient")
    async with running(supervisor(child, worker("a", log, down=True))) as run:
        await run.admin().terminate_child("b")

        async def look(actor):
            await watch("b", actor)

        await run.tell("a", look)
        assert log[-1] == "a down b"


async def test_it_098_crashes_by_a_linked_task():
    class Reader(Actor):
        async def started(self):
            self.ctx.task(self.read)

        async def read(self):
            await anyio.sleep(10)
            raise Crash("line is dead")

        async def receive(self, message):
            return message

    async with running(supervisor(ChildSpec(id="a", start=Reader))) as run:
        await run.tell("a", "x")
        await anyio.sleep(11)
        assert run.number("a") == 2
        assert run.details("child_terminated") == ["Crash: line is dead"]
        await settle()


async def test_it_098_redelivers_nothing_twice_after_a_linked_crash():
    """Whose fault it was not is not blamed: the message in hand is delivered again, uncounted."""

    async def fail(seconds):
        await anyio.sleep(seconds)
        raise Crash("linked")

    async def link(actor):
        if actor.ctx.incarnation <= 5:
            actor.ctx.task(fail, 1)
            await anyio.sleep(100)
        return actor.ctx.incarnation

    async with running(supervisor(worker("a", []), intensity=9)) as run:
        assert await run.ref("a").ask(link, timeout_s=60) == 6
        assert run.actor("a").quarantined == 0


async def test_it_098_kills_by_poison_only_the_poisoned():
    async with running(supervisor(worker("a", []), worker("b", []), intensity=9)) as run:
        await run.tell("a", poison)
        assert run.numbers("a", "b") == [4, 1]

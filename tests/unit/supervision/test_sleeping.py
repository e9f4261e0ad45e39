"""Sleep: an actor has a task only while it has something to do, and misses nothing for it."""

from contextvars import ContextVar

import anyio
import pytest

from runtime.actor import Actor
from runtime.clock import LoopClock
from runtime.spec import ChildSpec
from runtime.system import System
from tests.unit.supervision.kit import (
    Crash,
    crash,
    dynamic,
    identity,
    left_running,
    running,
    settle,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio
WHO = ContextVar("who", default="nobody")


def awake():
    return left_running().count("runtime.incarnation.Incarnation.run")


async def test_it_sleeps_at_an_empty_mailbox_and_wakes_for_a_message():
    log = []
    async with running(supervisor(worker("a", log), worker("b", log))) as run:
        await settle()
        assert awake() == 0
        await run.tell("a", takes(5), 1)
        assert awake() == 1
        assert run.state("a") == run.state("b") == "running"
        await anyio.sleep(5)
        assert awake() == 0
        assert log == ["+a#1", "+b#1", "a:1"]


async def test_it_takes_no_new_task_for_each_of_many_questions():
    started = []

    async def ask(actor):
        started.append(actor.ctx._incarnation.coroutine)

    async with running(supervisor(worker("a", []))) as run:
        for _ in range(100):
            await run.ref("a").ask(ask)
        assert len(set(started)) == 1


async def test_it_keeps_the_context_of_who_woke_it_out():
    async def who(_actor):
        return WHO.get()

    WHO.set("the owner")
    async with running(supervisor(worker("a", []))) as run:
        await settle()
        WHO.set("a teller")
        assert await run.ref("a").ask(who) == "the owner"


@pytest.mark.parametrize("ending", [None, takes(2, says="cleaned up")])
async def test_it_wakes_to_stop(ending):
    log = []
    async with running(supervisor(worker("a", log, ending=ending, shutdown=3.0))) as run:
        await settle()
        await run.admin().terminate_child("a")
        assert run.state("a") == "stopped"
        assert log[1:] == ["-a", *(["a:cleaned up"] if ending else [])]


async def test_it_wakes_to_be_killed():
    log = []
    async with running(supervisor(worker("a", log))) as run:
        await settle()
        run.kill("a")
        await settle()
        assert log == ["+a#1", "+a#2"]  # a kill leaves no time to clean up


async def test_it_wakes_to_crash_by_a_linked_task():
    async def fails():
        await anyio.sleep(10)
        raise Crash("beside")

    async def link(actor):
        if actor.ctx.incarnation == 1:
            actor.ctx.task(fails)

    log = []
    async with running(supervisor(worker("a", log, starting=link))) as run:
        await anyio.sleep(5)
        assert awake() == 0
        await anyio.sleep(6)
        assert run.actor("a").last_error == "Crash: beside"
        assert log == ["+a#1", "-a", "+a#2"]


async def test_it_does_not_sleep_through_a_kill_in_its_own_start():
    async def fall(actor):
        if actor.ctx.incarnation == 1:
            actor.ctx._incarnation.kill()

    async with running(supervisor(worker("a", [], starting=fall))) as run:
        assert await run.ref("a").ask(identity) == 2


async def test_it_redelivers_to_a_life_that_has_not_slept():
    log = []
    async with running(supervisor(worker("a", log))) as run:
        await settle()
        await run.tell("a", crash, 1)
        assert [line for line in log if ":" in line] == ["a:1"]
        assert run.actor("a").handled == 2


class Plain(Actor):
    """Has nothing to clean up."""

    async def receive(self, message):
        return message


@pytest.mark.parametrize("told", [False, True])
async def test_it_ends_without_a_task_where_nothing_is_left_to_do(told):
    reports = []
    spec = dynamic(ChildSpec(id="t", start=Plain, restart="transient"))
    async with System(spec, clock=LoopClock(), report=reports.append) as system:
        root = system.supervisor("root")
        children = [await root.start_child() for _ in range(3)]
        for child in children:
            if told:
                await child.ref.ask("x")
        await settle()
        began = [task.id for task in anyio.get_running_tasks()]
        await root.terminate_child("t-1")
        assert [name for name, _ in await root.which_children()] == ["t-2", "t-3"]
        assert {task.id for task in anyio.get_running_tasks()} <= set(began)
    assert [report.kind for report in reports] == ["started"] * 3
    assert system.root.exit.ending == "shutdown"


@pytest.mark.parametrize(("shutdown", "lasts_s"), [(2.0, 2), ("infinity", 5), ("brutal_kill", 0)])
async def test_it_050_stops_dynamic_children_together_whatever_their_grace(shutdown, lasts_s):
    template = worker("t", [], ending=takes(5), shutdown=shutdown, restart="transient")
    async with running(dynamic(template)) as run:
        for _ in range(3):
            await run.admin().start_child()
        await settle()
        began = anyio.current_time()
        await run.system.stop()
        assert anyio.current_time() - began == lasts_s
        bad = [("shutdown_error", f"t-{n}") for n in (1, 2, 3)] if shutdown == 2.0 else []
        assert sorted(run.kinds("shutdown_error")) == bad

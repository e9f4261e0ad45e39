"""Timers of an actor: exact, never two ticks in the mailbox, dead with their incarnation."""

import math

import anyio
import pytest

from tests.unit.supervision.kit import crash, obstinate, running, settle, supervisor, worker

pytestmark = pytest.mark.anyio


async def test_it_sends_nothing_after_a_cancel_not_even_what_waits():
    log = []

    async def plan(actor):
        once = actor.ctx.after(1, "once")
        tick = actor.ctx.every(1, "tick", first_s=0.5)
        await anyio.sleep(3)  # both wait behind this message now
        once.cancel()
        tick.cancel()

    async with running(supervisor(worker("a", log))) as run:
        await run.tell("a", plan)
        await anyio.sleep(10)
        assert log == ["+a#1"]
        assert run.actor("a").handled == 3


@pytest.mark.parametrize(
    "set_badly",
    [
        lambda ctx: ctx.after(-1, "x"),
        lambda ctx: ctx.after(math.inf, "x"),
        lambda ctx: ctx.after(math.nan, "x"),
        lambda ctx: ctx.every(0, "x"),
        lambda ctx: ctx.every(math.inf, "x", first_s=1),
    ],
)
async def test_it_refuses_a_time_that_never_comes(set_badly):
    async def plan(actor):
        with pytest.raises(ValueError, match="need finite positive seconds"):
            set_badly(actor.ctx)
        return "refused"

    async with running(supervisor(worker("a", []))) as run:
        assert await run.ref("a").ask(plan) == "refused"


async def test_it_keeps_no_heap_of_cancelled_timers():
    async def plan(actor):
        for _ in range(5_000):
            actor.ctx.after(10_000, "never").cancel()

    async with running(supervisor(worker("a", []))) as run:
        await run.tell("a", plan)
        assert len(run.system.timers._heap) < 1_500
        assert len(run.ref("a")._slot.incarnation._timers) <= 64


async def test_it_does_not_drift():
    times = []

    async def tick(actor):
        times.append(anyio.current_time())
        await anyio.sleep(0.25)

    async def start(actor):
        times.append(anyio.current_time())
        actor.ctx.every(0.5, tick)

    async with running(supervisor(worker("a", [], starting=start))):
        await anyio.sleep(100)
    began, *ticks = times
    assert [at - began for at in ticks[:100]] == [0.5 * n for n in range(1, 101)]


async def test_it_reports_a_linked_task_that_refuses_to_end():
    async def link(actor):
        if actor.ctx.incarnation == 1:
            actor.ctx.task(obstinate(60), actor)

    async with running(supervisor(worker("a", [])), zombie_after_s=2.0) as run:
        await run.tell("a", link, crash)
        await anyio.sleep(1)
        assert run.number("a") == 1
        await anyio.sleep(2)
        assert run.number("a") == 2
        assert run.kinds("zombie") == [("zombie", "a")]
        await settle()

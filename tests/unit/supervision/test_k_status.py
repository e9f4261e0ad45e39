"""Facts K, cases 107 to 110: stuck messages, a blocked loop, the status, a whole day."""

import random
import threading
import time

import anyio
import pytest

from runtime.clock import LoopClock, SystemClock
from runtime.restart import Backoff
from runtime.system import System
from tests.unit.supervision.kit import (
    Crash,
    crash,
    dynamic,
    finish,
    obstinate,
    poison,
    running,
    settle,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_it_107_shows_where_a_message_is_stuck():
    async def hang(_actor):
        await anyio.Event().wait()

    async with running(supervisor(worker("a", []))) as run:
        await anyio.sleep(1_000)
        await run.tell("a", hang)
        await anyio.sleep(29)
        assert (run.state("a"), run.actor("a").stack, run.kinds("stuck")) == ("running", [], [])
        await anyio.sleep(1.1)
        actor = run.actor("a")
        assert actor.state == "stuck"
        assert actor.in_hand == "function"
        assert 30 <= actor.in_hand_age_s < 31
        assert any("test_k_status.py" in line and "hang" in line for line in actor.stack)
        assert run.kinds("stuck") == [("stuck", "a")]
        await anyio.sleep(1_000)
        assert len(run.kinds("stuck")) == 1
        run.kill("a")
        await settle()
        assert run.number("a") == 2


async def test_it_107_finds_it_in_time_whatever_the_limit():
    children = [worker(name, [], stuck_after_s=limit) for name, limit in (("a", 300), ("b", 2))]
    async with running(supervisor(*children)) as run:
        started = await run.admin().start_child(worker("c", [], stuck_after_s=0.5))
        for name in ("a", "b", started.id):
            await run.ref(name).tell(takes(1_000))
        for wait_s, found in ((0.7, ["c"]), (1.5, ["b", "c"]), (299, ["a", "b", "c"])):
            await anyio.sleep(wait_s)
            assert sorted(name for _, name in run.kinds("stuck")) == found


async def test_it_107_can_kill_what_is_stuck():
    async def hang(actor):
        if not actor.ctx.redelivered:
            await anyio.Event().wait()
        return "better now"

    child = worker("a", [], stuck_after_s=10, kill_stuck=True, restart="transient")
    async with running(supervisor(child)) as run:
        assert await run.ref("a").ask(hang, timeout_s=20) == "better now"
        assert run.details("child_terminated") == ["Stuck: a message is in hand for 10.0 s"]


async def test_it_107_is_not_disturbed_by_a_zombie_that_comes_back():
    """What refuses cancellation is left behind; what it does later is nobody's business."""
    log = []

    async def refuse(actor):
        if actor.ctx.incarnation == 1:
            await obstinate(100, says="returns")(actor)
        else:
            actor.log.append("handled")

    async with running(supervisor(worker("a", log, shutdown=1.0))) as run:
        await run.tell("a", refuse, "x")
        await run.admin().terminate_child("a")
        assert run.kinds("zombie") == [("zombie", "a")]
        await run.admin().restart_child("a")
        await run.tell("a", takes(200, says="slow"), "y")
        await anyio.sleep(500)
        assert log == ["+a#1", "+a#2", "handled", "a:x", "a:returns", "a:slow", "a:y"]
        actor = run.actor("a")
        assert (actor.accepted, actor.handled, actor.mailbox) == (4, 4, 0)


@pytest.mark.parametrize("ending", [None, poison, finish])
async def test_it_107_survives_a_zombie_of_a_child_that_is_deleted(ending):
    async def refuse(actor):
        await obstinate(100)(actor)
        if ending is not None:
            await ending(actor)

    async with running(supervisor(worker("a", [], shutdown=1.0))) as run:
        slot = run.ref("a")._slot
        await run.tell("a", refuse, "x")
        await run.admin().terminate_child("a")
        await run.admin().delete_child("a")
        await anyio.sleep(500)
        assert (slot.box.accepted, slot.handled, slot.dead_lettered) == (2, 0, 2)
        assert run.root.state == "running"


@pytest.mark.real_time
async def test_it_108_names_the_actor_that_blocks_the_loop():
    told = threading.Event()
    heard = []

    def report(what):
        # A machine that gives this process no time looks like a blocked loop, too: nobody's fault.
        if what.kind == "blocked" and what.name.startswith("guilty ("):
            heard.append(what)
            told.set()

    async def block(_actor):
        assert told.wait(10)

    root = supervisor(worker("a", []), worker("guilty", []))
    async with System(root, report=report, blocked_after_s=0.05, clock=SystemClock()) as system:
        await system.ref("a").ask("x")
        await system.ref("guilty").ask(block, timeout_s=30)
        assert "has not turned for" in heard[0].detail
        with anyio.fail_after(10):
            while system.status().blocked:
                await anyio.lowlevel.checkpoint()
    assert len(heard) == 1


# ---------------------------------------------------------------- 109 to 110: status, a day


async def test_it_109_takes_the_status_at_once_in_any_state():
    log = []
    slow = Backoff(min_s=600, max_s=600)
    kinds = {
        "idle": ({}, "x"),
        "busy": ({}, takes(20)),
        "stuck": ({"stuck_after_s": 5}, takes(100)),
        "restarting": ({"backoff": slow}, crash),
        "done": ({"restart": "transient"}, finish),
        "poisoned": ({}, poison),
    }
    children = [
        worker(f"{name}{n}", log, **options)
        for name, (options, _) in kinds.items()
        for n in range(50)
    ]
    root = supervisor(
        supervisor(*children, id="inner", intensity=500), dynamic(worker("t", []), id="d")
    )
    async with running(root) as run:
        for name, (_, message) in kinds.items():
            for n in range(50):
                await run.ref(f"inner/{name}{n}").tell(message)
        await anyio.sleep(10)
        took = []
        for _ in range(5):
            began = time.perf_counter()
            status = run.system.status()
            took.append(time.perf_counter() - began)
        assert min(took) < 0.05
        states = {
            actor.id.rstrip("0123456789"): actor.state for actor in status.root.children[0].children
        }
        assert states == {
            "idle": "running",
            "busy": "running",
            "stuck": "stuck",
            "restarting": "restarting",
            "done": "stopped",
            "poisoned": "running",
        }
    assert run.system.status().root.state == "stopped"


async def test_it_109_takes_the_status_before_and_while_it_starts_and_stops():
    seen = []

    async def look(actor):
        seen.append(actor.ctx.system.status().root.state)

    child = worker("a", [], starting=look, ending=look)
    system = System(supervisor(child), clock=LoopClock())
    assert system.status().root is None
    async with system:
        await system.ref("a").ask(look)
    assert seen == ["starting", "running", "stopping"]


DAY_S = 86_400.0
PINGS = int(DAY_S / 30)


def pinger(chance):
    """Return a hook that pings itself every 30 s and falls at times, by that chance."""

    began = anyio.current_time()

    async def ping(actor):
        if chance.random() < 0.02:
            raise Crash("a bad day")
        actor.log.append((round(anyio.current_time() - began, 6), actor.ctx.incarnation))

    async def started(actor):
        actor.ctx.every(30.0, ping)

    return started


async def a_day(seed, *, lasts_s=DAY_S):
    trace = []
    backoff = Backoff(min_s=1, max_s=30, jitter=0.5)
    child = worker("health", trace, starting=pinger(random.Random(seed)), backoff=backoff)
    async with running(supervisor(child, intensity=5), seed=seed) as run:
        await anyio.sleep(lasts_s)
        assert run.root.state == "running"
        actor = run.actor("health")
        return trace, (actor.handled, actor.crashed, actor.incarnation)


async def test_it_110_lives_a_day_in_a_second_with_the_same_trace_each_time():
    began = time.process_time()  # nothing here waits, and other processes do not count
    trace, counts = await a_day(seed=7)
    took_s = time.process_time() - began
    assert (trace, counts) == await a_day(seed=7)
    other, _ = await a_day(seed=8, lasts_s=DAY_S / 8)
    assert trace[: len(other)] != other
    handled, crashed, incarnation = counts
    assert crashed == incarnation - 1 > 30
    assert PINGS - 2 * crashed < handled <= PINGS
    assert took_s < 2.0

"""Facts F, cases 48 to 57: how everything ends."""

import anyio
import pytest

from runtime.clock import LoopClock
from runtime.restart import Backoff
from runtime.system import System
from tests.unit.supervision.kit import (
    Crash,
    crash,
    dynamic,
    finish,
    left_running,
    obstinate,
    poison,
    raises,
    running,
    shut,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio


async def stop_s(run):
    """Stop the system; return the virtual seconds that it took."""
    began = anyio.current_time()
    await run.system.stop()
    assert run.system.root.exit.ending == "shutdown"
    return anyio.current_time() - began


async def test_it_048_stops_in_exact_reverse_order_one_at_a_time():
    log = []

    def slow(name):
        return worker(name, log, ending=takes(1, says="gone"))

    inner = supervisor(slow("b"), slow("c"), id="inner")
    async with running(supervisor(slow("a"), inner, slow("d"))) as run:
        log.clear()
        assert await stop_s(run) == 4
    order = ["d", "inner/c", "inner/b", "a"]
    assert log == [line for name in order for line in (f"-{name}", f"{name}:gone")]


async def test_it_048_stops_dynamic_children_together():
    log = []
    async with running(dynamic(worker("t", log, ending=takes(1)))) as run:
        for _ in range(5):
            await run.admin().start_child()
        assert await stop_s(run) == 1


async def test_it_049_lets_a_child_clean_up_within_its_grace():
    log = []
    async with running(supervisor(worker("a", log, ending=takes(4.5, says="clean")))) as run:
        assert await stop_s(run) == 4.5
        assert log[-1] == "a:clean"
        assert run.kinds("shutdown_error") == []


async def test_it_049_lets_a_child_finish_its_message_within_its_grace():
    log = []
    async with running(supervisor(worker("a", log))) as run:
        await run.tell("a", takes(3, says="handled"), "later")
        assert await stop_s(run) == 3 - 2**-10
        assert log == ["+a#1", "a:handled", "-a"]
        assert run.system.root.children["a"].slot.handled == 1
        assert len(run.ref("a")._box) == 1
        assert run.kinds("shutdown_error") == []


@pytest.mark.parametrize("where", ["receive", "stopping"])
async def test_it_050_kills_a_child_at_the_end_of_its_grace(where):
    log = []
    ending = takes(1_000) if where == "stopping" else None
    async with running(supervisor(worker("a", log), worker("b", log, ending=ending))) as run:
        if where == "receive":
            await run.tell("b", takes(1_000))
        assert await stop_s(run) == 5.0
        assert run.kinds("shutdown_error") == [("shutdown_error", "b")]
        assert run.details("shutdown_error") == ["killed"]
        assert log[-1] == "-a"


async def test_it_050_shares_the_grace_between_message_and_cleanup():
    async with running(supervisor(worker("a", [], ending=takes(1_000)))) as run:
        await run.tell("a", takes(3))
        assert await stop_s(run) == 5.0


async def test_it_050_reports_a_child_that_refuses_to_die():
    log = []
    async with running(supervisor(worker("a", log)), zombie_after_s=2.0) as run:
        await run.tell("a", obstinate(60))
        assert await stop_s(run) == 7.0
        assert run.kinds("zombie") == [("zombie", "a")]
        assert run.system.status().zombies == 1


@pytest.mark.parametrize("nested", [False, True])
async def test_it_051_waits_for_a_child_with_infinite_grace(nested):
    log = []
    child = worker("a", log, shutdown="infinity", ending=takes(3_600, says="clean"))
    root = supervisor(supervisor(child, id="inner") if nested else child)
    async with running(root) as run:
        assert await stop_s(run) == 3_600
        assert log[-1].endswith("a:clean")
        assert run.kinds("shutdown_error") == []


async def test_it_051_kills_a_nested_supervisor_at_the_end_of_its_grace():
    log = []
    child = worker("a", log, shutdown="infinity", ending=takes(3_600))
    inner = supervisor(child, worker("b", log, ending=takes(1)), id="inner", shutdown=10.0)
    async with running(supervisor(worker("c", log), inner)) as run:
        assert await stop_s(run) == 10.0
        assert log[-3:] == ["-inner/b", "-inner/a", "-c"]
        assert ("shutdown_error", "inner") in run.kinds()
        assert run.system.zombie_count == 0


async def test_it_052_gives_no_grace_to_a_brutal_kill():
    log = []
    child = worker("a", log, shutdown="brutal_kill", ending=takes(1))
    async with running(supervisor(child)) as run:
        await run.tell("a", takes(100))
        assert await stop_s(run) == 0
        assert log == ["+a#1"]
        assert run.kinds("shutdown_error") == []


async def test_it_052_kills_a_nested_supervisor_brutally():
    log = []
    inner = supervisor(worker("a", log, ending=takes(1)), id="inner", shutdown="brutal_kill")
    async with running(supervisor(inner)) as run:
        assert await stop_s(run) == 0
        assert log == ["+inner/a#1"]
        assert ("shutdown_error", "inner") not in run.kinds()


async def test_it_052_bounds_the_cleanup_after_a_crash_of_a_brutally_killed_child():
    child = worker("a", [], shutdown="brutal_kill", ending=takes(1_000))
    async with running(supervisor(child)) as run:
        await run.tell("a", crash)
        assert run.number("a") == 2


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("message", [finish, shut, crash])
@pytest.mark.parametrize("build", ["static", "dynamic"])
async def test_it_054_restarts_nobody_who_ends_while_it_stops(restart, message, build):
    log = []
    child = worker("a", log, restart=restart)
    slow = worker("z", log, ending=takes(2))
    root = supervisor(child, slow) if build == "static" else dynamic(child)
    async with running(root) as run:
        name = "a" if build == "static" else (await run.admin().start_child()).id
        slot = run.ref(name)._slot

        async def then(actor):
            await anyio.sleep(1)
            return await message(actor)

        await run.tell(name, then)
        await run.system.stop()
        assert slot.number == 1
    assert run.system.root.exit.ending == "shutdown"


@pytest.mark.parametrize(
    ("restart", "message", "reported"),
    [
        ("permanent", finish, True),
        ("transient", finish, False),
        ("temporary", finish, False),
        ("permanent", shut, False),
        ("transient", poison, True),
        ("permanent", poison, True),
    ],
)
async def test_it_055_reports_a_bad_end_during_the_stop(restart, message, reported):
    async def then(actor):
        await anyio.sleep(1)
        return await message(actor)

    async with running(supervisor(worker("a", [], restart=restart))) as run:
        await run.tell("a", then)
        await run.system.stop()
        assert run.kinds("shutdown_error") == [("shutdown_error", "a")] * reported


async def test_it_055_reports_a_raise_in_stopping():
    async with running(supervisor(worker("a", [], ending=raises(Crash("untidy"))))) as run:
        await run.system.stop()
        assert run.kinds("shutdown_error", "stopping_failed") == [
            ("stopping_failed", "a"),
            ("shutdown_error", "a"),
        ]


async def test_it_048_stops_everything_when_the_block_raises():
    log = []
    with pytest.raises(Crash, match="the application's"):
        async with running(supervisor(worker("a", log, ending=takes(1, says="gone")))):
            raise Crash("the application's own")
    assert log == ["+a#1", "-a", "a:gone"]
    assert left_running() == []


async def test_it_048_stops_everything_within_its_grace_when_the_block_is_cancelled():
    log = []
    children = [
        worker("a", log, ending=takes(2, says="gone")),
        worker("b", log, ending=takes(1_000, says="never")),
    ]
    began = anyio.current_time()
    with anyio.move_on_after(10):
        async with running(supervisor(supervisor(*children, id="inner"))) as run:
            await run.tell("inner/a", takes(100, says="never"), "x")
            await anyio.sleep(1_000)
    assert anyio.current_time() - began == 15
    assert sorted(log[2:]) == ["-inner/a", "-inner/b", "inner/a:gone"]
    assert [letter.actor for letter in run.system.dead_letters] == ["inner/a"] * 2
    assert left_running() == []


async def test_it_048_goes_on_when_the_applications_own_callbacks_fail():
    log, seen = [], []

    def fail(*what):
        seen.append(what)
        raise Crash("the application's own")

    root = supervisor(worker("a", log, max_crashes=1))
    system = System(root, clock=LoopClock(), report=fail, on_quarantine=fail)
    async with system:
        await system.ref("a").tell(poison)
        assert await system.ref("a").ask("x") == "x"
    assert len(seen) == 5
    assert system.root.exit.ending == "shutdown"


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("backoff", [None, Backoff(min_s=5, max_s=5)])
async def test_it_057_stops_promptly_in_a_loop_of_failed_restarts(strategy, backoff):
    bad = worker("b", [], starting=raises(None, Crash("no start")), backoff=backoff)
    children = [worker("a", []), bad, worker("c", [])]
    root = supervisor(*children, strategy=strategy, intensity=10**9)
    async with running(root) as run:
        await run.ref("b").tell(crash)
        if backoff is None:  # the loop never idles, so that virtual time stands still
            while len(run.kinds("start_error")) < 20:
                await anyio.lowlevel.checkpoint()
        else:
            await anyio.sleep(12)
            assert len(run.kinds("start_error")) == 2
        assert await stop_s(run) == 0


async def test_it_057_stops_promptly_in_a_dynamic_loop_of_failed_restarts():
    bad = worker("t", [], starting=raises(None, Crash("no start")))
    async with running(dynamic(bad, intensity=10**9)) as run:
        await run.admin().start_child()
        await run.ref("t-1").tell(crash)
        while len(run.kinds("start_error")) < 20:
            await anyio.lowlevel.checkpoint()
        assert await stop_s(run) == 0


async def test_it_057_stops_promptly_while_a_child_hangs_in_its_restart():
    bad = worker("a", [], starting=takes(0))
    hangs = worker("b", [], starting=_hangs_from_the_second())
    async with running(supervisor(bad, hangs)) as run:
        await run.tell("b", crash)
        assert run.state("b") == "starting"
        assert await stop_s(run) == 0


def _hangs_from_the_second():
    async def hook(actor):
        if actor.ctx.incarnation > 1:
            await anyio.sleep(1_000)

    return hook


async def stopped_in_its_start(root, log, after_s=1):
    """Enter a system that is told to stop meanwhile; return the virtual seconds that it took."""
    system = System(root, clock=LoopClock())

    async def stop():
        await anyio.sleep(after_s)
        log.append("stop")
        await system.stop()
        log.append("over")

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop)
        async with system:
            assert (await system.wait()).ending == "shutdown"
            assert system.root.exit.ending == "shutdown"
            took_s = anyio.current_time() - began
    assert left_running() == []
    return took_s


async def test_it_ends_a_start_that_a_stop_cuts_short():
    log = []
    slow = supervisor(worker("b", log, starting=takes(20)), worker("never", log), id="inner")
    root = supervisor(worker("a", log, ending=takes(1, says="gone")), slow, worker("c", log))
    assert await stopped_in_its_start(root, log) == 2
    assert log == ["+a#1", "+inner/b#1", "stop", "-a", "a:gone", "over"]


async def test_it_leaves_a_start_that_refuses_to_end_after_its_grace():
    log = []
    held = worker("a", log, starting=obstinate(8, says="at last"), shutdown=2)
    assert await stopped_in_its_start(supervisor(held), log) == 8  # the grace, then a zombie's


async def test_it_starts_nothing_where_the_stop_came_first():
    log = []
    system = System(supervisor(worker("a", log)), clock=LoopClock())
    await system.stop()
    async with system:
        assert system.root.exit.ending == "shutdown"
    assert log == []


async def test_it_tells_everyone_who_waits_for_the_end():
    told = []

    async def wait(system, name):
        await system.wait()
        told.append(name)

    async with running(supervisor(worker("a", []))) as run, anyio.create_task_group() as tasks:
        tasks.start_soon(wait, run.system, 1)
        tasks.start_soon(wait, run.system, 2)
        await anyio.sleep(1)
        await run.system.stop()
    assert sorted(told) == [1, 2]

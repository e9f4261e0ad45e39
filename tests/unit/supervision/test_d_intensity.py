"""Facts D, cases 30 to 39: the window of restarts, giving up, and what the parent does then."""

import anyio
import pytest

from runtime.restart import Intensity
from tests.unit.supervision.kit import (
    Crash,
    crash,
    dynamic,
    finish,
    raises,
    running,
    settle,
    supervisor,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_it_030_gives_up_at_one_restart_too_many():
    log = []
    async with running(supervisor(worker("a", log), worker("b", log), intensity=2)) as run:
        await run.tell("a", crash)
        await run.tell("a", crash)
        assert run.numbers("a", "b") == [3, 1]
        assert run.root.state == "running"
        await run.tell("a", crash)
        assert run.system.root.exit.ending == "shutdown"
        assert run.numbers("a", "b") == [3, 1]  # the third crash is not restarted
        assert log[-2:] == ["-a", "-b"]
        assert run.kinds("gave_up") == [("gave_up", "root")]


async def test_it_031_gives_up_at_the_first_crash_with_intensity_0():
    async with running(supervisor(worker("a", []), intensity=0)) as run:
        await run.tell("a", crash)
        assert await run.ended() == "shutdown"


async def test_it_032_never_gives_up_when_crashes_are_further_apart_than_the_period():
    async with running(supervisor(worker("a", []), intensity=1, period_s=1.0)) as run:
        for _ in range(100):
            await run.tell("a", crash)
            await anyio.sleep(1.0)
        assert run.number("a") == 101
        assert run.root.state == "running"


async def test_it_033_shares_one_sliding_window_between_all_children():
    children = [worker(i, []) for i in "abc"]
    async with running(supervisor(*children, intensity=2, period_s=10.0)) as run:
        await run.tell("a", crash)
        await anyio.sleep(6)
        await run.tell("b", crash)
        await anyio.sleep(6)  # the first has left the window, the second is in it
        await run.tell("c", crash)
        assert run.root.state == "running"
        await run.tell("a", crash)
        assert run.system.root.exit.ending == "shutdown"


def test_it_034_counts_a_restart_exactly_one_period_old():
    # OTP counts whole seconds; ours is exact, with the same inclusive rule.
    window = Intensity(1, 1.0)
    assert not window.exceeded(0.0)
    assert window.exceeded(1.0)
    window = Intensity(1, 1.0)
    assert not window.exceeded(0.0)
    assert not window.exceeded(1.0000001)


@pytest.mark.parametrize(("apart_s", "state"), [(1.0, "stopped"), (1.0 + 2**-20, "running")])
async def test_it_034_has_an_exact_boundary(apart_s, state):
    async with running(supervisor(worker("a", []), intensity=1, period_s=1.0)) as run:
        await run.ref("a").tell(crash)
        await anyio.sleep(apart_s)
        await run.ref("a").tell(crash)
        await settle()
        assert run.root.state == state


FAILS_FROM_NOW_ON = (None, Crash("no start"))


async def test_it_036_counts_failed_restarts_until_it_gives_up():
    log = []
    bad = worker("a", log, starting=raises(*FAILS_FROM_NOW_ON))
    async with running(supervisor(bad, worker("b", log), intensity=4)) as run:
        await run.tell("a", crash)
        assert run.system.root.exit.ending == "shutdown"
        assert len(run.kinds("start_error")) == 4
        assert log == ["+a#1", "+b#1", "-a", "+a#2", "+a#3", "+a#4", "+a#5", "-b"]


async def test_it_037_does_so_for_one_for_all():
    log = []
    bad = worker("a", log, starting=raises(*FAILS_FROM_NOW_ON))
    root = supervisor(worker("b", log), bad, intensity=4, strategy="one_for_all")
    async with running(root) as run:
        await run.tell("a", crash)
        assert run.system.root.exit.ending == "shutdown"
        assert len(run.kinds("start_error")) == 4
        assert run.numbers("a", "b") == [5, 5]
        assert log[-4:] == ["-b", "+b#5", "+a#5", "-b"]


async def test_it_037_does_so_for_rest_for_one():
    log = []
    bad = worker("a", log, starting=raises(*FAILS_FROM_NOW_ON))
    root = supervisor(worker("b", log), bad, worker("c", log), intensity=4, strategy="rest_for_one")
    async with running(root) as run:
        await run.tell("a", crash)
        assert run.system.root.exit.ending == "shutdown"
        assert len(run.kinds("start_error")) == 4
        assert run.numbers("a", "b", "c") == [5, 1, 1]
        assert log[-2:] == ["+a#5", "-b"]


async def test_it_037_does_so_for_a_dynamic_supervisor():
    log = []
    bad = worker("t", log, starting=raises(None, None, Crash("no start")))
    async with running(dynamic(bad, intensity=4)) as run:
        for _ in range(2):
            await run.admin().start_child()
        await run.tell("t-1", crash)
        assert run.system.root.exit.ending == "shutdown"
        assert len(run.kinds("start_error")) == 4
        assert log[-1] == "-t-2"


@pytest.mark.parametrize(
    ("restart", "numbers", "state"),
    [("permanent", [3, 2], "running"), ("transient", [2, 1], "stopped")],
)
async def test_it_038_escalates_by_a_shutdown(restart, numbers, state):
    log = []
    inner = supervisor(worker("a", log), worker("b", log), id="inner", intensity=1, restart=restart)
    async with running(supervisor(inner, worker("c", log), intensity=1)) as run:
        await run.tell("inner/a", crash)
        await run.tell("inner/a", crash)
        assert run.numbers("inner/a", "inner/b") == numbers
        assert run.number("c") == 1
        assert run.root.children[0].state == state
        assert ("gave_up", "inner") in run.kinds()
        assert run.root.state == "running"


async def test_it_038_forgets_a_temporary_supervisor_that_gave_up():
    inner = supervisor(worker("a", []), id="inner", intensity=0, restart="temporary")
    async with running(supervisor(inner)) as run:
        await run.tell("inner/a", crash)
        assert await run.counts() == [0, 0, 0, 0]
        assert run.system._slots == {}


async def test_it_038_starts_a_new_supervisor_with_a_fresh_window():
    inner = supervisor(worker("a", []), id="inner", intensity=1)
    async with running(supervisor(inner, intensity=1)) as run:
        await run.tell("inner/a", crash)
        await run.tell("inner/a", crash)
        await run.tell("inner/a", crash)
        assert run.number("inner/a") == 4
        assert run.root.state == "running"


async def test_it_039_counts_a_group_as_one_restart():
    children = [worker(i, []) for i in "abcdef"]
    async with running(supervisor(*children, strategy="one_for_all", intensity=2)) as run:
        await run.tell("c", crash)
        await run.tell("e", finish)
        assert run.numbers(*"abcdef") == [3] * 6
        assert run.root.state == "running"


async def test_it_039_counts_two_that_crash_at_once_in_a_group_as_one_restart():
    children = [worker(i, []) for i in "abc"]
    async with running(supervisor(*children, strategy="one_for_all", intensity=1)) as run:
        await run.ref("a").tell(crash)
        await run.ref("c").tell(crash)
        await settle()
        assert run.numbers(*"abc") == [2] * 3
        assert run.root.state == "running"

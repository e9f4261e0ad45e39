"""Facts A, cases 1 to 13: starting."""

import pytest

from runtime.clock import LoopClock
from runtime.spec import ChildSpec
from runtime.supervisor import StartFailed
from runtime.system import System
from tests.unit.supervision.kit import (
    Crash,
    Probe,
    crash,
    decline,
    dynamic,
    left_running,
    raises,
    running,
    supervisor,
    worker,
)

pytestmark = pytest.mark.anyio


async def fails_to_start(root):
    """Return the reports and the error of a system that does not start."""
    reports = []
    with pytest.raises(StartFailed) as caught:
        async with System(root, clock=LoopClock(), report=reports.append):
            pytest.fail("it started")
    assert left_running() == []
    return reports, caught.value


async def test_it_001_starts_and_stops_an_empty_supervisor():
    async with running(supervisor()) as run:
        assert await run.counts() == [0, 0, 0, 0]
        assert run.root.state == "running"
    assert run.system.root.exit.ending == "shutdown"
    assert run.reports == []


async def test_it_002_runs_on_when_everything_below_declines():
    # OTP: a supervisor's init may say ignore. Ours is data and has no init: its children decline.
    log = []
    inner = supervisor(worker("a", log, starting=decline), id="inner")
    async with running(supervisor(inner)) as run:
        assert await run.counts("inner") == [1, 0, 0, 1]
        assert run.state("inner/a") == "stopped"
    assert run.system.root.exit.ending == "shutdown"


@pytest.mark.parametrize("error", [ValueError("rubbish"), Crash("broken")])
async def test_it_003_fails_to_start_with_the_error_and_leaves_nothing(error):
    log = []
    _, failure = await fails_to_start(supervisor(worker("a", log, starting=raises(error))))
    assert failure.__cause__ is error
    assert log == ["+a#1"]


async def test_it_003_fails_to_start_when_the_constructor_raises():
    def build():
        raise Crash("no actor")

    _, failure = await fails_to_start(supervisor(ChildSpec(id="a", start=build)))
    assert "no actor" in str(failure)


class Lookalike:
    """Starts like an actor, and has nothing else of one."""

    async def started(self):
        raise AssertionError("it must not get that far")


@pytest.mark.parametrize("rubbish", [None, 42, Lookalike()])
async def test_it_003_fails_to_start_what_is_no_actor(rubbish):
    _, failure = await fails_to_start(supervisor(ChildSpec(id="a", start=lambda: rubbish)))
    kind = type(rubbish).__name__
    assert str(failure) == f"a failed to start: TypeError: start gave {kind}, which is no Actor"


async def test_it_004_starts_in_list_order():
    log = []
    names = ["7", "3", "10", "2", "5"]
    async with running(supervisor(*(worker(name, log) for name in names))) as run:
        assert log == [f"+{name}#1" for name in names]
        assert [name for name, _ in await run.admin().which_children()] == names


async def test_it_005_undoes_in_reverse_order_when_a_child_fails_to_start():
    log = []
    root = supervisor(
        worker("1", log), worker("2", log), worker("3", log, starting=raises(Crash("no"))),
        worker("4", log),
    )  # fmt: skip
    reports, failure = await fails_to_start(root)
    assert log == ["+1#1", "+2#1", "+3#1", "-2", "-1"]
    assert failure.child == "3"
    assert isinstance(failure.__cause__, Crash)
    assert ("start_error", "3") in [(r.kind, r.name) for r in reports]


async def test_it_005_fails_to_start_a_child_that_takes_too_long():
    class Slow(Probe):
        async def started(self):
            self.ctx.task(self.wait_long)
            await self.wait_long()

        async def wait_long(self):
            import anyio

            await anyio.sleep(1_000)

    _, failure = await fails_to_start(
        supervisor(ChildSpec(id="a", start=Slow, args=([],), start_within_s=10.0))
    )
    assert "not started within 10.0 s" in str(failure)


async def test_it_006_keeps_the_cause_of_a_nested_failure():
    def undefined(_actor):
        return no_such_function()  # noqa: F821 - that is the case

    async def starting(actor):
        undefined(actor)

    inner = supervisor(worker("w", [], starting=starting), id="inner")
    _, failure = await fails_to_start(supervisor(supervisor(inner, id="middle")))
    assert "middle/inner/w failed to start: NameError" in str(failure)
    chain = [failure]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    assert [e.child for e in chain[:-1]] == ["middle", "middle/inner", "middle/inner/w"]
    traceback = chain[-1].__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    assert traceback.tb_frame.f_code.co_name == "undefined"


async def test_it_007_keeps_the_specification_of_a_permanent_child_that_declines():
    log = []
    root = supervisor(worker("a", log), worker("b", log, starting=decline))
    async with running(root) as run:
        assert await run.counts() == [2, 1, 0, 2]
        assert await run.admin().which_children() == [("a", "running"), ("b", "stopped")]


async def test_it_009_forgets_a_temporary_child_that_declines():
    async with running(supervisor()) as run:
        spec = worker("a", [], starting=decline, restart="temporary")
        assert (await run.admin().start_child(spec)).ref is None
        assert await run.admin().which_children() == []
        assert await run.counts() == [0, 0, 0, 0]


async def test_it_009_keeps_a_permanent_child_that_declines_in_start_child():
    async with running(supervisor()) as run:
        assert (await run.admin().start_child(worker("a", [], starting=decline))).ref is None
        assert await run.admin().which_children() == [("a", "stopped")]


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_it_010_stores_nothing_when_a_dynamic_child_declines(restart):
    async with running(dynamic(worker("t", [], starting=decline, restart=restart))) as run:
        assert (await run.admin().start_child()).ref is None
        assert await run.admin().which_children() == []
        assert await run.counts() == [1, 0, 0, 0]
    assert run.system.root.exit.ending == "shutdown"


async def test_it_011_gives_the_error_of_start_child_to_the_caller():
    error = Crash("the reason")
    async with running(supervisor(), zombie_after_s=1) as run:
        with pytest.raises(Crash, match="the reason"):
            await run.admin().start_child(worker("a", [], starting=raises(error)))
        assert await run.admin().which_children() == []
        assert run.root.state == "running"


async def test_it_011_gives_the_error_of_a_dynamic_start_child_to_the_caller():
    async with running(dynamic(worker("t", [], starting=raises(Crash("the reason"))))) as run:
        with pytest.raises(Crash, match="the reason"):
            await run.admin().start_child()
        assert await run.admin().which_children() == []


async def test_it_012_has_the_defaults_of_otp():
    child = worker("a", [])
    assert (child.restart, child.shutdown, child.significant) == ("permanent", 5.0, False)
    for root in (supervisor(child), dynamic(child)):
        assert (root.strategy, root.intensity, root.period_s) == ("one_for_one", 1, 5.0)
        assert (root.shutdown, root.restart, root.auto_shutdown) == (
            "infinity",
            "permanent",
            "never",
        )


async def test_it_013_returns_a_childs_specification():
    child = worker("a", [], shutdown=7.0)
    async with running(supervisor(child)) as run:
        assert await run.admin().get_childspec("a") == child
        with pytest.raises(Exception, match="not_found"):
            await run.admin().get_childspec("b")
        await run.tell("a", crash)
        assert await run.admin().get_childspec("a") == child


async def test_it_013_returns_a_dynamic_supervisors_template():
    template = worker("t", [], shutdown=7.0)
    async with running(dynamic(template)) as run:
        started = await run.admin().start_child("x")
        assert await run.admin().get_childspec("t") == template
        assert (await run.admin().get_childspec(started.id)).args == ("x",)
        with pytest.raises(Exception, match="not_found"):
            await run.admin().get_childspec("nobody")

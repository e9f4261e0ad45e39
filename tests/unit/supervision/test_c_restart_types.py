"""Facts C, cases 21 to 29: who is restarted after which exit."""

import gc
import weakref

import pytest

from tests.unit.supervision.kit import (
    crash,
    dynamic,
    finish,
    identity,
    running,
    settle,
    shut,
    supervisor,
    worker,
)

pytestmark = pytest.mark.anyio
ENDINGS = {"normal": finish, "shutdown": shut, "abnormal": crash}


async def end(run, name, ending):
    """Bring a child to that end."""
    if ending == "killed":
        run.kill(name)
        await settle()
    else:
        await run.tell(name, ENDINGS[ending])


async def test_it_021_restarts_a_permanent_child_after_a_normal_exit():
    async with running(supervisor(worker("a", []), intensity=2)) as run:
        await run.tell("a", finish)
        assert run.number("a") == 2
        assert await run.counts() == [1, 1, 0, 1]


async def test_it_022_restarts_a_permanent_child_after_each_shutdown():
    # OTP also has {shutdown, Term}; an ending of ours carries no term.
    async with running(supervisor(worker("a", []), intensity=2)) as run:
        await run.tell("a", shut)
        await run.tell("a", shut)
        assert run.number("a") == 3
        assert await run.counts() == [1, 1, 0, 1]


@pytest.mark.parametrize("ending", ["abnormal", "killed"])
async def test_it_023_restarts_a_permanent_child_after_a_crash(ending):
    async with running(supervisor(worker("a", []), intensity=2)) as run:
        await end(run, "a", ending)
        assert run.number("a") == 2
        assert await run.counts() == [1, 1, 0, 1]


async def test_it_024_leaves_a_transient_child_after_a_normal_exit():
    async with running(supervisor(worker("a", [], restart="transient"), intensity=2)) as run:
        await run.tell("a", finish)
        assert run.number("a") == 1
        assert await run.counts() == [1, 0, 0, 1]
        assert run.state("a") == "stopped"


async def test_it_025_leaves_a_transient_child_after_shutdown_until_asked():
    async with running(supervisor(worker("a", [], restart="transient"), intensity=2)) as run:
        await run.tell("a", shut)
        assert await run.counts() == [1, 0, 0, 1]
        assert (await run.admin().restart_child("a")).ref is run.ref("a")
        assert await run.ref("a").ask(identity) == 2
        assert await run.counts() == [1, 1, 0, 1]


@pytest.mark.parametrize("ending", ["abnormal", "killed"])
async def test_it_026_restarts_a_transient_child_after_a_crash(ending):
    async with running(supervisor(worker("a", [], restart="transient"), intensity=2)) as run:
        await end(run, "a", ending)
        assert run.number("a") == 2
        assert await run.counts() == [1, 1, 0, 1]


@pytest.mark.parametrize("ending", ["normal", "shutdown", "abnormal", "killed"])
async def test_it_027_forgets_a_temporary_child_after_any_exit(ending):
    log = []
    async with running(supervisor(worker("a", log, restart="temporary"), intensity=0)) as run:
        await end(run, "a", ending)
        assert await run.counts() == [0, 0, 0, 0]
        await run.admin().start_child(worker("a", log, restart="temporary"))
        assert await run.counts() == [1, 1, 0, 1]
        assert await run.ref("a").ask(identity) == 1


@pytest.mark.parametrize("restart", ["transient", "temporary"])
async def test_it_027_forgets_a_dynamic_child_that_is_not_restarted(restart):
    async with running(dynamic(worker("t", [], restart=restart))) as run:
        child = await run.admin().start_child()
        await run.tell(child.id if "/" in child.ref.name else child.ref.name, finish)
        assert await run.admin().which_children() == []
        assert await run.counts() == [1, 0, 0, 0]


class Argument:
    """Something big that a child is started with."""


@pytest.mark.parametrize("ending", ["normal", "shutdown", "abnormal", "killed", "terminated"])
async def test_it_028_keeps_nothing_of_a_temporary_child(ending):
    argument = Argument()
    seen = weakref.ref(argument)
    async with running(supervisor()) as run:
        await run.admin().start_child(worker("a", [], argument, restart="temporary"))
        del argument
        if ending == "terminated":
            await run.admin().terminate_child("a")
        else:
            await end(run, "a", ending)
        gc.collect()
        assert seen() is None
        assert run.system._slots == {}


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_it_028_keeps_nothing_of_a_terminated_dynamic_child(restart):
    argument = Argument()
    seen = weakref.ref(argument)
    async with running(dynamic(worker("t", [], restart=restart))) as run:
        child = await run.admin().start_child(argument)
        await run.admin().terminate_child(child.id)
        del argument, child
        gc.collect()
        assert seen() is None
        assert run.system._slots == {}


async def test_it_029_counts_a_permanent_childs_normal_exit_like_a_crash():
    async with running(supervisor(worker("a", []), intensity=2)) as run:
        await run.tell("a", finish, shut, finish)
        assert await run.ended() == "shutdown"
        assert run.kinds("gave_up") == [("gave_up", "root")]

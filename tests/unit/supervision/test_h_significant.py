"""Facts H, cases 71 to 75: significant children and automatic shutdown."""

import anyio
import pytest

from runtime.restart import Backoff
from tests.unit.supervision.kit import (
    crash,
    dynamic,
    finish,
    running,
    settle,
    shut,
    supervisor,
    worker,
)

pytestmark = pytest.mark.anyio
ENDINGS = {"normal": finish, "shutdown": shut, "abnormal": crash}


async def end(run, name, ending):
    if ending == "killed":
        run.kill(name)
        await settle()
    else:
        await run.tell(name, ENDINGS[ending])


def significant(name, log=None, restart="temporary", **options):
    return worker(name, [] if log is None else log, restart=restart, significant=True, **options)


@pytest.mark.parametrize("ending", ["normal", "shutdown", "abnormal", "killed"])
@pytest.mark.parametrize("rule", ["never", "any_significant", "all_significant"])
async def test_it_071_ignores_the_end_of_a_child_that_is_not_significant(ending, rule):
    children = [worker("a", [], restart="temporary"), worker("b", [])]
    async with running(supervisor(*children, auto_shutdown=rule)) as run:
        await end(run, "a", ending)
        assert run.root.state == "running"
        assert await run.admin().which_children() == [("b", "running")]


@pytest.mark.parametrize("ending", ["normal", "shutdown", "abnormal", "killed"])
async def test_it_072_shuts_down_at_any_significant_end(ending):
    log = []
    root = supervisor(
        worker("a", log),
        significant("b", log),
        significant("c", log),
        auto_shutdown="any_significant",
    )
    async with running(root) as run:
        await end(run, "b", ending)
        assert run.system.root.exit.ending == "shutdown"
        assert run.kinds("auto_shutdown") == [("auto_shutdown", "root")]
        assert [line for line in log if line[0] == "-"][-2:] == ["-c", "-a"]


@pytest.mark.parametrize(
    ("ending", "shuts"),
    [("normal", True), ("shutdown", True), ("abnormal", False), ("killed", False)],
)
async def test_it_072_shuts_down_at_a_transient_end_that_is_not_restarted(ending, shuts):
    child = significant("a", restart="transient")
    async with running(supervisor(child, auto_shutdown="any_significant")) as run:
        await end(run, "a", ending)
        assert run.root.state == ("stopped" if shuts else "running")


@pytest.mark.parametrize("ending", ["normal", "shutdown", "abnormal", "killed"])
async def test_it_074_shuts_down_when_all_significant_have_ended(ending):
    log = []
    root = supervisor(
        worker("a", log), significant("b"), significant("c"), auto_shutdown="all_significant"
    )
    async with running(root) as run:
        await end(run, "b", ending)
        assert run.root.state == "running"
        await end(run, "c", ending)
        assert run.system.root.exit.ending == "shutdown"
        assert log == ["+a#1", "-a"]


async def test_it_074_does_not_take_a_restarting_child_for_ended():
    slow = Backoff(min_s=60, max_s=60)
    children = [significant("a", restart="transient", backoff=slow), significant("b")]
    async with running(supervisor(*children, auto_shutdown="all_significant")) as run:
        await run.tell("a", crash)
        await run.tell("b", finish)
        assert run.root.state == "running"
        await anyio.sleep(70)
        assert run.number("a") == 2
        await run.tell("a", finish)
        assert run.system.root.exit.ending == "shutdown"


async def test_it_074_shuts_down_by_the_end_of_a_significant_supervisor():
    inner = supervisor(worker("a", []), id="inner", restart="transient", significant=True,
                       intensity=0)  # fmt: skip
    async with running(supervisor(inner, auto_shutdown="all_significant")) as run:
        await run.tell("inner/a", crash)
        assert run.system.root.exit.ending == "shutdown"


@pytest.mark.parametrize("restart", ["temporary", "transient"])
async def test_it_075_shuts_down_at_the_first_end_of_a_dynamic_child(restart):
    template = significant("t", restart=restart)
    async with running(dynamic(template, auto_shutdown="any_significant")) as run:
        for _ in range(3):
            await run.admin().start_child()
        await run.tell("t-2", finish)
        assert run.system.root.exit.ending == "shutdown"


@pytest.mark.parametrize("restart", ["temporary", "transient"])
async def test_it_075_shuts_down_at_the_last_end_of_a_dynamic_child(restart):
    template = significant("t", restart=restart)
    async with running(dynamic(template, auto_shutdown="all_significant")) as run:
        for _ in range(3):
            await run.admin().start_child()
        for number in (2, 1):
            await run.tell(f"t-{number}", finish)
            assert run.root.state == "running"
        await run.tell("t-3", finish)
        assert run.system.root.exit.ending == "shutdown"

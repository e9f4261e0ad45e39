"""Facts E, cases 40 to 47: who restarts together, in which order."""

import anyio
import pytest

from tests.unit.supervision.kit import (
    Crash,
    crash,
    dynamic,
    finish,
    raises,
    running,
    shut,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_it_040_restarts_one_for_one():
    log = []
    async with running(supervisor(worker("a", log), worker("b", log))) as run:
        await run.tell("a", crash)
        assert run.numbers("a", "b") == [2, 1]
        assert log == ["+a#1", "+b#1", "-a", "+a#2"]


@pytest.mark.parametrize("message", [crash, finish, shut])
async def test_it_041_restarts_one_for_all(message):
    log = []
    children = [worker(i, log, ending=takes(1, says="gone")) for i in "abc"]
    async with running(supervisor(*children, strategy="one_for_all")) as run:
        log.clear()
        await run.tell("b", message)
        await anyio.sleep(3)
        assert run.numbers("a", "b", "c") == [2, 2, 2]
        stops = ["-b", "b:gone", "-c", "c:gone", "-a", "a:gone"]
        assert log == [*stops, "+a#2", "+b#2", "+c#2"]


async def test_it_041_starts_again_who_had_been_terminated():
    # As OTP: a restart of all starts every specification that the supervisor has.
    async with running(supervisor(*(worker(i, []) for i in "abc"), strategy="one_for_all")) as run:
        await run.admin().terminate_child("c")
        await run.tell("a", crash)
        assert run.numbers("a", "b", "c") == [2, 2, 2]
        assert await run.counts() == [3, 3, 0, 3]


async def test_it_041_drops_a_temporary_sibling_of_the_group():
    children = [worker("a", []), worker("b", [], restart="temporary")]
    async with running(supervisor(*children, strategy="one_for_all")) as run:
        await run.tell("a", crash)
        assert await run.admin().which_children() == [("a", "running")]


async def test_it_041_restarts_nobody_for_a_temporary_child():
    # triotp cancels the siblings here.
    children = [worker("a", []), worker("b", [], restart="temporary")]
    async with running(supervisor(*children, strategy="one_for_all")) as run:
        await run.tell("b", crash)
        assert run.number("a") == 1
        assert await run.admin().which_children() == [("a", "running")]


async def test_it_042_restarts_the_rest_for_one():
    log = []
    children = [worker(i, log) for i in "abc"]
    async with running(supervisor(*children, strategy="rest_for_one")) as run:
        log.clear()
        await run.tell("b", crash)
        assert run.numbers("a", "b", "c") == [1, 2, 2]
        assert log == ["-b", "-c", "+b#2", "+c#2"]


async def test_it_042_goes_on_from_the_child_that_fails_to_start():
    log = []
    children = [
        worker("a", log),
        worker("b", log),
        worker("c", log, starting=raises(None, Crash("once"), None)),
        worker("d", log),
    ]
    async with running(supervisor(*children, strategy="rest_for_one", intensity=2)) as run:
        log.clear()
        await run.tell("b", crash)
        assert log == ["-b", "-d", "-c", "+b#2", "+c#2", "+c#3", "+d#2"]
        assert await run.counts() == [4, 4, 0, 4]


async def test_it_043_stops_the_rest_in_reverse_and_starts_it_in_order():
    log = []
    children = [worker(i, log, ending=takes(1, says="gone")) for i in "12345"]
    async with running(supervisor(*children, strategy="rest_for_one")) as run:
        log.clear()
        await run.tell("3", crash)
        await anyio.sleep(3)
        stops = ["-3", "3:gone", "-5", "5:gone", "-4", "4:gone"]
        assert log == [*stops, "+3#2", "+4#2", "+5#2"]


async def test_it_047_restarts_a_dynamic_child_with_the_same_arguments():
    async def arguments(actor):
        return actor.extra

    async with running(dynamic(worker("t", [], "template"))) as run:
        one = await run.admin().start_child("x", 1)
        two = await run.admin().start_child("y", 2)
        await run.tell(one.id, crash)
        assert await one.ref.ask(arguments) == ("template", "x", 1)
        assert await two.ref.ask(arguments) == ("template", "y", 2)
        assert run.numbers(one.id, two.id) == [2, 1]


async def test_it_047_refuses_more_dynamic_children_than_its_bound():
    async with running(dynamic(worker("t", []), children_max=2)) as run:
        for _ in range(2):
            await run.admin().start_child()
        with pytest.raises(Exception, match="children_max"):
            await run.admin().start_child()
        assert await run.counts() == [1, 2, 0, 2]

"""Facts I, cases 78 to 85: trees, names, scale, reports."""

import time

import anyio
import pytest

from runtime.ref import NoSuchActor
from tests.unit.supervision.kit import (
    Crash,
    crash,
    dynamic,
    identity,
    poison,
    raises,
    running,
    settle,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio


async def test_it_078_restarts_only_the_dead_of_a_tree():
    log = []

    def branch(name, *below):
        return supervisor(worker("w1", log), worker("w2", log), *below, id=name)

    root = supervisor(branch("x", branch("y")), branch("z"))
    names = ["x/w1", "x/w2", "x/y/w1", "x/y/w2", "z/w1", "z/w2"]
    async with running(root) as run:
        await run.tell("x/y/w1", crash)
        assert run.numbers(*names) == [1, 1, 2, 1, 1, 1]
        await run.tell("x/w1", crash)
        assert run.numbers(*names) == [2, 1, 2, 1, 1, 1]


async def test_it_080_takes_the_children_along_when_a_supervisor_is_killed():
    log = []
    inner = supervisor(worker("a", log, ending=takes(1)), worker("b", log), id="inner")
    async with running(supervisor(inner, worker("c", log))) as run:
        await run.tell("inner/a", takes(100, says="never"))
        run.admin("inner").kill()
        await settle()
        assert run.numbers("inner/a", "inner/b", "c") == [2, 2, 1]
        assert await run.counts("inner") == [2, 2, 0, 2]
        assert log == ["+inner/a#1", "+inner/b#1", "+c#1", "+inner/a#2", "+inner/b#2"]
        assert run.kinds("child_terminated") == [("child_terminated", "inner")]


async def test_it_080_takes_the_children_along_when_the_root_is_killed():
    log = []
    inner = supervisor(worker("a", log), id="inner")
    async with running(supervisor(inner, worker("b", log))) as run:
        run.admin().kill()
        assert await run.ended() == "killed"
        assert log == ["+inner/a#1", "+b#1"]


async def test_it_080_tells_who_starts_a_supervisor_that_is_killed_meanwhile():
    inner = supervisor(worker("a", [], starting=takes(20)), id="inner")
    errors = []

    async def start(run):
        try:
            await run.admin().start_child(inner)
        except RuntimeError as error:
            errors.append(str(error))

    async with running(supervisor()) as run, anyio.create_task_group() as tasks:
        tasks.start_soon(start, run)
        await settle()
        run.admin("inner").kill()
        await settle()
        assert errors == ["ended while starting: killed"]
        assert await run.admin().which_children() == []
        await run.admin().start_child(inner)  # nothing is in the way of another try
        assert await run.counts("inner") == [1, 1, 0, 1]


async def test_it_081_keeps_a_registered_name_over_restarts():
    # OTP frees the name until the restart. Ours belongs to the slot: messages wait meanwhile.
    async with running(supervisor(worker("a", [], name="alice"))) as run:
        ref = run.ref("alice")
        assert await ref.ask(identity) == 1
        await run.tell("alice", crash)
        assert run.ref("alice") is ref
        assert await ref.ask(identity) == 2
        with pytest.raises(NoSuchActor):
            run.ref("a")


async def test_it_081_frees_the_name_of_a_child_that_is_gone():
    async with running(supervisor(worker("a", [], name="alice", restart="temporary"))) as run:
        old = run.ref("alice")
        await run.tell("alice", crash)
        with pytest.raises(NoSuchActor):
            run.ref("alice")
        await run.admin().start_child(worker("b", [], name="alice"))
        assert await run.ref("alice").ask(identity) == 1
        await old.tell("lost")
        assert run.system.dead_letters[-1].reason == "no such actor"
        with pytest.raises(NoSuchActor):
            await old.ask("lost")


async def static_s(children):
    """Return the processor's seconds to start and stop that many children."""
    log = []
    root = supervisor(*(worker(str(n), log) for n in range(children)))
    began = time.process_time()
    async with running(root):
        pass
    return time.process_time() - began


async def test_it_084_scales_linearly():
    few = max(await static_s(20), 0.000_1)
    assert await static_s(2_000) < 10 * 100 * few


async def test_it_084_scales_linearly_with_dynamic_children():
    async def dynamic_s(children):
        began = time.process_time()
        async with running(dynamic(worker("t", []))) as run:
            for _ in range(children):
                await run.admin().start_child()
        return time.process_time() - began

    few = max(await dynamic_s(100), 0.000_1)
    assert await dynamic_s(1_000) < 50 * few


async def test_it_085_reports_what_happens():
    bad = worker("b", [], starting=raises(None, Crash("no start")))
    async with running(supervisor(worker("a", []), bad, intensity=2)) as run:
        await run.tell("a", crash)
        await run.tell("b", poison)
        assert run.kinds() == [
            ("started", "a"),
            ("started", "b"),
            ("child_terminated", "a"),
            ("started", "a"),
            ("child_terminated", "b"),
            ("start_error", "b"),
            ("gave_up", "root"),
        ]
        assert run.details("child_terminated") == [
            "Crash: a was told to",
            "Crash: b chokes on this",
        ]
        assert run.details("start_error") == ["Crash: no start"]


async def test_it_085_bounds_every_report():
    async def scream(_actor):
        raise Crash("A" * 10**6)

    async with running(supervisor(worker("a", [], max_crashes=1))) as run:
        await run.ref("a").tell(scream)
        await settle()
        assert max(len(report.detail) for report in run.reports) <= 2_000
        assert len(run.actor("a").last_error) <= 500
        (kept,) = run.system.quarantined
        assert len(kept.traceback) <= 8_000
        assert len(kept.message) <= 2_000

"""Facts G, cases 58 to 70: administration at run time."""

import anyio
import pytest

from runtime.admin import AdminError
from runtime.ref import NoSuchActor
from runtime.restart import Backoff
from tests.unit.supervision.kit import (
    Crash,
    crash,
    dynamic,
    finish,
    identity,
    raises,
    running,
    settle,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio
SLOWLY = Backoff(min_s=60, max_s=60)


async def refused(code, call):
    with pytest.raises(AdminError) as caught:
        await call
    assert caught.value.code == code


async def test_it_058_refuses_an_id_that_is_there():
    log = []
    async with running(supervisor(worker("a", log))) as run:
        await refused("already_started", run.admin().start_child(worker("a", log)))
        assert log == ["+a#1"]
        # OTP returns the identity with the error; ours resolves by the name.
        assert await run.ref("a").ask(identity) == 1
        await run.admin().terminate_child("a")
        await refused("already_present", run.admin().start_child(worker("a", log)))


async def test_it_058_starts_a_child():
    async with running(supervisor(worker("a", []))) as run:
        started = await run.admin().start_child(worker("b", []))
        assert (started.id, await started.ref.ask("hello")) == ("b", "hello")
        assert await run.counts() == [2, 2, 0, 2]


async def test_it_058_starts_a_supervisor():
    async with running(supervisor(worker("a", []))) as run:
        started = await run.admin().start_child(supervisor(worker("b", []), id="inner"))
        assert started == ("inner", None, None)
        assert await run.ref("inner/b").ask("hello") == "hello"
        assert await run.counts() == [2, 2, 1, 1]


async def test_it_059_stops_a_child_on_request():
    log = []
    async with running(supervisor(worker("a", log, ending=takes(1, says="gone")))) as run:
        await run.admin().terminate_child("a")
        assert log[-1] == "a:gone"
        assert await run.counts() == [1, 0, 0, 1]
        assert run.kinds("shutdown_error", "child_terminated") == []
        await run.admin().terminate_child("a")
        await refused("not_found", run.admin().terminate_child("b"))


async def test_it_059_forgets_a_terminated_temporary_child():
    async with running(supervisor(worker("a", [], restart="temporary"))) as run:
        await run.admin().terminate_child("a")
        assert await run.counts() == [0, 0, 0, 0]


async def test_it_059_stops_a_supervisor_with_all_below_it():
    log = []
    async with running(supervisor(supervisor(worker("a", log), id="inner"))) as run:
        await run.admin().terminate_child("inner")
        assert log == ["+inner/a#1", "-inner/a"]
        assert await run.counts() == [1, 0, 1, 0]
        with pytest.raises(NoSuchActor):
            await run.counts("inner")
        await run.admin().restart_child("inner")
        assert await run.ref("inner/a").ask(identity) == 2


async def test_it_060_does_not_count_a_terminated_child():
    child = worker("a", [], restart="transient", significant=True)
    root = supervisor(child, worker("b", []), intensity=0, auto_shutdown="any_significant")
    async with running(root) as run:
        for _ in range(5):
            await run.admin().terminate_child("a")
            await run.admin().restart_child("a")
        await run.admin().terminate_child("a")
        await settle()
        assert run.root.state == "running"
        assert run.number("b") == 1


async def test_it_061_restarts_a_stopped_child_alone():
    async with running(supervisor(worker("a", []), worker("b", [], backoff=SLOWLY))) as run:
        await refused("running", run.admin().restart_child("a"))
        await run.admin().terminate_child("a")
        assert (await run.admin().restart_child("a")).id == "a"
        assert await run.ref("a").ask(identity) == 2
        await run.tell("b", crash)
        await refused("restarting", run.admin().restart_child("b"))
        await refused("not_found", run.admin().restart_child("c"))


async def test_it_061_gives_the_error_of_restart_child_to_the_caller():
    bad = worker("a", [], starting=raises(None, Crash("again")))
    async with running(supervisor(bad)) as run:
        await run.admin().terminate_child("a")
        with pytest.raises(Crash, match="again"):
            await run.admin().restart_child("a")
        assert await run.admin().which_children() == [("a", "stopped")]


async def test_it_061_terminates_a_restarting_child():
    async with running(supervisor(worker("a", [], backoff=SLOWLY))) as run:
        await run.tell("a", crash)
        assert await run.admin().which_children() == [("a", "restarting")]
        await run.admin().terminate_child("a")
        await anyio.sleep(600)
        assert await run.admin().which_children() == [("a", "stopped")]
        assert run.number("a") == 1
        await run.admin().restart_child("a")
        assert run.number("a") == 2


async def test_it_063_deletes_only_a_stopped_child():
    async with running(supervisor(worker("a", []), worker("b", [], backoff=SLOWLY))) as run:
        await refused("running", run.admin().delete_child("a"))
        await run.tell("b", crash)
        await refused("restarting", run.admin().delete_child("b"))
        await run.admin().terminate_child("a")
        await run.admin().delete_child("a")
        await refused("not_found", run.admin().delete_child("a"))
        assert await run.counts() == [1, 0, 0, 1]
        with pytest.raises(NoSuchActor):
            run.ref("a")


async def test_it_063_deletes_a_supervisor_with_every_name_below_it():
    inner = supervisor(worker("a", [], name="x"), id="inner", name="y")
    async with running(supervisor(inner)) as run:
        await run.admin().terminate_child("inner")
        await run.admin().delete_child("inner")
        with pytest.raises(NoSuchActor):
            run.ref("x")
        await run.admin().start_child(inner)
        assert await run.ref("x").ask(identity) == 1
        assert await run.counts("y") == [1, 1, 0, 1]


async def test_it_066_administers_a_dynamic_child_by_its_identity_alone():
    async with running(supervisor(dynamic(worker("t", []), id="d"), worker("t-9", []))) as run:
        child = await run.admin("d").start_child()
        await refused("invalid", run.admin("d").restart_child(child.id))
        await refused("invalid", run.admin("d").delete_child(child.id))
        await run.admin("d").terminate_child(child.id)
        await run.admin("d").terminate_child(child.id)
        assert await run.counts("d") == [1, 0, 0, 0]
        for stranger in ("t-9", "t", "t-0", "x-1", "t-x", "t--1"):
            await refused("not_found", run.admin("d").terminate_child(stranger))
        assert run.number("t-9") == 1
        assert await run.ref("t-9").ask("unharmed") == "unharmed"


async def test_it_066_terminates_a_dynamic_child_that_ended_by_itself():
    async with running(dynamic(worker("t", [], restart="temporary"))) as run:
        child = await run.admin().start_child()
        await run.tell(child.id, finish)
        await run.admin().terminate_child(child.id)


@pytest.mark.parametrize(
    "call",
    [
        lambda admin: admin.start_child(worker("b", [])),
        lambda admin: admin.terminate_child("a"),
        lambda admin: admin.restart_child("a"),
        lambda admin: admin.delete_child("a"),
        lambda admin: admin.which_children(),
        lambda admin: admin.count_children(),
        lambda admin: admin.get_childspec("a"),
    ],
)
async def test_it_067_fails_at_once_where_there_is_no_supervisor(call):
    async with running(supervisor(worker("a", []))) as run:
        with pytest.raises(NoSuchActor, match="there is no 'nobody'"):
            await call(run.admin("nobody"))
        with pytest.raises(NoSuchActor):
            run.admin("nobody").kill()
        admin = run.admin()
        await run.system.stop()
        with pytest.raises(NoSuchActor, match="there is no 'root'"):
            await call(admin)


@pytest.mark.parametrize("end", ["stops", "gives up", "is killed"])
async def test_it_067_answers_who_waits_when_the_supervisor_ends(end):
    """One call is under way, one waits behind it: both callers get an error."""
    inner = supervisor(worker("a", []), id="inner", intensity=0)
    errors = []

    async def call(run, name):
        try:
            await run.admin("inner").start_child(worker(name, [], starting=takes(20)))
        except (NoSuchActor, anyio.get_cancelled_exc_class()) as error:
            errors.append(type(error))

    async with running(supervisor(inner, intensity=5)) as run, anyio.create_task_group() as tasks:
        tasks.start_soon(call, run, "b")
        await settle()
        await run.tell("inner/a", crash if end == "gives up" else "hello")
        tasks.start_soon(call, run, "c")
        await settle()
        if end == "stops":
            tasks.start_soon(run.admin().terminate_child, "inner")
        if end == "is killed":
            run.admin("inner").kill()
        await anyio.sleep(100)
        # Who is being served when a child crashes is served: the crash is next in the queue.
        assert errors == [NoSuchActor] * (1 if end == "gives up" else 2)


async def test_it_068_hands_the_childs_info_to_the_caller():
    info = {"port": 7}
    async with running(supervisor()) as run:
        assert (await run.admin().start_child(worker("a", [], info=info))).info is info
        await run.admin().terminate_child("a")
        assert (await run.admin().restart_child("a")).info is info


async def test_it_069_counts_a_thousand_dynamic_children():
    async with running(dynamic(worker("t", [], restart="temporary"))) as run:
        for _ in range(1_000):
            await run.admin().start_child()
        assert await run.counts() == [1, 1_000, 0, 1_000]
        for _ in range(1_000):
            await run.admin().start_child()
        assert await run.counts() == [1, 2_000, 0, 2_000]
        for number in range(1, 2_001):
            run.kill(f"t-{number}")
        await settle()
        assert await run.counts() == [1, 0, 0, 0]
        assert run.system._slots == {}


async def test_it_069_counts_who_restarts_as_a_worker_that_is_not_active():
    async with running(dynamic(worker("t", [], backoff=SLOWLY), intensity=5)) as run:
        for number in range(1, 4):
            await run.admin().start_child()
            assert await run.counts() == [1, number, 0, number]
        await run.tell("t-1", crash)
        await run.tell("t-2", crash)
        assert await run.counts() == [1, 1, 0, 3]
        await anyio.sleep(70)
        assert await run.counts() == [1, 3, 0, 3]


async def test_it_069_counts_supervisors_apart():
    async with running(supervisor(worker("a", []), supervisor(id="b"))) as run:
        assert await run.counts() == [2, 2, 1, 1]
        assert (await run.admin().count_children()).supervisors == 1


async def test_it_070_survives_calls_that_make_no_sense():
    # OTP logs an unexpected message. Ours has no address that a message could be sent to.
    async with running(supervisor(worker("a", [])), zombie_after_s=1) as run:
        for spec in (None, "foo", 7, worker):
            await refused("invalid", run.admin().start_child(spec))
        await refused("not_found", run.admin().terminate_child(None))
        assert not hasattr(run.admin(), "tell")
        assert await run.counts() == [1, 1, 0, 1]

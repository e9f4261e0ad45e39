"""Facts K, cases 99 to 110: what no other suite has.

Case 104 (kill -9 with the journal on) is an acceptance test: it needs a process.
"""

import random
import threading
import time

import anyio
import pytest

from runtime.clock import LoopClock, SystemClock
from runtime.mailbox import MailboxPolicy
from runtime.ref import AskFailed, AskTimeout, MailboxFull, NoSuchActor
from runtime.restart import Backoff
from runtime.store import Store
from runtime.system import System
from tests.unit.supervision.kit import (
    Crash,
    crash,
    dynamic,
    finish,
    identity,
    obstinate,
    poison,
    running,
    settle,
    shut,
    stray,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio
SLOWLY = Backoff(min_s=60, max_s=60)


# ---------------------------------------------------------------- 99 to 100: redelivery


@pytest.mark.parametrize("where", ["at once", "after a while", "by force"])
async def test_it_099_redelivers_the_message_in_hand_first(where):
    log = []

    async def fall(actor):
        actor.log.append("falls" if not actor.ctx.redelivered else "stands")
        if where != "at once":
            await anyio.sleep(1)
        await crash(actor)

    async with running(supervisor(worker("a", log), intensity=2)) as run:
        for message in (1, 2, fall, 3, 4):
            await run.ref("a").tell(message)
        await settle()
        if where == "by force":
            run.kill("a")
        await anyio.sleep(5)
        falls = ["falls", "falls" if where == "by force" else "stands"]
        again = ["stands"] if where == "by force" else []
        lines = [line for line in log if line[0] not in "+-"]
        assert lines == ["a:1", "a:2", *falls, *again, "a:3", "a:4"]


async def test_it_099_keeps_the_order_of_each_sender_over_many_restarts():
    log = []

    async def send(ref, sender):
        for number in range(200):
            await ref.tell((sender, number))
            if number % 20 == 7:
                await ref.tell(crash)

    policy = MailboxPolicy(capacity=4)
    async with running(supervisor(worker("a", log, mailbox=policy), intensity=100)) as run:
        async with anyio.create_task_group() as tasks:
            for sender in range(5):
                tasks.start_soon(send, run.ref("a"), sender)
        await settle()
        got = [line for line in log if line.startswith("a:")]
        for sender in range(5):
            mine = [line for line in got if line.startswith(f"a:({sender},")]
            assert mine == [f"a:({sender}, {number})" for number in range(200)]
        assert run.number("a") == 51


async def test_it_100_quarantines_a_poison_message_and_goes_on():
    handed = []
    log = []
    root = supervisor(worker("a", log, max_crashes=3), intensity=1)
    async with running(root, on_quarantine=lambda *record: handed.append(record)) as run:
        await run.tell("a", "x", poison, "y")
        assert [line for line in log if ":" in line] == ["a:x", "a:y"]
        assert run.number("a") == 4
        (record,) = run.system.quarantined
        assert (record.actor, record.crashes) == ("a", 3)
        assert "in poison" in record.traceback
        assert "Crash: a chokes on this" in record.traceback
        assert handed == [(record, poison)]
        actor = run.actor("a")
        assert (actor.handled, actor.quarantined, actor.crashed) == (2, 1, 3)
        # Three crashes on one message are one restart of the budget: one more is left.
        assert run.root.state == "running"
        assert run.system.root.intensity.recent(0.0) == 1


async def test_it_100_gives_up_at_two_poison_messages_with_a_budget_of_one():
    async with running(supervisor(worker("a", []), intensity=1)) as run:
        await run.tell("a", poison, poison)
        assert await run.ended() == "shutdown"


async def test_it_100_forgets_the_crashes_of_a_message_that_was_handled():
    async def twice(actor):
        if actor.ctx.incarnation % 3:
            raise Crash

    async with running(supervisor(worker("a", []), intensity=100)) as run:
        for _ in range(5):  # each crashes twice, then is handled: none is poison
            await run.tell("a", twice, finish)
        assert run.actor("a").quarantined == 0


@pytest.mark.parametrize("way", ["raises", "hangs", "is cancelled from within"])
async def test_it_100_quarantines_whatever_the_way_it_falls(way):
    async def fall(_actor):
        if way == "raises":
            raise Crash
        if way == "hangs":
            await anyio.sleep(10_000)
        await stray(_actor)

    child = worker("a", [], stuck_after_s=10, kill_stuck=True)
    async with running(supervisor(child, intensity=1)) as run:
        await run.ref("a").tell(fall)
        assert await run.ref("a").ask("next", timeout_s=100) == "next"
        assert run.actor("a").quarantined == 1
        assert run.root.state == "running"


# ---------------------------------------------------------------- 101 to 104: what survives


async def wait_behind(run, name):
    """Make an actor busy and put two messages behind; return the log's part to come."""
    await run.tell(name, takes(1_000), "x", "y")
    return [f"{name}:x", f"{name}:y"]


def said(log):
    return [line for line in log if ":" in line]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_it_101_keeps_the_queue_over_a_groups_restart(strategy):
    log = []
    children = [worker("a", log), worker("b", log, shutdown=1.0)]
    async with running(supervisor(*children, strategy=strategy)) as run:

        async def first(actor):
            if actor.ctx.incarnation == 1:
                await anyio.sleep(1_000)

        await run.tell("b", first, "x", "y")
        await run.tell("a", crash)
        await anyio.sleep(2)
        assert said(log) == ["b:x", "b:y"]
        assert run.actor("b").handled == 3


async def test_it_101_keeps_the_queue_over_terminate_and_restart():
    log = []
    async with running(supervisor(worker("a", log))) as run:
        await run.admin().terminate_child("a")
        await run.tell("a", "x", "y")
        assert (run.actor("a").mailbox, run.state("a")) == (2, "stopped")
        await run.admin().restart_child("a")
        await settle()
        assert said(log) == ["a:x", "a:y"]


@pytest.mark.parametrize("end", ["killed", "gives up"])
async def test_it_101_keeps_the_queue_over_a_nested_supervisors_restart(end):
    log = []

    async def first(actor):
        if actor.ctx.incarnation == 1:
            await anyio.sleep(1_000)

    inner = supervisor(worker("a", log), worker("b", log, shutdown=1.0), id="inner", intensity=0)
    async with running(supervisor(inner)) as run:
        await run.tell("inner/b", first, "x", "y")
        if end == "killed":
            run.admin("inner").kill()
        else:
            await run.ref("inner/a").tell(crash)
        await anyio.sleep(3)
        assert run.number("inner/b") == 2
        assert said(log) == ["inner/b:x", "inner/b:y"]
        assert run.system.dead_letter_count == 0


async def test_it_101_takes_messages_before_the_actor_has_started():
    log = []

    async def tell_b(actor):
        await actor.ctx.system.ref("b").tell("early")

    async with running(supervisor(worker("a", log, starting=tell_b), worker("b", log))) as run:
        await settle()
        assert said(log) == ["b:early"]
        assert run.actor("b").handled == 1


async def test_it_102_sends_what_was_not_handled_to_the_dead_letters_once():
    log = []
    inner = supervisor(worker("a", log), worker("b", log), id="inner", intensity=0)
    async with running(supervisor(inner, intensity=0)) as run:
        slots = [run.ref(f"inner/{name}")._slot for name in "ab"]
        await run.tell("inner/b", takes(1_000), *range(10))
        await run.tell("inner/a", "x", crash, *range(5))
        await run.ended()
        await run.ref("inner/a").tell("between")
    a, b = slots
    assert (a.box.accepted, a.handled, a.quarantined, a.dead_lettered) == (8, 1, 0, 7)
    assert (b.box.accepted, b.handled, b.quarantined, b.dead_lettered) == (11, 0, 0, 11)
    await a.ref.tell("after")
    assert (a.box.accepted, a.dead_lettered) == (9, 8)
    assert run.system.dead_letter_count == 19
    letters = [letter.message for letter in run.system.dead_letters if letter.actor == "inner/b"]
    assert letters[1:] == [str(number) for number in range(10)]


async def test_it_102_takes_no_tick_for_a_lost_message():
    async def start(actor):
        actor.ctx.every(1.0, "tick")

    async with running(supervisor(worker("a", [], starting=start, ending=takes(3)))) as run:
        slot = run.ref("a")._slot
        await run.tell("a", takes(4))
        await anyio.sleep(2)
    assert (slot.box.accepted, slot.handled, slot.dead_lettered) == (2, 2, 0)


async def test_it_102_sends_the_queue_of_a_deleted_child_to_the_dead_letters():
    async with running(supervisor(worker("a", []))) as run:
        ref = run.ref("a")
        await run.admin().terminate_child("a")
        await run.tell("a", "x", "y")
        await run.admin().delete_child("a")
        assert [letter.message for letter in run.system.dead_letters] == ["'x'", "'y'"]
        await ref.tell("z")
        assert run.system.dead_letter_count == 3


async def test_it_103_does_not_acknowledge_what_it_was_cancelled_in(tmp_path):
    """The journal still has it, and the next run of the process delivers it."""
    done = []

    async def run_once(slow_s):
        clock = LoopClock()
        store = Store(tmp_path / "s.db", clock, inline=True)
        await store.open()

        async def deliver(job):
            async def handle(_actor):
                await anyio.sleep(slow_s)
                await store.write(lambda tx: tx.queue.done("out", job.id, 2.0))
                done.append(job.id)

            return handle

        async with running(supervisor(worker("sender", []))) as run:
            slot = run.ref("sender")._slot
            await store.write(lambda tx: tx.queue.put("out", "alert-1", b"!", now=0.0))
            for job in await store.write(lambda tx: tx.queue.claim("out", 1.0, 10)):
                await run.tell("sender", await deliver(job))
        await store.close()
        return slot

    slot = await run_once(slow_s=1_000)
    assert (slot.handled, slot.dead_lettered, done) == (0, 1, [])
    slot = await run_once(slow_s=0)
    assert (slot.handled, done) == (1, ["alert-1"])
    await run_once(slow_s=0)
    assert done == ["alert-1"]


# ---------------------------------------------------------------- 105 to 106: senders


async def full(run, *messages):
    """Make `a` busy and fill its mailbox of 3 behind that: two more fit."""
    await run.tell("a", takes(10), *messages)


def boxed(log, when_full="wait", **options):
    return worker("a", log, mailbox=MailboxPolicy(capacity=3, when_full=when_full, **options))


async def test_it_105_makes_a_sender_wait_for_room():
    log = []
    async with running(supervisor(boxed(log))) as run:
        await full(run, 1, 2)
        began = anyio.current_time()
        assert not run.ref("a").offer(3)
        await run.ref("a").tell(3)
        assert anyio.current_time() - began == 10 - 2 * 2**-10 + 2**-10
        await settle()
        assert said(log) == ["a:1", "a:2", "a:3"]


async def test_it_105_serves_waiting_senders_in_turn_and_survives_one_that_leaves():
    log = []
    async with running(supervisor(boxed(log))) as run, anyio.create_task_group() as tasks:
        await full(run, 1, 2)
        leaves = anyio.CancelScope()

        async def tell(number, scope):
            with scope:
                await run.ref("a").tell(number)

        for number in (3, 4, 5):
            tasks.start_soon(tell, number, leaves if number == 4 else anyio.CancelScope())
            await settle()
        leaves.cancel()
        assert not run.ref("a").offer(6)  # nobody passes those who wait
        await anyio.sleep(20)
        assert said(log) == ["a:1", "a:2", "a:3", "a:5"]


async def test_it_105_refuses_when_full():
    log = []
    async with running(supervisor(boxed(log, "refuse"))) as run:
        await full(run, 1, 2)
        assert not run.ref("a").offer(3)
        with pytest.raises(MailboxFull, match="a: mailbox is full"):
            await run.ref("a").tell(4)
        with pytest.raises(MailboxFull):
            await run.ref("a").ask(5)
        await anyio.sleep(20)
        assert said(log) == ["a:1", "a:2"]
        assert run.actor("a").accepted == 3


async def test_it_105_drops_the_oldest_that_is_not_in_hand():
    log = []
    async with running(supervisor(boxed(log, "drop_oldest"))) as run:
        await full(run, 1, 2)
        assert run.ref("a").offer(3)
        await run.ref("a").tell(4)
        assert [letter.message for letter in run.system.dead_letters] == ["1", "2"]
        await anyio.sleep(20)
        assert said(log) == ["a:3", "a:4"]


async def test_it_105_tells_an_asker_that_was_dropped():
    async with running(supervisor(boxed([], "drop_oldest"))) as run:
        await full(run)
        errors = []

        async def ask():
            try:
                await run.ref("a").ask("x", timeout_s=100)
            except NoSuchActor as error:
                errors.append(str(error))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await settle()
            for number in range(3):
                await run.ref("a").tell(number)
        assert errors == ["a: dropped: mailbox full"]


async def test_it_105_coalesces_by_key():
    log = []
    async with running(supervisor(boxed(log, "coalesce", key=lambda m: str(m)[0]))) as run:
        await full(run, "a1", "b1", "a2", "b2", "a3")
        assert run.actor("a").mailbox == 3
        with pytest.raises(TimeoutError):
            with anyio.fail_after(1):
                await run.ref("a").tell("c1")
        await anyio.sleep(20)
        assert said(log) == ["a:a3", "a:b2"]
        await run.tell("a", "a4")
        assert said(log)[-1] == "a:a4"


@pytest.mark.parametrize("when_full", ["wait", "refuse", "drop_oldest"])
async def test_it_105_never_drops_what_must_arrive(when_full):
    log = []
    async with running(supervisor(boxed(log, when_full, never_drop=(bytes,)))) as run:
        await full(run, b"kill switch", "x")
        assert run.ref("a").offer(b"another")
        assert [letter.message for letter in run.system.dead_letters] == ["'x'"]
        await anyio.sleep(20)
        assert said(log) == ["a:b'kill switch'", "a:b'another'"]


@pytest.mark.parametrize("when_full", ["wait", "drop_oldest"])
async def test_it_105_never_drops_a_question_that_must_be_answered(when_full):
    answers = []

    async def ask(run):
        answers.append(await run.ref("a").ask(b"urgent", timeout_s=100))

    child = boxed([], when_full, never_drop=(bytes,))
    async with running(supervisor(child)) as run, anyio.create_task_group() as tasks:
        await full(run, 1, 2)
        tasks.start_soon(ask, run)  # takes the place of 1
        await settle()
        for number in (3, 4):
            run.ref("a").offer(number)
        await anyio.sleep(20)
    assert answers == [b"urgent"]


async def test_it_105_never_drops_a_tick_or_a_death_notice():
    log = []

    async def start(actor):
        actor.ctx.every(1.0, "tick", first_s=0.5)
        actor.ctx.monitor(actor.ctx.system.ref("b"))

    policy = MailboxPolicy(capacity=3, when_full="drop_oldest")
    child = worker("a", log, mailbox=policy, starting=start, down=True)
    async with running(supervisor(worker("b", log), child)) as run:
        await full(run)
        await run.tell("b", crash)
        await anyio.sleep(2)
        for number in range(5):
            await run.ref("a").tell(number)
        assert [letter.message for letter in run.system.dead_letters] == ["0", "1", "2"]
        await anyio.sleep(10)
        assert "a down b" in log
        assert log.count("a:tick") == 3  # one for the time it was busy, and no burst after


async def test_it_106_answers_after_a_redelivery():
    async with running(supervisor(worker("a", [], backoff=Backoff(min_s=2, jitter=0)))) as run:

        async def answer(actor):
            await crash(actor)
            return "at last"

        assert await run.ref("a").ask(answer) == "at last"


async def test_it_106_answers_after_the_restart_of_a_stopped_actor():
    async with running(supervisor(worker("a", []))) as run, anyio.create_task_group() as tasks:
        await run.admin().terminate_child("a")
        tasks.start_soon(run.admin().restart_child, "a")
        assert await run.ref("a").ask(identity) == 2


@pytest.mark.parametrize("state", ["restarting", "stopped", "busy", "hung"])
async def test_it_106_fails_at_its_deadline(state):
    async with running(supervisor(worker("a", [], backoff=SLOWLY), intensity=9)) as run:
        if state == "stopped":
            await run.admin().terminate_child("a")
        else:
            await run.tell("a", crash if state == "restarting" else takes(100))
        began = anyio.current_time()
        with pytest.raises(AskTimeout, match=r"a: no answer within 7\.5 s"):
            await run.ref("a").ask(takes(100) if state == "hung" else "x", timeout_s=7.5)
        assert anyio.current_time() - began == 7.5


async def test_it_106_fails_at_its_deadline_where_the_mailbox_is_full():
    async with running(supervisor(boxed([]))) as run:
        await full(run, 1, 2)
        with pytest.raises(AskTimeout):
            await run.ref("a").ask("x", timeout_s=1)
        assert run.actor("a").accepted == 3


async def test_it_106_names_the_actor_and_the_cause_of_a_poisoned_question():
    async with running(supervisor(worker("a", []))) as run:
        with pytest.raises(AskFailed, match="a gave up on this message") as caught:
            await run.ref("a").ask(poison)
        assert isinstance(caught.value.__cause__, Crash)


async def test_it_106_fails_when_the_actor_is_gone_for_good():
    async with running(supervisor(worker("a", [], restart="temporary"))) as run:
        with pytest.raises(NoSuchActor, match="a: its supervisor removed it"):
            await run.ref("a").ask(crash)


@pytest.mark.parametrize("message", [finish, shut])
async def test_it_106_answers_none_when_the_actor_ends_by_it(message):
    async with running(supervisor(worker("a", []))) as run:
        assert await run.ref("a").ask(message) is None


async def test_it_106_does_not_answer_when_the_asker_has_left():
    log = []
    async with running(supervisor(worker("a", log))) as run:
        await run.tell("a", takes(10))
        with anyio.move_on_after(1):
            await run.ref("a").ask("x")
        await anyio.sleep(10)
        assert said(log) == ["a:x"]
        assert run.actor("a").handled == 2


# ---------------------------------------------------------------- 107 to 108: stuck, blocked


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
        assert any("test_k_promises.py" in line and "hang" in line for line in actor.stack)
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
        if what.kind == "blocked":
            heard.append(what)
            told.set()

    async def block(_actor):
        assert told.wait(10)

    root = supervisor(worker("a", []), worker("guilty", []))
    async with System(root, report=report, blocked_after_s=0.05, clock=SystemClock()) as system:
        await system.ref("a").ask("x")
        await system.ref("guilty").ask(block, timeout_s=30)
        assert heard[0].name.startswith("guilty (")
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


async def a_day(seed):
    trace = []
    backoff = Backoff(min_s=1, max_s=30, jitter=0.5)
    child = worker("health", trace, starting=pinger(random.Random(seed)), backoff=backoff)
    async with running(supervisor(child, intensity=5), seed=seed) as run:
        await anyio.sleep(DAY_S)
        assert run.root.state == "running"
        actor = run.actor("health")
        return trace, (actor.handled, actor.crashed, actor.incarnation)


async def test_it_110_lives_a_day_in_a_second_with_the_same_trace_each_time():
    began = time.perf_counter()
    trace, counts = await a_day(seed=7)
    took_s = time.perf_counter() - began
    assert (trace, counts) == await a_day(seed=7)
    assert trace != (await a_day(seed=8))[0]
    handled, crashed, incarnation = counts
    assert crashed == incarnation - 1 > 30
    assert PINGS - 2 * crashed < handled <= PINGS
    assert took_s < 2.0

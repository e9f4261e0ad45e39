"""Facts K, cases 99 to 103: what survives a crash, a restart, an end.

Case 104 (kill -9 with the journal on) is an acceptance test: it needs a process.
"""

import anyio
import msgspec
import pytest

from runtime.actor import Actor
from runtime.clock import LoopClock
from runtime.mailbox import MailboxPolicy
from runtime.spec import ChildSpec
from runtime.store import Store
from tests.unit.supervision.kit import (
    Crash,
    crash,
    finish,
    poison,
    running,
    settle,
    stray,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio


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


class Unspeakable(Exception):
    """Neither it nor a message of its kind can be shown."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


async def test_it_100_survives_what_cannot_even_be_shown():
    async def fall(actor):
        actor.log.append("falls")

    class Odd(Unspeakable):
        async def __call__(self, actor):
            raise Unspeakable

    log = []
    async with running(supervisor(worker("a", log))) as run:
        await run.tell("a", Odd(), fall, takes(10), Odd())
        (record,) = run.system.quarantined
        assert record.message == "<Odd: its text fails with RuntimeError>"
        assert "Unspeakable" in record.traceback
        assert run.actor("a").last_error == (
            "Unspeakable: <Unspeakable: its text fails with RuntimeError>"
        )
        assert log[-1] == "falls"
        await run.admin().terminate_child("a")
        await run.admin().delete_child("a")
        letters = [letter.message for letter in run.system.dead_letters]
        assert letters[1:] == ["<Odd: its text fails with RuntimeError>"]


# ---------------------------------------------------------------- 101 to 104: what survives


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


async def test_it_100_keeps_a_record_that_can_be_sent_on_whatever_its_text():
    half = "\ud800"

    class Odd:
        def __repr__(self):
            return half

    class Odds(Actor):
        async def receive(self, message):
            raise ValueError(half)

    async with running(supervisor(ChildSpec(id="a", name="a", start=Odds), intensity=9)) as run:
        await run.ref("a").tell(Odd())
        await settle()
        [record] = run.system.quarantined
        assert record.message == "\\ud800"
        assert msgspec.json.encode((record, run.system.status()))

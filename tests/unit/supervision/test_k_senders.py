"""Facts K, cases 105 and 106: what a sender meets: a full mailbox, nobody who answers."""

import gc
import weakref

import anyio
import pytest

from runtime.mailbox import MailboxPolicy
from runtime.ref import AskFailed, AskTimeout, MailboxFull, NoSuchActor
from runtime.restart import Backoff
from tests.unit.supervision.kit import (
    Crash,
    crash,
    finish,
    identity,
    poison,
    running,
    settle,
    shut,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio
SLOWLY = Backoff(min_s=60, max_s=60)


def said(log):
    return [line for line in log if ":" in line]


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


@pytest.mark.parametrize("leaves", [False, True])
async def test_it_106_keeps_neither_question_nor_answer_until_the_deadline(leaves):
    class Large:
        async def __call__(self, _actor):
            await anyio.sleep(5)
            large = Large()
            kept.append(weakref.ref(large))
            return large

    kept = []
    async with running(supervisor(worker("a", []))) as run:
        question = Large()
        kept.append(weakref.ref(question))
        with anyio.move_on_after(1 if leaves else 100):
            await run.ref("a").ask(question, timeout_s=3_600)
        del question
        await anyio.sleep(10)
        gc.collect()
        assert len(run.system.timers._heap) == 1
        assert [large() for large in kept] == [None, None]


async def test_it_105_makes_room_for_what_must_arrive_among_coalesced_messages():
    log = []
    child = boxed(log, "coalesce", key=lambda m: str(m)[0], never_drop=(bytes,))
    async with running(supervisor(child)) as run:
        await full(run, "a1", "c1")
        await run.tell("a", b"urgent", "c2")
        assert [letter.message for letter in run.system.dead_letters] == ["'a1'"]
        await anyio.sleep(20)
        assert said(log) == ["a:c2", "a:b'urgent'"]
        await run.tell("a", "a2")
        assert said(log)[-1] == "a:a2"


@pytest.mark.parametrize("when_full", ["wait", "refuse"])
async def test_it_105_counts_what_is_posted_and_finds_no_room_as_a_dead_letter(when_full):
    log = []
    async with running(supervisor(boxed(log, when_full))) as run:
        await full(run, 1, 2)
        for message in (3, 4):
            run.ref("a").post(message)
        letters = run.system.dead_letters
        assert [(letter.message, letter.reason) for letter in letters] == [
            ("3", "no room"),
            ("4", "no room"),
        ]
        assert run.kinds("dead_letter") == [("dead_letter", "a")] * 2
        await anyio.sleep(11)
        slot = run.ref("a")._slot
        assert (slot.box.accepted, slot.handled, slot.dead_lettered) == (5, 3, 2)
        run.ref("a").post(5)
        await settle()
        assert said(log)[-1] == "a:5"

"""Facts J, cases 86 to 97: what Pekko's SupervisionSpec adds."""

from itertools import pairwise

import anyio
import pytest

from runtime.mailbox import MailboxPolicy
from runtime.ref import Declined, MailboxFull
from runtime.restart import Backoff
from runtime.spec import ChildSpec
from tests.unit.supervision.kit import (
    Crash,
    Probe,
    crash,
    identity,
    raises,
    running,
    state,
    supervisor,
    takes,
    worker,
)

pytestmark = pytest.mark.anyio


class Fatal(BaseException):
    """No `Exception`: nobody's to handle."""


async def test_it_086_lets_the_inner_supervisor_try_first():
    # Pekko selects by the exception's type. Ours, as OTP, restarts after any `Exception`.
    inner = supervisor(worker("a", []), id="inner", intensity=1)
    async with running(supervisor(inner, worker("b", []), intensity=1)) as run:
        await run.tell("inner/a", crash)
        assert run.kinds("gave_up") == []
        await run.tell("inner/a", crash)
        assert run.kinds("gave_up") == [("gave_up", "inner")]
        await run.tell("inner/a", crash)
        await run.tell("inner/a", crash)
        assert run.kinds("gave_up")[-1] == ("gave_up", "root")


@pytest.mark.parametrize("where", ["started", "receive", "linked"])
async def test_it_086_never_catches_a_fatal_error(where):
    async def fatal(actor):
        raise Fatal

    async def fatal_later(actor):
        actor.ctx.task(fatal, actor)

    starting = fatal if where == "started" else None
    caught = []
    try:
        async with running(supervisor(worker("a", [], starting=starting))) as run:
            await run.ref("a").tell(fatal_later if where == "linked" else fatal)
            await anyio.sleep(1)
            pytest.fail("it was caught")
    except BaseExceptionGroup as group:
        caught.append(group)
    matched, rest = caught[0].split(Fatal)
    assert matched is not None
    assert rest is None


async def test_it_087_drops_a_message_that_is_declined_and_goes_on():
    # Pekko's `resume`: here the actor says so itself, by `Declined`.
    async def refuse(_actor):
        raise Declined("not now")

    log = []
    async with running(supervisor(worker("a", log), intensity=0)) as run:
        await run.tell("a", "x", refuse, "y")
        with pytest.raises(Declined, match="not now"):
            await run.ref("a").ask(refuse)
        assert await run.ref("a").ask(state) == 5
        assert log == ["+a#1", "a:x", "a:y"]
        assert (run.actor("a").handled, run.actor("a").crashed) == (5, 0)


async def test_it_087_drops_a_declined_message_of_a_coalescing_mailbox():
    async def refuse(_actor):
        raise Declined("not now")

    policy = MailboxPolicy(when_full="coalesce", key=str)
    async with running(supervisor(worker("a", [], mailbox=policy), intensity=0)) as run:
        await run.tell("a", refuse, "y")
        assert (run.actor("a").handled, run.number("a")) == (2, 1)


async def test_it_088_runs_the_hook_before_a_restart_and_when_it_gives_up():
    log = []
    async with running(supervisor(worker("a", log, ending=takes(2, says="tidy")))) as run:
        await run.tell("a", crash)
        await anyio.sleep(3)
        assert log == ["+a#1", "-a", "a:tidy", "+a#2"]
        await run.tell("a", crash)
        assert await run.ended() == "shutdown"
        assert log[4:] == ["-a", "a:tidy"]


async def test_it_088_restarts_in_spite_of_a_raise_in_the_hook():
    async with running(supervisor(worker("a", [], ending=raises(Crash("untidy"), None)))) as run:
        await run.tell("a", crash)
        assert run.number("a") == 2
        assert run.details("stopping_failed") == ["Crash: untidy"]
        assert run.details("child_terminated") == ["Crash: a was told to"]


async def test_it_090_cancels_the_timers_of_the_old_incarnation():
    log = []

    async def start_timers(actor):
        if actor.ctx.incarnation == 1:
            actor.ctx.after(10, "once")
            actor.ctx.every(3, "tick")

    async with running(supervisor(worker("a", log, starting=start_timers))) as run:
        await anyio.sleep(4)
        await run.tell("a", crash)
        await anyio.sleep(100)
        assert log == ["+a#1", "a:tick", "-a", "+a#2"]


async def test_it_090_skips_a_tick_that_waited_through_the_restart():
    log = []

    async def tick_while_busy(actor):
        if not actor.ctx.redelivered:
            actor.ctx.after(1, "tick")
            await anyio.sleep(2)
            raise Crash

    async with running(supervisor(worker("a", log))) as run:
        await run.tell("a", tick_while_busy, "next")
        await anyio.sleep(5)
        assert log == ["+a#1", "-a", "+a#2", "a:next"]
        assert run.actor("a").accepted == run.actor("a").handled == 3


async def test_it_091_keeps_messages_during_backoff_in_order():
    log = []
    slow = worker("a", log, backoff=Backoff(min_s=60, max_s=60))
    async with running(supervisor(slow)) as run:
        await run.tell("a", crash)
        for number in range(1_000):
            await run.ref("a").tell(number)
        assert run.state("a") == "restarting"
        assert run.actor("a").mailbox == 1_001
        await anyio.sleep(70)
        assert log[3:] == [f"a:{number}" for number in range(1_000)]


@pytest.mark.parametrize(("when_full", "kept"), [("refuse", [1, 2]), ("drop_oldest", [3, 4])])
async def test_it_091_keeps_its_rule_beyond_the_capacity_during_backoff(when_full, kept):
    log = []
    policy = MailboxPolicy(capacity=3, when_full=when_full)
    slow = worker("a", log, backoff=Backoff(min_s=60, max_s=60), mailbox=policy)
    async with running(supervisor(slow)) as run:
        await run.tell("a", crash)
        refused = []
        for number in (1, 2, 3, 4):
            try:
                await run.ref("a").tell(number)
            except MailboxFull:
                refused.append(number)
        await anyio.sleep(70)
        assert log[3:] == [f"a:{number}" for number in kept]
        dropped = [(d.message, d.reason) for d in run.system.dead_letters]
        if when_full == "refuse":
            assert (refused, dropped) == ([3, 4], [])
        else:
            reason = "dropped: mailbox full"
            assert (refused, dropped) == ([], [("1", reason), ("2", reason)])


@pytest.mark.parametrize(
    ("attempt", "delay_s"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 10), (5, 10), (10**9, 10)]
)
def test_it_093_doubles_the_delay_up_to_the_most(attempt, delay_s):
    assert Backoff(min_s=1, max_s=10, jitter=0).delay_s(attempt, 0.9) == delay_s


def test_it_093_adds_jitter_to_the_delay():
    backoff = Backoff(min_s=1, max_s=10, jitter=0.5)
    assert backoff.delay_s(1, 0.0) == 2
    assert backoff.delay_s(1, 0.5) == 2.5
    assert backoff.delay_s(9, 1.0) == 15


def starts(times):
    async def note(_actor):
        times.append(anyio.current_time())

    return note


async def gaps(backoff, *, crashes, seed=None, apart_s=0.0):
    """Return the seconds between a crash and the next start."""
    times, gap = [], []
    child = worker("a", [], starting=starts(times), backoff=backoff)
    async with running(supervisor(child, intensity=1_000), seed=seed) as run:
        for _ in range(crashes):
            await anyio.sleep(apart_s)
            crashed_at = anyio.current_time()
            await run.ref("a").ask(crash, timeout_s=10_000)
            gap.append(round(times[-1] - crashed_at, 9))
    return gap


async def test_it_093_waits_that_long():
    assert await gaps(Backoff(min_s=1, max_s=8, jitter=0), crashes=6) == [1, 2, 4, 8, 8, 8]


async def test_it_093_starts_again_from_the_least_after_a_quiet_time():
    backoff = Backoff(min_s=1, max_s=8, jitter=0, reset_after_s=100)
    assert await gaps(backoff, crashes=4, apart_s=99) == [1, 2, 4, 8]
    assert await gaps(backoff, crashes=4, apart_s=100) == [1, 1, 1, 1]


async def test_it_093_repeats_its_jitter_for_a_seed():
    backoff = Backoff(min_s=1, max_s=8, jitter=0.5)
    one, same, other = [await gaps(backoff, crashes=8, seed=seed) for seed in (7, 7, 8)]
    assert one == same != other
    assert all(base <= gap <= base * 1.5 for base, gap in zip([1, 2, 4], one[:3], strict=True))


async def test_it_095_counts_failures_to_start_too():
    bad = worker("a", [], starting=raises(None, Crash("no")), backoff=Backoff(min_s=1, jitter=0))
    async with running(supervisor(bad, intensity=3, period_s=1_000)) as run:
        await run.tell("a", crash)
        assert await run.ended() == "shutdown"
        assert len(run.kinds("start_error")) == 3
        assert run.state("a") == "stopped"


async def test_it_096_does_not_loop_for_ever_on_a_start_that_fails():
    built = []

    def build():
        built.append(1)
        if len(built) > 1:
            raise Crash("no actor")
        return Probe([])

    spec = ChildSpec(id="a", start=build)
    async with running(supervisor(spec, intensity=100)) as run:
        await run.tell("a", crash)
        assert run.system.root.exit.ending == "shutdown"
        assert len(built) == 101


async def test_it_096_retries_a_start_that_fails_with_growing_delays():
    times = []

    async def starting(actor):
        times.append(anyio.current_time())
        if 1 < len(times) <= 12:
            raise Crash("not yet")

    backoff = Backoff(min_s=1, max_s=32, jitter=0)
    child = worker("a", [], starting=starting, backoff=backoff)
    async with running(supervisor(child, intensity=6, period_s=60)) as run:
        await run.ref("a").tell(crash)
        await anyio.sleep(1_000)
        assert run.root.state == "running"
        delays = [1, 2, 4, 8, 16] + [32] * 7  # never back to 1: it has not lived meanwhile
        assert [b - a for a, b in pairwise(times)] == delays
        assert await run.ref("a").ask(identity) == 13


async def test_it_097_reports_worse_than_one_crash_by_another_kind():
    # Pekko raises the log level after n failures. Ours names it, and the log's rule is the app's.
    bad = worker("a", [], starting=raises(None, Crash("no start")))
    async with running(supervisor(bad, intensity=3)) as run:
        await run.tell("a", crash)
        kinds = [kind for kind, _ in run.kinds()]
        assert kinds == ["started", "child_terminated", *["start_error"] * 3, "gave_up"]

"""The health actor: facts from the journal and signs of life, told in order, kept over a crash."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import anyio
import msgspec
import pytest
import trio

from actors import codec
from actors.health import actor as health_module
from actors.health.actor import KEEP_SEEN_EVERY_S, READER, STREAMS, HealthActor, HealthQuery, Kept
from actors.health.levels import Rules
from actors.health.signs import Signs
from actors.messages import (
    ApiError,
    CircuitBreaker,
    HealthUpdate,
    KillSwitch,
    Pinged,
    PositionRejected,
    Positions,
    Recorded,
    Refresh,
    Seen,
)
from actors.place import Position, cursor_key, poison_key
from runtime.clock import LoopClock
from runtime.store import Entry
from tests.fakes.bench import bench

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 1, tzinfo=UTC)
NEIGHBOURS = ("alerts", "broadcaster")
BROKEN = Entry("kill_switch", b'{"type":"kill_switch","of":"another version"}', 0.0)


def switch(bot="alpha", *, active=True, reason=""):
    return KillSwitch(bot, START, active, reason)


def breaker(seconds):
    return CircuitBreaker("alpha", START, True, "loss", START + timedelta(seconds=seconds))


def journal(*events):
    entries = [
        event
        if isinstance(event, Entry)
        else Entry(codec.stream(event), codec.encode(event), 0.0, codec.key(event))
        for event in events
    ]
    return lambda tx: tx.journal.append(entries)


def cursor(seq, *events, poisoned=()):
    def prepare(tx):
        journal(*events)(tx)
        tx.state.put(cursor_key(READER), str(seq).encode())
        for poison in poisoned:
            tx.state.put(poison_key(READER, poison), b"")

    return prepare


def watching(tmp_path, prepare=None, apis=("kraken",), clock=None):
    place, signs = Position(reader=READER, streams=STREAMS), Signs()

    def start(table):
        table.place, table.signs = place, signs
        return HealthActor(
            table.store,
            place,
            signs,
            rules=lambda _bot: Rules(silent_after_s=120),
            apis=apis,
            alerts=table.ref("alerts"),
            broadcaster=table.ref("broadcaster"),
        )

    return bench(tmp_path, start, neighbours=NEIGHBOURS, prepare=prepare, clock=clock)


async def record(table, *events):
    for event in events:
        [seq] = await table.store.write(journal(event))
        await table.ref("tested").tell(Recorded(seq, event))
    await anyio.sleep(0.01)


async def health(table):
    return await table.ref("tested").ask(HealthQuery())


async def saved(table):
    rows = await table.store.read(lambda tx: list(tx.state.scan(HealthActor.SEEN)))
    return [msgspec.json.decode(data, type=Kept) for _, data in rows]


async def silent(table):
    return [bot for bot, each in (await health(table)).bots.items() if each.silent]


def crash(table):
    table.ref("tested")._slot.incarnation.fail(RuntimeError("crash"))


def told(table, name="alerts"):
    return [(update.bot, update.seq, update.health.level) for update in table.heard[name]]


async def test_it_tells_alerts_and_browsers_of_each_event_in_order(tmp_path):
    async with watching(tmp_path) as table:
        await record(table, switch(), switch(active=False), switch("beta", reason="loss"))
        expected = [("alpha", 1, "CRITICAL"), ("alpha", 2, "HEALTHY"), ("beta", 3, "CRITICAL")]
        assert [update for update in told(table) if update[1]] == expected
        assert told(table, "broadcaster") == told(table)
        assert table.place.handled == 3
        whole = await health(table)
        assert (whole.level, whole.reasons) == ("CRITICAL", ["beta: kill switch on: loss"])
        assert sorted(whole.bots) == ["alpha", "beta"]


async def test_it_passes_on_why_a_position_was_rejected(tmp_path):
    async with watching(tmp_path) as table:
        rejections = [
            PositionRejected("alpha", START, n, why) for n, why in enumerate(["3 of 3", ""])
        ]
        await record(table, *rejections)
        updates = [update for update in table.heard["alerts"] if update.seq]
        assert [update.rejected for update in updates] == ["3 of 3", "no reason given"]
        assert all(isinstance(update, HealthUpdate) for update in updates)


async def test_it_takes_no_event_twice(tmp_path):
    async with watching(tmp_path) as table:
        await record(table, switch())
        before = len(table.heard["alerts"])
        await table.ref("tested").tell(Recorded(1, switch()))
        await anyio.sleep(0.01)
        assert len(table.heard["alerts"]) == before


async def test_it_notices_silence_by_the_clock_and_says_so_once(tmp_path):
    async with watching(tmp_path) as table:
        table.signs.note(Seen("alpha", START, "running"))
        await anyio.sleep(119)
        assert (await health(table)).level == "HEALTHY"
        before = len(table.heard["alerts"])
        await anyio.sleep(60)
        [update] = table.heard["alerts"][before:]
        assert (update.seq, update.health.level) == (0, "CRITICAL")
        assert update.health.bots["alpha"].silent
        table.signs.note(Seen("alpha", table.clock.now()))
        await anyio.sleep(2)
        assert told(table)[-1] == ("", 0, "HEALTHY")


async def test_it_shows_browsers_how_long_a_silence_lasts_by_now(tmp_path):
    async with watching(tmp_path) as table:
        table.signs.note(Seen("alpha", START, "running"))
        await anyio.sleep(130)
        heard = {name: len(table.heard[name]) for name in NEIGHBOURS}
        await anyio.sleep(60)
        assert len(table.heard["alerts"]) == heard["alerts"]
        shown = [update.health.reasons for update in table.heard["broadcaster"]][-6:]
        assert len(table.heard["broadcaster"]) - heard["broadcaster"] == 6
        spoken = [int(reason.split()[-2]) for [reason] in shown]
        assert [after - before for before, after in pairwise(spoken)] == [10] * 5
        assert 180 <= spoken[-1] <= 190


async def test_it_closes_a_breaker_when_its_time_is_over(tmp_path):
    async with watching(tmp_path) as table:
        await record(table, breaker(60))
        assert (await health(table)).level == "DEGRADED"
        await anyio.sleep(62)
        assert told(table)[-1] == ("", 0, "HEALTHY")
        assert (await health(table)).bots["alpha"].circuit_breaker.reason == "its time is over"


async def test_it_says_nothing_while_nothing_changes(tmp_path):
    async with watching(tmp_path) as table:
        await anyio.sleep(0.5)
        assert told(table) == [("", 0, "HEALTHY")]
        await anyio.sleep(300)
        assert len(told(table)) == 1


async def test_it_tells_of_each_ping(tmp_path):
    async with watching(tmp_path) as table:
        down = Pinged("kraken", START, connected=False, latency_ms=None, detail="HTTP 503")
        for ping in (down, down, Pinged("other", START, connected=True, latency_ms=5.0)):
            await table.ref("tested").tell(ping)
        await anyio.sleep(0.01)
        whole = await health(table)
        assert whole.apis["kraken"].failures == 2
        assert whole.apis["other"].latency_ms == 5.0
        assert whole.reasons == ["kraken: API disconnected: HTTP 503"]
        assert told(table)[-1] == ("", 0, "DEGRADED")


async def test_it_has_the_same_facts_after_a_crash(tmp_path):
    async with watching(tmp_path) as table:
        table.signs.note(Seen("alpha", START, "running"))
        await record(table, switch(), switch("beta"))
        before = (await health(table)).bots
        crash(table)
        await anyio.sleep(0.01)
        assert (await health(table)).bots == before
        assert table.actor("tested").restarts_total == 1
        assert [update[1] for update in told(table) if update[1]] == [1, 2]


def minutes(number):
    return START + timedelta(minutes=number)


STORIES = {
    "a late off": [(switch(), 0), (KillSwitch("alpha", minutes(-5), False), 1)],
    "a clock set back": [
        (KillSwitch("alpha", minutes(9), False), 9),
        (KillSwitch("alpha", minutes(-50), True, "loss"), 10),
    ],
    "a breaker whose time is over, and what comes late": [
        (CircuitBreaker("alpha", minutes(0), True, "loss", minutes(3)), 0),
        (CircuitBreaker("alpha", minutes(-9), False, "old"), 5),
        (CircuitBreaker("alpha", minutes(-8), True, "older", minutes(-7)), 6),
    ],
    "positions": [
        (Positions("alpha", minutes(0), 5, 5), 0),
        (Positions("alpha", minutes(-9), 6, 5), 1),
        (Positions("alpha", minutes(-8), 0, 5), 2),
    ],
    "errors of a clock that is behind": [
        (ApiError("alpha", minutes(-50 + n / 10), "timeout"), n / 10) for n in range(5)
    ],
}


@pytest.mark.parametrize("story", STORIES)
async def test_it_decides_again_as_it_did_after_a_crash_and_in_a_new_process(tmp_path, story):
    clock = LoopClock()
    async with watching(tmp_path, clock=clock) as table:
        clock.jump((START - clock.now()).total_seconds())
        for event, minute in STORIES[story]:
            await anyio.sleep(max(0.0, (minutes(minute) - clock.now()).total_seconds()))
            stamp = clock.now().timestamp()
            entry = Entry(codec.stream(event), codec.encode(event), stamp)
            [seq] = await table.store.write(lambda tx, entry=entry: tx.journal.append([entry]))
            await table.ref("tested").tell(Recorded(seq, event, arrived=stamp))
        await anyio.sleep(1.5)
        live = (await health(table)).bots["alpha"]
        assert live.reasons or story.startswith("a breaker")
        crash(table)
        await anyio.sleep(0.01)
        assert (await health(table)).bots["alpha"] == live
    async with watching(tmp_path, cursor(seq), clock=clock) as table:
        assert (await health(table)).bots["alpha"] == live


async def test_it_rebuilds_up_to_the_cursor_in_a_new_process(tmp_path, monkeypatch):
    monkeypatch.setattr(health_module, "REBUILD_ROWS", 2)
    events = [switch(), switch(active=False), switch("beta"), switch("gamma"), switch("delta")]
    async with watching(tmp_path, cursor(3, *events)) as table:
        whole = await health(table)
        assert {bot: each.level for bot, each in whole.bots.items()} == {
            "alpha": "HEALTHY",
            "beta": "CRITICAL",
        }
        assert (table.place.told, table.place.handled) == (3, 3)


async def test_it_leaves_out_poison_and_what_no_longer_decodes(tmp_path):
    prepare = cursor(9, switch(), BROKEN, switch("beta"), poisoned=[1])
    async with watching(tmp_path, prepare) as table:
        assert list((await health(table)).bots) == ["beta"]
        assert table.place.poisoned == {1}
        assert table.actor("tested").restarts_total == 0


async def test_it_keeps_when_each_bot_was_seen(tmp_path):
    async with watching(tmp_path) as table:
        table.signs.note(Seen("alpha", START, "running"))
        await anyio.sleep(KEEP_SEEN_EVERY_S + 1)
        assert await saved(table) == [Kept("alpha", START, "running", quiet_s=30.0)]
        table.signs.note(Seen("beta", START, regular=False))
        await anyio.sleep(0.01)
    async with watching(tmp_path) as table:
        bots = (await health(table)).bots
        assert {bot: each.last_seen for bot, each in bots.items()} == {
            "alpha": START,
            "beta": START,
        }
        assert bots["alpha"].state == "running"
        await anyio.sleep(130)
        assert await silent(table) == ["alpha"]


async def test_it_writes_nothing_while_nothing_is_waited_for(tmp_path):
    async with watching(tmp_path) as table:
        table.signs.note(Seen("alpha", START, "running"))
        table.signs.note(Seen("beta", START, regular=False))
        await anyio.sleep(121 + KEEP_SEEN_EVERY_S)
        commits = table.store.stats().commits
        await anyio.sleep(10 * KEEP_SEEN_EVERY_S)  # alpha is silent, beta may be
        assert table.store.stats().commits == commits


@pytest.mark.parametrize(
    ("before_s", "after_s"),
    [(60, 60), (89, 31), (96, 30), (119, 30)],  # at least a quarter: a sign may have been missed
)
async def test_it_goes_on_counting_silence_after_a_restart(tmp_path, before_s, after_s):
    async with watching(tmp_path) as table:
        table.signs.note(Seen("alpha", START))
        await anyio.sleep(before_s)
    async with watching(tmp_path) as table:
        await anyio.sleep(after_s - 1)
        assert await silent(table) == []
        await anyio.sleep(3)
        assert await silent(table) == ["alpha"]
        assert told(table)[-1] == ("", 0, "CRITICAL")
        table.signs.note(Seen("alpha", table.clock.now()))
        await anyio.sleep(100)
        assert await silent(table) == []


async def test_it_adds_silence_up_over_restarts_and_leaves_out_that_it_was_down(tmp_path):
    clock = LoopClock()
    async with watching(tmp_path, clock=clock) as table:
        table.signs.note(Seen("alpha", clock.now()))
        await anyio.sleep(20)
    for _ in range(2):
        clock.jump(3_600)
        async with watching(tmp_path, clock=clock) as table:
            await anyio.sleep(20)
            assert await silent(table) == []
    clock.jump(3_600)
    async with watching(tmp_path, clock=clock) as table:
        await anyio.sleep(58)
        assert await silent(table) == []
        await anyio.sleep(4)
        assert await silent(table) == ["alpha"]


async def test_it_does_not_call_silence_over_because_it_was_restarted(tmp_path):
    async with watching(tmp_path) as table:
        table.signs.note(Seen("alpha", START))
        await anyio.sleep(122)
        assert [kept.quiet_s > 120 for kept in await saved(table)] == [True]  # a kill comes now
    async with watching(tmp_path) as table:
        await anyio.sleep(0.5)
        assert told(table) == [("", 0, "CRITICAL")]


def stop_the_process(seconds):
    """Let both clocks run on while nothing here does, as SIGSTOP and SIGCONT have it."""
    if trio.lowlevel.in_trio_run():
        trio.lowlevel.current_clock().jump(seconds)
    else:
        asyncio.get_running_loop().virtual_s += seconds


def put_to_sleep(table, seconds):
    """Let the wall clock run on alone, as a laptop has it."""
    table.clock.jump(seconds)


async def beat(table, times, every_s=30):
    for _ in range(times):
        table.signs.note(Seen("alpha", table.clock.now()))
        await anyio.sleep(every_s)


@pytest.mark.parametrize("how", ["stopped", "asleep"])
async def test_it_calls_no_bot_silent_because_it_did_not_run_itself(tmp_path, how):
    async with watching(tmp_path, clock=LoopClock()) as table:
        await beat(table, 3)
        for _ in range(3):
            await anyio.sleep(20)
            if how == "stopped":
                stop_the_process(3_600)
            else:
                put_to_sleep(table, 3_600)
            await anyio.sleep(29)  # a heartbeat may have met nobody
            await beat(table, 2)
        assert {level for _, _, level in told(table)} == {"HEALTHY"}
        stop_the_process(3_600)
        await anyio.sleep(80)
        assert await silent(table) == []
        await anyio.sleep(20)  # 30 before it, 90 after it
        assert await silent(table) == ["alpha"]


@pytest.mark.parametrize("quiet_s", [95, 119])
async def test_it_gives_a_bot_a_quarter_of_its_time_after_it_was_stopped(tmp_path, quiet_s):
    async with watching(tmp_path) as table:
        table.signs.note(Seen("alpha", table.clock.now()))
        await anyio.sleep(quiet_s)
        stop_the_process(600)
        await anyio.sleep(26)
        assert await silent(table) == []
        await anyio.sleep(6)
        assert await silent(table) == ["alpha"]


async def test_it_does_not_call_silence_over_because_it_was_stopped(tmp_path):
    async with watching(tmp_path) as table:
        table.signs.note(Seen("alpha", table.clock.now()))
        await anyio.sleep(123)
        before = told(table)
        assert before[-1] == ("", 0, "CRITICAL")
        stop_the_process(600)
        await anyio.sleep(60)
        assert told(table) == before
        table.signs.note(Seen("alpha", table.clock.now()))
        await anyio.sleep(2)
        assert told(table)[len(before) :] == [("", 0, "HEALTHY")]


@pytest.mark.parametrize("jump_s", [-3_600, 3_600])
async def test_it_hears_a_bot_though_the_wall_clock_is_set(tmp_path, jump_s):
    clock = LoopClock()
    async with watching(tmp_path, clock=clock) as table:
        await beat(table, 2)
        clock.jump(jump_s)
        await beat(table, 20)
        assert {level for _, _, level in told(table)} == {"HEALTHY"}
        last = (await health(table)).bots["alpha"].last_seen
        assert last == clock.now() - timedelta(seconds=30)
        await anyio.sleep(93)
        assert await silent(table) == ["alpha"]


async def test_it_hears_a_bot_though_the_wall_clock_was_set_back_while_it_was_down(tmp_path):
    clock = LoopClock()
    async with watching(tmp_path, clock=clock) as table:
        await beat(table, 2)
    clock.jump(-3_600)
    async with watching(tmp_path, clock=clock) as table:
        await beat(table, 6)
        assert {level for _, _, level in told(table)} == {"HEALTHY"}
        crash(table)
        await beat(table, 6)
        assert {level for _, _, level in told(table)} == {"HEALTHY"}
        await anyio.sleep(93)
        assert await silent(table) == ["alpha"]


async def test_it_gives_its_time_to_a_bot_that_an_older_version_kept(tmp_path):
    def older(tx):
        tx.state.put(HealthActor.SEEN + "alpha", msgspec.json.encode(Seen("alpha", START)))

    async with watching(tmp_path, older) as table:
        await anyio.sleep(119)
        assert await silent(table) == []
        await anyio.sleep(3)
        assert await silent(table) == ["alpha"]


async def test_it_survives_a_full_disk_and_keeps_signs_of_life_later(tmp_path):
    async with watching(tmp_path) as table:
        table.break_disk()
        table.signs.note(Seen("alpha", START))
        await anyio.sleep(KEEP_SEEN_EVERY_S * 5)
        assert table.actor("tested").restarts_total == 0
        assert (await health(table)).bots["alpha"].silent
        table.mend_disk()
        await anyio.sleep(KEEP_SEEN_EVERY_S + 1)
        [kept] = await saved(table)
        assert (kept.bot, kept.at, kept.quiet_s > 120) == ("alpha", START, True)


async def test_it_watches_so_many_bots_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(health_module, "BOTS_MAX", 2)
    async with watching(tmp_path) as table:
        await record(table, switch("b1"), switch("b2"), switch("b3"))
        table.signs.note(Seen("b4", START))
        table.signs.note(Seen("b1", START))
        assert list((await health(table)).bots) == ["b1", "b2"]
        crash(table)
        await anyio.sleep(0.01)
        assert list((await health(table)).bots) == ["b1", "b2"]


async def test_it_tells_everything_again_when_alerts_have_forgotten(tmp_path):
    async with watching(tmp_path) as table:
        await anyio.sleep(5)
        before = len(table.heard["alerts"])
        await table.ref("tested").tell(Refresh())
        await anyio.sleep(0.1)
        assert len(table.heard["alerts"]) == before + 1


async def test_it_recalls_a_sign_of_life_after_a_crash_though_the_disk_fails(tmp_path):
    async with watching(tmp_path) as table:
        table.break_disk()
        table.signs.note(Seen("alpha", START, "running"))
        assert list((await health(table)).bots) == ["alpha"]
        crash(table)
        await anyio.sleep(0.01)
        assert (await health(table)).bots["alpha"].last_seen == START


async def test_it_says_now_and_then_that_a_bot_is_one_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(health_module, "BOTS_MAX", 1)
    async with watching(tmp_path) as table:
        await record(table, switch("b1"), *(switch(f"b{n}") for n in range(2, 9)))
        refused = [report for report in table.reports if report.kind == "refused"]
        said = "more than 1 bots: 'b2' is not watched, its kill switch neither"
        assert [report.detail for report in refused] == [said]
        await anyio.sleep(health_module.REFUSED_EVERY_S)
        table.signs.note(Seen("b9", START))
        await health(table)
        assert table.kinds("tested").count("refused") == 2


async def test_it_recalls_no_more_bots_than_it_watches(tmp_path, monkeypatch):
    async with watching(tmp_path) as table:
        for bot in ("b1", "b2"):
            table.signs.note(Seen(bot, START))
        await health(table)
    monkeypatch.setattr(health_module, "BOTS_MAX", 2)
    async with watching(tmp_path, cursor(9, switch("b3"))) as table:
        assert list((await health(table)).bots) == ["b1", "b3"]

"""The feed and the keeper: readers get their streams once, in order; a mended disk is noticed."""

from datetime import UTC, datetime
from decimal import Decimal

import anyio
import msgspec
import pytest

from actors import codec, feed, keeper
from actors.feed import Feed
from actors.keeper import LOOK_EVERY_S, PROBE_KEY, Keep, StoreActor, Unwritten
from actors.messages import ApiError, KillSwitch, Recorded, RecordedRun, Trade, Wake
from actors.place import Position, poison_key
from actors.rush import LAG_MAX_S, QUIET_S, SHARE_S, Rush
from runtime.clock import LoopClock
from runtime.store import Entry
from runtime.system import Quarantined
from tests.fakes.bench import bench

pytestmark = pytest.mark.anyio
AT = datetime(2026, 1, 1, tzinfo=UTC)


def switch(n):
    event = KillSwitch("alpha", AT, active=True, reason=str(n))
    return Entry("kill_switch", codec.encode(event), 0.0)


def error(n):
    return Entry("api_error", codec.encode(ApiError("alpha", AT, str(n))), 0.0)


def journal(*entries):
    return lambda tx: tx.journal.append(entries)


def feeding(tmp_path, places, prepare=None, rush=None, clock=None):
    def start(table):
        table.store.on_commit(lambda _head: table.ref("tested").offer(Wake()))
        readers = [(place, table.ref(name)) for name, place in places.items()]
        return Feed(table.store, rush or Rush(table.clock), readers)

    return bench(tmp_path, start, neighbours=tuple(places), prepare=prepare, clock=clock)


def seqs(table, name):
    return [message.seq for message in table.heard[name]]


async def test_it_hands_each_reader_its_streams_in_order(tmp_path):
    switches, both = (
        Position(reader="reader", streams=("kill_switch",)),
        Position(reader="reader", streams=("kill_switch", "api_error")),
    )
    switches.begin(0)
    both.begin(0)
    async with feeding(tmp_path, {"one": switches, "two": both}) as table:
        await table.store.write(journal(switch(1), error(2), switch(3)))
        await anyio.sleep(1)
        assert seqs(table, "one") == [1, 3]
        assert seqs(table, "two") == [1, 2, 3]
        assert [message.after for message in table.heard["one"]] == [0, 1]
        assert [message.after for message in table.heard["two"]] == [0, 1, 2]
        assert table.heard["two"][1].event == ApiError("alpha", AT, "2")
        assert (switches.told, switches.last_told) == (3, 3)


async def test_it_says_when_each_event_came(tmp_path):
    place = Position(reader="reader", streams=("kill_switch", "api_error"), together_max=2)
    place.begin(0)
    lone, data = switch(1)._replace(at=7.5), b"\n".join([error(2).data, error(3).data])
    async with feeding(tmp_path, {"reader": place}, journal(lone)) as table:
        run = ("api_error", 8.5, data, [None, None])
        await table.store.write(lambda tx: tx.journal.append_run(*run))
        broken = ("api_error", 9.5, data + b"\n{}", [None] * 3)
        await table.store.write(lambda tx: tx.journal.append_run(*broken))
        await anyio.sleep(1)
        came = [(type(message), message.arrived) for message in table.heard["reader"]]
        assert came[:2] == [(Recorded, 7.5), (RecordedRun, 8.5)]
        assert {arrived for _, arrived in came[2:]} == {9.5}


async def test_it_catches_up_from_where_each_reader_stands(tmp_path):
    behind, ahead = (
        Position(reader="reader", streams=("kill_switch",)),
        Position(reader="reader", streams=("kill_switch",)),
    )
    behind.begin(1)
    ahead.begin(2)
    prepare = journal(switch(1), switch(2), switch(3))
    async with feeding(tmp_path, {"behind": behind, "ahead": ahead}, prepare) as table:
        await anyio.sleep(1)
        assert seqs(table, "behind") == [2, 3]
        assert seqs(table, "ahead") == [3]


async def test_it_tells_nothing_to_a_reader_that_has_not_rebuilt(tmp_path):
    place = Position(reader="reader", streams=("kill_switch",))
    async with feeding(tmp_path, {"reader": place}, journal(switch(1))) as table:
        await anyio.sleep(1)
        assert table.heard["reader"] == []
        place.begin(0)
        await table.store.write(journal(switch(2)))
        await anyio.sleep(1)
        assert seqs(table, "reader") == [1, 2]


async def test_it_passes_over_one_reader_that_has_not_rebuilt(tmp_path):
    ready, late = (
        Position(reader="reader", streams=("kill_switch",)),
        Position(reader="reader", streams=("kill_switch",)),
    )
    ready.begin(0)
    async with feeding(tmp_path, {"ready": ready, "late": late}, journal(switch(1))) as table:
        await anyio.sleep(1)
        assert (seqs(table, "ready"), seqs(table, "late")) == ([1], [])


async def test_it_reads_a_long_journal_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "READ_EVENTS_MAX", 10)
    place = Position(reader="reader", streams=("kill_switch",))
    place.begin(0)
    prepare = journal(*[switch(n) for n in range(35)])
    async with feeding(tmp_path, {"reader": place}, prepare) as table:
        await anyio.sleep(1)
        assert seqs(table, "reader") == list(range(1, 36))


async def test_it_leaves_out_what_no_longer_decodes(tmp_path):
    place = Position(reader="reader", streams=("kill_switch",))
    place.begin(0)
    prepare = journal(Entry("kill_switch", b'{"type":"gone"}', 0.0), switch(2))
    async with feeding(tmp_path, {"reader": place}, prepare) as table:
        await anyio.sleep(1)
        assert seqs(table, "reader") == [2]
        assert table.actor("tested").restarts_total == 0
        assert table.system.ref("tested")._slot.incarnation.actor.undecodable == 1


async def test_a_reader_that_has_had_all_it_was_sent_is_not_behind(tmp_path):
    place = Position(reader="reader", streams=("kill_switch",))
    place.begin(0)
    gone = Entry("kill_switch", b'{"type":"gone"}', 0.0)
    async with feeding(tmp_path, {"reader": place}, journal(switch(1), error(2), gone)) as table:
        await anyio.sleep(1)
        head = table.store.head()
        assert (place.sent, place.behind(head)) == (1, 3)
        [message] = table.heard["reader"]
        place.had(message)
        assert place.behind(head) == 0


def trades(first, last):
    at = {"opened_at": AT, "closed_at": AT, "pnl": Decimal(1)}
    given = [Trade("alpha", n, "X", "long", Decimal(1), **at) for n in range(first, last + 1)]
    lines = codec.encode_lines(given)
    return lambda tx: tx.journal.append_run("trade", 0.0, lines, codec.keys(given))


async def test_it_hands_a_run_on_in_pieces(tmp_path):
    place = Position(reader="reader", streams=("trade",), together_max=4)
    place.begin(0)
    async with feeding(tmp_path, {"reader": place}, trades(1, 9)) as table:
        await anyio.sleep(1)
        await table.store.write(trades(10, 11))
        await anyio.sleep(1)
        heard = table.heard["reader"]
        assert [(m.seq, len(m.events), m.after) for m in heard if isinstance(m, RecordedRun)] == [
            (1, 4, 0),
            (5, 4, 4),
            (10, 2, 9),
        ]
        assert heard[2] == Recorded(9, heard[2].event, 8)
        assert [event.id for event in heard[1].events] == [5, 6, 7, 8]
        assert (place.told, place.last_told) == (11, 11)


async def test_it_goes_on_within_a_run(tmp_path):
    place = Position(reader="reader", streams=("trade",))
    place.begin(3)
    async with feeding(tmp_path, {"reader": place}, trades(1, 6)) as table:
        await anyio.sleep(1)
        [run] = table.heard["reader"]
        assert (run.seq, run.after, [event.id for event in run.events]) == (4, 3, [4, 5, 6])


async def test_it_goes_on_beyond_a_run_that_it_had_begun(tmp_path, monkeypatch):
    """A kill comes within a batch of as many events as are read at once, and more follow it."""
    monkeypatch.setattr(feed, "READ_EVENTS_MAX", 5)
    place = Position(reader="reader", streams=("trade",))
    place.begin(3)

    def prepare(tx):
        for first in (1, 6, 11):
            trades(first, first + 4)(tx)

    async with feeding(tmp_path, {"reader": place}, prepare) as table:
        await anyio.sleep(1)
        heard = [event.id for run in table.heard["reader"] for event in run.events]
        assert heard == list(range(4, 16))


async def test_it_leaves_one_event_of_a_run_out_that_no_longer_decodes(tmp_path):
    place = Position(reader="reader", streams=("kill_switch",))
    place.begin(0)
    given = b"\n".join([switch(1).data, switch(2).data, b'{"type":"gone"}', switch(4).data])

    def prepare(tx):
        tx.journal.append_run("kill_switch", 0.0, given, [None] * 4)

    async with feeding(tmp_path, {"reader": place}, prepare) as table:
        await anyio.sleep(1)
        assert [(m.seq, m.after) for m in table.heard["reader"]] == [(1, 0), (2, 1), (4, 2)]
        assert place.told == 4


async def test_it_reads_past_what_is_for_others(tmp_path):
    place = Position(reader="reader", streams=("kill_switch",))
    place.begin(0)
    async with feeding(tmp_path, {"reader": place}, trades(1, 2_500)) as table:
        await anyio.sleep(0.001)
        assert (place.told, table.heard["reader"]) == (2_500, [])
        await table.store.write(trades(2_501, 5_000))
        await table.store.write(journal(switch(1)))
        await table.store.write(trades(5_001, 5_100))
        await anyio.sleep(0.001)
        assert (place.told, seqs(table, "reader")) == (5_101, [5_001])


async def test_it_lets_a_rush_pass_before_it_hands_many_events_on(tmp_path):
    place = Position(reader="reader", streams=("trade",))
    place.begin(0)
    clock = LoopClock()
    rush = Rush(clock)
    async with feeding(tmp_path, {"reader": place}, rush=rush, clock=clock) as table:
        with rush.arrival():
            await table.store.write(trades(1, 10))
            await anyio.sleep(0.001)
            assert place.told == 10
            await table.store.write(trades(11, 200))
            await anyio.sleep(0.1)
            assert place.told == 10
        await anyio.sleep(QUIET_S + 0.001)
        assert place.told == 200


async def test_it_waits_no_longer_than_it_may(tmp_path):
    place = Position(reader="reader", streams=("trade",))
    place.begin(0)
    clock = LoopClock()
    rush = Rush(clock)
    async with feeding(tmp_path, {"reader": place}, rush=rush, clock=clock) as table:
        with rush.arrival():
            await table.store.write(trades(1, 2_500))
            await anyio.sleep(LAG_MAX_S - QUIET_S)
            assert place.told == 0
            await anyio.sleep(2 * QUIET_S + SHARE_S)
            assert 0 < place.told < 2_500
            await anyio.sleep(0.1)
            assert place.told == 2_500
            await table.store.write(trades(3_001, 3_100))
            await anyio.sleep(LAG_MAX_S - QUIET_S)
            assert place.told == 2_500
            await anyio.sleep(2 * QUIET_S + SHARE_S)
            assert place.told == 2_600


async def test_it_tells_nothing_twice_after_a_crash(tmp_path):
    place = Position(reader="reader", streams=("kill_switch",))
    place.begin(0)
    async with feeding(tmp_path, {"reader": place}, journal(switch(1))) as table:
        await anyio.sleep(1)
        table.ref("tested")._slot.incarnation.kill()
        await table.store.write(journal(switch(2)))
        await anyio.sleep(1)
        assert seqs(table, "reader") == [1, 2]
        assert table.actor("tested").restarts_total == 1


def keeping(tmp_path):
    unwritten = Unwritten()

    def start(table):
        table.unwritten = unwritten
        return StoreActor(table.store, table.ref("alerts"), unwritten)

    return bench(tmp_path, start, neighbours=("alerts",))


async def test_it_notices_that_the_disk_fails_and_that_it_works_again(tmp_path):
    async with keeping(tmp_path) as table:
        await anyio.sleep(LOOK_EVERY_S * 3 + 1)
        assert await table.store.read(lambda tx: tx.state.get(PROBE_KEY)) is None
        told = [(trouble.subject, trouble.holds) for trouble in table.heard["alerts"]]
        assert told == [("disk", False), ("file", False)]  # of an earlier life
        table.heard["alerts"].clear()
        table.break_disk()
        assert not await table.store.try_write(lambda tx: tx.state.put("k", b""))
        await anyio.sleep(LOOK_EVERY_S * 3)
        assert "full" in table.store.stats().last_error
        [trouble] = table.heard["alerts"]
        assert (trouble.trigger, trouble.severity, trouble.holds) == ("storage", "critical", True)
        assert "full" in trouble.text
        table.mend_disk()
        await anyio.sleep(LOOK_EVERY_S)
        assert table.store.stats().last_error == ""
        assert [trouble.holds for trouble in table.heard["alerts"]] == [True, False]
        assert table.actor("tested").restarts_total == 0


def record(actor, number=0):
    at = datetime(2026, 1, 1, 0, 0, number, tzinfo=UTC)
    return Quarantined(at, actor, f"<message {number}>", 3, "Traceback")


async def written(table):
    def read(tx):
        rows = tx.journal.last("quarantine", 10)
        return [msgspec.json.decode(row.data, type=Quarantined) for row in rows]

    return sorted(await table.store.read(read), key=lambda kept: kept.at)


async def keep(table, *keeps):
    for one in keeps:
        table.unwritten.add(one)
    await table.ref("tested").tell(Wake())


async def test_it_writes_down_what_went_to_quarantine(tmp_path):
    async with keeping(tmp_path) as table:
        await keep(table, Keep(record("metrics"), seq=7), Keep(record("alerts", 1)))
        await anyio.sleep(1)
        assert await written(table) == [record("metrics"), record("alerts", 1)]
        found = await table.store.read(lambda tx: tx.state.get(poison_key("metrics", 7)))
        assert found == b""


async def test_it_writes_down_once_the_disk_works_again(tmp_path):
    async with keeping(tmp_path) as table:
        table.break_disk()
        await keep(table, *(Keep(record("metrics", n), seq=n) for n in range(3)))
        await anyio.sleep(LOOK_EVERY_S * 2)
        assert table.actor("tested").restarts_total == 0
        assert len(table.unwritten) == 3
        table.mend_disk()
        await anyio.sleep(LOOK_EVERY_S)
        assert await written(table) == [record("metrics", number) for number in range(3)]


async def test_it_writes_down_after_a_crash_what_an_earlier_life_could_not(tmp_path):
    async with keeping(tmp_path) as table:
        table.break_disk()
        await keep(table, Keep(record("metrics"), seq=7))
        await anyio.sleep(1)
        table.ref("tested")._slot.incarnation.fail(RuntimeError("crash"))
        await anyio.sleep(1)
        table.mend_disk()
        await anyio.sleep(LOOK_EVERY_S)
        assert table.actor("tested").restarts_total == 1
        assert await written(table) == [record("metrics")]
        assert len(table.unwritten) == 0


async def test_it_writes_down_what_comes_while_it_ends(tmp_path):
    async with keeping(tmp_path) as table:
        await anyio.sleep(1)
        table.unwritten.add(Keep(record("metrics"), seq=7))
    async with keeping(tmp_path) as table:
        assert await written(table) == [record("metrics")]


async def test_it_writes_down_what_comes_while_it_writes_once(tmp_path):
    async with keeping(tmp_path) as table:

        def late(point):
            if point == "store.commit" and len(table.unwritten) == 1:
                table.unwritten.add(Keep(record("alerts", 1)))

        table.store.fault = late
        await keep(table, Keep(record("metrics")))
        await anyio.sleep(LOOK_EVERY_S * 2)
        assert await written(table) == [record("metrics"), record("alerts", 1)]


async def test_it_keeps_so_many_records_and_says_how_many_are_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "UNWRITTEN_MAX", 2)
    async with keeping(tmp_path) as table:
        table.break_disk()
        await keep(table, *(Keep(record("metrics", n)) for n in range(5)))
        await anyio.sleep(LOOK_EVERY_S * 2)
        table.mend_disk()
        await anyio.sleep(LOOK_EVERY_S)
        assert await written(table) == [record("metrics", 3), record("metrics", 4)]
        [report] = [report for report in table.reports if report.kind == "unwritten"]
        assert report.detail == "3 records of the quarantine in all: more than 2 waited"


async def test_it_keeps_so_many_records_on_disk_and_all_that_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "KEPT", 2)
    async with keeping(tmp_path) as table:
        for number in range(5):
            await keep(table, Keep(record("metrics", number), seq=number))
            await anyio.sleep(0.1)
        assert await written(table) == [record("metrics", 3), record("metrics", 4)]
        poisoned = await table.store.read(lambda tx: tx.state.keys(poison_key("metrics")))
        assert len(poisoned) == 5

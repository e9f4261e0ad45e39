"""Retention in the running system: the clock, refusals at the door and behind it, restarts."""

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import msgspec
import pytest

from actors import codec
from actors.feed import Feed
from actors.ingest import Accepted, Ingest
from actors.messages import Equity, Flow, Recorded, RecordedRun, Trade
from actors.metrics import actor as metrics_module
from actors.metrics import compaction, depot, keep
from actors.metrics.actor import MetricsActor
from actors.metrics.as_of import as_of
from actors.metrics.export import Wanted, trades_csv
from actors.metrics.horizon import Horizon
from actors.metrics.keep import MANIFEST, Keeper
from actors.metrics.ledger import LedgerOptions
from actors.metrics.ledgers import Ledgers
from actors.metrics.money import micros
from actors.metrics.queries import HistoryQuery, MetricsQuery, SheetsQuery
from actors.metrics.replay import READER, STREAMS
from actors.metrics.sheet import NEEDED
from actors.metrics.study import Studies, curves
from actors.place import Position, cursor_key, settled_key
from actors.rush import Rush
from tests.fakes.bench import bench, opened
from tests.unit.test_metrics_actor import crash, journal, record

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 1, tzinfo=UTC)  # where the loop's clock begins
DAYS = 30
SETTLED_S = 2 * metrics_module.TURN_EVERY_S + 4
SAVED_S = 60


def options(bot):
    return LedgerOptions(starting_equity=Decimal(1_000), rolling_trades=5)


def trade(n, days_ago, pnl, bot="alpha", revision=0):
    at = START - timedelta(days=days_ago)
    return Trade(
        bot,
        n,
        "X",
        "long",
        Decimal(1),
        at,
        Decimal(pnl),
        at,
        at,
        fee=Decimal("0.5"),
        revision=revision,
    )


def past(bot="alpha", length=300, days=200):
    dice = random.Random(bot)
    return [
        trade(f"{bot}{n}", days - n * days // length, dice.randrange(-9, 10), bot)
        for n in range(length)
    ]


def keeping(tmp_path, *events, days=DAYS, cursor=None):
    """The actor with a retention of so many days, and a history in its journal."""

    def prepare(tx):
        journal(*events)(tx)
        seq = len(events) if cursor is None else cursor
        tx.state.put(cursor_key(READER), str(seq).encode())

    place, horizon = Position(reader=READER, streams=STREAMS), Horizon(days)  # outlive a crash

    def start(table):
        table.place, table.horizon = place, horizon
        refs = (table.ref("alerts"), table.ref("broadcaster"))
        return MetricsActor(table.store, table.place, options, *refs, horizon=table.horizon)

    return bench(tmp_path, start, neighbours=("alerts", "broadcaster"), prepare=prepare)


@pytest.fixture
async def settled(tmp_path, anyio_backend):
    """The actor with a past, of which it has compacted what is settled."""
    async with keeping(tmp_path, *past()) as table:
        await anyio.sleep(SETTLED_S)
        yield table


@pytest.fixture
async def saved(tmp_path, anyio_backend, monkeypatch):
    """The same with a snapshot of what is compacted."""
    monkeypatch.setattr(keep, "SAVE_EVERY", 100)
    async with keeping(tmp_path, *past()) as table:
        await anyio.sleep(SAVED_S)
        yield table


async def compacted(table):
    sheets = await table.ref("tested").ask(SheetsQuery(NEEDED, bot="alpha"))
    return sheets["alpha"].base.entries, len(sheets["alpha"])


def bits(update):
    return msgspec.json.encode((update.bots, update.portfolio), order="deterministic")


async def counts(table, *events):
    """Assert that the figures are those of these events, to the bit, and nothing compacted."""
    update = await table.ref("tested").ask(MetricsQuery())
    ledgers = Ledgers(options)
    for event in events:
        ledgers.apply(event)
    assert bits(update) == bits(ledgers.update(update.at))


async def test_it_compacts_a_slice_at_a_time_and_each_day_one_more_day(tmp_path, monkeypatch):
    monkeypatch.setattr(compaction, "SLICE_MAX", 100)  # of two bots
    events = past() + past("beta")
    async with keeping(tmp_path, *events) as table:
        await anyio.sleep(2 * metrics_module.TURN_EVERY_S + 7.5 * metrics_module.COMPACT_EVERY_S)
        assert await compacted(table) == (99, 201)  # after both together, in six slices
        await anyio.sleep(4)
        assert table.horizon.since == START - timedelta(days=DAYS)
        gone, left = await compacted(table)
        assert (gone, left) == (sum(e.at < table.horizon.since for e in events[:300]), 300 - gone)
        await counts(table, *events)
        await anyio.sleep(86_400 + metrics_module.TURN_EVERY_S)
        assert table.horizon.since == START - timedelta(days=DAYS - 1)
        assert (await compacted(table))[0] > gone
        await counts(table, *events)


async def test_it_keeps_everything_by_default(tmp_path):
    async with keeping(tmp_path, *past(), days=0) as table:
        await anyio.sleep(86_400)
        assert await compacted(table) == (0, 300)
        assert table.horizon.since is None


async def test_it_refuses_a_correction_of_what_is_settled_for_good(settled):
    events, moved = past(), trade("alpha7", 1, 500, revision=1)  # that trade closed long ago
    await record(settled, moved, trade("new", 1, 3))
    [report] = [report for report in settled.reports if report.kind == "refused"]
    assert "alpha: closed_at: trade alpha7 of" in str(report)
    assert "metrics.retention_days" in str(report)
    assert settled.place.poisoned == {301}
    await counts(settled, *events, trade("new", 1, 3))
    crash(settled)
    await anyio.sleep(0.01)
    await counts(settled, *events, trade("new", 1, 3))
    kept = await settled.store.read(lambda tx: tx.state.keys(settled_key(READER)))
    assert kept == [settled_key(READER, 301)]
    told = await settled.ref("tested").ask(MetricsQuery())
    assert bits((await as_of(settled.store, options, "", told.at)).update(told.at)) == bits(told)
    csv = b"".join([piece async for piece in trades_csv(settled.store, Wanted())])
    assert b"alpha,alpha7,X,long,1" in csv
    assert b",500," not in csv


async def test_it_refuses_such_a_correction_from_the_first_event_after_a_start_or_crash(tmp_path):
    let_in = trade("alpha7", 1, 500, revision=1)  # behind the cursor, before retention was on
    events = [*past(), let_in]
    async with keeping(tmp_path, *events, cursor=300) as table:
        feed = Feed(table.store, Rush(table.clock), [(table.place, table.ref("tested"))])
        await feed._hand_on_some(300)
        await counts(table, *events)
        await record(
            table, trade("alpha7", 1, 900, revision=2), trade("alpha8", 1, 900, revision=1)
        )
        assert table.place.poisoned == {303}  # alpha7 is of yesterday now
        crash(table)
        await record(table, trade("alpha9", 1, 900, revision=1))
        assert table.place.poisoned == {303, 304}
        await counts(table, *events, trade("alpha7", 1, 900, revision=2))
    async with keeping(tmp_path, cursor=304) as table:
        await record(table, trade("alpha10", 1, 900, revision=1), trade("new", 1, 3))
        assert table.place.poisoned == {303, 304, 305}
        await counts(table, *events, trade("alpha7", 1, 900, revision=2), trade("new", 1, 3))


async def test_it_waits_after_midnight_until_no_request_can_be_past_the_door(tmp_path):
    moved = [trade(f"alpha{n}", 0, 9, revision=1) for n in (255, 256)]  # of the day that ends
    async with keeping(tmp_path, *past()) as table:
        await anyio.sleep(86_400 - 1)
        assert moved[0].at - timedelta(days=DAYS) == table.horizon.since
        await anyio.sleep(metrics_module.TURN_EVERY_S)
        assert table.horizon.since == START - timedelta(days=DAYS - 1)
        await record(table, moved[0])
        assert table.place.poisoned == set()
        await anyio.sleep(metrics_module.TURN_EVERY_S)
        await record(table, moved[1])
        assert table.place.poisoned == {302}


async def test_it_goes_on_while_the_disk_cannot_keep_what_it_refuses(settled):
    moved = [trade(f"alpha{n}", 0, 500, revision=1) for n in (7, 8, 9)]
    await settled.store.write(journal(*moved, trade("new", 0, 3)))
    settled.break_disk()
    settled.heard["alerts"].clear()
    await settled.ref("tested").tell(RecordedRun(301, moved, 300))
    await settled.ref("tested").tell(Recorded(304, trade("new", 0, 3)))
    await anyio.sleep(1)
    await counts(settled, *past(), trade("new", 0, 3))
    told = await settled.ref("tested").ask(MetricsQuery())
    studies = Studies(settled.store, options, settled.ref("tested").ask, settled.place)
    assert bits((await studies.figures("", told.at))[0]) == bits(told)
    csv = b"".join([piece async for piece in trades_csv(settled.store, Wanted(), settled.place)])
    assert b"alpha,new," in csv
    assert b",500," not in csv
    crash(settled)
    await anyio.sleep(2 * metrics_module.TURN_EVERY_S)
    await counts(settled, *past(), trade("new", 0, 3))
    assert settled.system.quarantine_count == 0
    assert {risk.seq for risk in settled.heard["alerts"]} == {0}
    commits = []
    settled.store.fault = commits.append
    await anyio.sleep(metrics_module.TURN_EVERY_S + 1)
    assert commits.count("store.commit") == 1
    kept = await settled.store.read(lambda tx: tx.state.keys(settled_key(READER)))
    assert kept == [settled_key(READER, seq) for seq in (301, 302, 303)]
    assert settled.heard["alerts"][-1].seq == 304


async def test_it_waits_with_no_more_than_so_many_seqs_for_the_disk(settled, monkeypatch):
    monkeypatch.setattr(metrics_module, "UNKEPT_MAX", 2)
    moved = [trade(f"alpha{n}", 0, 500, revision=1) for n in (7, 8, 9)]
    await settled.store.write(journal(*moved))
    settled.break_disk()
    for seq, event in enumerate(moved, 301):
        await settled.ref("tested").tell(Recorded(seq, event))
    await anyio.sleep(3 * metrics_module.TURN_EVERY_S)
    assert settled.place.unkept == {301, 302}
    settled.mend_disk()
    await anyio.sleep(2 * metrics_module.TURN_EVERY_S)
    assert (settled.place.unkept, settled.place.poisoned) == (set(), {301, 302, 303})


async def test_it_counts_what_the_door_let_in_before_retention_was_on(tmp_path):
    events = past()
    async with keeping(tmp_path, *events, cursor=0) as table:  # alerts have heard of nothing yet
        feed = Feed(table.store, Rush(table.clock), [(table.place, table.ref("tested"))])
        await anyio.sleep(SETTLED_S)
        assert table.horizon.since == START - timedelta(days=DAYS)
        while table.place.told < 300:
            await feed._hand_on_some(table.place.told)
        await anyio.sleep(SETTLED_S)
        await counts(table, *events)
        assert (await compacted(table))[0] > 200
        assert table.place.poisoned == set()
        assert table.kinds("tested") == ["started"]


async def test_a_bot_that_is_only_refused_has_no_figures(settled):
    late = trade(1, 99, 5, bot="late")
    await record(settled, msgspec.structs.replace(late, currency="EUR"))
    assert settled.place.poisoned == {301}
    assert "late" not in (await settled.ref("tested").ask(MetricsQuery())).bots


async def test_it_starts_from_a_snapshot_of_what_is_compacted(tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "SAVE_EVERY", 100)
    events = past() + past("beta", 40, 20)
    async with keeping(tmp_path, *events) as table:
        await anyio.sleep(SAVED_S)
        manifest = await table.store.read(lambda tx: tx.state.get(MANIFEST))
        given = json.loads(manifest)
        assert [len(one["base"]) for one in given["bots"]] == [1, 0]
        [number] = given["commons"]["USD"]["base"]
        part = await table.store.read(lambda tx: tx.state.get(f"{keep.PREFIX}{number}"))
        assert json.loads(part[depot.CHECK_BYTES :])["entries"] > 100
        more = [
            trade("new", 1, 3),
            trade("new", 1, 9, revision=1),
            trade("alpha299", 1, 8, revision=1),
        ]
        await record(table, *more)
        await counts(table, *events, *more)
        told = await table.ref("tested").ask(MetricsQuery())
        ledgers, keeper = Ledgers(options), Keeper(table.store, READER)
        assert await keeper.load(400, set(), ledgers) == 340
        assert ledgers.of["alpha"].timeline.base.entries > 200
        for event in more:
            ledgers.apply(event)
        assert bits(ledgers.update(told.at)) == bits(told)
        assert not ledgers.apply(trade("alpha3", 1, 1, revision=1))
        assert ledgers.settled


async def test_a_manifest_does_not_grow_with_the_days_that_are_compacted(tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "SAVE_EVERY", 50)
    sizes = []
    for days in (60, 2_000):
        events = past("alpha", days, days) + past("beta", days, days)
        (tmp_path / str(days)).mkdir()
        async with keeping(tmp_path / str(days), *events) as table:
            await anyio.sleep(SAVED_S)
            manifest = json.loads(await table.store.read(lambda tx: tx.state.get(MANIFEST)))
            whole = Ledgers(options)
            assert await Keeper(table.store, READER).load(len(events), set(), whole) == len(events)
            assert whole.compacted() > days // 3
            sizes.append(len(json.dumps(manifest)))
    assert sizes[1] < 1.5 * sizes[0]


@pytest.mark.parametrize("spoil", [None, b"", b"1234{}"])
async def test_it_replays_the_journal_where_a_base_is_gone_or_broken(saved, spoil):
    manifest = json.loads(await saved.store.read(lambda tx: tx.state.get(MANIFEST)))
    [number] = manifest["bots"][0]["base"]
    key = f"{keep.PREFIX}{number}"
    await saved.store.write(
        lambda tx: tx.state.delete(key) if spoil is None else tx.state.put(key, spoil)
    )
    keeper = Keeper(saved.store, READER)
    assert await keeper.load(300, set(), Ledgers(options)) == 0
    assert keeper.passed_over == f"part {number} is {'broken' if spoil else 'missing'}"


async def test_it_studies_the_journal_where_trades_are_compacted(tmp_path):
    events = past() + past("beta")
    async with keeping(tmp_path, *events) as table:

        async def live(query):
            return await table.ref("tested").ask(query)

        studies = Studies(table.store, options, live)
        now = table.clock.now()
        whole = (
            await studies.details("", None, now),
            await studies.families(["freqtrade"], "", None, now),
        )
        await anyio.sleep(SETTLED_S)
        assert (await compacted(table))[0] > 100
        assert await studies.details("", None, now) == whole[0]
        assert await studies.families(["freqtrade"], "", None, now) == whole[1]
        assert whole[0][0]["alpha"].trades == 300
        curve = await studies.curves("USD", HistoryQuery(points=5_000))
        every = Ledgers(options)
        for event in events:
            every.apply(event)
        sheets = every.sheets(SheetsQuery(NEEDED, currency="USD"))
        [(_, before)] = curves(sheets, HistoryQuery(points=5_000)).items()
        assert curve["USD"].days == before.days
        assert {point.t for point in curve["USD"].points} <= {point.t for point in before.points}
        assert max(p.drawdown for p in curve["USD"].points) == max(
            p.drawdown for p in before.points
        )


@pytest.mark.parametrize("days", [0, 190])
async def test_it_opens_settled_days_again_once_retention_keeps_them(tmp_path, monkeypatch, days):
    monkeypatch.setattr(keep, "SAVE_EVERY", 100)
    events, late = past(), trade("late", 180, 77)
    async with keeping(tmp_path, *events) as table:
        await anyio.sleep(SAVED_S)
        await record(table, trade("alpha7", 1, 500, revision=1))  # refused for good
        assert (await compacted(table))[0] > 200
    monkeypatch.setattr(keep, "SAVE_EVERY", 10_000)  # so that no snapshot replaces the old one
    async with keeping(tmp_path, days=days, cursor=301) as table:
        await counts(table, *events)
        [report] = [report for report in table.reports if report.kind == "replayed"]
        assert "it has compacted what metrics.retention_days keeps open now" in str(report)
        assert (table.horizon.since or START) == START - timedelta(days=days)
        await anyio.sleep(SAVED_S)
        await record(table, late)
        await counts(table, *events, late)
    async with keeping(tmp_path, cursor=302) as table:
        await counts(table, *events, late)


async def test_it_drops_a_snapshot_that_was_passed_over_once_the_disk_works(saved):
    keeper, ledgers = Keeper(saved.store, READER), Ledgers(options)
    saved.break_disk()
    assert await keeper.load(300, set(), ledgers, horizon=0) == 0
    saved.mend_disk()
    assert await saved.store.read(lambda tx: tx.state.get(MANIFEST)) is not None
    await keeper.step(ledgers, 0, set())
    assert await saved.store.read(lambda tx: tx.state.get(MANIFEST)) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"starting_equity": Decimal(7)}, "starting_equity changed, and what it needs of alpha is"),
        ({"zone": "Asia/Tokyo"}, "metrics.zone changed"),
        ({"calendar": "weekdays"}, "metrics.calendar changed"),
        ({"rolling_trades": 6}, "metrics.rolling_trades changed"),
    ],
)
async def test_it_replays_the_journal_for_settings_that_need_what_is_compacted(saved, change, says):
    ledgers = Ledgers(lambda bot: msgspec.structs.replace(options(bot), **change))
    keeper = Keeper(saved.store, READER)
    assert await keeper.load(300, set(), ledgers) == 0
    assert says in keeper.passed_over
    assert ledgers.of == {}


async def test_the_door_refuses_what_happened_before_the_horizon(tmp_path):
    horizon = Horizon(DAYS)
    async with opened(tmp_path) as (store, clock):
        horizon.move(clock.now())
        door = Ingest(store, clock, lambda _seen: None, horizon=horizon)
        late = START - timedelta(days=DAYS, seconds=1)
        events = [
            trade(1, 40, 5),
            trade(2, 2, 5),
            Equity("alpha", late, Decimal(5)),
            Flow("alpha", late, "f", Decimal(5)),
            Equity("alpha", START - timedelta(days=DAYS), Decimal(5)),
        ]
        body = b"[" + b",".join(map(codec.encode, events)) + b"]"
        told = await door.events(body, "application/json")
        assert (told.accepted, [one.index for one in told.rejected]) == (2, [0, 2, 3])
        assert told.rejected[0].error == (
            "closed_at: trade 1 of 2025-11-22T00:00:00+00:00 is settled: metrics.retention_days"
            " keeps open only what happened from 2025-12-02T00:00:00+00:00 on"
        )
        assert "at: equity of 2025-12-01T23:59:59+00:00 is settled" in told.rejected[1].error
        assert "at: flow f of 2025-12-01T23:59:59+00:00 is settled" in told.rejected[2].error
        kept = await store.read(lambda tx: tx.journal.last("rejected", 9))
        assert len(kept) == 3


async def test_what_the_door_knows_is_a_duplicate_however_old(tmp_path):
    horizon = Horizon()
    async with opened(tmp_path) as (store, clock):
        door = Ingest(store, clock, lambda _seen: None, horizon=horizon)
        events = [trade(1, 40, 5), trade("\0", 40, 5), Flow("alpha", START, "f", Decimal(5))]
        body = b"[" + b",".join(map(codec.encode, events)) + b"]"
        assert (await door.events(body, "application/json")).accepted == 3
        horizon.reach(micros(START + timedelta(days=1)))
        assert await door.events(body, "application/json") == Accepted(0, 3, [])
        again = await door.events(codec.encode(trade(1, 40, 6)), "application/json")
        assert (again.duplicates, again.rejected, len(again.conflicts)) == (1, [], 1)
        told = await door.events(codec.encode(trade(1, 40, 6, revision=1)), "application/json")
        assert (told.accepted, told.duplicates, len(told.rejected)) == (0, 0, 1)

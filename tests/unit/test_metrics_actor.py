"""The metrics actor: figures from the journal, the same after a crash or in a new process."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import pytest

from actors import codec
from actors.feed import Feed
from actors.messages import (
    Equity,
    Flow,
    Heartbeat,
    MetricsUpdate,
    Recorded,
    RecordedRun,
    Refresh,
    RiskUpdate,
    Trade,
)
from actors.metrics import actor as metrics_module
from actors.metrics import ledgers as ledgers_module
from actors.metrics import replay as replay_module
from actors.metrics.actor import MetricsActor
from actors.metrics.as_of import as_of
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.ledgers import Ledgers
from actors.metrics.queries import (
    HistoryQuery,
    MetricsQuery,
    SeriesQuery,
    SheetsQuery,
    TooLarge,
)
from actors.metrics.replay import READER, STREAMS
from actors.metrics.sheet import NEEDED
from actors.place import Position, cursor_key, poison_key
from actors.rush import Rush
from runtime.store import Entry
from tests.fakes.bench import bench, opened

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 1, tzinfo=UTC)
NEIGHBOURS = ("alerts", "broadcaster")
BROKEN = Entry("trade", b'{"type":"trade","of":"another version"}', 0.0)


def options(bot):
    return LedgerOptions(starting_equity=Decimal(1_000), currency="EUR" if bot == "euro" else "USD")


def trade(n, pnl, bot="alpha", currency=None, minutes=None):
    at = START + timedelta(minutes=n if minutes is None else minutes)
    return Trade(bot, n, "X", "long", Decimal(1), at, Decimal(pnl), at, at, currency=currency)


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


def measuring(tmp_path, prepare=None, *, watched=False):
    place = Position(reader=READER, streams=STREAMS)

    def start(table):
        table.place = place
        refs = (table.ref("alerts"), table.ref("broadcaster"))
        return MetricsActor(table.store, place, options, *refs, watched=watched)

    def poison(_kept, message):
        place.poison(message.seq)

    return bench(tmp_path, start, neighbours=NEIGHBOURS, prepare=prepare, on_quarantine=poison)


async def record(table, *events):
    """Journal events and hand them on, as the feed would."""
    for event in events:
        [seq] = await table.store.write(journal(event))
        await table.ref("tested").tell(Recorded(seq, event))
    await anyio.sleep(0.01)


async def figures(table, bot=""):
    return await table.ref("tested").ask(MetricsQuery(bot))


async def figures_at(store, bot, at):
    return (await as_of(store, options, bot, at)).update(at)


def crash(table):
    table.ref("tested")._slot.incarnation.kill()


async def test_it_tells_alerts_only_how_a_history_ends(tmp_path):
    day = 24 * 60
    async with measuring(tmp_path) as table:
        for n, pnl in enumerate([-300, 400, 5], 1):
            await record(table, trade(n, pnl, minutes=n - 40 * day))
            await anyio.sleep(0.5)
        assert table.heard["alerts"] == []
        await anyio.sleep(metrics_module.HISTORY_QUIET_S)
        [told] = table.heard["alerts"]
        assert (told.seq, told.risk.pnl_total, told.risk.drawdown) == (3, 105, 0)
        await record(table, trade(4, -1))
        assert table.heard["alerts"][-1].seq == 4


async def test_it_tells_of_others_at_once_while_a_history_comes_in(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, -300, minutes=-2_000), trade(2, 7, bot="beta"), trade(3, 400))
        assert [(risk.bot, risk.seq) for risk in table.heard["alerts"]] == [("beta", 0)]
        await anyio.sleep(metrics_module.HISTORY_QUIET_S)
        [_, told] = table.heard["alerts"]
        assert (told.bot, told.seq, told.risk.pnl_total) == ("alpha", 3, 100)


async def test_it_tells_what_it_put_off_after_a_crash(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, 5, minutes=-60_000), trade(2, -900))
        crash(table)
        await anyio.sleep(3)
        [told] = table.heard["alerts"]
        assert (told.bot, told.seq, told.risk.pnl_total) == ("alpha", 2, -895)


async def test_it_tells_of_an_endless_history_within_30_s(tmp_path):
    async with measuring(tmp_path) as table:
        for n in range(80):
            await record(table, trade(n, 1, minutes=n - 10_000))
            await anyio.sleep(0.5)
        told = table.heard["alerts"]
        assert [risk.risk.trades for risk in told] == [pytest.approx(60, abs=2)]


async def test_it_tells_alerts_of_each_event_and_browsers_of_what_changed(tmp_path):
    async with measuring(tmp_path) as table:
        await anyio.sleep(0.01)
        at = START + timedelta(minutes=9)
        deposit, mark = Flow("alpha", at, 1, Decimal(500)), Equity("beta", at, Decimal(900))
        await record(table, trade(1, 10), trade(2, -4), deposit, mark)
        told = table.heard["alerts"]
        assert [(risk.bot, risk.seq) for risk in told] == [
            ("alpha", 1),
            ("alpha", 2),
            ("alpha", 3),
            ("beta", 4),
        ]
        assert [risk.risk.pnl_total for risk in told[:3]] == [10, 6, 6]
        assert [risk.risk.equity for risk in told] == [1_010, 1_006, 1_506, 900]
        assert all(isinstance(risk, RiskUpdate) and risk.currency == "USD" for risk in told)
        await anyio.sleep(metrics_module.FLUSH_EVERY_S)
        last = table.heard["broadcaster"][-1]
        assert isinstance(last, MetricsUpdate)
        assert "beta" in last.bots
        assert last.portfolio["USD"].equity == 2_406


async def test_it_tells_alerts_of_each_event_of_a_run_as_if_it_had_come_alone(tmp_path):
    events = [trade(n, (-1) ** n * n, bot=("alpha", "beta")[n % 3 == 0]) for n in range(1, 40)]
    told = []
    for name, messages in {
        "alone": [Recorded(seq, event) for seq, event in enumerate(events, 1)],
        "run": [RecordedRun(1, events[:30]), RecordedRun(20, events[19:])],
    }.items():
        (tmp_path / name).mkdir()
        async with measuring(tmp_path / name) as table:
            for message in messages:
                await table.ref("tested").tell(message)
            await anyio.sleep(0.01)
            told.append([(risk.bot, risk.seq, risk.risk) for risk in table.heard["alerts"]])
    assert [seq for _, seq, _ in told[0]] == list(range(1, 40))
    assert told[0] == told[1]


async def test_it_costs_one_snapshot_for_a_burst(tmp_path):
    async with measuring(tmp_path) as table:
        await anyio.sleep(0.01)
        for n in range(1, 51):
            assert table.ref("tested").offer(Recorded(n, trade(n, 1)))
        await anyio.sleep(0.01)
        assert len(table.heard["alerts"]) == 50
        assert len(table.heard["broadcaster"]) <= 2
        assert table.heard["broadcaster"][-1].bots["alpha"].trades == 50


async def test_it_answers_with_figures_and_charts(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, 10), trade(2, -4, bot="euro"), trade(3, 5, bot="beta"))
        whole = await figures(table)
        assert sorted(whole.bots) == ["alpha", "beta", "euro"]
        assert {name: m.pnl_total for name, m in whole.portfolio.items()} == {"EUR": -4, "USD": 15}
        one = await figures(table, "alpha")
        assert (list(one.bots), list(one.portfolio)) == (["alpha"], ["USD"])
        assert await figures(table, "nobody") == MetricsUpdate(table.clock.now(), {}, {})
        series = await table.ref("tested").ask(SeriesQuery(10))
        assert [line.bot for line in series] == ["alpha", "beta", "euro"]
        assert series[0].points[-1].equity == 1_010.0


async def test_it_answers_with_any_part_of_the_history(tmp_path):
    async with measuring(tmp_path) as table:
        day = 24 * 60
        events = [trade(n, n - 4, minutes=n * day // 2) for n in range(10)]
        await record(table, *events, Flow("alpha", START + timedelta(days=2), 1, Decimal(50)))
        await record(table, trade(1, 7, bot="beta"))
        whole = await table.ref("tested").ask(HistoryQuery())
        assert sorted(whole) == ["alpha", "beta"]
        assert len(whole["alpha"].points) == 11
        assert [one.pnl for one in whole["alpha"].days] == [-7, -3, 1, 5, 9]
        assert whole["alpha"].days[0].day == START.date()
        first, last = START + timedelta(days=1, hours=6), START + timedelta(days=3)
        query = HistoryQuery("alpha", first, last, 8)
        part = (await table.ref("tested").ask(query))["alpha"]
        assert [one.pnl for one in part.days] == [-3, 1]
        assert [p.t for p in part.points] == [
            (START + timedelta(days=n)).timestamp() for n in (1.5, 2, 2, 2.5)
        ]
        assert await table.ref("tested").ask(HistoryQuery("nobody")) == {}


async def test_it_rebuilds_the_same_figures_after_a_crash_and_repeats_nothing(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, 10), trade(2, -4), trade(3, 6, bot="beta"))
        before = await figures(table)
        crash(table)
        await anyio.sleep(0.01)
        assert (await figures(table)).bots.keys() == before.bots.keys()
        after = await figures(table)
        assert [m.pnl_total for m in after.bots.values()] == [6, 6]
        assert len(table.heard["alerts"]) == 3
        assert sorted(table.heard["broadcaster"][-1].bots) == ["alpha", "beta"]
        assert table.actor("tested").restarts_total == 1


async def test_it_takes_no_event_twice(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, 10))
        await table.ref("tested").tell(Recorded(1, trade(1, 10)))
        await table.ref("tested").tell(Recorded(2, Heartbeat("alpha", START)))
        await anyio.sleep(0.01)
        assert len(table.heard["alerts"]) == 1
        assert (await figures(table)).bots["alpha"].trades == 1


async def test_it_replays_from_the_cursor_what_alerts_have_not_had(tmp_path):
    events = [trade(n, n) for n in range(1, 6)]
    async with measuring(tmp_path, cursor(3, *events)) as table:
        await anyio.sleep(0.01)
        assert (table.place.told, table.place.handled) == (3, 3)
        assert (await figures(table)).bots["alpha"].pnl_total == 6
        assert table.heard["alerts"] == []
        feed = Feed(table.store, Rush(table.clock), [(table.place, table.ref("tested"))])
        await feed._hand_on_some(3)
        await anyio.sleep(0.01)
        assert [risk.seq for risk in table.heard["alerts"]] == [4, 5]
        assert (await figures(table)).bots["alpha"].pnl_total == 15


async def test_it_rebuilds_a_long_journal_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(replay_module, "PIECE_ROWS", 3)
    events = [trade(n, 1) for n in range(1, 11)]
    async with measuring(tmp_path, cursor(8, *events)) as table:
        assert (await figures(table)).bots["alpha"].trades == 8
        whole = await figures_at(table.store, "", START + timedelta(days=1))
        assert whole.bots["alpha"].trades == 10


@pytest.mark.real_time
async def test_it_takes_a_long_journal_in_beside_the_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(replay_module, "ASIDE_FROM", 4)
    events = [trade(n, n * 7 % 5 - 2, minutes=n - 20) for n in range(1, 10)]
    update, threads = Ledgers.update, []

    def noted(ledgers, *asked):
        threads.append(threading.get_ident() == main)
        return update(ledgers, *asked)

    main = threading.get_ident()
    monkeypatch.setattr(Ledgers, "update", noted)
    for length, here in ((9, False), (4, True)):
        folder = tmp_path / str(length)
        folder.mkdir()
        threads.clear()
        async with measuring(folder, cursor(length, *events[:length])) as table:
            told = await figures(table)
            assert threads[0] is here
            assert (await figures_at(table.store, "", told.at)) == told
            assert told.bots["alpha"].trades == length


async def test_it_starts_where_the_journal_is_shorter_than_the_cursor(tmp_path):
    async with measuring(tmp_path, cursor(5, trade(1, 1))) as table:
        assert (await figures(table)).bots["alpha"].trades == 1


async def test_it_leaves_out_what_no_longer_decodes(tmp_path):
    switch = Entry("trade", codec.encode(Heartbeat("alpha", START)), 0.0)
    async with measuring(tmp_path, cursor(4, trade(1, 1), BROKEN, switch, trade(2, 2))) as table:
        assert (await figures(table)).bots["alpha"].pnl_total == 3
        assert table.actor("tested").restarts_total == 0
        whole = await figures_at(table.store, "", START + timedelta(days=1))
        assert whole.bots["alpha"].pnl_total == 3


@pytest.fixture
def poison(monkeypatch):
    """Make the trade 13 a message that no ledger survives."""
    apply = Ledger.apply

    def choke(self, event):
        if getattr(event, "id", None) == 13:
            raise RuntimeError("poison")
        return apply(self, event)

    monkeypatch.setattr(Ledger, "apply", choke)


@pytest.mark.usefixtures("poison")
async def test_it_quarantines_a_poison_event_and_goes_on(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, 1), trade(13, 100), trade(2, 2))
        await anyio.sleep(1)
        assert (await figures(table)).bots["alpha"].pnl_total == 3
        assert table.system.quarantine_count == 1
        assert [risk.seq for risk in table.heard["alerts"]] == [1, 3]
        crash(table)
        await anyio.sleep(1)
        assert (await figures(table)).bots["alpha"].pnl_total == 3
        assert table.system.quarantine_count == 1


@pytest.mark.usefixtures("poison")
async def test_it_skips_a_poison_event_in_the_next_process(tmp_path):
    events = (trade(1, 1), trade(13, 100), trade(2, 2))
    async with measuring(tmp_path, cursor(3, *events, poisoned=[2])) as table:
        assert (await figures(table)).bots["alpha"].pnl_total == 3
        assert table.place.poisoned == {2}
        assert table.actor("tested").restarts_total == 0
        whole = await figures_at(table.store, "", START + timedelta(days=1))
        assert whole.bots["alpha"].pnl_total == 3


async def test_it_reports_an_event_it_cannot_add_up(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, 1), trade(2, 5, currency="DOGE"))
        [refused] = [report for report in table.reports if report.kind == "refused"]
        assert "alpha" in refused.detail
        assert (await figures(table)).bots["alpha"].pnl_total == 1
        assert table.place.handled == 2


async def test_it_has_figures_for_so_many_bots_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(ledgers_module, "BOTS_MAX", 2)
    async with measuring(tmp_path) as table:
        await record(table, *[trade(n, 1, bot=f"b{n}") for n in range(1, 4)])
        assert sorted((await figures(table)).bots) == ["b1", "b2"]
        [refused] = [report for report in table.reports if report.kind == "refused"]
        assert "more than 2 bots" in refused.detail
        assert len(table.heard["alerts"]) == 2


async def test_it_turns_the_day_without_a_trade(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, -100, minutes=0))
        assert table.heard["alerts"][-1].risk.pnl_today == -100
        await anyio.sleep(86_400)
        turned = table.heard["alerts"][-1]
        assert (turned.bot, turned.seq, turned.risk.pnl_today) == ("alpha", 0, 0)
        assert len(table.heard["alerts"]) == 2
        assert table.heard["broadcaster"][-1].bots["alpha"].pnl_today == 0


async def test_it_shows_an_instant_as_if_nothing_later_had_arrived(tmp_path):
    events = [trade(1, 10), trade(2, -4), trade(3, 7, bot="beta"), trade(5, 100)]
    mark = Equity("alpha", START + timedelta(minutes=2), Decimal(2_000))
    async with opened(tmp_path) as (store, _clock):
        await store.write(journal(*events, mark))
        at = START + timedelta(minutes=3)
        both = await figures_at(store, "", at)
        assert {bot: m.pnl_total for bot, m in both.bots.items()} == {"alpha": 6, "beta": 7}
        assert (both.at, both.bots["alpha"].equity) == (at, 2_000)
        one = await figures_at(store, "beta", at)
        assert list(one.bots) == ["beta"]
        early = await figures_at(store, "", START)
        assert early.bots == {}


def test_it_says_why_an_event_changed_nothing():
    ledgers = Ledgers(options)
    assert ledgers.apply(trade(1, 1))
    assert not ledgers.apply(trade(1, 1))
    assert ledgers.refused == ""
    assert not ledgers.apply(trade(2, 1, currency="DOGE"))
    assert ledgers.refused.startswith("alpha: ")


def test_it_takes_the_currency_of_the_first_trade_where_no_setting_does():
    ledgers = Ledgers(lambda _bot: LedgerOptions(currency_is_set=False))
    assert ledgers.apply(trade(1, 5, currency="USDT"))
    assert not ledgers.apply(trade(2, 5, currency="DOGE"))
    whole = ledgers.update(START)
    assert (whole.bots["alpha"].currency, list(whole.portfolio)) == ("USDT", ["USDT"])


# ---------------------------------------------------------------- triggers of the operator's own


def figures_told(table):
    return [m.bots["alpha"].trades for m in table.heard["alerts"] if isinstance(m, MetricsUpdate)]


async def test_it_tells_alerts_every_figure_when_it_tells_the_page(tmp_path):
    async with measuring(tmp_path, watched=True) as table:
        await record(table, trade(1, 5), trade(2, 5))
        await anyio.sleep(1)
        assert figures_told(table)[-1] == 2
        assert figures_told(table) == [
            m.bots["alpha"].trades for m in table.heard["broadcaster"] if m.bots
        ]


async def test_it_tells_alerts_only_risk_unless_it_is_watched_or_asked(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, 5))
        await anyio.sleep(1)
        assert figures_told(table) == []
        await table.ref("tested").tell(Refresh())
        await anyio.sleep(1)
        assert figures_told(table) == [1]


async def test_it_answers_a_refresh_though_there_is_nothing_yet(tmp_path):
    async with measuring(tmp_path) as table:
        await table.ref("tested").tell(Refresh())
        await anyio.sleep(1)
        assert [m.bots for m in table.heard["alerts"]] == [{}]


async def test_it_tells_every_figure_of_a_history_only_as_it_ends(tmp_path):
    async with measuring(tmp_path, watched=True) as table:
        for n, pnl in enumerate([-300, 400, 5], 1):
            await record(table, trade(n, pnl, minutes=n - 40_000))
            await table.ref("tested").tell(Refresh())
            await anyio.sleep(0.5)
        assert table.heard["alerts"] == []
        await anyio.sleep(metrics_module.HISTORY_QUIET_S + 1)
        assert figures_told(table) == [3]
        assert isinstance(table.heard["alerts"][0], RiskUpdate)


async def test_it_draws_so_many_points_of_all_bots_together(tmp_path, monkeypatch):
    monkeypatch.setattr(ledgers_module, "POINTS_MAX", 30)
    async with measuring(tmp_path) as table:
        for bot in ("alpha", "beta", "gamma"):
            await record(table, *(trade(n, n, bot=bot, minutes=n) for n in range(40)))
        whole = await table.ref("tested").ask(HistoryQuery(points=500))
        assert 4 < max(len(each.points) for each in whole.values()) <= 10
        one = await table.ref("tested").ask(HistoryQuery("alpha", points=500))
        assert 10 < len(one["alpha"].points) <= 30
        monkeypatch.setattr(ledgers_module, "POINTS_MAX", 1)
        assert len(await table.ref("tested").ask(HistoryQuery())) == 3


async def test_it_hands_out_copies_that_later_events_do_not_change(tmp_path):
    async with measuring(tmp_path) as table:
        await record(table, trade(1, 5), trade(2, 7, bot="euro"))
        ask = table.ref("tested").ask
        sheets = await ask(SheetsQuery(NEEDED, currency="USD"))
        await record(table, trade(0, 9))
        assert {bot: sheet.columns["amount"].tolist() for bot, sheet in sheets.items()} == {
            "alpha": [50_000]
        }
        assert list(await ask(SheetsQuery(NEEDED))) == ["alpha", "euro"]
        assert await ask(SheetsQuery(NEEDED, bot="nobody")) == {}


async def test_it_refuses_too_large_a_copy_and_lives_on(tmp_path, monkeypatch):
    monkeypatch.setattr(ledgers_module, "EVENTS_MAX", 1)
    async with measuring(tmp_path) as table:
        await record(table, trade(1, 5), trade(2, 7))
        with pytest.raises(TooLarge, match=r"^bot: more than 1 events: ask for one$"):
            await table.ref("tested").ask(SheetsQuery(NEEDED))
        assert (await figures(table)).bots["alpha"].trades == 2
        assert table.actor("tested").crashed == 0


def test_it_copies_a_column_at_a_time():
    ledgers = Ledgers(options)
    for n in range(3):
        ledgers.apply(trade(n, n))
    pieces = list(ledgers.copying(SheetsQuery(NEEDED)))
    assert [one is None for one in pieces] == [True, True, True, False]

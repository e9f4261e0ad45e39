"""Studies: from the journal, as of an instant, off the loop."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import anyio.from_thread
import msgspec
import pytest
from msgspec.structs import replace

from actors import codec
from actors.messages import Equity, Flow, Trade
from actors.metrics import ledgers as ledgers_module
from actors.metrics import replay
from actors.metrics import study as module
from actors.metrics.bulk import Loader
from actors.metrics.families import FAMILIES
from actors.metrics.ledgers import Ledgers
from actors.metrics.options import LedgerOptions
from actors.metrics.queries import HistoryQuery, TooLarge
from actors.metrics.study import Studies, StudiesBusy
from actors.place import poison_key
from runtime.store import Entry
from tests.fakes.bench import opened

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]
START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=60)
BROKEN = Entry("trade", b'{"type":"trade","of":"another version"}', 0.0)


def options(bot):
    return LedgerOptions(starting_equity=Decimal(1_000), currency="EUR" if bot == "euro" else "USD")


def trade(n, pnl, bot="alpha"):
    at = START + timedelta(days=n)
    return Trade(bot, n, "X", "long", Decimal(1), at, Decimal(pnl), at, at)


def entry(event):
    return Entry(codec.stream(event), codec.encode(event), 0.0, codec.key(event))


async def studies(store, *entries, live=()):
    """Studies of a journal, and of ledgers that took in the events of `live`."""
    await store.write(lambda tx: tx.journal.append(list(entries)))
    ledgers = Ledgers(options)
    for event in live:
        ledgers.apply(event)

    async def sheets(query):
        return ledgers.sheets(query)

    return Studies(store, options, sheets)


async def test_it_reads_every_bot_and_skips_what_it_cannot_read(tmp_path):
    async with opened(tmp_path) as (store, _):
        poison = 3
        of = await studies(
            store, entry(trade(1, 5)), BROKEN, entry(trade(2, 99)), entry(trade(1, -2, "beta"))
        )
        await store.write(lambda tx: tx.state.put(poison_key("metrics", poison), b""))
        found, _ = await of.details("", LATER, START)
        assert {bot: one.trades for bot, one in found.items()} == {"alpha": 1, "beta": 1}
        found, portfolio = await of.details("beta", LATER, START)
        assert (list(found), portfolio) == (["beta"], {})


async def test_it_tells_the_same_of_the_journal_and_of_the_live_ledgers(tmp_path):
    dice = random.Random(3)
    events = [
        trade(n, n * 7 % 31 - 15, bot) for n in range(40) for bot in ("alpha", "beta", "euro")
    ]
    events += dice.sample(events, 30)
    events += [
        Equity("beta", START + timedelta(days=9), Decimal(950)),
        Flow("alpha", START + timedelta(days=8), 1, Decimal(-50)),
        replace(trade(3, 4), revision=1, risk=Decimal(2), symbol="Y", side="short"),
    ]
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *map(entry, events), live=dice.sample(events, len(events)))
        for bot in ("", "alpha", "nobody"):
            live, journal = [
                (await of.details(bot, at, LATER), await of.families(FAMILIES, bot, at, LATER))
                for at in (None, LATER)
            ]
            assert msgspec.json.encode(live) == msgspec.json.encode(journal)
        (bots, whole), (families, _) = await of.details("", None, LATER), live[1]
    assert (list(bots), list(whole), families) == (["alpha", "beta", "euro"], ["EUR", "USD"], {})
    assert whole["EUR"] == bots["euro"]
    assert whole["USD"].trades == bots["alpha"].trades + bots["beta"].trades
    assert bots["alpha"].r_multiples.mean == 2.0


async def test_it_answers_as_of_an_instant(tmp_path):
    async with opened(tmp_path) as (store, _):
        events = [trade(n, n) for n in range(1, 6)]
        of = await studies(store, *map(entry, events), live=events)
        at = START + timedelta(days=3)
        then, _ = await of.families(("freqtrade", "empyrical"), "", at, LATER)
        assert then["alpha"]["freqtrade"].trades == 3
        assert then["alpha"]["empyrical"].days == 3
        now, _ = await of.families(("empyrical",), "", None, START + timedelta(days=9))
        assert (now["alpha"]["empyrical"].trades, now["alpha"]["empyrical"].days) == (5, 9)


async def test_it_reads_a_piece_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "PIECE_ROWS", 2)
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *(entry(trade(n, n)) for n in range(1, 6)))
        found, _ = await of.details("", LATER, START)
        assert found["alpha"].trades == 5


async def test_it_refuses_what_would_not_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EVENTS_MAX", 4)
    monkeypatch.setattr(ledgers_module, "EVENTS_MAX", 4)
    async with opened(tmp_path) as (store, _):
        events = [trade(n, n) for n in range(1, 6)]
        of = await studies(store, *map(entry, events), live=events)
        for at in (None, LATER):
            with pytest.raises(TooLarge, match=r"^bot: more than 4 events: ask for one$"):
                await of.details("", at, START)
            with pytest.raises(TooLarge, match=r"^bot: more than 4 events, too many for one"):
                await of.details("alpha", at, START)
        with pytest.raises(TooLarge, match=r"^bot: more than 4 events"):
            await of.figures("", LATER)
        with pytest.raises(TooLarge, match=r"^currency: more than 4 events, too many for one"):
            await of.curves("USD", HistoryQuery("", None, None, 500))
        # and lets the next one in
        assert (await of.details("", START, START)) == ({}, {})
        assert (await of.figures("", START))[0].bots == {}


async def test_it_reads_the_journal_once_for_figures_and_families(tmp_path):
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *(entry(trade(n, n)) for n in range(1, 6)))
        update, families = await of.figures("", LATER, ("empyrical",))
        assert update.bots["alpha"].trades == 5
        assert families == await of.families(("empyrical",), "", LATER, LATER)
        assert families[0]["alpha"]["empyrical"]


async def test_it_does_one_study_at_a_time(tmp_path, monkeypatch):
    running, most = 0, 0

    async def watched(*args, **named):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        found = await as_of(*args, **named)
        running -= 1
        return found

    as_of = module.as_of
    monkeypatch.setattr(module, "as_of", watched)
    async with opened(tmp_path) as (store, _):
        of = await studies(store, entry(trade(1, 1)))
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(of.details, "", LATER, START)
                group.start_soon(of.figures, "", START)
    assert (running, most) == (0, 1)


@pytest.mark.parametrize("question", ["details", "figures", "live", "curves"])
async def test_it_lets_only_so_many_wait(tmp_path, monkeypatch, question):
    monkeypatch.setattr(module, "READING_MAX", 2)
    monkeypatch.setattr(module, "COPYING_MAX", 2)
    refused = []

    async def ask():
        asked = {
            "details": lambda: of.details("", LATER, START),
            "figures": lambda: of.figures("", START),
            "live": lambda: of.details("", None, START),
            "curves": lambda: of.curves("", HistoryQuery()),
        }
        try:
            await asked[question]()
        except StudiesBusy as busy:
            refused.append(str(busy))

    async with opened(tmp_path) as (store, _):
        of = await studies(store, entry(trade(1, 1)), live=[trade(1, 1)])
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(ask)
        what = "journal" if question in ("details", "figures") else "ledgers"
        assert refused == [f"2 questions of the {what} are asked already"] * 2
        await ask()
    assert len(refused) == 2


async def test_it_leaves_out_what_is_journaled_while_it_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "PIECE_ROWS", 2)
    taken = []

    def slow(self, runs, left_out, until):
        taken.append(sum(run.n for run in runs))
        n = 10 + 2 * len(taken)
        later = [entry(trade(n, 1)), entry(trade(n + 1, 1))]
        anyio.from_thread.run(store.write, lambda tx: tx.journal.append(later))
        take(self, runs, left_out, until)

    take = Loader.take
    monkeypatch.setattr(Loader, "take", slow)
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *(entry(trade(n, n)) for n in range(1, 4)))
        found, _ = await of.details("", START + timedelta(days=99), START)
    assert found["alpha"].trades == 3
    assert taken[:1] == [2]  # a piece at a time


async def test_it_holds_no_more_bots_than_the_live_figures_do(tmp_path, monkeypatch):
    monkeypatch.setattr(ledgers_module, "BOTS_MAX", 2)
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *(entry(trade(1, 1, f"b{n}")) for n in range(4)))
        found, _ = await of.details("", LATER, START)
    assert list(found) == ["b0", "b1"]

"""Studies: from the journal, as of an instant, off the loop."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import pytest

from actors import codec
from actors.messages import Trade
from actors.metrics import study as module
from actors.metrics.options import LedgerOptions
from actors.metrics.queries import TooLarge
from actors.metrics.study import Studies, StudiesBusy
from actors.place import poison_key
from runtime.store import Entry
from tests.fakes.bench import opened

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]
START = datetime(2026, 1, 1, tzinfo=UTC)
BROKEN = Entry("trade", b'{"type":"trade","of":"another version"}', 0.0)


def options(_bot):
    return LedgerOptions(starting_equity=Decimal(1_000))


def trade(n, pnl, bot="alpha"):
    at = START + timedelta(days=n)
    return Trade(bot, n, "X", "long", Decimal(1), at, Decimal(pnl), at, at)


async def nobody(_query):
    raise AssertionError("this needs no live ledgers")


def entry(event):
    return Entry(codec.stream(event), codec.encode(event), 0.0, codec.key(event))


async def studies(store, *entries):
    await store.write(lambda tx: tx.journal.append(list(entries)))
    return Studies(store, options, nobody)


async def test_it_reads_every_bot_and_skips_what_it_cannot_read(tmp_path):
    async with opened(tmp_path) as (store, _):
        poison = 3
        of = await studies(
            store, entry(trade(1, 5)), BROKEN, entry(trade(2, 99)), entry(trade(1, -2, "beta"))
        )
        await store.write(lambda tx: tx.state.put(poison_key("metrics", poison), b""))
        found, _ = await of.details("", None, START + timedelta(days=3))
        assert {bot: one.trades for bot, one in found.items()} == {"alpha": 1, "beta": 1}
        found, _ = await of.details("beta", None, START + timedelta(days=3))
        assert list(found) == ["beta"]


async def test_it_answers_as_of_an_instant(tmp_path):
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *(entry(trade(n, n)) for n in range(1, 6)))
        at = START + timedelta(days=3)
        then = await of.families(("freqtrade", "empyrical"), "", at, START + timedelta(days=9))
        assert then["alpha"]["freqtrade"].trades == 3
        assert then["alpha"]["empyrical"].days == 3
        now = await of.families(("empyrical",), "", None, START + timedelta(days=9))
        assert (now["alpha"]["empyrical"].trades, now["alpha"]["empyrical"].days) == (5, 9)


async def test_it_reads_page_by_page(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAGE_ROWS", 2)
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *(entry(trade(n, n)) for n in range(1, 6)))
        found, _ = await of.details("", None, START + timedelta(days=9))
        assert found["alpha"].trades == 5


async def test_it_refuses_what_would_not_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EVENTS_MAX", 4)
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *(entry(trade(n, n)) for n in range(1, 6)))
        with pytest.raises(TooLarge, match=r"^bot: more than 4 events"):
            await of.details("", None, START)
        # and lets the next one in
        assert (await of.details("", START, START)) == ({}, {})


async def test_it_does_one_study_at_a_time(tmp_path, monkeypatch):
    running, most = 0, 0

    def watched(read):
        async def reads(*args):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await anyio.lowlevel.checkpoint()
            found = await read(*args)
            running -= 1
            return found

        return reads

    monkeypatch.setattr(Studies, "_read", watched(Studies._read))
    monkeypatch.setattr(module, "as_of", watched(module.as_of))
    async with opened(tmp_path) as (store, _):
        of = await studies(store, entry(trade(1, 1)))
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(of.details, "", None, START)
                group.start_soon(of.figures, "", START)
    assert (running, most) == (0, 1)


@pytest.mark.parametrize("question", ["details", "figures"])
async def test_it_lets_only_so_many_wait(tmp_path, monkeypatch, question):
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    refused = []

    async def ask():
        try:
            await (of.details("", None, START) if question == "details" else of.figures("", START))
        except StudiesBusy as busy:
            refused.append(str(busy))

    async with opened(tmp_path) as (store, _):
        of = await studies(store, entry(trade(1, 1)))
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(ask)
        assert refused == ["2 questions wait for the journal already"] * 2
        await ask()
    assert len(refused) == 2


async def test_it_leaves_out_what_is_journaled_while_it_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAGE_ROWS", 2)
    asked = []

    async def page(self, after):
        asked.append(after)
        rows = await read(self, after)
        n = 10 + 2 * len(asked)
        later = [entry(trade(n, 1)), entry(trade(n + 1, 1))]
        await self._store.write(lambda tx: tx.journal.append(later))
        return rows

    read = Studies._page
    monkeypatch.setattr(Studies, "_page", page)
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *(entry(trade(n, n)) for n in range(1, 4)))
        found, _ = await of.details("", None, START + timedelta(days=99))
    assert (found["alpha"].trades, asked) == (3, [0, 2])


async def test_it_holds_no_more_bots_than_the_live_figures_do(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BOTS_MAX", 2)
    async with opened(tmp_path) as (store, _):
        of = await studies(store, *(entry(trade(1, 1, f"b{n}")) for n in range(4)))
        found, _ = await of.details("", None, START + timedelta(days=3))
    assert list(found) == ["b0", "b1"]

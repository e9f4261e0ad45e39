"""Trades as CSV: each once, as its last revision has it, whatever the size of the journal."""

from __future__ import annotations

import csv
import io
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import anyio
import pytest
from msgspec.structs import replace

from actors import codec
from actors.messages import Trade
from actors.metrics import export
from actors.metrics.export import COLUMNS, Wanted, trades_csv
from actors.sources import tradefile
from runtime.store import Entry
from tests.fakes.bench import opened
from web import export as route
from web.guard import Refusal

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def trade(number, *, bot="alpha", pnl="1.5", id_=None, symbol="BTC/USDT", **more):
    closed = START + timedelta(hours=number)
    return Trade(
        bot=bot,
        id=f"t{number}" if id_ is None else id_,
        symbol=symbol,
        side="short",
        quantity=Decimal("0.00000010"),
        opened_at=closed - timedelta(minutes=1),
        pnl=Decimal(pnl),
        at=closed,
        closed_at=closed,
        fee=Decimal("1E-7"),
        currency="USDT",
        **more,
    )


async def journal(store, *events):
    entries = [Entry(codec.stream(e), codec.encode(e), 0.0, codec.key(e)) for e in events]
    await store.write(lambda tx: tx.journal.append(entries))


async def exported(store, **wanted):
    pieces = [piece async for piece in trades_csv(store, Wanted(**wanted))]
    return list(csv.DictReader(io.StringIO(b"".join(pieces).decode()))), pieces


async def test_it_tells_each_trade_whole_and_without_exponents(tmp_path):
    async with opened(tmp_path) as (store, _):
        await journal(store, trade(1, pnl="-0.00000012", risk=Decimal("2E-7")), trade(2))
        [row, other], _ = await exported(store)
    assert (row["risk"], other["risk"]) == ("0.0000002", "")
    assert row["closed_at"] == "2026-01-01T01:00:00+00:00"
    assert (row["pnl"], row["fee"]) == ("-0.00000012", "0.0000001")
    assert row["quantity"] == "0.00000010"
    assert (row["side"], row["currency"], row["revision"]) == ("short", "USDT", "0")


async def test_it_shows_a_corrected_trade_as_its_last_revision_has_it(tmp_path):
    async with opened(tmp_path) as (store, _):
        late = trade(2, pnl="7", revision=2)
        await journal(store, trade(1), late, trade(2, pnl="6", revision=1), trade(2, pnl="5"))
        await journal(store, trade(3, id_=7, pnl="1"), trade(3, id_="7", pnl="2", revision=1))
        rows, _ = await exported(store)
    assert [(row["id"], row["pnl"]) for row in rows] == [("t1", "1.5"), ("t2", "7"), ("7", "2")]


async def test_it_chooses_by_bot_and_by_closing_time(tmp_path):
    async with opened(tmp_path) as (store, _):
        await journal(store, *(trade(n) for n in range(5)), trade(2, bot="beta"))
        span = {"first": START + timedelta(hours=1), "last": START + timedelta(hours=3)}
        rows, _ = await exported(store, bot="alpha", **span)
        assert [row["id"] for row in rows] == ["t1", "t2"]
        rows, _ = await exported(store, bot="beta")
        assert [row["bot"] for row in rows] == ["beta"]
        rows, _ = await exported(store, bot="nobody")
        assert rows == []


async def test_it_goes_page_by_page(tmp_path):
    count = 3 * export.PAGE_ROWS + 1
    async with opened(tmp_path) as (store, _):
        await journal(store, *(trade(n) for n in range(count)))
        rows, pieces = await exported(store)
    assert len(rows) == count
    assert max(piece.count(b"\n") for piece in pieces) == export.PAGE_ROWS


async def test_it_leaves_out_what_is_journaled_while_it_reads(tmp_path):
    async with opened(tmp_path) as (store, _):
        await journal(store, *(trade(n) for n in range(3)))
        reading = trades_csv(store, Wanted())
        await anext(reading)
        await journal(store, trade(9), trade(1, revision=1))
        text = b"".join([piece async for piece in reading]).decode()
    assert len(text.splitlines()) == 3


async def test_it_passes_over_what_another_version_has_journaled(tmp_path):
    async with opened(tmp_path) as (store, _):
        await store.write(lambda tx: tx.journal.append([Entry("trade", b'{"type":"?"}', 0.0)]))
        await journal(store, trade(1))
        rows, _ = await exported(store)
    assert len(rows) == 1


async def test_it_quotes_hostile_text_and_import_reads_it_back(tmp_path):
    hostile = trade(1, id_="'" + '@a",\r\nb', symbol="=1+1;\u202e", pnl="-1")
    async with opened(tmp_path) as (store, _):
        await journal(store, hostile)
        [row], _ = await exported(store)
    assert tuple(row) == COLUMNS
    assert (row["symbol"], row["id"][:3], row["pnl"]) == ("'=1+1;\u202e", "''@", "-1")
    [(_, again)], bad = codec.read(tradefile.from_row(row, bot="", zone=None), codec.JSON, NOW)
    assert bad == []
    assert again == replace(hostile, at=None)


@pytest.mark.parametrize("id_", [" 7", "7 ", "\u00a07", "7\r"])
async def test_an_import_takes_no_exported_id_for_another_one(tmp_path, id_):
    async with opened(tmp_path) as (store, _):
        await journal(store, trade(7, id_=id_))
        [row], _ = await exported(store)
    [(_, again)], bad = codec.read(tradefile.from_row(row, bot="", zone=None), codec.JSON, NOW)
    assert (again.id, bad) == (id_, [])


async def test_it_does_not_read_on_past_where_it_began(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "PAGE_ROWS", 2)
    asked = []

    async def page(store, after):
        asked.append(after)
        return await read(store, after)

    read = export._read
    async with opened(tmp_path) as (store, _):
        await journal(store, *(trade(n) for n in range(3)))
        reading = trades_csv(store, Wanted())
        await anext(reading)
        await journal(store, *(trade(n) for n in range(10, 30)))
        monkeypatch.setattr(export, "_read", page)
        assert len([piece async for piece in reading]) == 2
    assert asked == [0, 2]


async def test_it_reads_the_journal_for_so_many_at_once_and_no_more():
    reading_now, most, told = 0, 0, []

    async def reading(number):
        nonlocal reading_now, most
        for _ in range(3):
            reading_now += 1
            most = max(most, reading_now)
            await anyio.sleep(1)
            reading_now -= 1
            yield number

    async def read(number):
        async with aclosing(exports.stream(reading(number))) as pieces:
            async for piece in pieces:
                told.append(piece)
                if number == 0:
                    break  # this client leaves

    exports = route.Exports(2, 6)
    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(read, number)
    assert (reading_now, most, exports.full, exports._turns.value) == (0, 2, False, 2)
    assert sorted(told) == [0] + [n for n in range(1, 6) for _ in range(3)]


class Figures:
    """Answers for the metrics actor, which knows so many bots."""

    def __init__(self, count):
        self._bots = {f"b{n}": None for n in range(count)}

    async def ask(self, query, *, timeout_s):
        known = self._bots if not query.bot else self._bots.keys() & {query.bot}
        return SimpleNamespace(bots=known)


@pytest.mark.parametrize(("bots", "bot"), [(2, ""), (2, "b1"), (256, "one-too-many")])
async def test_it_exports_a_bot_that_may_have_trades(bots, bot):
    await route._known(SimpleNamespace(metrics=Figures(bots)), bot)


async def test_it_exports_no_bot_that_nothing_is_known_of():
    with pytest.raises(Refusal, match="bot: nothing known of 'nope'"):
        await route._known(SimpleNamespace(metrics=Figures(255)), "nope")


async def test_a_slow_reader_keeps_nobody_from_reading():
    async def reading(number):
        for _ in range(3):
            yield number

    exports = route.Exports(1, 3)
    slow, quick = exports.stream(reading(0)), exports.stream(reading(1))
    async with aclosing(slow), aclosing(quick):
        assert await anext(slow) == 0
        with anyio.fail_after(60):
            assert [piece async for piece in quick] == [1, 1, 1]
        third = exports.stream(reading(2))
        await anext(third)
        assert not exports.full
        fourth = exports.stream(reading(3))
        await anext(fourth)
        assert exports.full
        await third.aclose()
        await fourth.aclose()
        assert not exports.full

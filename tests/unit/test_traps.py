"""The traps of trading figures, one test each, from the bot's message to the figure.

Each event goes the whole way: body -> door -> journal -> metrics actor -> answer.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import anyio
import msgspec
import pytest

from actors import codec
from actors.codec import BadBatch
from actors.ingest import Ingest
from actors.messages import Recorded
from actors.metrics import actor as module
from actors.metrics.actor import MetricsActor
from actors.metrics.as_of import as_of
from actors.metrics.options import LedgerOptions
from actors.metrics.queries import MetricsQuery
from actors.metrics.replay import READER, STREAMS
from actors.place import Position
from tests.fakes.bench import bench

pytestmark = pytest.mark.anyio
BERLIN = ZoneInfo("Europe/Berlin")
FIRST = datetime(2025, 3, 1, 12, tzinfo=UTC)


class Sidecar:
    """A door and a metrics actor on one store."""

    def __init__(self, table):
        self.table = table
        self.ingest = Ingest(table.store, table.clock, lambda _seen: None)
        self.read = 0

    async def post(self, *events):
        answer = await self.ingest.events(json.dumps(events).encode(), "application/json")
        await self.hand_on()
        return answer

    async def hook(self, **fields):
        answer = await self.ingest.freqtrade("ft", json.dumps(fields).encode(), "application/json")
        await self.hand_on()
        return answer

    async def hand_on(self):
        rows = await self.table.store.read(lambda tx: tx.journal.read(self.read, 1_000, STREAMS))
        for row in rows:
            await self.table.ref("tested").tell(Recorded(row.seq, codec.decode(row.data)))
            self.read = row.seq
        await anyio.sleep(0.01)

    async def figures(self, bot="alpha"):
        return (await self.update()).bots[bot]

    async def update(self):
        return await self.table.ref("tested").ask(MetricsQuery())


@asynccontextmanager
async def sidecar(tmp_path, **options):
    place = Position(reader=READER, streams=STREAMS)
    chosen = LedgerOptions(starting_equity=Decimal(1_000), currency_is_set=False, **options)

    def start(table):
        refs = (table.ref("alerts"), table.ref("broadcaster"))
        return MetricsActor(table.store, place, lambda _bot: chosen, *refs)

    async with bench(tmp_path, start, neighbours=("alerts", "broadcaster")) as table:
        yield Sidecar(table)


def trade(identity, at, pnl, **more):
    stamp = at.isoformat()
    return {
        "type": "trade",
        "bot": more.pop("bot", "alpha"),
        "id": identity,
        "symbol": "BTC/USDT",
        "side": "long",
        "quantity": 1,
        "opened_at": stamp,
        "closed_at": stamp,
        "pnl": str(pnl),
        **more,
    }


def bits(figures):
    return msgspec.json.encode(figures, order="deterministic")


async def test_a_day_without_trades(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TURN_EVERY_S", 3_600.0)
    async with sidecar(tmp_path) as one:
        now = one.table.clock.now()
        await one.post(trade(1, now - timedelta(days=4), 10), trade(2, now - timedelta(days=3), -5))
        # no trade came since: the clock alone makes it five days, three of them idle
        assert (await one.figures()).days == 5
        before = await one.figures()
        await anyio.sleep(86_400)
        after = await one.figures()
        assert after.days == 6
        assert after.sharpe < before.sharpe


@pytest.mark.parametrize(
    ("opens", "hours"),
    [(datetime(2025, 3, 30, tzinfo=BERLIN), 23), (datetime(2025, 10, 26, tzinfo=BERLIN), 25)],
)
async def test_dst_with_a_local_day(tmp_path, opens, hours):
    ends = opens + timedelta(days=1)  # the next local midnight
    assert (ends.astimezone(UTC) - opens.astimezone(UTC)) == timedelta(hours=hours)
    last = (ends.astimezone(UTC) - timedelta(seconds=1)).astimezone(UTC)
    async with sidecar(tmp_path, zone="Europe/Berlin") as one:
        first = opens.astimezone(UTC)
        # a loss of the day's last second is that day's, one of the next second is the next day's
        await one.post(trade(1, first, 10), trade(2, last, -5))
        await one.post(trade(3, last + timedelta(seconds=1), 7))
        before = [await ratio(one, at) for at in (last, last + timedelta(seconds=1))]
        assert before == [(1, "5"), (2, "7")]


async def ratio(one, at):
    """Days and today's P&L, as of an instant."""
    options = LedgerOptions(starting_equity=Decimal(1_000), zone="Europe/Berlin")
    then = await as_of(one.table.store, lambda _bot: options, "alpha", at)
    found = then.update(at).bots["alpha"]
    return found.days, str(found.pnl_today)


async def test_a_trade_for_a_day_already_closed(tmp_path):
    days = [trade(n, FIRST + timedelta(days=n), pnl) for n, pnl in enumerate((5, -8, 3, 9))]
    async with sidecar(tmp_path / "late") as one:
        await one.post(days[0], days[2], days[3])
        await one.figures()
        await one.post(days[1])
        late = await one.figures()
    async with sidecar(tmp_path / "in order") as one:
        await one.post(*days)
        assert without_at(await one.figures()) == without_at(late)


def without_at(figures):
    return bits(msgspec.structs.replace(figures, at=FIRST))


async def test_tied_close_times(tmp_path):
    tied = [trade(identity, FIRST, pnl) for identity, pnl in ((10, -50), (9, 100), ("b", -10))]
    found = []
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        async with sidecar(tmp_path / str(order)) as one:
            for place in order:
                await one.post(tied[place])
            found.append(await one.figures())
    assert len({without_at(figures) for figures in found}) == 1
    # by id, numbers first: 9, 10, b; so the fall is from 1,100 to 1,040
    assert found[0].max_drawdown_abs == 60


CLOSED = {
    "msg_type": "exit_fill",
    "trade_id": "1",
    "pair": "AAA/USDT",
    "direction": "Long",
    "amount": "2",
    "open_date": "2025-03-01 10:00:00+00:00",
    "close_date": "2025-03-01 12:00:00.123456+00:00",
    "profit_amount": "1.5",
    "cumulative_profit": "1.5",
    "is_final_exit": "True",
    "sub_trade": "False",
    "stake_currency": "USDT",
}


async def test_the_same_webhook_twice(tmp_path):
    async with sidecar(tmp_path) as one:
        assert (await one.hook(**CLOSED)).accepted == 1
        assert (await one.hook(**CLOSED)).duplicates == 1
        figures = await one.figures("ft")
        assert (figures.trades, figures.pnl_total) == (1, Decimal("1.5"))


async def test_partial_exits(tmp_path):
    part = CLOSED | {"is_final_exit": "False", "sub_trade": "True"}
    async with sidecar(tmp_path) as one:
        await one.hook(**part | {"profit_amount": "4", "cumulative_profit": "4"})
        await one.hook(**part | {"profit_amount": "-1", "cumulative_profit": "3"})
        await one.hook(**CLOSED | {"profit_amount": "2", "cumulative_profit": "5"})
        figures = await one.figures("ft")
        # one trade of 5, not three of 4, -1 and 2 nor of 4, 3 and 5
        assert (figures.trades, figures.pnl_total, figures.losses) == (1, 5, 0)


async def test_a_restart(tmp_path):
    trades = [trade(n, FIRST + timedelta(hours=9 * n), (-1) ** n * n) for n in range(30)]
    async with sidecar(tmp_path / "one life") as one:
        await one.post(*trades)
        whole = await one.figures()
    async with sidecar(tmp_path / "many") as one:
        for n, body in enumerate(trades):
            await one.post(body)
            if n % 10 == 9:
                one.table.ref("tested")._slot.incarnation.kill()
                await anyio.sleep(5)
        assert without_at(await one.figures()) == without_at(whole)


async def test_trade_ids_that_start_again_with_a_new_database(tmp_path):
    async with sidecar(tmp_path) as one:
        await one.hook(**CLOSED)
        second_life = CLOSED | {
            "close_date": "2025-03-02 12:00:00+00:00",
            "cumulative_profit": "-4",
        }
        assert (await one.hook(**second_life)).accepted == 1
        figures = await one.figures("ft")
        assert (figures.trades, figures.pnl_total) == (2, Decimal("-2.5"))


async def test_mixed_currencies(tmp_path):
    async with sidecar(tmp_path) as one:
        await one.post(
            trade(1, FIRST, 10, currency="EUR"), trade(1, FIRST, 30, bot="beta", currency="USDT")
        )
        await one.post(trade(2, FIRST, 500, currency="JPY"))
        update = await one.update()
        assert update.bots["alpha"].pnl_total == 10
        assert {name: whole.pnl_total for name, whole in update.portfolio.items()} == {
            "EUR": 10,
            "USDT": 30,
        }
        [report] = [report for report in one.table.reports if report.kind == "refused"]
        assert "currency: JPY in a ledger of EUR" in str(report)


async def test_equity_at_or_below_zero(tmp_path):
    async with sidecar(tmp_path) as one:
        await one.post(
            trade(1, FIRST, -1_000),
            trade(2, FIRST + timedelta(days=1), -500),
            trade(3, FIRST + timedelta(days=40), 2_000),
        )
        figures = await one.figures()
        assert figures.equity == 1_500
        assert figures.max_drawdown == 1.5
        for name in ("sharpe", "sortino", "cagr", "calmar"):
            assert getattr(figures, name) is None
            assert figures.undefined[name] == "equity not positive"
        assert b"NaN" not in bits(figures)


async def test_none_as_text(tmp_path):
    async with sidecar(tmp_path) as one:
        await one.hook(**CLOSED | {"cumulative_profit": "None", "stake_currency": "None"})
        assert (await one.figures("ft")).pnl_total == Decimal("1.5")
        with pytest.raises(BadBatch, match="field 'close_date' is missing"):
            await one.hook(**CLOSED | {"close_date": "None"})
        with pytest.raises(BadBatch, match="field 'profit_amount' is missing"):
            await one.hook(**CLOSED | {"cumulative_profit": "None", "profit_amount": "None"})
        assert (await one.figures("ft")).trades == 1

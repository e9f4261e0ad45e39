"""A trade history in a file: rows and lines become trades of the wire, or say what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest

from actors import codec
from actors.sources import tradefile
from actors.sources.tradefile import RowError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ROW = {
    "id": "t1",
    "symbol": "BTC/USDT",
    "side": "long",
    "quantity": "0.5",
    "opened_at": "2026-01-01T10:00:00Z",
    "closed_at": "2026-01-01T11:00:00+01:00",
    "pnl": "-1.25",
}


def read(data):
    good, bad = codec.read(data, codec.JSON, NOW)
    return [event for _, event in good], [item.error for item in bad]


def from_row(*, bot="mine", zone=None, **changed):
    return tradefile.from_row({**ROW, **changed}, bot=bot, zone=zone)


def test_it_reads_a_row_as_the_trade_it_is():
    [trade], _ = read(from_row(fee="0.1", currency="USDT", revision="2", risk="5", note="ignored"))
    assert trade.risk == 5
    assert (trade.bot, trade.id, trade.revision) == ("mine", "t1", 2)
    assert (trade.pnl, trade.fee, trade.quantity) == (
        Decimal("-1.25"),
        Decimal("0.1"),
        Decimal("0.5"),
    )
    assert trade.closed_at == datetime(2026, 1, 1, 10, tzinfo=UTC)


def test_it_lets_a_row_name_its_own_bot():
    [trade], _ = read(tradefile.from_row({**ROW, "bot": "other"}, bot="mine", zone=None))
    assert trade.bot == "other"


def test_it_takes_an_empty_cell_as_not_given():
    [trade], _ = read(from_row(fee="", currency="  ", revision=""))
    assert (trade.fee, trade.currency, trade.revision) == (0, None, 0)


def test_it_reads_an_instant_without_a_zone_in_the_zone_asked_for():
    berlin = ZoneInfo("Europe/Berlin")
    [trade], _ = read(
        from_row(opened_at="2026-07-01 09:00", closed_at="2026-07-01 10:00", zone=berlin)
    )
    assert trade.closed_at == datetime(2026, 7, 1, 8, tzinfo=UTC)
    [trade], _ = read(from_row(zone=berlin))
    assert trade.closed_at - trade.opened_at == timedelta(0)  # those name one: it stays


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"pnl": "NaN"}, "pnl"),
        ({"pnl": "1,250.00"}, "pnl"),
        ({"quantity": "-1"}, "quantity"),
        ({"side": "buy"}, "side"),
        ({"opened_at": "2026-01-01 10:00"}, "opened_at"),
        ({"closed_at": "soon"}, "closed_at"),
        ({"closed_at": "2025-01-01T00:00:00Z"}, "opened_at"),
        ({"id": ""}, "id"),
        ({"symbol": "x" * 65}, "symbol"),
    ],
)
def test_it_leaves_the_judgement_to_the_wires_rules(changed, named):
    good, [error] = read(from_row(**changed))
    assert good == []
    assert named in error


@pytest.mark.parametrize("revision", ["-1", "1.5", "two", "²"])
def test_it_names_a_revision_that_is_no_number(revision):
    with pytest.raises(RowError, match="revision"):
        from_row(revision=revision)


def test_it_says_which_columns_a_file_lacks():
    assert tradefile.missing(ROW, bot="mine") == []
    assert tradefile.missing(ROW, bot="") == ["bot"]
    assert tradefile.missing({"id", "symbol"}, bot="mine") == [
        "side",
        "quantity",
        "opened_at",
        "pnl",
        "closed_at",
    ]
    assert tradefile.missing({*ROW, "at"} - {"closed_at"}, bot="mine") == []


def test_it_completes_a_json_line_and_keeps_what_it_says():
    line = msgspec.json.encode({**ROW, "pnl": 1.5})
    [trade], _ = read(tradefile.from_line(line, bot="mine"))
    assert (trade.bot, trade.pnl) == ("mine", Decimal("1.5"))
    line = msgspec.json.encode({**ROW, "bot": "own", "type": "trade"})
    [trade], _ = read(tradefile.from_line(line, bot="mine"))
    assert trade.bot == "own"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"[1]", "not a JSON object"),
        (b"{", "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"type": "equity"}', "only trades"),
        (b'{"type": 7}', "only trades"),
    ],
)
def test_it_refuses_a_line_that_is_no_trade(line, named):
    with pytest.raises(RowError, match=named):
        tradefile.from_line(line, bot="mine")

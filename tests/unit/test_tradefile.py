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


@pytest.mark.parametrize("revision", ["-1", "1.5", "two", "²", "1" + "0" * 19, "0" * 9_000])
def test_it_names_a_revision_that_is_no_number(revision):
    with pytest.raises(RowError, match=f"^revision: '{revision[:40]}' is not a natural number$"):
        from_row(revision=revision)


def test_it_never_cuts_a_revision_to_one_that_the_wire_would_take():
    _, [error] = read(from_row(revision="1000001"))
    assert error == "revision: expected `int` <= 1000000"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-03-29 02:30", "does not exist in Europe/Berlin: its clocks go forward there"),
        ("2025-10-26 02:30", "comes twice in Europe/Berlin, .* behind it, \\+02:00 or \\+01:00"),
    ],
)
def test_it_takes_no_instant_that_a_clock_on_the_wall_skips_or_shows_twice(text, said):
    berlin = ZoneInfo("Europe/Berlin")
    with pytest.raises(RowError, match=f"opened_at: '{text}' {said}"):
        from_row(opened_at=text, zone=berlin)
    line = msgspec.json.encode({**ROW, "opened_at": text})
    with pytest.raises(RowError, match=f"opened_at: '{text}' {said}"):
        tradefile.from_line(line, bot="b", zone=berlin)
    from_row(opened_at=f"{text}+02:00", zone=berlin)


@pytest.mark.parametrize("text", ["2026-01-01 10:00", "2026-01-01T10:00:00", "2026-01-01"])
def test_it_says_where_the_zone_of_an_instant_may_be_given(text):
    wanted = f"opened_at: '{text}' names no time zone \\(--zone NAME"
    with pytest.raises(RowError, match=wanted):
        from_row(opened_at=text)
    with pytest.raises(RowError, match=wanted):
        tradefile.from_line(msgspec.json.encode({**ROW, "opened_at": text}), bot="b")


def test_it_refuses_a_row_with_more_cells_than_columns():
    with pytest.raises(RowError, match="more cells than columns"):
        tradefile.from_row({**ROW, None: ["00"]}, bot="b", zone=None)


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


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"curency"}, "unknown field `curency`: did you mean `currency`?"),
        ({"Fees"}, "unknown field `Fees`: did you mean `fee`?"),
    ],
)
def test_it_takes_no_column_for_a_stranger_that_may_be_misspelt(changed, said):
    with pytest.raises(RowError) as caught:
        tradefile.check_header([*ROW, *changed], bot="b")
    assert str(caught.value) == said
    line = msgspec.json.encode(ROW | dict.fromkeys(changed, 1))
    with pytest.raises(RowError, match="did you mean"):
        tradefile.from_line(line, bot="b")


@pytest.mark.parametrize("name", ["note", "pnl_pct", "quote_currency", "pnl%", "date", "size"])
def test_it_passes_over_a_column_of_the_owners(name):
    tradefile.check_header([*ROW, name], bot="b")
    assert tradefile.strays([*ROW, name]) == [name]
    data, passed = tradefile.from_line(msgspec.json.encode(ROW | {name: 1}), bot="b")
    assert passed == [name]
    assert read(data)[1] == []


def test_it_takes_what_is_like_a_field_where_the_field_itself_is_there():
    tradefile.check_header([*ROW, "fee", "fees"], bot="b")


def test_it_refuses_a_header_that_is_ambiguous_or_lacks_a_column():
    with pytest.raises(RowError, match="column 'pnl' stands twice"):
        tradefile.check_header([*ROW, "pnl"], bot="b")
    with pytest.raises(RowError, match=r"no column side, bot \(--bot NAME says whose they are\)"):
        tradefile.check_header([name for name in ROW if name != "side"], bot="")


def test_it_completes_a_json_line_and_keeps_what_it_says():
    line = msgspec.json.encode({**ROW, "pnl": 1.5})
    [trade], _ = read(tradefile.from_line(line, bot="mine")[0])
    assert (trade.bot, trade.pnl) == ("mine", Decimal("1.5"))
    line = msgspec.json.encode({**ROW, "bot": "own", "type": "trade"})
    [trade], _ = read(tradefile.from_line(line, bot="mine")[0])
    assert trade.bot == "own"
    line = msgspec.json.encode({**ROW, "opened_at": "2026-01-01", "closed_at": "2026-01-01T12:00"})
    [trade], _ = read(tradefile.from_line(line, bot="b", zone=ZoneInfo("Asia/Tokyo"))[0])
    assert trade.closed_at == datetime(2026, 1, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"[1]", "not a JSON object"),
        (b"{", "not a JSON object"),
        (b"[" * 100_000, "not a JSON object"),
        (b'{"type": "equity"}', "only trades"),
        (b'{"type": 7}', "only trades"),
        (('{"type": "' + "x" * 38 + 'é"}').encode(), "only trades"),
        (b'{"pnl": NaN}', "not a JSON object: pnl: NaN is neither"),
    ],
)
def test_it_refuses_a_line_that_is_no_trade(line, named):
    with pytest.raises(RowError, match=named):
        tradefile.from_line(line, bot="mine")


def test_it_says_where_a_lines_bot_may_be_named():
    with pytest.raises(RowError, match=r"bot: the line names none \(--bot NAME"):
        tradefile.from_line(msgspec.json.encode(ROW), bot="")

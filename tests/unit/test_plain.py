"""Amounts at the door: what is no plain decimal number is refused by its field's name."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_type_hints

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors import codec, plain
from actors.messages import EVENT_TYPES
from actors.plain import LONG, PIECE

NOW = datetime(2026, 1, 2, tzinfo=UTC)
AT = "2026-01-01T00:00:00Z"
TRADE = {
    "type": "trade",
    "bot": "native_1",
    "id": "2026_0001",
    "symbol": "BTC 5",
    "side": "long",
    "quantity": "1.5",
    "opened_at": AT,
    "closed_at": AT,
    "pnl": "-0.1",
}
KINDS = {
    codec.JSON: lambda items: json.dumps(items).encode(),
    "application/json; escaped": lambda items: json.dumps(items, ensure_ascii=False).encode(),
    "application/json; tight": lambda items: json.dumps(items, separators=(",", ":")).encode(),
    codec.NDJSON: lambda items: b"\n".join(json.dumps(item).encode() for item in items),
    "application/msgpack": msgspec.msgpack.encode,
}
MANY = 3 * PIECE // 200


def read(items, kind=codec.JSON):
    return codec.read(KINDS[kind](items), kind, NOW)


def test_it_knows_every_amount_there_is():
    amounts = {
        name
        for kind in EVENT_TYPES.values()
        for name, hint in get_type_hints(kind).items()
        if Decimal in (hint, *getattr(hint, "__args__", ()))
    }
    assert amounts == set(plain.AMOUNTS) == set(plain._Given.__struct_fields__)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3, MANY])
@pytest.mark.parametrize(
    "text",
    ["1_000", " 5", "5 ", "5  ", "\u0665\u0660", "\uff15", "\xa05", "1e_3", "_1", "+_1", "\t5"],
)
def test_it_refuses_what_only_looks_like_a_number(text, count, kind):
    assert Decimal(text) > 0
    items = [dict(TRADE) for _ in range(count)]
    items[count // 2]["pnl"] = text
    good, [bad] = read(items, kind)
    assert (len(good), bad.index) == (count - 1, count // 2)
    assert bad.error == f"pnl: {text!a} is no plain decimal number, as -12.5 or 1e-3 is"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, MANY])
@pytest.mark.parametrize("given_as", ["5", "+5.", ".5", "-5E+1", "5e-07", 5, 0.5, "005"])
def test_it_takes_every_plain_decimal(given_as, count, kind):
    good, bad = read([{**TRADE, "pnl": given_as}] * count, kind)
    assert (len(good), bad) == (count, [])
    assert good[0][1].pnl == Decimal(str(given_as))


@pytest.mark.parametrize("field", ["quantity", "pnl", "fee", "risk"])
def test_it_names_each_field_of_a_trade(field):
    [], [bad] = read([{**TRADE, field: "1_0"}])
    assert bad.error.startswith(f"{field}: '1_0' is no plain decimal")


def test_it_names_those_of_equities_and_flows():
    common = {"bot": "b", "at": AT}
    flow = {"type": "flow", "id": 1, "amount": "1_0", **common}
    [], bad = read([{"type": "equity", "equity": " 9", **common}, flow])
    assert [item.error[:14] for item in bad] == ["equity: ' 9' i", "amount: '1_0' "]


def test_an_escape_hides_nothing_and_spoils_nothing():
    body = json.dumps(TRADE).replace('"pnl": "-0.1"', '"p\\u006el": "1_0"').encode()
    [], [bad] = codec.read(body, codec.JSON, NOW)
    assert bad.error.startswith("pnl: '1_0'")
    body = json.dumps({**TRADE, "symbol": "\u00e9"}).replace("-0.1", "\\u0035").encode()
    [(_, event)], [] = codec.read(body, codec.JSON, NOW)
    assert (event.pnl, event.symbol) == (5, "\u00e9")


def test_a_text_that_tells_of_an_amount_is_none():
    said = {"type": "api_error", "bot": "b", "at": AT, "message": 'got {"pnl": "1_0"}: 5 _'}
    for count in (1, LONG // 20):
        good, bad = read([said] * count)
        assert (len(good), bad) == (count, [])


def test_it_shows_a_long_text_cut_and_printable():
    [], [bad] = read([{**TRADE, "pnl": "\u0665" * 12}])
    assert (
        bad.error
        == f"pnl: {ascii(chr(0x665) * 12)[:40]} is no plain decimal number, as -12.5 or 1e-3 is"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_it_shows_what_is_no_number_at_all(kind):
    long = "twelve\u202e\n" + "!" * 90
    for text in ("12,5", "", long):
        [], [bad] = read([{**TRADE, "quantity": text}], kind)
        shown = ascii(text)[:40]
        assert bad.error == f"quantity: {shown} is no plain decimal number, as -12.5 or 1e-3 is"
    [], [bad] = read([{**TRADE, "quantity": None}], kind)
    assert bad.error.startswith("quantity: expected `decimal`, got `")


@given(st.text("0159+-.eE_ \u0665", max_size=6), st.sampled_from([*KINDS]), st.booleans())
@example("1e_5", codec.JSON, True)
@example("_+_1", codec.JSON, True)
def test_it_agrees_with_the_grammar(text, kind, long):
    items = [TRADE] * (40 if long else 1) + [{**TRADE, "fee": text}]
    assert (len(KINDS[kind](items)) >= LONG) == long
    good, bad = read(items, kind)
    try:
        decimal = Decimal(text)
    except ArithmeticError:
        decimal = None
    if decimal is None or not plain.is_plain(text):
        assert [item.error.split(":")[0] for item in bad] == ["fee"]
    elif decimal.adjusted() < 15 and decimal.as_tuple().exponent > -40:  # within bounds
        assert (len(good), bad) == (len(items), [])

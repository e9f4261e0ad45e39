"""Why an event was refused: the line begins with the field and says what would be right."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from actors import codec
from actors.codec import BadBatch
from actors.messages import EVENT_TYPES
from actors.reason import FORMS, INSTANT, nearest

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TRADE = {
    "type": "trade",
    "bot": "b",
    "id": 7,
    "symbol": "X",
    "side": "long",
    "quantity": 1.5,
    "opened_at": "2026-01-01T00:00:00Z",
    "closed_at": "2026-01-01T01:00:00Z",
    "pnl": -0.1,
}


def with_raw(**fields):
    """A trade with fields as they stand in JSON, which json.dumps would not write."""
    body = json.dumps(TRADE | {name: f"@{name}" for name in fields})
    for name, raw in fields.items():
        body = body.replace(f'"@{name}"', raw)
    return body.encode()


def error(body, content_type=codec.JSON):
    try:
        good, bad = codec.read(body, content_type, NOW)
    except BadBatch as refused:
        return str(refused)
    assert good == []
    return bad[-1].error


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("curency", "did you mean `currency`?"),
        ("Currency", "did you mean `currency`?"),
        ("opened-at", "did you mean `opened_at`?"),
        ("fees", "did you mean `fee`?"),
        ("strategy", f"known are {', '.join(EVENT_TYPES['trade'].__struct_fields__)}"),
    ],
)
def test_it_names_an_unknown_field_and_the_one_that_is_meant(name, hint):
    event = TRADE | {name: "EUR"}
    wanted = f"unknown field `{name}`: {hint}"
    assert error(json.dumps(event).encode()) == wanted
    assert error(json.dumps(dict(reversed(event.items()))).encode()) == wanted
    assert error(msgspec.msgpack.encode(event), "application/msgpack") == wanted


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_it_takes_no_unknown_field_in_any_event(kind):
    event = {"type": kind, "surprise": 1}
    assert error(json.dumps(event).encode()).startswith("unknown field `surprise`: known are bot")


def test_it_keeps_the_others_beside_an_unknown_field():
    events = [TRADE, TRADE | {"curency": "EUR"}, TRADE | {"currency": "EUR"}]
    good, [bad] = codec.read(json.dumps(events).encode(), codec.JSON, NOW)
    assert ([index for index, _ in good], bad.index) == ([0, 2], 1)


def test_it_offers_nothing_for_a_name_like_no_other():
    assert nearest("zzz", ["fee", "pnl"]) is None
    assert nearest("p" * 100_000, ["fee", "pnl"]) is None


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (with_raw(pnl="NaN"), "pnl: NaN is neither JSON nor a finite number (byte 168)"),
        (with_raw(fee="-Infinity"), "fee: -Infinity is neither JSON nor a finite number (byte"),
        (with_raw(fee="nan"), "fee: nan is neither JSON nor"),
        (with_raw(pnl="None"), "pnl: `None` is not JSON (byte 168)"),
        (with_raw(pnl="+1"), "pnl: `+1` is not JSON"),
        (with_raw(pnl="1."), "pnl: `1.` is not JSON (byte 170)"),
        (with_raw(id='"a\tb"'), "id: JSON is malformed: invalid character (byte"),
        (with_raw(id='"\\ud800"'), "id: `\\ud800` alone is no text (byte 37)"),
        (with_raw(symbol='"x\\udc00\\ud800"'), "symbol: `\\udc00` alone is no text"),
        (b'{"type":"trade","bot":"\\ud800"}', "bot: `\\ud800` alone is no text (byte 23)"),
        (b'{"type":"trade","bot":"\\ud83d', "Input data was truncated (byte 29)"),
        (b'{"type":"trade","bot":"a', "Input data was truncated (byte 24)"),
        (b'{"type":"trade","bot":"\xff"}', "bot: not UTF-8 (byte 23)"),
        (b"\xef\xbb\xbf{}", "begins with a byte order mark: send plain UTF-8"),
        (json.dumps(TRADE).encode("utf-16"), "looks like UTF-16: send plain UTF-8"),
        (b"\x1f\x8b\x08\x00", "looks like gzip: send plain UTF-8"),
        (b"{]", "JSON is malformed: "),
        (
            json.dumps(TRADE).encode() + b"\n{}",
            "JSON is malformed: more behind the first value; lines need Content-Type: app",
        ),
        (
            with_raw(bot='"my bot"'),
            "bot: expected 1 to 64 of A-Z a-z 0-9 _ . -, the first a letter",
        ),
        (
            with_raw(bot="5"),
            "bot: expected 1 to 64 of A-Z a-z 0-9 _ . -, the first a letter or digit, not 5",
        ),
        (with_raw(side='"buy"'), "side: expected long or short, not 'buy'"),
        (with_raw(type='"Trade"'), "type: expected one of trade, equity, flow, "),
        (with_raw(id="1.5"), "id: expected `int | str`, got `float`"),
        (
            with_raw(opened_at='"2026-01-01 00:00"'),
            "opened_at: invalid RFC3339 encoded datetime, as in 2",
        ),
        (
            with_raw(at='"2026-01-01T00:00:00"'),
            "at: expected `datetime` with a timezone component, as",
        ),
        (
            b'{"type":"heartbeat","bot":"b","type":"trade"}',
            "type: stands twice, and not with the same value: keep one",
        ),
        (b'{"type":"trade","bot":"a b","bot":"ab"}', "bot: stands twice, and not"),
        (with_raw(side='"up","side":"long"'), "side: stands twice, and not"),
        (b'{"type":"trade"}', f"bot: required, {FORMS['bot']}"),
        (b'{"type":"heartbeat","bot":"b"}', f"at: required, {INSTANT}"),
        (b"  \n ", "no event in the request"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_it_names_the_field_and_what_would_be_right(body, wanted):
    assert error(body).startswith(wanted)


def test_it_names_the_line_of_what_is_no_json():
    lines = b"\n\n" + json.dumps(TRADE).encode() + b"\n\n" + with_raw(pnl="NaN") + b"\n"
    good, [bad] = codec.read(lines, codec.NDJSON, NOW)
    assert (len(good), bad.index) == (1, 1)
    assert bad.error == "pnl: NaN is neither JSON nor a finite number (line 5, byte 168)"


def test_it_names_the_fields_of_packed_events_as_well():
    packed = msgspec.msgpack.encode(TRADE | {"bot": "a b"})
    assert error(packed, "application/msgpack").endswith("not 'a b'")
    assert error(b"\xc1", "application/msgpack").startswith("MessagePack data is malformed")
    assert error(b"\x81\xa4type\xa1\xff", "application/msgpack") == "a text in it is not UTF-8"


@pytest.mark.parametrize("filler", ['"a":"', '"a":', '\\"', '"a":"\\"', "1", '"'])
def test_it_looks_for_a_name_in_a_bounded_stretch_only(filler):
    body = b'{"type":"trade",' + filler.encode() * 20_000 + b"NaN}"
    assert len(error(body)) <= 500

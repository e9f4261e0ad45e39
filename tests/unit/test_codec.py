import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import codec
from actors.codec import BadBatch
from actors.messages import Heartbeat, Trade

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ZONE = timezone(timedelta(hours=-5))
TRADE = {
    "type": "trade",
    "bot": "b",
    "id": 7,
    "symbol": "BTC/USDT",
    "side": "long",
    "quantity": 1.5,
    "opened_at": "2026-01-01T00:00:00Z",
    "closed_at": "2026-01-01T01:00:00Z",
    "pnl": -0.1,
}


def read(body, content_type="application/json"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return codec.read(raw, content_type, NOW)


def test_it_reads_one_event_and_completes_it():
    [(index, trade)], bad = read(TRADE)
    assert (index, bad) == (0, [])
    assert isinstance(trade, Trade)
    assert str(trade.pnl) == "-0.1"
    assert codec.decode(codec.encode(trade)) == trade
    [(_, completed)], _ = read({**TRADE, "closed_at": None, "at": TRADE["closed_at"]})
    assert completed.closed_at == trade.closed_at
    assert codec.key(trade) == "trade|b|7|0"


def test_it_keeps_the_good_of_a_batch_and_names_the_bad():
    good, bad = read([TRADE, {**TRADE, "pnl": "NaN"}, {"type": "x"}, {**TRADE, "id": 8}])
    assert [index for index, _ in good] == [0, 3]
    assert [item.index for item in bad] == [1, 2]
    assert "pnl" in bad[0].error
    assert bad[1].error.startswith("type: expected one of trade, ")


def test_it_reads_ndjson_and_msgpack_alike():
    lines = b"\n".join(json.dumps(t).encode() for t in (TRADE, {**TRADE, "id": 8})) + b"\n\n"
    assert len(read(lines, "application/x-ndjson; charset=utf-8")[0]) == 2
    good, bad = read(lines + b"{broken\n", "application/x-ndjson")
    assert (len(good), [item.index for item in bad]) == (2, [2])
    assert len(read(msgspec.msgpack.encode([TRADE, TRADE]), "application/msgpack")[0]) == 2
    assert len(read(msgspec.msgpack.encode(TRADE), "application/msgpack")[0]) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"pnl": "NaN"}, "pnl"),
        ({"pnl": "Infinity"}, "pnl"),
        ({"pnl": "1e999"}, "pnl"),
        ({"pnl": 1e15}, "pnl"),
        ({"pnl": "1e-41"}, "pnl"),
        ({"pnl": "sNaN"}, "pnl"),
        ({"pnl": "0e15"}, "pnl"),
        ({"pnl": "0e-41"}, "pnl"),
        ({"at": "2099-01-01T00:00:00Z"}, "at"),
        ({"at": "1970-01-01T00:00:00Z"}, "at"),
        ({"pnl": None}, "pnl"),
        ({"fee": "-Infinity"}, "fee"),
        ({"quantity": -1}, "quantity"),
        ({"risk": 0}, "risk"),
        ({"risk": "-1.5"}, "risk"),
        ({"side": "up"}, "side"),
        ({"symbol": ""}, "symbol"),
        ({"bot": "a b"}, "bot"),
        ({"bot": ""}, "bot"),
        ({"id": ""}, "id"),
        ({"opened_at": "2026-01-01T02:00:00Z"}, "opened_at"),
        ({"opened_at": "2026-01-01T00:00:00"}, "opened_at"),
        ({"closed_at": "2099-01-01T00:00:00Z"}, "closed_at"),
        ({"closed_at": "1970-01-01T00:00:00Z"}, "closed_at"),
        ({"closed_at": 1767225600000}, "closed_at"),
        ({"closed_at": None}, "closed_at"),
        ({"revision": -1}, "revision"),
    ],
)
def test_it_names_the_field_it_refuses(change, field):
    good, [bad] = read({**TRADE, **change})
    assert good == []
    assert field in bad.error
    good, bad = read([TRADE, {**TRADE, **change}, TRADE])
    assert ([index for index, _ in good], [item.index for item in bad]) == ([0, 2], [1])


AMOUNTS = [
    field.name
    for field in msgspec.inspect.type_info(Trade).fields
    if "DecimalType" in repr(field.type)
]


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e15", "0.5e-40"])
def test_it_bounds_every_amount_of_a_batch(name, value):
    good, [bad] = read([TRADE, {**TRADE, name: value}])
    assert (len(good), bad.index) == (1, 1)
    assert name in bad.error


amounts = st.one_of(
    st.sampled_from(["NaN", "-sNaN", "Infinity", "1e15", "-1e15", "999999999999999.5", "1e-40"]),
    st.sampled_from(["1e-41", "-0", "0e14", "0e15", "0e-40", "0e-41", "1" * 15 + "." + "1" * 40]),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
)
FIRST = datetime(1999, 12, 1, tzinfo=UTC)
instants = st.builds(
    lambda hours, zone: (FIRST + timedelta(hours=hours)).astimezone(zone),
    st.integers(0, 24 * 365 * 26 + 24 * 70),
    st.sampled_from([UTC, ZONE]),
)


@given(
    quantity=amounts,
    pnl=amounts,
    fee=amounts,
    risk=st.none() | amounts,
    instants=st.lists(instants, min_size=3, max_size=3),
    given=st.sets(st.sampled_from(["at", "closed_at"])),
)
def test_it_lets_nothing_pass_in_a_batch_that_it_would_refuse_alone(
    *, quantity, pnl, fee, risk, instants, given
):
    opened, closed, at = instants
    times = {"closed_at": closed, "at": at}
    trade = Trade(
        bot="b",
        id=1,
        symbol="X",
        side="long",
        quantity=Decimal(quantity),
        pnl=Decimal(pnl),
        fee=Decimal(fee),
        risk=None if risk is None else Decimal(risk),
        opened_at=opened,
        **{name: times[name] for name in given},
    )
    whole = codec._sound([trade], NOW)
    try:
        alone = codec.checked(trade, NOW) is trade
    except ValueError:
        alone = False
    assert not whole or alone
    digits = max(len(Decimal(text).as_tuple().digits) for text in (quantity, pnl, fee, risk or 0))
    assert whole == alone or digits > codec.DECIMALS_MAX


def test_it_reads_a_batch_as_a_whole_as_it_reads_each():
    beat = {"type": "heartbeat", "bot": "b", "at": "2026-01-01T00:00:00Z"}
    for events in ([TRADE] * 3, [TRADE, beat, TRADE], [beat]):
        raw = json.dumps(events).encode()
        items, numbers = codec._items(raw, codec.JSON)
        each = codec._read_each(items, 0, codec.JSON, NOW, numbers)
        assert codec.read(raw, codec.JSON, NOW) == each


@pytest.mark.parametrize("name", [f for f in TRADE if f not in {"type", "closed_at"}])
def test_it_names_a_missing_field(name):
    event = {key: value for key, value in TRADE.items() if key != name}
    assert name in read(event)[1][0].error


@pytest.mark.parametrize(
    ("body", "content_type", "error"),
    [
        (b"", "application/json", "no event"),
        (b"[]", "application/json", "no event"),
        (b"[1,", "application/json", "truncated"),
        (b"\xff", "application/json", "malformed"),
        (b"", "application/x-ndjson", "no event"),
        (b"{}", "text/html", "text/html"),
        (b"[" * 100_000, "application/json", "deep|truncated"),
    ],
)
def test_it_refuses_a_body_it_cannot_read(body, content_type, error):
    def first_error():
        _, bad = read(body, content_type)
        raise BadBatch(bad[0].error)

    with pytest.raises(BadBatch, match=error):
        first_error()


def test_it_refuses_more_events_than_a_request_may_hold(monkeypatch):
    monkeypatch.setattr(codec, "ITEMS_MAX", 2)
    with pytest.raises(BadBatch, match="more than 2"):
        read([TRADE] * 3)


def test_it_reads_a_batch_with_a_bad_item_piece_by_piece(monkeypatch):
    monkeypatch.setattr(codec, "PIECE", 2)
    raw = json.dumps([TRADE, TRADE, {}, TRADE, TRADE]).encode()
    pieces = list(codec.read_pieces(raw, codec.JSON, NOW))
    assert [[index for index, _ in good] for good, _ in pieces] == [[0, 1], [3], [4]]
    assert [[item.index for item in bad] for _, bad in pieces] == [[], [2], []]


@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_it_lets_a_bare_nan_spoil_no_other_event_of_an_array(number):
    tricky = {**TRADE, "id": 'NaN, "] [-Infinity', "symbol": "\\"}
    parts = [json.dumps(TRADE), json.dumps(TRADE).replace("-0.1", number), json.dumps(tricky)]
    good, [bad] = read(f" [ {' , '.join(parts)} ]".encode())
    assert [index for index, _ in good] == [0, 2]
    assert good[1][1].id == tricky["id"]
    assert (bad.index, bad.raw.decode()) == (1, parts[1])
    assert bad.error.startswith(f"pnl: {number} is neither JSON nor a finite number")
    with pytest.raises(BadBatch, match="truncated"):
        read(f"[{parts[1]}".encode())


def test_it_reads_what_a_later_version_has_journaled():
    [(_, trade)], _ = read(TRADE)
    later = codec.encode(trade)[:-1] + b',"venue":{"deep":[1]}}'
    assert codec.decode(later) == trade
    assert codec.decode_lines(codec.encode(trade) + b"\n" + later) == [trade, trade]
    for broken in (b'{"type":"?"}', b'{"type":"trade","venue":1}'):
        with pytest.raises(msgspec.ValidationError):
            codec.decode(broken)


def test_it_gives_a_run_the_keys_and_lines_of_its_events():
    trades = [event for _, event in read([TRADE, {**TRADE, "id": "x", "revision": 2}])[0]]
    assert codec.keys(trades) == [codec.key(trade) for trade in trades]
    assert codec.decode_lines(codec.encode_lines(trades)) == trades
    beats = [Heartbeat(bot="b", at=NOW)] * 2
    assert codec.keys(beats) == [None, None]


def test_it_gives_no_key_to_what_may_be_said_twice():
    assert codec.key(Heartbeat(bot="b", at=NOW)) is None

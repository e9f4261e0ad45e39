"""Reading bot events off the wire: JSON, NDJSON or MessagePack, each item judged on its own.

A good event is kept when its neighbours are bad; a bad one comes back with its index and an error
that names the field. NaN, infinity, absurd amounts and impossible instants stop here. A batch is
read and checked as a whole, and item by item only where something in it is bad.
"""

from __future__ import annotations

import decimal
import re
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import le

import msgspec

from actors import plain
from actors.messages import EVENT_TYPES, Equity, Event, Flow, Trade
from actors.reason import reason

ITEMS_MAX = 10_000
PIECE = 500  # items read one by one before others have their turn: 3 ms
AMOUNT_MAX = Decimal(10) ** 15
DECIMALS_MAX = 40
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD_MAX = timedelta(days=1)

JSON = "application/json"
NDJSON = "application/x-ndjson"
MSGPACK = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")

# Whatever is none, texts in one piece, and then a number that is no JSON. Nothing is given back:
# a body made to be searched again and again costs one pass.
_NOT_FINITE = re.compile(
    rb'(?:[^"NI-]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"|(?!-?(?:NaN|Infinity))[NI-])*+(-?(?:NaN|Infinity))',
    re.DOTALL,
)
PACKED_ARRAY = frozenset(bytes([lead]) for lead in (*range(0x90, 0xA0), 0xDC, 0xDD))

_event: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_events = msgspec.json.Decoder(list[Event])
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_packed: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_packed_events = msgspec.msgpack.Decoder(list[Event])
_packed_array = msgspec.msgpack.Decoder(list[msgspec.Raw])
_encoder = msgspec.json.Encoder()
# What it passes unchanged is below AMOUNT_MAX and has at most DECIMALS_MAX decimals.
_amounts = decimal.Context(
    prec=DECIMALS_MAX + 1,
    Emin=0,
    Emax=AMOUNT_MAX.adjusted() - 1,
    traps=[
        decimal.Clamped,
        decimal.Inexact,
        decimal.InvalidOperation,
        decimal.Overflow,
        decimal.Rounded,
    ],
)


class BadBatch(Exception):
    """The body as a whole cannot be read: not JSON, not an event or a list of them, too many."""


class Bad(msgspec.Struct, frozen=True):
    """One item that was refused. `raw` is what came, for ops to read."""

    index: int
    error: str
    raw: bytes


Item = bytes | msgspec.Raw
Judged = tuple[list[tuple[int, Event]], list[Bad]]


def encode(event: Event) -> bytes:
    """Encode an event for the journal."""
    return _encoder.encode(event)


def decode(data: bytes) -> Event:
    """Decode an event of the journal; fields that a later version has added are passed over."""
    try:
        return _event.decode(data)
    except msgspec.ValidationError as error:
        if "unknown field" not in str(error):
            raise
        return _event.decode(_known_fields(data))


def known(data: bytes) -> Event | None:
    """Decode an event of the journal, None where a version with other types has written it."""
    try:
        return decode(data)
    except msgspec.MsgspecError:
        return None


def decode_lines(data: bytes) -> list[Event]:
    """Decode a run of events of the journal, one a line, as `decode` does."""
    try:
        return _event.decode_lines(data)
    except msgspec.ValidationError:
        return [decode(line) for line in data.split(b"\n")]


def validated(event: Event) -> Event:
    """Return an event that was made here, held to the bounds of the wire: a constructor is not.

    Raises ValueError naming the field.
    """
    data = encode(event)
    try:
        return _event.decode(data)
    except msgspec.ValidationError as error:
        raise ValueError(reason(error, data)) from None


def _known_fields(data: bytes) -> bytes:
    fields = _fields.decode(data)
    known = EVENT_TYPES[msgspec.json.decode(fields["type"])].__struct_fields__
    kept = {name: raw for name, raw in fields.items() if name == "type" or name in known}
    return _encoder.encode(kept)


def read(raw: bytes, content_type: str, now: datetime) -> Judged:
    """Return the good events with their indexes, and the bad items. Raises BadBatch."""
    good: list[tuple[int, Event]] = []
    bad: list[Bad] = []
    for some_good, some_bad in read_pieces(raw, content_type, now):
        good += some_good
        bad += some_bad
    return good, bad


def read_pieces(raw: bytes, content_type: str, now: datetime) -> Iterator[Judged]:
    """Read a piece at a time, so that an event loop can see to others in between."""
    kind = content_type.split(";", 1)[0].strip().lower()
    events = _read_whole(raw, kind, now)
    if events:
        yield list(enumerate(events)), []
        return
    items, numbers = _items(raw, kind)
    if not items:
        raise BadBatch("no event in the request")
    if len(items) > ITEMS_MAX:
        raise BadBatch(f"more than {ITEMS_MAX} events in one request")
    for first in range(0, len(items), PIECE):
        yield _read_each(items[first : first + PIECE], first, kind, now, numbers)


def _read_whole(raw: bytes, kind: str, now: datetime) -> Sequence[Event]:
    """Return the events where every one is good, else nothing."""
    try:
        events = _decode_whole(raw, kind)
        if len(events) <= ITEMS_MAX and _are_plain(raw, kind):
            return events if _sound(events, now) else [checked(event, now) for event in events]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    return ()


def _decode_whole(raw: bytes, kind: str) -> list[Event]:
    if kind == NDJSON:
        return _event.decode_lines(raw)
    if kind in MSGPACK:
        return _packed_events.decode(raw) if raw[:1] in PACKED_ARRAY else [_packed.decode(raw)]
    if kind not in ("", JSON):
        return []
    return _events.decode(raw) if raw.lstrip()[:1] == b"[" else [_event.decode(raw)]


def _are_plain(raw: bytes, kind: str) -> bool:
    if kind in MSGPACK:
        return plain.packed_are_plain(raw, many=raw[:1] in PACKED_ARRAY)
    return plain.are_plain(raw)


def _read_each(
    items: Sequence[Item], first: int, kind: str, now: datetime, numbers: Sequence[int]
) -> Judged:
    good: list[tuple[int, Event]] = []
    bad: list[Bad] = []
    for index, item in enumerate(items, first):
        try:
            event = _decode_item(item, packed=kind in MSGPACK)
            event = checked(event, now)
            plain.require(bytes(item), packed=kind in MSGPACK)
            good.append((index, event))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            whole, line = bytes(item), numbers[index] if numbers else 0
            why = reason(error, whole, packed=kind in MSGPACK, line=line)
            bad.append(Bad(index, why, whole))
    return good, bad


def _items(raw: bytes, kind: str) -> tuple[Sequence[Item], Sequence[int]]:
    """Return a body's items, and of lines their numbers."""
    if kind == NDJSON:
        lines = [(line, n) for n, line in enumerate(raw.split(b"\n"), 1) if line.strip()]
        return [line for line, _ in lines], [n for _, n in lines]
    if not raw.strip():
        return [], []
    try:
        if kind in MSGPACK:
            return (_packed_array.decode(raw) if raw[:1] in PACKED_ARRAY else [raw]), []
        if kind not in ("", JSON):
            raise BadBatch(f"Content-Type {kind[:80]!r} is not JSON, NDJSON or MessagePack")
        return (_parts(raw) if raw.lstrip()[:1] == b"[" else [raw]), []
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadBatch(reason(error, raw, packed=kind in MSGPACK)) from error


def _parts(raw: bytes) -> Sequence[Item]:
    """Return the items of an array; a bare NaN, which is no JSON, spoils none but its own."""
    try:
        return _array.decode(raw)
    except msgspec.DecodeError:
        sound = _finite(raw)
        if sound == raw:
            raise
    items, place = [], raw.index(b"[") + 1
    for item in map(bytes, _array.decode(sound)):
        place = sound.index(item, place)
        items.append(raw[place : place + len(item)])
        place += len(item)
    return items


def _finite(raw: bytes) -> bytes:
    """Return a body with texts, as long as they, in place of the NaNs that stand bare in it."""
    parts: list[bytes] = []
    place = 0
    while len(parts) < 2 * ITEMS_MAX and (found := _NOT_FINITE.match(raw, place)):
        parts += [raw[place : found.start(1)], b'"%b"' % found[1][1:-1]]
        place = found.end()
    return b"".join([*parts, raw[place:]])


def _decode_item(item: Item, *, packed: bool) -> Event:
    return _packed.decode(item) if packed else _event.decode(item)


def _sound(events: Sequence[Event], now: datetime) -> bool:
    """Say whether all are trades that `checked` would return as they are, column by column.

    A no is no refusal: then each is to be looked at.
    """
    if set(map(type, events)) != {Trade}:
        return False
    trades: list[Trade] = events  # type: ignore[assignment]
    closed = [t.closed_at for t in trades if t.closed_at is not None]
    opened = [t.opened_at for t in trades]
    given = [t.at for t in trades if t.at is not None]
    if len(closed) < len(trades):
        return False
    latest = now + AHEAD_MAX
    if min(opened) < EARLIEST or max(closed) > latest or not all(map(le, opened, closed)):
        return False
    if given and (min(given) < EARLIEST or max(given) > latest):
        return False
    quantities = [t.quantity for t in trades]
    risks = [t.risk for t in trades if t.risk is not None]
    amounts = [t.pnl for t in trades], [t.fee for t in trades], quantities, risks
    return all(map(_are_amounts, amounts)) and min(quantities) >= 0 and all(r > 0 for r in risks)


def _are_amounts(values: Sequence[Decimal]) -> bool:
    try:
        deque(map(_amounts.plus, values), maxlen=0)
    except decimal.DecimalException:
        return False
    return all(map(Decimal.is_finite, values))


def checked(event: Event, now: datetime) -> Event:
    """Return the event, completed; raises ValueError naming a field that cannot be true."""
    if isinstance(event, Trade):
        event = _checked_trade(event, now)
    else:
        _plausible("at", event.at, now)
    if isinstance(event, Equity):
        _amount("equity", event.equity)
    elif isinstance(event, Flow):
        _amount("amount", event.amount)
        if event.amount == 0:
            raise ValueError("amount: a flow of 0 moves nothing")
    return event


def _checked_trade(trade: Trade, now: datetime) -> Trade:
    closed_at = trade.closed_at or trade.at
    if closed_at is None:
        raise ValueError("closed_at: a trade needs closed_at, or at")
    _plausible("closed_at", closed_at, now)
    _plausible("opened_at", trade.opened_at, now)
    if trade.opened_at > closed_at:
        raise ValueError(f"opened_at: {trade.opened_at} is after closed_at {closed_at}")
    _amount("pnl", trade.pnl)
    _amount("fee", trade.fee)
    _amount("quantity", trade.quantity)
    if trade.quantity < 0:
        raise ValueError(f"quantity: {trade.quantity} is negative; `side` says long or short")
    if trade.risk is not None:
        _amount("risk", trade.risk)
        if trade.risk <= 0:
            raise ValueError(f"risk: {trade.risk} is not above 0; leave it out where unknown")
    if trade.at is not None:
        _plausible("at", trade.at, now)
    return trade if trade.closed_at else msgspec.structs.replace(trade, closed_at=closed_at)


def _amount(field: str, value: Decimal) -> None:
    if not value.is_finite():
        raise ValueError(f"{field}: {value} is not a finite number")
    if value and value.adjusted() >= AMOUNT_MAX.adjusted():
        raise ValueError(f"{field}: the absolute value must be below {AMOUNT_MAX:.0e}")
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < -DECIMALS_MAX:
        raise ValueError(f"{field}: more than {DECIMALS_MAX} decimals")
    if exponent >= AMOUNT_MAX.adjusted():
        raise ValueError(f"{field}: {value} is a strange way to write 0")


def _plausible(field: str, instant: datetime, now: datetime) -> None:
    if instant < EARLIEST:
        raise ValueError(f"{field}: {instant.isoformat()} is before 2000; milliseconds?")
    if instant > now + AHEAD_MAX:
        raise ValueError(f"{field}: {instant.isoformat()} is more than a day ahead of this clock")


def happened(event: Trade | Equity | Flow) -> datetime:
    """Return when an event that `checked` completed happened: a trade when it closed."""
    instant = (event.closed_at or event.at) if isinstance(event, Trade) else event.at
    assert instant is not None
    return instant


def stream(event: Event) -> str:
    """Return the journal's stream of an event: its type's name on the wire."""
    return str(type(event).__struct_config__.tag)


def encode_lines(events: Sequence[Event]) -> bytes:
    """Encode events for a run of the journal, one a line."""
    return _encoder.encode_lines(events).removesuffix(b"\n")


def keys(events: Sequence[Event]) -> list[str | None]:
    """Return the idempotency keys of events of one type."""
    if isinstance(events[0], Trade):  # what `key` returns, at a third of its cost
        return [f"trade|{t.bot}|{t.id}|{t.revision}" for t in events]  # type: ignore[union-attr]
    return list(map(key, events))


def key(event: Event) -> str | None:
    """Return the idempotency key of an event, None where the same may be said twice."""
    identity = getattr(event, "id", None)
    if identity is None:
        return None
    return f"{stream(event)}|{event.bot}|{identity}|{getattr(event, 'revision', 0)}"

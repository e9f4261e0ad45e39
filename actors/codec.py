"""Reading bot events off the wire: JSON, NDJSON or MessagePack, each item judged on its own.

A good event is kept when its neighbours are bad; a bad one comes back with its index and an error
that names the field. NaN, infinity, absurd amounts and impossible instants stop here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from actors.messages import Equity, Event, Flow, Trade

ITEMS_MAX = 10_000
AMOUNT_MAX = Decimal(10) ** 15
DECIMALS_MAX = 40
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD_MAX = timedelta(days=1)

JSON = "application/json"
NDJSON = "application/x-ndjson"
MSGPACK = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")

PACKED_ARRAY = frozenset(bytes([lead]) for lead in (*range(0x90, 0xA0), 0xDC, 0xDD))

_event: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_packed: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_packed_array = msgspec.msgpack.Decoder(list[msgspec.Raw])
_encoder = msgspec.json.Encoder()


class BadBatch(Exception):
    """The body as a whole cannot be read: not JSON, not an event or a list of them, too many."""


class Bad(msgspec.Struct, frozen=True):
    """One item that was refused. `raw` is what came, for ops to read."""

    index: int
    error: str
    raw: bytes


def encode(event: Event) -> bytes:
    """Encode an event for the journal."""
    return _encoder.encode(event)


def decode(data: bytes) -> Event:
    """Decode an event of the journal."""
    return _event.decode(data)


def read(raw: bytes, content_type: str, now: datetime) -> tuple[list[tuple[int, Event]], list[Bad]]:
    """Return the good events with their indexes, and the bad items. Raises BadBatch."""
    kind = content_type.split(";", 1)[0].strip().lower()
    good: list[tuple[int, Event]] = []
    bad: list[Bad] = []
    for index, item in enumerate(_items(raw, kind)):
        if index >= ITEMS_MAX:
            raise BadBatch(f"more than {ITEMS_MAX} events in one request")
        try:
            event = _decode_item(item, packed=kind in MSGPACK)
            good.append((index, checked(event, now)))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            bad.append(Bad(index, _reason(error), bytes(item)))
    if not good and not bad:
        raise BadBatch("no event in the request")
    return good, bad


def _items(raw: bytes, kind: str) -> Iterator[bytes | msgspec.Raw]:
    if kind == NDJSON:
        return (line for line in raw.split(b"\n") if line.strip())
    try:
        if kind in MSGPACK:
            return iter(_packed_array.decode(raw) if raw[:1] in PACKED_ARRAY else [raw])
        if kind not in ("", JSON):
            raise BadBatch(f"Content-Type {kind[:80]!r} is not JSON, NDJSON or MessagePack")
        return iter(_array.decode(raw) if raw.lstrip()[:1] == b"[" else [raw])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadBatch(_reason(error)) from error


def _decode_item(item: bytes | msgspec.Raw, *, packed: bool) -> Event:
    return _packed.decode(item) if packed else _event.decode(item)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error)[:500]


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
    at = trade.at or closed_at
    _plausible("at", at, now)
    return msgspec.structs.replace(trade, closed_at=closed_at, at=at)


def _amount(field: str, value: Decimal) -> None:
    if not value.is_finite():
        raise ValueError(f"{field}: {value} is not a finite number")
    if value and value.adjusted() >= AMOUNT_MAX.adjusted():
        raise ValueError(f"{field}: the absolute value must be below {AMOUNT_MAX:.0e}")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -DECIMALS_MAX:
        raise ValueError(f"{field}: more than {DECIMALS_MAX} decimals")


def _plausible(field: str, instant: datetime, now: datetime) -> None:
    if instant < EARLIEST:
        raise ValueError(f"{field}: {instant.isoformat()} is before 2000; milliseconds?")
    if instant > now + AHEAD_MAX:
        raise ValueError(f"{field}: {instant.isoformat()} is more than a day ahead of this clock")


def stream(event: Event) -> str:
    """Return the journal's stream of an event: its type's name on the wire."""
    return str(type(event).__struct_config__.tag)


def key(event: Event) -> str | None:
    """Return the idempotency key of an event, None where the same may be said twice."""
    identity = getattr(event, "id", None)
    if identity is None:
        return None
    return f"{stream(event)}|{event.bot}|{identity}|{getattr(event, 'revision', 0)}"

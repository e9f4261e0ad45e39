"""freqtrade's webhooks as native events: one closed trade becomes exactly one `trade`.

Every value of a freqtrade webhook is text, because the body is a template of the bot's owner;
"None" means absent. A trade counts when its *final* exit is filled, with `cumulative_profit`
(partial exits included) as its P&L. `exit` and `entry` only hold estimates and are ignored.
freqtrade counts its trades from 1 again after its database was replaced, so the closing instant
is part of the id, in the milliseconds of its REST answers (`close_timestamp`): both name one trade.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qsl

import msgspec

from actors.messages import ApiError, CircuitBreaker, Event, Heartbeat, Trade
from actors.plain import is_plain
from actors.reason import reason

FIELDS_MAX = 64
TEXT_MAX = 2_000
SHOWN_BYTES = 40


READ = frozenset(
    {
        "msg_type",
        "event",
        "type",
        "status",
        "active",
        "reason",
        "lock_end_time",
        "is_final_exit",
        "trade_id",
        "pair",
        "direction",
        "amount",
        "open_date",
        "close_date",
        "cumulative_profit",
        "profit_amount",
        "stake_currency",
    }
)

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value = msgspec.json.Decoder(str | int | float | bool | None)


class WebhookError(ValueError):
    """A webhook that cannot be understood; the message names the field."""


def parse(body: bytes, content_type: str) -> dict[str, str]:
    """Read a webhook's body (freqtrade's formats `json`, `form` and `raw`) into its fields.

    The body is a template of the owner's: what else stands in it, nested or not, is passed over.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        try:
            pairs = parse_qsl(
                body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
            )
        except ValueError as error:
            raise WebhookError(f"form body: {error}") from None
        return dict(pairs)
    try:
        fields = _fields.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WebhookError(f"json body: {reason(error, body)}") from None
    if len(fields) > FIELDS_MAX:
        raise WebhookError(f"json body: more than {FIELDS_MAX} fields")
    return {name: _scalar(name, bytes(raw)) for name, raw in fields.items() if name in READ}


def _scalar(name: str, raw: bytes) -> str:
    try:
        return str(_value.decode(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        shown = raw[:SHOWN_BYTES].decode("utf-8", "replace")
        raise WebhookError(f"field {name!r} is neither a text nor a number: {shown}") from None


def translate(bot: str, fields: Mapping[str, str], now: datetime) -> list[Event]:
    """The native events of one webhook; empty for what Sidewatch has no use for.

    Raises WebhookError naming the missing or malformed field.
    """
    kind = _text(fields, "msg_type") or _text(fields, "event") or _text(fields, "type")
    match kind:
        case None:
            raise WebhookError("field 'msg_type' or 'event' is missing")
        case "exit_fill" if _flag(fields, "is_final_exit", default=True):
            return [_trade(bot, fields)]
        case "protection_trigger_global":
            return [_lock(bot, fields, now)]
        case "exception":
            message = (_text(fields, "status") or "exception")[:TEXT_MAX]
            return [ApiError(bot=bot, at=now, message=message)]
        case "status":
            return [Heartbeat(bot=bot, at=now, state=(_text(fields, "status") or "")[:256])]
        case _:
            return []


def identity(trade_id: str | int, closed_at: datetime) -> str:
    """The id of a trade in every life of the bot's database: `trade_id@close_timestamp`."""
    # freqtrade multiplies the same floats for its close_timestamp; exact integers would now and
    # then be a millisecond off, and one trade become two.
    return f"{trade_id}@{int(closed_at.timestamp() * 1_000)}"


def _trade(bot: str, fields: Mapping[str, str]) -> Trade:
    trade_id = _required(fields, "trade_id")
    closed_at = _instant(fields, "close_date")
    direction = _required(fields, "direction").lower()
    if direction not in {"long", "short"}:
        raise WebhookError(f"field 'direction' is {direction!r}, not long or short")
    profit = "cumulative_profit" if _text(fields, "cumulative_profit") else "profit_amount"
    return Trade(
        bot=bot,
        id=identity(trade_id, closed_at),
        symbol=_required(fields, "pair"),
        side="long" if direction == "long" else "short",
        quantity=_decimal(fields, "amount"),
        opened_at=_instant(fields, "open_date"),
        closed_at=closed_at,
        at=closed_at,
        pnl=_decimal(fields, profit),
        currency=_text(fields, "stake_currency"),
    )


def _lock(bot: str, fields: Mapping[str, str], now: datetime) -> CircuitBreaker:
    """A global protection stops all entries until its lock ends: freqtrade's circuit breaker."""
    until = _instant(fields, "lock_end_time") if _text(fields, "lock_end_time") else None
    return CircuitBreaker(
        bot=bot,
        at=now,
        open=_flag(fields, "active", default=True),
        reason=(_text(fields, "reason") or "global protection")[:TEXT_MAX],
        until=until,
    )


def _text(fields: Mapping[str, str], name: str) -> str | None:
    value = fields.get(name, "").strip()
    return None if value in {"", "None"} else value


def _required(fields: Mapping[str, str], name: str) -> str:
    value = _text(fields, name)
    if value is None:
        raise WebhookError(f"field {name!r} is missing")
    return value


def _flag(fields: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = _text(fields, name)
    return default if value is None else value.lower() == "true"


def _decimal(fields: Mapping[str, str], name: str) -> Decimal:
    text = _required(fields, name)
    if not is_plain(text):
        raise WebhookError(f"field {name!r} is not a number: {text[:40]!r}")
    return Decimal(text)


def _instant(fields: Mapping[str, str], name: str) -> datetime:
    text = _required(fields, name)
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise WebhookError(f"field {name!r} is not a date: {text[:40]!r}") from None

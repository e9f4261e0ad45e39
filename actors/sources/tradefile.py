"""A trade history in a file: each CSV row or JSON line is one `trade`, named as on the wire.

Only the form is dealt with here; whether a trade can be true is `actors.codec`'s business, so a
file is held to the very rules of the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo

import msgspec

from actors.messages import Trade

COLUMNS = Trade.__struct_fields__
REQUIRED = ("id", "symbol", "side", "quantity", "opened_at", "pnl")
INSTANTS = frozenset({"at", "opened_at", "closed_at"})

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class RowError(ValueError):
    """A row that is no trade; the message names the column."""


def missing(header: Iterable[str], *, bot: str) -> list[str]:
    """Return the columns that a file needs and does not have; `bot` stands in for its column."""
    given = set(header)
    wanted = [*REQUIRED, *([] if bot else ["bot"])]
    lacking = [name for name in wanted if name not in given]
    return lacking if {"at", "closed_at"} & given else [*lacking, "closed_at"]


def from_row(row: Mapping[str, str], *, bot: str, zone: tzinfo | None) -> bytes:
    """Return a CSV row as the wire's JSON; an empty cell counts as not given.

    `bot` is used where the row names none, `zone` for an instant without one. Columns that a trade
    does not have are passed over. Raises RowError.
    """
    fields: dict[str, object] = {"type": "trade", **({"bot": bot} if bot else {})}
    for name in COLUMNS:
        text = (row.get(name) or "").strip()
        if text:
            fields[name] = _cell(name, text, zone)
    return msgspec.json.encode(fields)


def _cell(name: str, text: str, zone: tzinfo | None) -> object:
    if name in INSTANTS and zone is not None:
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            return text  # the wire's own error names it
        return instant if instant.tzinfo is not None else instant.replace(tzinfo=zone)
    if name == "revision":
        if not (text.isascii() and text.isdecimal()):
            raise RowError(f"revision: {text[:40]!r} is not a natural number")
        return int(text[:19])
    return text


def from_line(line: bytes, *, bot: str) -> bytes:
    """Return a JSON line as the wire's JSON, completed with `type` and `bot`. Raises RowError."""
    try:
        fields = _object.decode(line)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RowError(f"not a JSON object: {str(error)[:200]}") from None
    kind = fields.get("type")
    if kind is not None and bytes(kind) != b'"trade"':
        raise RowError(f"type: only trades can be imported, not {bytes(kind)[:40].decode()}")
    fields.setdefault("type", msgspec.Raw(b'"trade"'))
    if bot:
        fields.setdefault("bot", msgspec.Raw(msgspec.json.encode(bot)))
    return msgspec.json.encode(fields)

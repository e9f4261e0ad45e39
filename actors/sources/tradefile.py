"""A trade history in a file: each CSV row or JSON line is one `trade`, named as on the wire.

Only the form is dealt with here; whether a trade can be true is `actors.codec`'s business, so a
file is held to the very rules of the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from actors.cell import TEXTS, plain
from actors.messages import Trade
from actors.reason import nearest, reason, unknown

COLUMNS = Trade.__struct_fields__
REQUIRED = ("id", "symbol", "side", "quantity", "opened_at", "pnl")
INSTANTS = frozenset({"at", "opened_at", "closed_at"})

TRADE = msgspec.Raw(b'"trade"')
DIGITS_MAX = 19  # what may be a number of the wire
SHOWN = 40
MISSPELT = 0.85  # so like a field's name that it is taken for a typo: fees, curency
BOT_HINT = "--bot NAME says whose they are"
ZONE_HINT = "--zone NAME says which they are in"

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)


class RowError(ValueError):
    """A row that is no trade; the message names the column."""


def missing(header: Iterable[str], *, bot: str) -> list[str]:
    """Return the columns that a file needs and does not have; `bot` stands in for its column."""
    given = set(header)
    wanted = [*REQUIRED, *([] if bot else ["bot"])]
    lacking = [name for name in wanted if name not in given]
    return lacking if {"at", "closed_at"} & given else [*lacking, "closed_at"]


def check_header(header: Sequence[str], *, bot: str) -> None:
    """Refuse columns that stand twice, are lacking, or seem to be misspelt. Raises RowError."""
    if len(header) == 1 and (found := re.search("[;\t|]", header[0])):
        raise RowError(f"columns are separated by commas, not by {found[0]!r}")
    twice = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if twice:
        raise RowError(f"column {twice[0][:SHOWN]!r} stands twice")
    check_names(header)
    if lacking := missing(header, bot=bot):
        hint = f" ({BOT_HINT})" if "bot" in lacking else ""
        raise RowError(f"no column {', '.join(lacking)}{hint}")


def check_names(given: Iterable[str]) -> None:
    """Refuse what looks like a field of a trade that is not given: a typo would cost it.

    Raises RowError.
    """
    names = set(given)
    absent = [name for name in COLUMNS if name not in names]
    for name in strays(names):
        if nearest(name, absent, MISSPELT):
            raise RowError(unknown(name, absent))


def strays(given: Iterable[str]) -> list[str]:
    """Return what a trade does not have: it is passed over."""
    return sorted(name for name in given if name != "type" and name not in COLUMNS)


def from_row(row: Mapping[str | None, Any], *, bot: str, zone: tzinfo | None) -> bytes:
    """Return a CSV row as the wire's JSON; an empty cell counts as not given.

    `bot` is used where the row names none, `zone` for an instant without one. Columns that a trade
    does not have are passed over. Raises RowError.
    """
    if row.get(None):
        raise RowError("more cells than columns; a text with a comma needs quotes")
    fields: dict[str, object] = {"type": "trade", **({"bot": bot} if bot else {})}
    for name in COLUMNS:
        cell = row.get(name) or ""
        text = plain(cell) if name in TEXTS else cell.strip()
        if text:
            fields[name] = _cell(name, text, zone)
    return msgspec.json.encode(fields)


def _cell(name: str, text: str, zone: tzinfo | None) -> object:
    if name in INSTANTS:
        return _instant(name, text, zone)
    if name == "revision":
        if not (text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX):
            raise RowError(f"revision: {text[:SHOWN]!r} is not a natural number")
        return int(text)
    return text


def _instant(name: str, text: str, zone: tzinfo | None) -> object:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return text  # the wire's own error names it
    if instant.tzinfo is not None:
        return instant
    if zone is None:
        raise RowError(f"{name}: {text[:SHOWN]!r} names no time zone ({ZONE_HINT})")
    if why := _odd(instant, zone):
        raise RowError(f"{name}: {text[:SHOWN]!r} {why}")
    return instant.replace(tzinfo=zone)


def _odd(instant: datetime, zone: tzinfo) -> str:
    """Return why a clock on the wall of a zone does not say which instant it is, or nothing."""
    first, second = (instant.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return ""
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != instant:
        return f"does not exist in {zone}: its clocks go forward there"
    offsets = " or ".join(at.isoformat()[-6:] for at in (first, second))
    return f"comes twice in {zone}, as its clocks go back: write its offset behind it, {offsets}"


def from_line(line: bytes, *, bot: str, zone: tzinfo | None = None) -> tuple[bytes, list[str]]:
    """Return a JSON line as the wire's JSON, and what was passed over of it.

    It is completed with `type` and `bot`, an instant without a zone with `zone`. Raises RowError.
    """
    try:
        fields = _object.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RowError(f"not a JSON object: {reason(error, line)[:200]}") from None
    kind = bytes(fields.get("type", TRADE))
    if kind != bytes(TRADE):
        shown = kind[:SHOWN].decode("utf-8", "replace")
        raise RowError(f"type: only trades can be imported, not {shown}")
    check_names(fields)
    passed = strays(fields)
    kept: dict[str, object] = {"type": TRADE, **({"bot": bot} if bot else {})}
    kept.update((name, fields[name]) for name in COLUMNS if name in fields)
    for name in INSTANTS & kept.keys():
        try:
            text = _text.decode(fields[name])
        except (msgspec.MsgspecError, ValueError):
            continue  # the wire's own error names it
        kept[name] = _instant(name, text, zone)
    if "bot" not in kept:
        raise RowError(f"bot: the line names none ({BOT_HINT})")
    return msgspec.json.encode(kept), passed

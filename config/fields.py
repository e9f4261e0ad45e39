"""What the structs' annotations say of each setting, and one raw value made into a good one.

A raw value is text (environment) or what `tomllib` gives (file). Its error says what it must be,
quotes it where that cannot give a secret away, and leaves naming the setting to the caller.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Struct

from config.names import printable
from config.rules import Rule
from config.secret import Secret

TEXT_CHARS_MAX = 8_192

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_LIKE_A_SECRET = re.compile(r"://|(?=[A-Za-z_+/=-]*[0-9])[A-Za-z0-9_+/=-]{24,}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_BOOLEANS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


class BadValueError(ValueError):
    """Why a value is refused; the message holds no secret."""


class Field(Struct, frozen=True):
    """One setting's type: the plain type, what it may be, and the rules it must keep."""

    base: Any
    optional: bool = False
    choices: tuple[str, ...] = ()
    item: Field | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether the setting may be read from a file (`..._FILE`) and is never quoted."""
        return self.base is Secret

    @property
    def lines(self) -> bool:
        """Whether a text may have several lines."""
        return any(rule.lines for rule in self.rules)

    @property
    def shows(self) -> bool:
        """Whether an error may quote a bad value: not a secret, nor a URL that may hold one."""
        return not self.secret and all(rule.shows for rule in self.rules)


@cache
def fields_of(section: type[Struct]) -> Mapping[str, Field]:
    """A section's settings by key, in the order in which the struct declares them.

    Tables within it are no settings themselves.
    """
    hints = get_type_hints(section, include_extras=True)
    names = [name for name in section.__struct_fields__ if not _is_table(hints[name])]
    return {name: _field(hints[name]) for name in names}


def convert(field: Field, raw: object) -> Any:
    """Make `raw` the field's value; None only where the field is optional and `raw` is empty.

    Raises BadValueError.
    """
    if raw == "" and field.optional and field.base is not list:  # "" is the empty list
        return None
    value = _READERS[field.base](raw, field)
    plain = value.reveal() if isinstance(value, Secret) else value
    for rule in field.rules:
        reason = rule.reason(plain)
        if reason:
            raise BadValueError(reason + _got(raw, shows=field.shows))
    return value


def _is_table(hint: Any) -> bool:
    return get_origin(hint) is dict or (isinstance(hint, type) and issubclass(hint, Struct))


def _field(hint: Any) -> Field:
    rules: tuple[Rule, ...] = ()
    optional = False
    while get_origin(hint) in {Annotated, types.UnionType, typing.Union}:
        if get_origin(hint) is Annotated:
            rules += tuple(extra for extra in hint.__metadata__ if isinstance(extra, Rule))
            hint = hint.__origin__
        else:
            optional = True
            hint = next(part for part in get_args(hint) if part is not types.NoneType)
    if get_origin(hint) is Literal:
        return Field(str, optional=optional, choices=get_args(hint), rules=rules)
    if get_origin(hint) is list:
        return Field(list, optional=optional, item=_field(get_args(hint)[0]), rules=rules)
    return Field(hint, optional=optional, rules=rules)


def _got(raw: object, *, shows: bool = True) -> str:
    """Quote a refused value: short, on one line, and never a table's or a list's content.

    Nor what looks like a secret: it may have got into the wrong setting.
    """
    if not shows:
        return ""
    if isinstance(raw, str):
        return _got_text(raw)
    if isinstance(raw, bool):
        return f", got {str(raw).lower()}"
    if not isinstance(raw, int | Decimal):
        return f", got {_KINDS.get(type(raw), 'a date or time')}"
    try:
        return f", got {printable(str(raw))}"
    except ValueError:  # more digits than Python prints
        return ", got a number of thousands of digits"


def _got_text(raw: str) -> str:
    if _NUMBER.fullmatch(raw):
        return f", got {printable(raw)}"
    if _LIKE_A_SECRET.search(raw):
        return ", got what looks like a secret or an address"
    return f", got '{printable(raw)}'"


_KINDS: dict[type, str] = {dict: "a table", list: "a list", float: "a number"}


def _must(what: str, raw: object, field: Field) -> BadValueError:
    return BadValueError(f"must be {what}" + _got(raw, shows=field.shows))


def _boolean(raw: object, field: Field) -> bool:
    value = _BOOLEANS.get(raw.strip().lower()) if isinstance(raw, str) else raw
    if not isinstance(value, bool):
        raise _must("true or false", raw, field)
    return value


def _integer(raw: object, field: Field) -> int:
    if isinstance(raw, str) and _INTEGER.fullmatch(raw.strip()):
        return int(raw)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    raise _must("a whole number", raw, field)


def _decimal(raw: object, field: Field) -> Decimal:
    if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
        try:
            return Decimal(raw.strip())
        except InvalidOperation:
            raise _must("a number", raw, field) from None
    if isinstance(raw, int | Decimal) and not isinstance(raw, bool):
        value = Decimal(raw)
        if value.is_finite():
            return value
    raise _must("a number", raw, field)


def _float(raw: object, field: Field) -> float:
    try:
        value = float(_decimal(raw, field))
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise _must("a finite number", raw, field)
    return value


def _text(raw: object, field: Field) -> str:
    # A chat's id or a mail server's user may be all digits, and are then written as a number.
    if isinstance(raw, int) and not isinstance(raw, bool) and abs(raw) < 10**20:
        raw = str(raw)
    if isinstance(raw, datetime | time):
        raw = raw.isoformat()  # TOML has its own dates and times
    if not isinstance(raw, str):
        raise _must("text", raw, field)
    if len(raw) > TEXT_CHARS_MAX:
        raise BadValueError(f"must be at most {TEXT_CHARS_MAX} characters, got {len(raw)}")
    plain = raw.replace("\n", "").replace("\t", "") if field.lines else raw
    if not plain.isprintable():
        raise _must("printable text" if field.lines else "printable text on one line", raw, field)
    if field.choices and raw not in field.choices:
        raise _must("one of " + ", ".join(field.choices), raw, field)
    return raw


def _list(raw: object, field: Field) -> list[Any]:
    if isinstance(raw, str):
        raw = [item for part in raw.split(",") if (item := part.strip())]
    if not isinstance(raw, list) or field.item is None:
        raise _must("a list", raw, field)
    return [convert(field.item, item) for item in raw]


_READERS: dict[Any, Callable[[object, Field], Any]] = {
    bool: _boolean,
    int: _integer,
    float: _float,
    Decimal: _decimal,
    str: _text,
    list: _list,
    Path: lambda raw, field: Path(_text(raw, field)),
    Secret: lambda raw, field: Secret(_text(raw, field)),
}

"""Amounts as they may be written: a sign, ASCII digits, a point, an exponent, and nothing else.

Decimal takes more for a number: "1_000", " 5 ", digits of any script. What was written is gone once
a body is decoded, so the body is looked at: first for what could be such a text, then for one.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

LONG: Final = 4_096  # bytes; below it numpy's calls cost more than they save
PIECE: Final = 65_536  # bytes, so that what is compared stays in the processor's cache
VALUE_CHARS_MAX: Final = 40
AMOUNTS: Final = ("quantity", "pnl", "fee", "risk", "equity", "amount")

_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# A text with more in it than a plain decimal has. Nothing is given back.
_ODD = re.compile(rb'"(?:%s)"\s*+:\s*+"[-+.0-9eE]*+[^"]' % "|".join(AMOUNTS).encode())
_ESCAPED = rb"\u00"  # so an ASCII letter of a field's name may be written
_UNDERSCORE, _SPACE = ord("_"), ord(" ")
# What stands before the first underscore of an amount, or before a space in one
_BEFORE: Final = np.zeros(256, np.bool_)
_BEFORE[list(b'0123456789+-.eE"')] = True


class _Given(msgspec.Struct):
    """An event's amounts as they were written."""

    quantity: object = None
    pnl: object = None
    fee: object = None
    risk: object = None
    equity: object = None
    amount: object = None


_given = msgspec.json.Decoder(_Given)
_packed = msgspec.msgpack.Decoder(_Given)
_packed_all = msgspec.msgpack.Decoder(list[_Given])


def are_plain(raw: bytes) -> bool:
    """Whether all amounts in a body of JSON, one event or many, are plain; a no may be wrong."""
    if len(raw) >= LONG and not _suspicious(raw):
        return True
    return _ESCAPED not in raw and _ODD.search(raw) is None


def packed_are_plain(raw: bytes, *, many: bool) -> bool:
    """The same of MessagePack, of `many` events in an array; exact."""
    given = _packed_all.decode(raw) if many else [_packed.decode(raw)]
    return all(odd(one) is None for one in given)


def require(raw: bytes, *, packed: bool = False) -> None:
    """Raise ValueError naming the field where an amount of one event is not plain.

    Raises MsgspecError where it is none.
    """
    if not packed and are_plain(raw):
        return
    found = odd(_packed.decode(raw) if packed else _given.decode(raw))
    if found is not None:
        raise ValueError(f"{found[0]}: {no_number(found[1])}")


def no_number(value: object) -> str:
    """Say that a value is no plain decimal number: cut, and in ASCII that can be printed."""
    return f"{ascii(value)[:VALUE_CHARS_MAX]} is no plain decimal number, as -12.5 or 1e-3 is"


def odd(given: _Given) -> tuple[str, str] | None:
    """The first amount that is a text, and no plain decimal: its field and the text."""
    for field in AMOUNTS:
        value = getattr(given, field)
        if isinstance(value, str) and not is_plain(value):
            return field, value
    return None


def is_plain(text: str) -> bool:
    """Whether a text is a plain decimal number."""
    return _PLAIN.fullmatch(text) is not None


def _suspicious(raw: bytes) -> bool:
    """Whether a text that is no plain decimal may be in it: in a few passes at memory's speed."""
    if not raw.isascii() or b"\\" in raw:
        return True
    chars = np.frombuffer(raw, np.uint8)
    return any(_has_extra(chars[at : at + PIECE + 1]) for at in range(0, len(chars), PIECE))


def _has_extra(chars: npt.NDArray[np.uint8]) -> bool:
    """Whether there is an underscore or a space behind what an amount's text may begin with."""
    before, extra = chars[:-1], chars[1:] == _UNDERSCORE
    extra |= chars[1:] == _SPACE
    for common in b":,d":  # that stand before most of them, and are none of those
        extra &= before != common
    return bool(extra.any()) and bool(_BEFORE[before[extra]].any())

"""Texts as numbers: the instants and decimals of a journal, many at once and exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from actors.metrics.arrays import Flags, Floats, Ints
from actors.metrics.ledger import LATEST
from actors.metrics.money import scaled
from actors.metrics.summary import Amounts

EXACT_BITS: Final = 2.0**51
DAY_US: Final = 86_400_000_000


def instants(texts: Sequence[str]) -> tuple[Ints, Flags]:
    """Microseconds since 1970 of RFC 3339 texts in UTC, and which of them could be read.

    Only the form that the journal has is read: seconds, with six more digits or none, and Z.
    """
    try:
        raw = np.array(texts, "S28")
    except UnicodeEncodeError:
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    chars = np.ascontiguousarray(raw.view(np.uint8).reshape(len(texts), 28).T)
    whole = (chars[19] == ord("Z")) & (chars[20] == 0)
    parts = (chars[19] == ord(".")) & (chars[26] == ord("Z")) & (chars[27] == 0)

    def number(first: int, last: int) -> Ints:
        value = np.zeros(len(texts), np.int32)
        for place in range(first, last):
            value = value * 10 + (chars[place].astype(np.int32) - ord("0"))
        return value.astype(np.int64)

    days = _days(number(0, 4), number(5, 7), number(8, 10))
    seconds = (number(11, 13) * 60 + number(14, 16)) * 60 + number(17, 19)
    when = days * DAY_US + seconds * 1_000_000
    if parts.any():
        when = np.where(parts, when + number(20, 26), when)
    return when, (whole | parts) & (when >= 0) & (when < LATEST)


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    """Days since 1970 of a Gregorian date after the year 0, by counting from 1 March."""
    late = month > 2  # noqa: PLR2004
    year = np.where(late, year, year - 1)
    month = np.where(late, month - 3, month + 9)
    leaps = year // 4 - year // 100 + year // 400
    days: Ints = year * 365 + leaps + (153 * month + 2) // 5 + day - 719_469
    return days


def units(texts: Sequence[str], scale: int) -> tuple[Amounts, Flags]:
    """Decimals in units of 10^-scale, and which of them are exact in that unit."""
    if texts.count(texts[0]) == len(texts):
        unit = _unit(texts[0], scale)
        return _filled([unit]).repeat(len(texts)), np.full(len(texts), unit is not None)
    different = set(texts)
    if 4 * len(different) < len(texts):
        table = {text: _unit(text, scale) for text in different}
        return _whole([table[text] for text in texts])
    try:
        values = np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        return _whole([_unit(text, scale) for text in texts])
    decimals = _decimals(texts)
    shifted = values * 10.0**scale
    rounded = np.rint(shifted)
    # A text of at most `scale` decimals below 2^51 units is nearest to its own integer. What an
    # exponent hides from the count of decimals is no integer, or is nothing.
    with np.errstate(invalid="ignore"):
        size, off = np.abs(shifted), np.abs(shifted - rounded)
    good = (decimals <= scale) & (size < EXACT_BITS) & (off <= size * 2.0**-50)
    good &= (rounded != 0) | (values == 0)
    if good.all():
        return rounded.astype(np.int64), good
    whole: list[int | None] = np.where(good, rounded, 0).astype(np.int64).tolist()
    for place in np.flatnonzero(~good).tolist():
        whole[place] = _unit(texts[place], scale)
    return _whole(whole)


def risks(texts: Sequence[str | None]) -> tuple[Floats, Flags]:
    """Amounts at stake as floats, NaN for none, and which of them could be read."""
    if texts.count(None) == len(texts):
        return np.full(len(texts), np.nan), np.ones(len(texts), np.bool_)
    try:
        told = [math.nan if text is None else float(text) for text in texts]
    except ValueError:
        return np.full(len(texts), np.nan), np.array([text is None for text in texts], np.bool_)
    return np.array(told), np.ones(len(texts), np.bool_)


def _decimals(texts: Sequence[str]) -> Ints:
    """How many characters follow the point of each text that is a number."""
    joined = np.frombuffer("\n".join(texts).encode() + b"\n", np.uint8)
    ends = np.flatnonzero(joined == ord("\n"))
    if len(ends) != len(texts):  # float takes white space, too
        return np.array([len(text) - text.find(".") - 1 if "." in text else 0 for text in texts])
    points = np.flatnonzero(joined == ord("."))
    decimals = np.zeros(len(texts), np.int64)
    of = np.searchsorted(ends, points)
    decimals[of] = ends[of] - points - 1
    return decimals


def _whole(found: Sequence[int | None]) -> tuple[Amounts, Flags]:
    return _filled(found), np.array([unit is not None for unit in found], np.bool_)


def _filled(found: Sequence[int | None]) -> Amounts:
    whole = [unit or 0 for unit in found]
    try:
        return np.array(whole, np.int64)
    except OverflowError:
        return np.array(whole, object)


def _unit(text: str, scale: int) -> int | None:
    try:
        return scaled(Decimal(text), scale, "amount")
    except (ArithmeticError, ValueError):
        return None

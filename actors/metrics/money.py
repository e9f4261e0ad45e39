"""Money is exact: Decimals become scaled integers on the way in and Decimals again on the way out.

An amount of scale s is an integer of 10^-s units. Integer sums do not depend on their order, and
Python's division of two integers is rounded correctly, so every ratio is independent of the scale.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, Rounded
from typing import Any

import numpy as np
import numpy.typing as npt

_FLOAT_EXACT = 2**53
_PART = 1 << 14
_POWER_EXACT = 22  # 10^22 is the largest power of ten that a float holds exactly
SCALE = 4
SCALE_STEP = 4
SCALE_MAX = 40
ADJUSTED_MAX = 30

_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])
_QUOTIENT = Context(prec=28, rounding=ROUND_HALF_EVEN, traps=[])
_divide, _shorten = _QUOTIENT.divide, _QUOTIENT.normalize
# `money` of what 28 digits hold, without a call of Python's: an amount and one of UNITS. The
# quotient has as few decimals as there can be. Raises Rounded for an amount of more digits.
in_units = Context(prec=28, rounding=ROUND_HALF_EVEN, traps=[Rounded]).divide
_WHOLES = [10**scale for scale in range(SCALE_MAX + 1)]
UNITS = [Decimal(whole) for whole in _WHOLES]  # of each scale, how many there are in 1
_SHIFTS = [Decimal(scale) for scale in range(SCALE_MAX + 1)]
_MEAN_MAX = 10**27  # below it no mean that is not a whole number is rounded to one
_MEAN_MIN = -_MEAN_MAX
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
ZERO = Decimal(0)


def micros(instant: datetime) -> int:
    """Microseconds since 1970 UTC of an aware datetime, exactly."""
    since = instant - _EPOCH  # by hand, as to divide by a microsecond takes longer
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(when: int) -> datetime:
    """The instant of so many microseconds since 1970 UTC."""
    return _EPOCH + when * _MICROSECOND


def scaled(amount: Decimal, scale: int, field: str) -> int | None:
    """The amount in units of 10^-scale, or None when it has more decimals than that.

    Decimals beyond the 40th are rounded half to even. Raises ValueError naming `field` when the
    amount is not finite or not below 1e31.
    """
    if not amount:
        return 0
    if amount.adjusted() > ADJUSTED_MAX:
        raise _refused(amount, field)
    shifted = amount.scaleb(_SHIFTS[scale], _EXACT)
    try:
        units = int(shifted)
    except (OverflowError, ValueError):  # an infinity, not a number
        raise _refused(amount, field) from None
    if shifted == units:
        return units
    if scale < SCALE_MAX:
        return None
    return int(shifted.to_integral_value(ROUND_HALF_EVEN, _EXACT))


def _refused(amount: Decimal, field: str) -> ValueError:
    return ValueError(f"{field}: {amount} is not a finite amount below 1e31")


def scale_for(amount: Decimal) -> int:
    """The scale that holds this amount: a multiple of 4, at least 4, at most 40."""
    exponent = amount.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    steps = -(-decimals // SCALE_STEP)
    return min(max(SCALE, steps * SCALE_STEP), SCALE_MAX)


def money(units: int, scale: int) -> Decimal:
    """The exact amount, without trailing zeros, so that equal amounts are written alike."""
    try:
        return in_units(units, UNITS[scale])
    except Rounded:  # more than 28 digits
        whole, rest = divmod(units, _WHOLES[scale])
        if not rest:
            return Decimal(whole)
        return Decimal(units).scaleb(-scale, _EXACT).normalize(_EXACT)


def floats(units: npt.NDArray[Any], scale: int) -> npt.NDArray[np.float64]:
    """Amounts in units of 10^-scale as floats, each correctly rounded, so whatever the scale."""
    whole = 10**scale
    if units.dtype == np.int64 and scale <= _POWER_EXACT and _fit(units):
        return units.astype(np.float64) / float(whole)
    found = np.zeros(len(units))
    for first in range(0, len(units), _PART):  # no step so long that it holds up the event loop
        part = units[first : first + _PART].tolist()
        found[first : first + _PART] = [amount / whole for amount in part]
    return found


def _fit(units: npt.NDArray[Any]) -> bool:
    """Whether floats hold all of them exactly, so that their division is rounded once."""
    return not len(units) or max(-int(units.min()), int(units.max())) < _FLOAT_EXACT


def mean_money(units: int, count: int, scale: int) -> Decimal:
    """The amount divided by `count`, rounded to 28 significant digits."""
    divisor = count * _WHOLES[scale]
    if _MEAN_MIN < units < _MEAN_MAX and units % divisor:
        # So far from a whole number that its 28 digits are none
        return _shorten(_divide(units, divisor))
    mean = _divide(units, divisor)
    if mean == mean.to_integral_value():
        return Decimal(int(mean))
    return _shorten(mean)

"""Money is exact: Decimals become scaled integers on the way in and Decimals again on the way out.

An amount of scale s is an integer of 10^-s units. Integer sums do not depend on their order, and
Python's division of two integers is rounded correctly, so every ratio is independent of the scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from itertools import repeat
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
_divide = _QUOTIENT.divide
_WHOLES = [10**scale for scale in range(SCALE_MAX + 1)]
_TENS = [Decimal(whole) for whole in _WHOLES]
_EXACT_MAX = 10**28  # below it an amount is exact in 28 digits
_EXACT_MIN = -_EXACT_MAX
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
ZERO = Decimal(0)


def micros(instant: datetime) -> int:
    """Microseconds since 1970 UTC of an aware datetime, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


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
    if amount.adjusted() > ADJUSTED_MAX or not amount.is_finite():
        raise ValueError(f"{field}: {amount} is not a finite amount below 1e31")
    shifted = amount.scaleb(scale, _EXACT)
    units = int(shifted)
    if units == shifted:
        return units
    if scale < SCALE_MAX:
        return None
    return int(shifted.to_integral_value(ROUND_HALF_EVEN, _EXACT))


def scale_for(amount: Decimal) -> int:
    """The scale that holds this amount: a multiple of 4, at least 4, at most 40."""
    exponent = amount.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    steps = -(-decimals // SCALE_STEP)
    return min(max(SCALE, steps * SCALE_STEP), SCALE_MAX)


def money(units: int, scale: int) -> Decimal:
    """The exact amount, without trailing zeros, so that equal amounts are written alike."""
    if _EXACT_MIN < units < _EXACT_MAX:
        # A quotient that is exact has as few decimals as there can be
        return _divide(units, _TENS[scale])
    whole, rest = divmod(units, _WHOLES[scale])
    if not rest:
        return Decimal(whole)
    return Decimal(units).scaleb(-scale, _EXACT).normalize(_EXACT)


def moneys(units: Sequence[int], scale: int) -> Iterator[Decimal]:
    """`money` of several amounts, in half the time."""
    if min(units) > _EXACT_MIN and max(units) < _EXACT_MAX:
        return map(_divide, units, repeat(_TENS[scale]))
    return (money(one, scale) for one in units)


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
    mean = _divide(units, count * _WHOLES[scale])
    if mean == mean.to_integral_value():
        return Decimal(int(mean))
    return mean.normalize(_QUOTIENT)

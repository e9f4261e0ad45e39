"""What ratios need of daily returns, in a few numbers: closed days once, then the running one.

The numbers of many closed days are computed from all of them at once, in two passes, when a day
closes; a snapshot only adds the running day and the idle days after it. So the same days give the
same bits, whatever was asked before.
"""

# ruff: noqa: FURB136 - a call of max costs as much as all the rest of a comparison

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Returns = npt.NDArray[np.float64]
Days = tuple["array[float]", "array[float]"]


class Moments(NamedTuple):
    """The moments of `days` returns.

    `second` to `fourth` are sums of powers of the deviation from the mean, `downside` is the sum
    of squares of returns below zero, `growth` the sum of log(1 + return). `undefined` counts the
    days whose return does not exist; where there is one, nothing else is known.
    """

    days: int = 0
    mean: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    downside: float = 0.0
    growth: float = 0.0
    undefined: int = 0


# Those of Moments in their order: a plain tuple is made and taken apart in half the time
Sums = tuple[int, float, float, float, float, float, float, float, float, int]


def moments(returns: Returns, logs: Returns | None = None) -> Moments:
    """Take the moments of an array of shape (days,); `logs`: log(1 + return) of each, if known.

    Of a return close to -1 the logarithm cannot be had from the return without loss.
    """
    days = len(returns)
    if not days:
        return Moments()
    missing = int(np.count_nonzero(np.isnan(returns)))
    if missing:
        return Moments(days=days, undefined=missing)
    mean = float(returns.sum()) / days
    apart = returns - mean
    square = apart * apart
    below = np.minimum(returns, 0.0)
    return Moments(
        days,
        mean,
        float(square.sum()),
        float((square * apart).sum()),
        float((square * square).sum()),
        float(returns.min()),
        float(returns.max()),
        float((below * below).sum()),
        _growth(returns) if logs is None else float(logs.sum()),
    )


def _growth(returns: Returns) -> float:
    return float(np.log1p(returns).sum()) if returns.min() > -1.0 else -math.inf


def one_more(closed: Moments) -> Callable[[float, float], Sums]:
    """How one more day changes moments: a function of its return and log(1 + return).

    The same bits as `with_days`, without the factors that are 1 and with all that depends on the
    days before taken once.
    """
    closed_days, mean, second, third, fourth, low, high, downside, growth, undefined = closed
    if undefined or not closed_days:
        return lambda value, log: with_days(closed, value, 1, log)
    days = closed_days + 1
    # As floats, which hold them exactly, so that none is made one with every product
    before = float(closed_days)
    less, count, squares = before - 1.0, before + 1.0, before * before - before + 1.0

    def moments_with(value: float, log: float) -> Sums:
        if value != value:  # noqa: PLR0124 - NaN, without a call
            return with_days(closed, value, 1, log)
        delta = value - mean
        part = delta / count
        spread = delta * part * before
        square = part * part
        return (
            days,
            mean + part,
            second + spread,
            third + spread * part * less - 3.0 * part * second,
            fourth + spread * part * part * squares + 6.0 * square * second - 4.0 * part * third,
            low if low <= value else value,
            high if high >= value else value,
            downside + value * value if value < 0.0 else downside,
            growth + log,
            0,
        )

    return moments_with


def with_days(closed: Sums, value: float, count: int = 1, log: float = 0.0) -> Sums:
    """Add `count` days of one return; `log` is the logarithm of 1 + the return.

    Source: Pebay (2008), "Formulas for Robust, One-Pass Parallel Computation of Covariances and
    Arbitrary-Order Statistical Moments", for a second part without spread.
    """
    if not count:
        return closed
    before, mean, second, third, fourth, low, high, downside, growth, undefined = closed
    days = before + count
    if undefined or math.isnan(value):
        return Moments(days=days, undefined=undefined + math.isnan(value) * count)
    if not before:
        mean = value
    delta = value - mean
    part = delta / days
    spread = delta * part * before * count
    below = min(value, 0.0)
    return (
        days,
        mean + part * count,
        second + spread,
        third + spread * part * (before - count) - 3.0 * count * part * second,
        fourth
        + spread * part * part * (before * before - before * count + count * count)
        + 6.0 * (count * part * (count * part)) * second
        - 4.0 * count * part * third,
        min(low, value),
        max(high, value),
        downside + below * below * count,
        growth + log * count,
        0,
    )


class _Kept(Struct, frozen=True):
    """Moments of the `some` days with a return, with one more, and how many are `without`."""

    first: int
    running: float | None  # the running day's return, where that is among them
    some: Moments
    with_running: Callable[[float, float], Sums]
    without: int


class Closed:
    """Keeps the moments of an account's closed days: of all of them, and of its rolling window.

    Days without a return are only counted: an idle day is the same before and after it closed.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything, because a day closed or a closed one changed."""
        self._whole: _Kept | None = None
        self._window: _Kept | None = None

    def days(self, closed: Days, running: tuple[float, float], idle: int, first: int = 0) -> Sums:
        """The moments of the days from index `first` to today.

        `closed` holds the closed days' returns and logs, the same until `clear`; the `running`
        day's follow, then idle days, of which the last is today.
        """
        value, log = running
        kept = self._window if first else self._whole
        if kept is None or kept.first != first or kept.running != (value if idle else None):
            kept = self._keep(_closed(closed, first, running if idle else None))
        if idle or value == 0.0:
            return with_days(kept.some, 0.0, kept.without + (idle or 1))
        with_running = kept.with_running  # apart, or it is looked for among methods first
        some = with_running(value, log)
        return with_days(some, 0.0, kept.without) if kept.without else some

    def _keep(self, kept: _Kept) -> _Kept:
        if kept.first:
            self._window = kept
        else:
            self._whole = kept
        return kept


def _closed(closed: Days, first: int, running: tuple[float, float] | None) -> _Kept:
    days = np.array([column[first:] for column in closed], np.float64)
    if running is not None:
        days = np.column_stack((days, running))
    returns, logs = days[:, days[0] != 0.0]
    some = moments(returns, logs)
    return _Kept(
        first,
        None if running is None else running[0],
        some,
        one_more(some),
        days.shape[1] - len(returns),
    )

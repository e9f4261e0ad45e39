"""The way of an account's equity through its events, vectorised: from columns to daily returns.

The definitions are those of actors.metrics.account, which walks one event at a time; here all are
computed at once, from integers until the last division.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from actors.metrics.days import Calendar
from actors.metrics.history import Columns, Exact, Integers
from actors.metrics.timeline import FLOW, MARK, TRADE

UTC_DAY = 86_400_000_000
EPOCH_DAY = 719_163
Floats = npt.NDArray[np.float64]


class Path(Struct, frozen=True):
    """Equity before and after each event from the first `known` one on, in scaled units.

    `day` is the number of each event's day; `flows` is what was deposited (less withdrawn) up to
    and with each event. `known` is the number of events before equity was known.
    """

    known: int
    day: Integers
    before: Exact
    after: Exact
    flows: Exact


class Days(Struct, frozen=True):
    """Daily returns (fractions; NaN: equity was not positive) from the day `first` on."""

    first: int
    returns: Floats


def days_of(when: Integers, calendar: Calendar, *, utc: bool) -> Integers:
    """The number of each instant's day; `when` ascending."""
    if utc:
        return when // UTC_DAY + EPOCH_DAY
    return np.fromiter((calendar.day_of(int(one)) for one in when), np.int64, len(when))


def walk(columns: Columns, day: Integers, starting: int | None) -> Path:
    """Follow equity from `starting` (scaled units), or without one from the first reported."""
    marks = np.append(np.flatnonzero(columns.kind == MARK), len(day))
    known = int(marks[0]) if starting is None else 0
    kind, amount = columns.kind[known:], columns.amount[known:]
    is_mark = kind == MARK
    moved = np.add.accumulate(np.where(is_mark, 0, amount)) if len(kind) else amount
    latest = np.maximum.accumulate(np.where(is_mark, np.arange(len(kind)), -1))
    base = np.where(latest < 0, 0 if starting is None else starting, (amount - moved)[latest])
    after = moved + base
    # without a start the first reported equity is the base
    first = np.array([starting] if starting is not None else after[:1], dtype=after.dtype)
    before = np.concatenate((first, after[:-1]))
    deposits = np.where(kind == FLOW, amount, 0)
    flows = np.add.accumulate(deposits) if len(kind) else amount
    return Path(known, day[known:], before[: len(kind)], after, flows)


def daily_returns(columns: Columns, path: Path, today: int) -> Days:
    """Returns of all days from the first trade or reported equity to `today`, idle days 0.

    A day's return is its change / the equity at its open; flows cut it into parts, each measured
    on the equity that was there to earn it, and the parts are compounded.
    """
    kind = columns.kind[path.known :]
    begun = np.flatnonzero((kind == TRADE) | (kind == MARK))
    if not len(begun):
        return Days(today, np.zeros(0))
    first = int(path.day[begun[0]])
    growth = _parts(path, kind)
    days, factor = _compounded(*growth)
    kept = days >= first
    returns = np.zeros(max(today, int(path.day[-1])) - first + 1)
    returns[days[kept] - first] = factor[kept]
    return Days(first, returns)


def _parts(path: Path, kind: Integers) -> tuple[Integers, Floats]:
    """The growth of each part: its day, and its change / base."""
    turn = np.concatenate(([True], path.day[1:] != path.day[:-1]))
    starts = np.flatnonzero(turn | (kind == FLOW))
    # a flow at a day's open leaves nothing before it, elsewhere its part begins after it
    base = np.where(kind[starts] == FLOW, path.after[starts], path.before[starts])
    last = np.concatenate((starts[1:], [len(kind)])) - 1
    end = path.after[last]
    change = np.array(
        [
            0.0 if b == e else (e - b) / b if b > 0 < e else np.nan
            for b, e in zip(base.tolist(), end.tolist(), strict=True)  # exact division
        ],
        dtype=np.float64,
    )
    return path.day[starts], change


def _compounded(day: Integers, change: Floats) -> tuple[Integers, Floats]:
    days, first = np.unique(day, return_index=True)
    whole = np.add.reduceat(change, first)
    moved = np.add.reduceat((change != 0).astype(np.int64), first)
    ends = np.append(first[1:], len(day))
    for place in np.flatnonzero(moved > 1):
        grown = 0.0
        for part in change[first[place] : ends[place]]:
            grown += part + grown * part  # (1 + grown)(1 + part) - 1, without losing digits to 1
        whole[place] = grown
    return days, whole

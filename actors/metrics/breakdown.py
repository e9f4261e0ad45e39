"""Where and when the money is made: sums of closed trades by symbol, side, hour, weekday, month.

Every group is exact: its amounts are sums of integers. Hours, weekdays and months are those of the
closing instant in the account's zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from actors.metrics.arrays import Ints
from actors.metrics.days import EPOCH_DAY, Calendar
from actors.metrics.money import mean_money, money
from actors.metrics.summary import Amounts
from actors.metrics.walk import Days

GROUPS_MAX = 500
OTHERS = "(others)"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOUR = 3_600_000_000
DAY = 86_400_000_000
HALF, LOW = 32, 0xFFFF_FFFF
PART = 1 << 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Group(Struct, frozen=True):
    """Closed trades that share something. `profit_factor` is None without a loss."""

    name: str
    trades: int
    wins: int
    losses: int
    win_rate: float
    pnl_total: Decimal
    fees_total: Decimal
    expectancy: Decimal
    profit_factor: float | None


class Month(Struct, frozen=True):
    """One month's return over its `days` so far; None where one of them has none."""

    month: str
    days: int
    value: float | None


def groups(
    names: Sequence[str], place: Ints, pnl: Amounts, fee: Amounts, scale: int
) -> list[Group]:
    """Sum trades by their place in `names`; groups without a trade are left out.

    At most 500 groups, those with most trades; the rest is one group "(others)", last.
    """
    place, names = _bounded(place, list(names))
    count = len(names)
    trades = np.bincount(place, minlength=count)
    wins = np.bincount(place[np.asarray(pnl > 0, dtype=bool)], minlength=count)
    losses = np.bincount(place[np.asarray(pnl < 0, dtype=bool)], minlength=count)
    total, won, fees = (_sums(place, amounts, count) for amounts in (pnl, np.maximum(pnl, 0), fee))
    return [
        Group(
            name=name,
            trades=int(trades[i]),
            wins=int(wins[i]),
            losses=int(losses[i]),
            win_rate=int(wins[i]) / int(trades[i]),
            pnl_total=money(total[i], scale),
            fees_total=money(fees[i], scale),
            expectancy=mean_money(total[i], int(trades[i]), scale),
            profit_factor=won[i] / (won[i] - total[i]) if won[i] != total[i] else None,
        )
        for i, name in enumerate(names)
        if trades[i]
    ]


def local_times(when: Ints, zone: str) -> tuple[Ints, Ints]:
    """The hour (0 to 23) and weekday (0: Monday) in an IANA zone of ascending instants."""
    local = when + _offsets(when, ZoneInfo(zone))
    return local // HOUR % 24, (local // DAY + EPOCH_DAY - 1) % 7


def _offsets(when: Ints, zone: ZoneInfo) -> Ints:
    """How far the zone's clocks are ahead of UTC at each instant, in microseconds.

    No zone has changed its clocks twice within a day since 1970.
    """
    if not len(when):
        return when
    day = when // DAY
    fresh = np.diff(day, prepend=day[0] - 1) != 0
    days, place = day[fresh].tolist(), np.cumsum(fresh) - 1
    edges = {edge: _offset(edge * DAY, zone) for edge in {*days, *(one + 1 for one in days)}}
    offsets: Ints = np.array([edges[one] for one in days], np.int64)[place]
    changed = np.array([edges[one] != edges[one + 1] for one in days], np.bool_)[place]
    for at in np.flatnonzero(changed).tolist():
        offsets[at] = _offset(int(when[at]), zone)
    return offsets


def _offset(when: int, zone: ZoneInfo) -> int:
    ahead = (_EPOCH + timedelta(microseconds=when)).astimezone(zone).utcoffset()
    assert ahead is not None
    return ahead // timedelta(microseconds=1)


def months(days: Days, calendar: Calendar) -> list[Month]:
    """Daily returns compounded to calendar months, oldest first; the last one is still open.

    Those on a fixed base do not compound: they add up.
    """
    if not len(days.returns):
        return []
    numbers = np.arange(days.first, days.first + len(days.returns))
    dates = calendar.ordinal(numbers) - EPOCH_DAY
    month = dates.astype("datetime64[D]").astype("datetime64[M]")
    names, first = np.unique(month, return_index=True)
    if days.fixed is None:
        value = np.multiply.reduceat(1.0 + days.returns, first) - 1.0
    else:
        value = np.add.reduceat(days.fixed, first)
    lengths = np.diff(np.append(first, len(days.returns)))
    return [
        Month(str(name), int(length), None if np.isnan(one) else float(one))
        for name, length, one in zip(names, lengths, value, strict=True)
    ]


def _sums(place: Ints, amounts: Amounts, count: int) -> list[int]:
    """Exact sums by group."""
    totals = [0] * count
    if amounts.dtype == object:
        for group, amount in zip(place.tolist(), amounts.tolist(), strict=True):
            totals[group] += amount
        return totals
    # A float holds the sum of so many halves of 32 bits; and one long step would hold up the loop
    for first in range(0, len(place), PART):
        those, some = place[first : first + PART], amounts[first : first + PART]
        high = np.bincount(those, some >> HALF, count)
        low = np.bincount(those, some & LOW, count)
        for group, (upper, lower) in enumerate(zip(high.tolist(), low.tolist(), strict=True)):
            totals[group] += (int(upper) << HALF) + int(lower)
    return totals


def _bounded(place: Ints, names: list[str]) -> tuple[Ints, list[str]]:
    if len(names) <= GROUPS_MAX:
        return place, names
    most = np.argsort(-np.bincount(place, minlength=len(names)), kind="stable")[: GROUPS_MAX - 1]
    kept = np.sort(most)
    moved: npt.NDArray[np.int64] = np.full(len(names), len(kept), dtype=np.int64)
    moved[kept] = np.arange(len(kept))
    return moved[place], [*(names[int(i)] for i in kept), OTHERS]

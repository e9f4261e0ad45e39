"""The way of an account through its entries: what equity was before each, and each day's return.

It follows them as live figures do, block by block and day by day, so that all that is told of an
account comes from one reckoning.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from actors.metrics import restate
from actors.metrics.days import Calendar
from actors.metrics.sheet import Sheet
from actors.metrics.summary import Amounts, opened, trace
from actors.metrics.timeline import Timeline

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Days(Struct, frozen=True):
    """Daily returns (fractions; NaN: equity was not positive) from the day `first` on.

    The day that is not over counts as it stands.
    """

    first: int
    returns: Floats


class Walk(Struct, frozen=True):
    """Of the entries from index `known` on, in units of the sheet: equity before and after each.

    Before `known` equity is unknown; `start` is the first that is known, None: there is none.
    `at_peak` says after which entries equity was as high as never before.
    """

    known: int
    start: int | None
    before: Amounts
    after: Amounts
    at_peak: Flags
    days: Days


def walk(sheet: Sheet, now: int) -> Walk:
    """Follow a sheet's entries up to `now` (microseconds since 1970)."""
    timeline, opening = sheet.timeline(), opened(sheet.start)
    known, equities, peaks = 0, [], []
    for block in timeline.blocks:
        path = trace(block.kinds(), block.amounts(), opening)
        known += path.first
        if len(path.equity):
            equities.append(path.equity)
            peaks.append(path.equity == path.peak)
            opening = path.end()
    after = np.concatenate(equities) if equities else np.zeros(0, np.int64)
    # without a start the first reported equity is the base
    start = int(after[0]) if sheet.start is None and len(after) else sheet.start
    before = np.concatenate((np.array([start], after.dtype), after[:-1])) if len(after) else after
    at_peak = np.concatenate(peaks).astype(np.bool_) if peaks else np.zeros(0, np.bool_)
    return Walk(known, start, before, after, at_peak, _days(timeline, sheet, now))


def _days(timeline: Timeline, sheet: Sheet, now: int) -> Days:
    calendar = Calendar(sheet.options.zone)
    account = restate.days(timeline, calendar, opened(sheet.start))
    today = calendar.day_of(now)
    if account.returns_from is None:
        return Days(today, np.zeros(0))
    some = [*account.returns, account.day_return()]
    returns = np.zeros(max(today, account.day) - account.returns_from + 1)
    returns[: len(some)] = some
    return Days(account.returns_from, returns)

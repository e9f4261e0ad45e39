"""The way of an account through its entries: what equity was before each, and each day's return.

It follows them as live figures do, stretch by stretch and day by day, so that all that is told of
an account comes from one reckoning.
"""

from __future__ import annotations

from array import array

import numpy as np
from msgspec import Struct

from actors.metrics import restate
from actors.metrics.arrays import Flags, Floats
from actors.metrics.days import Calendar
from actors.metrics.moments import Closed, Moments, with_days
from actors.metrics.sheet import Sheet
from actors.metrics.summary import Amounts, narrow, opened, traced


class Days(Struct, frozen=True):
    """Daily returns (fractions; NaN: equity was not positive) from the day `first` on.

    The day that is not over counts as it stands. `logs` are those of 1 + each return; the last
    `idle` days had no entry. `last` is today, or the day of an entry that is ahead of the clock.
    """

    first: int
    last: int
    idle: int
    returns: Floats
    logs: Floats

    def sums(self, most: int | None = None) -> Moments:
        """The moments of all these days, or of the last so many, to the bit as live figures'."""
        days = len(self.returns)
        span = days if most is None else min(most, days)
        if span <= self.idle:
            return Moments(*with_days(Moments(), 0.0, span))
        ends = days - self.idle - 1
        closed = array("d", self.returns[:ends]), array("d", self.logs[:ends])
        running = float(self.returns[ends]), float(self.logs[ends])
        return Moments(*Closed().days(closed, running, self.idle, days - span))


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
    path = traced(sheet.columns["kind"], sheet.columns["amount"], opened(sheet.start))
    after, at_peak = path.equity, np.asarray(path.equity == path.peak, np.bool_)
    # without a start the first reported equity is the base
    start = int(after[0]) if sheet.start is None and len(after) else sheet.start
    before = (
        np.concatenate((narrow(np.array([start], object)), after[:-1])) if len(after) else after
    )
    return Walk(path.first, start, before, after, at_peak, _days(sheet, now))


def _days(sheet: Sheet, now: int) -> Days:
    calendar = Calendar(sheet.options.zone)
    account = restate.days(sheet.timeline(), calendar, opened(sheet.start))
    today = max(calendar.day_of(now), account.day)
    if account.returns_from is None:
        return Days(today, today, 0, np.zeros(0), np.zeros(0))
    value, log = account.running()
    days = np.zeros((2, today - account.returns_from + 1))
    days[0, : len(account.returns) + 1] = [*account.returns, value]
    days[1, : len(account.logs) + 1] = [*account.logs, log]
    return Days(account.returns_from, today, today - account.day, *days)

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
from actors.metrics.moments import Closed, Moments, with_days
from actors.metrics.options import calendar_of
from actors.metrics.sheet import Sheet
from actors.metrics.summary import Amounts, narrow, opened, traced


class Days(Struct, frozen=True):
    """Daily returns (fractions; NaN: equity was not positive) from the day `first` on.

    The day that is not over counts as it stands. `logs` are those of 1 + each return; the last
    `idle` days had no entry. `last` is today, or the day of an entry that is ahead of the clock.
    `fixed` are the same days' returns on the capital put in (NaN: that was not positive), where an
    account is measured by them.
    """

    first: int
    last: int
    idle: int
    returns: Floats
    logs: Floats
    fixed: Floats | None = None

    @property
    def measured(self) -> Floats:
        """The returns by the base that the options name."""
        return self.returns if self.fixed is None else self.fixed

    def sums(self, most: int | None = None) -> Moments:
        """The moments of all these days, or of the last so many, to the bit as live figures'."""
        return self._sums(self.returns, self.logs, most)

    def fixed_sums(self, most: int | None = None) -> Moments | None:
        """The same of returns on a fixed base; None where they are not what is asked for."""
        return None if self.fixed is None else self._sums(self.fixed, self.fixed, most)

    def measured_sums(self) -> Moments:
        """The moments of `measured`, to the bit as live figures'."""
        fixed = self.fixed_sums()
        return self.sums() if fixed is None else fixed

    def _sums(self, returns: Floats, logs: Floats, most: int | None) -> Moments:
        days = len(returns)
        span = days if most is None else min(most, days)
        if span <= self.idle:
            return Moments(*with_days(Moments(), 0.0, span))
        ends = days - self.idle - 1
        closed = array("d", returns[:ends]), array("d", logs[:ends])
        running = float(returns[ends]), float(logs[ends])
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
    calendar = calendar_of(sheet.options)
    fixed = sheet.options.base == "fixed"
    account = restate.days(sheet.timeline(), calendar, opened(sheet.start), fixed=fixed)
    today = max(calendar.day_of(now), account.day)
    if account.returns_from is None:
        return Days(today, today, 0, *np.zeros((2 + fixed, 0)))
    columns = list(zip((account.returns, account.logs), account.running(), strict=True))
    if (capital := account.capital) is not None:
        columns.append((capital.returns, capital.running(account.gain())))
    days = np.zeros((len(columns), today - account.returns_from + 1))
    for row, (closed, running) in zip(days, columns, strict=True):
        row[: len(closed) + 1] = [*closed, running]
    return Days(account.returns_from, today, today - account.day, *days)

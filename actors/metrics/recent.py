"""The rolling window by days: an account as if it had begun some days ago, with the equity of then.

It holds the last `rolling_days` days of the account's calendar, today included. What was
before it shows in the opening equity alone, from which the window's peak starts.
"""

from __future__ import annotations

import numpy as np

from actors.messages import Ratios
from actors.metrics import figures, ratios
from actors.metrics.figures import Tally, Undefined
from actors.metrics.options import calendar_of, terms_of
from actors.metrics.ratios import Measured
from actors.metrics.sheet import Sheet
from actors.metrics.summary import STRETCH, TRADE, Amounts, Kinds, opened, trace
from actors.metrics.walk import Walk

PREFIX = "rolling_by_days."


class RecentDays(Ratios, frozen=True):
    """The ratios over the last `days` days with a return, at most `rolling_days`.

    `days` is 0 while equity is unknown; trades count all the same.
    """

    days: int


def recent(sheet: Sheet, way: Walk, undefined: dict[str, str]) -> RecentDays:
    """The window of a sheet that has every entry; reasons go to `undefined`, with `PREFIX`."""
    options, days, columns = sheet.options, way.days, sheet.columns
    calendar = calendar_of(options)
    since = calendar.start_of(days.last - options.rolling_days + 1)
    first = int(np.searchsorted(columns["when"], since))
    kinds, amounts = columns["kind"][first:], columns["amount"][first:]
    max_drawdown = None
    try:
        max_drawdown = _deepest(kinds, amounts, _before(sheet, way, first), known=way.start)
    except Undefined as reason:
        undefined[PREFIX + "max_drawdown"] = str(reason)
    tally = Tally()
    tally.count_all(amounts[kinds == TRADE])
    terms = terms_of(options, sheet.scale)
    win_rate, profit_factor, expectancy, sqn = ratios.of_trades(
        tally, sheet.scale, undefined, PREFIX
    )
    some = days.sums(options.rolling_days)
    sharpe, stderr, sortino, calmar, _ = ratios.of_days(
        None if way.start is None else some,
        max_drawdown,
        terms,
        undefined,
        PREFIX,
        Measured(
            days.fixed_sums(options.rolling_days),
            calendar.between(days.last - some.days + 1, days.last),
        ),
    )
    return RecentDays(
        trades=tally.trades,
        win_rate=win_rate,
        sharpe=sharpe,
        sharpe_stderr=stderr,
        sortino=sortino,
        calmar=calmar,
        profit_factor=profit_factor,
        expectancy=expectancy,
        sqn=sqn,
        max_drawdown=max_drawdown,
        days=some.days,
    )


def _before(sheet: Sheet, way: Walk, place: int) -> int | None:
    """Equity before the entry at a place (their number: after all); None: unknown then."""
    if place > way.known:
        return int(way.after[place - way.known - 1])
    return sheet.start


def _deepest(
    kinds: Kinds, amounts: Amounts, equity: int | None, *, known: int | None
) -> float | None:
    """The largest drawdown (fraction) of entries that follow on an equity.

    `equity` None: it becomes known among them, if it is `known` at all.
    """
    if known is None:
        raise Undefined(figures.NO_STARTING_EQUITY)
    worst = 0.0 if equity is not None and equity > 0 else None
    opening = opened(equity)
    for begin in range(0, len(kinds), STRETCH):
        path = trace(kinds[begin : begin + STRETCH], amounts[begin : begin + STRETCH], opening)
        opening = path.end() or opening
        if len(path.peak) and (path.peak > 0).any():
            worst = max(worst or 0.0, float(path.falls().max()))
    if worst is None:
        raise Undefined(figures.NOT_POSITIVE)
    return worst

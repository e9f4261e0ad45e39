"""One account, walked through its entries in canonical order, which is all it depends on.

A copy of the scalars is a checkpoint, from which a replay continues as if nothing had happened.
Amounts are integers of one scale; `equity` is None until a starting or a reported equity is known.
A tick replaces equity, so profit that a tick already held counts again when its trade closes, until
the next tick: report equity after closing, not before.
"""

from __future__ import annotations

import copy
import math
from array import array

from msgspec import Struct

from actors.metrics.days import Calendar, week_of
from actors.metrics.figures import Tally
from actors.metrics.series import Chart
from actors.metrics.window import Window


class Account(Struct):
    """The running state.

    `returns` holds the closed days from the day `returns_from`; `first_day` is that of the first
    trade or tick. `max_drawdown` is None until a peak was positive.
    """

    calendar: Calendar
    window: Window
    returns: array[float]
    unit: int
    chart: Chart | None
    tally: Tally
    equity: int | None
    peak: int | None
    max_drawdown: float | None = None
    max_drawdown_abs: int = 0
    fees: int = 0
    streak: int = 0
    longest_win_streak: int = 0
    longest_loss_streak: int = 0
    first_day: int | None = None
    returns_from: int | None = None
    day: int = 0
    day_end: int = -1
    day_pnl: int = 0
    day_peak: int | None = None
    week_pnl: int = 0
    week_peak: int | None = None
    cut_equity: int | None = None
    cut_growth: float = 1.0

    def checkpoint(self) -> Account:
        """The scalars as they stand now; arrays, chart and window stay shared."""
        saved = copy.copy(self)
        saved.tally = copy.copy(self.tally)
        return saved

    def resume(self, entries: int) -> Account:
        """From this checkpoint, taken after `entries` entries: drop what came later."""
        closed = 0 if self.returns_from is None else self.day - self.returns_from
        del self.returns[closed:]
        self.window.clear()
        if self.chart is not None:
            self.chart.truncate(entries)
        return self.checkpoint()

    def trade(self, when: int, pnl: int, fee: int) -> None:
        """Close a trade."""
        if when >= self.day_end:
            self._begin_day(when)
        if self.returns_from is None:
            self._begin_returns()
        before = self.equity
        if before is not None:
            self.equity = before + pnl
        self.tally.add(pnl)
        self.fees += fee
        self.day_pnl += pnl
        self.week_pnl += pnl
        self.window.trade(self.day, pnl, before, self.equity)
        self._count_streak(pnl)
        self._observe()

    def flow(self, when: int, amount: int) -> None:
        """Deposit or withdraw: moves equity and every peak, and starts a new base for returns."""
        if when >= self.day_end:
            self._begin_day(when)
        if (
            self.equity is not None
            and self.peak is not None
            and self.day_peak is not None
            and self.week_peak is not None
        ):
            self.cut_growth *= self._growth_since_cut()
            self.equity += amount
            self.cut_equity = self.equity
            self.peak += amount
            self.day_peak += amount
            self.week_peak += amount
            self.window.flow(self.day, amount, self.equity)
        self._observe()

    def mark(self, when: int, equity: int) -> None:
        """Take a reported equity; the first one is the base when no starting equity is known."""
        if when >= self.day_end:
            self._begin_day(when)
        if self.equity is None:
            self.peak = self.day_peak = self.week_peak = self.cut_equity = equity
            self.window.flow(self.day, 0, equity)
        self.equity = equity
        if self.returns_from is None:
            self._begin_returns()
        self.window.mark(equity)
        self._observe()

    def day_return(self) -> float:
        """The running day's return: P&L / equity at the day's open, NaN where that is no base.

        Flows cut the day: the returns between them are compounded (time-weighted), so that each
        is measured on the equity that was there to earn it.
        """
        equity, base = self.equity, self.cut_equity
        if self.cut_growth == 1.0 and equity is not None and base is not None and base > 0 < equity:
            return (equity - base) / base
        return self.cut_growth * self._growth_since_cut() - 1.0

    def _growth_since_cut(self) -> float:
        equity, base = self.equity, self.cut_equity
        if equity == base or equity is None or base is None:
            return 1.0
        return equity / base if base > 0 < equity else math.nan

    def _begin_returns(self) -> None:
        if self.first_day is None:
            self.first_day = self.day
        if self.equity is not None:
            self.returns_from = self.day

    def _begin_day(self, when: int) -> None:
        day = self.calendar.day_of(when)
        if self.returns_from is not None:
            self.returns.append(self.day_return())
            if day - self.day > 1:
                self.returns.extend([0.0] * (day - self.day - 1))
        if week_of(day) != week_of(self.day):
            self.week_pnl = 0
            self.week_peak = self.equity
        self.day = day
        self.day_end = self.calendar.end_of_day(when)
        self.day_pnl = 0
        self.day_peak = self.cut_equity = self.equity
        self.cut_growth = 1.0

    def _count_streak(self, pnl: int) -> None:
        if pnl > 0:
            self.streak = max(self.streak, 0) + 1
            self.longest_win_streak = max(self.longest_win_streak, self.streak)
        elif pnl < 0:
            self.streak = min(self.streak, 0) - 1
            self.longest_loss_streak = max(self.longest_loss_streak, -self.streak)

    def _observe(self) -> None:
        equity, peak, day_peak, week_peak = self.equity, self.peak, self.day_peak, self.week_peak
        if equity is None or peak is None or day_peak is None or week_peak is None:
            if self.chart is not None:
                self.chart.append(math.nan, 0.0)
            return
        if equity > peak:
            self.peak = peak = equity
        fall = 0.0
        if equity < peak:
            self.max_drawdown_abs = max(self.max_drawdown_abs, peak - equity)
            fall = (peak - equity) / peak if peak > 0 else 0.0
        if peak > 0 and (self.max_drawdown is None or fall > self.max_drawdown):
            self.max_drawdown = fall
        if equity > day_peak:
            self.day_peak = equity
        if equity > week_peak:
            self.week_peak = equity
        if self.chart is not None:
            self.chart.append(equity / self.unit, fall)


def open_account(
    zone: str, starting: int | None, window: int, unit: int, chart: Chart | None
) -> Account:
    """A fresh account whose peak starts at the starting equity (scaled units; None: unknown)."""
    return Account(
        calendar=Calendar(zone),
        window=Window(window),
        returns=array("d"),
        unit=unit,
        chart=chart,
        tally=Tally(),
        equity=starting,
        peak=starting,
        max_drawdown=None if starting is None or starting <= 0 else 0.0,
    )

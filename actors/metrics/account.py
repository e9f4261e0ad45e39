"""One account, walked through its entries in canonical order, which is all it depends on.

Amounts are integers of one scale; `equity` is None until a starting or a reported equity is known.
A tick replaces equity, so profit that a tick already held counts again when its trade closes, until
the next tick: report equity after closing, not before.
"""

# ruff: noqa: PLR1730 - a call of max costs as much as all the rest of a comparison

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass

from actors.metrics.block import Piece
from actors.metrics.capital import Capital
from actors.metrics.days import Calendar
from actors.metrics.figures import Tally
from actors.metrics.moments import Closed
from actors.metrics.ratios import Averages
from actors.metrics.window import Window


@dataclass(slots=True)
class Account:
    """The running state.

    `returns` holds the closed days from the day `returns_from`, `logs` log(1 + return) of each;
    `first_day` is that of the first trade or tick. `max_drawdown` is None until a peak was
    positive. `capital` is there where returns are measured on a fixed base, too.
    """

    calendar: Calendar
    window: Window
    returns: array[float]
    logs: array[float]
    tally: Tally
    equity: int | None
    peak: int | None
    closed: Closed
    averages: Averages
    capital: Capital | None = None
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
    cut_return: float = 0.0
    cut_log: float = 0.0

    def trade(self, when: int, pnl: int, fee: int) -> None:
        """Close a trade."""
        if when >= self.day_end:
            self._begin_day(when)
        if self.returns_from is None:
            self._begin_returns()
        before = self.equity
        self.equity = after = None if before is None else before + pnl
        self.tally.add(pnl)
        self.fees += fee
        self.day_pnl += pnl
        self.week_pnl += pnl
        self.window.trade(self.day, pnl, before, after)
        streak = self.streak
        if pnl > 0:
            self.streak = streak = streak + 1 if streak > 0 else 1
            if streak > self.longest_win_streak:
                self.longest_win_streak = streak
        elif pnl < 0:
            self.streak = streak = streak - 1 if streak < 0 else -1
            if -streak > self.longest_loss_streak:
                self.longest_loss_streak = -streak
        if after is not None:
            self._observe(after)

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
            self._cut(amount)
            self.peak += amount
            self.day_peak += amount
            self.week_peak += amount
            self.window.flow(self.day, amount, self.equity)
            self._observe(self.equity)

    def mark(self, when: int, equity: int) -> None:
        """Take a reported equity; the first one is the base when no starting equity is known."""
        if when >= self.day_end:
            self._begin_day(when)
        if self.equity is None:
            self.peak = self.day_peak = self.week_peak = self.cut_equity = equity
            self.window.flow(self.day, 0, equity)
            if self.capital is not None:
                self.capital.amount = equity
        self.equity = equity
        if self.returns_from is None:
            self._begin_returns()
        self.window.mark(equity)
        self._observe(equity)

    def condensed(self, piece: Piece) -> None:
        """Take in the day (or part of one) that a piece stands for, as far as returns see it."""
        when, flow, marks, after, trades = piece
        if when >= self.day_end:
            self._begin_day(when)
        if flow is not None and self.equity is not None:
            self._cut(flow)
        if marks is not None:
            if self.equity is None:
                self.cut_equity = marks[0]
                if self.capital is not None:
                    self.capital.amount = marks[0]
            self.equity = marks[1]
        if (marks is not None or trades) and self.returns_from is None:
            self._begin_returns()
        if self.equity is not None:
            self.equity += after

    def resume(self, when: int, known: Account, days: int) -> None:
        """Go on at the beginning of a day, after the first `days` returns of another account."""
        self._begin_day(when)
        self.returns, self.logs = known.returns[:days], known.logs[:days]
        self.first_day, self.returns_from = known.first_day, known.returns_from
        if self.capital is not None and known.capital is not None:
            self.capital.resume(known.capital, days)

    def running(self) -> tuple[float, float]:
        """The running day's return, P&L / equity at the day's open, and log(1 + return).

        NaN where that is no base. Flows cut the day: the returns between them are compounded
        (time-weighted), so that each is measured on the equity that was there to earn it. The
        logarithm is exact where the return is close to -1, too.
        """
        equity, base = self.equity, self.cut_equity
        since = log = 0.0
        if equity is not None and base is not None and equity != base:
            if base > 0 < equity:
                since = (equity - base) / base
                log = math.log(equity / base) if 2 * equity < base else math.log1p(since)
            else:
                since = log = math.nan
        before = self.cut_return
        # (1 + before)(1 + since) - 1, but a small return keeps the digits it would lose to the 1
        return before + since + before * since, self.cut_log + log

    def day_return(self) -> float:
        """The running day's return."""
        return self.running()[0]

    def gain(self) -> int:
        """P&L since the day's open or its last flow; 0 where equity is unknown."""
        equity, base = self.equity, self.cut_equity
        return 0 if equity is None or base is None else equity - base

    def _cut(self, amount: int) -> None:
        assert self.equity is not None
        if self.capital is not None:
            self.capital.cut(self.gain(), amount)
        self.cut_return, self.cut_log = self.running()
        self.equity += amount
        self.cut_equity = self.equity

    def _begin_returns(self) -> None:
        if self.first_day is None:
            self.first_day = self.day
        if self.equity is not None:
            self.returns_from = self.day

    def _begin_day(self, when: int) -> None:
        day = self.calendar.day_of(when)
        if self.returns_from is not None:
            value, log = self.running()
            self.closed.clear()
            self.returns.append(value)
            self.logs.append(log)
            if day - self.day > 1:
                idle = [0.0] * (day - self.day - 1)
                self.returns.extend(idle)
                self.logs.extend(idle)
            if self.capital is not None:
                self.capital.close(self.gain(), day - self.day - 1)
        if self.calendar.week_of(day) != self.calendar.week_of(self.day):
            self.week_pnl = 0
            self.week_peak = self.equity
        self.day = day
        self.day_end = self.calendar.end_of_day(when)
        self.day_pnl = 0
        self.day_peak = self.cut_equity = self.equity
        self.cut_return = self.cut_log = 0.0
        if self.capital is not None:
            self.capital.open()

    def _observe(self, equity: int) -> None:
        peak, day_peak, week_peak = self.peak, self.day_peak, self.week_peak
        if peak is None or day_peak is None or week_peak is None:
            return
        if equity >= peak:  # and so at least what the day's and the week's peak is
            self.peak = self.day_peak = self.week_peak = equity
            if self.max_drawdown is None and equity > 0:
                self.max_drawdown = 0.0
            return
        below = peak - equity
        if below > self.max_drawdown_abs:
            self.max_drawdown_abs = below
        if peak > 0:
            fall, worst = below / peak, self.max_drawdown
            if worst is None or fall > worst:
                self.max_drawdown = fall
        if equity > week_peak:
            self.week_peak = self.day_peak = equity
        elif equity > day_peak:
            self.day_peak = equity


def open_account(
    calendar: Calendar, starting: int | None, window: int, *, fixed: bool = False
) -> Account:
    """A fresh account whose peak starts at the starting equity (scaled units; None: unknown).

    `fixed`: its returns are measured on the capital put in, too.
    """
    return Account(
        calendar=calendar,
        window=Window(window),
        returns=array("d"),
        logs=array("d"),
        tally=Tally(),
        equity=starting,
        peak=starting,
        max_drawdown=None if starting is None or starting <= 0 else 0.0,
        closed=Closed(),
        averages=Averages(),
        capital=Capital(starting) if fixed else None,
    )

"""A snapshot decides nothing and changes nothing: it reads one account as of `now`.

Days that passed since the account's last entry count as zero days, so the clock and not the next
trade moves the ratios. An entry later than `now` (a clock that is ahead) counts as of today.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from actors.messages import Metrics, Ratios, Risk
from actors.metrics import figures, ratios
from actors.metrics.account import Account
from actors.metrics.days import week_of
from actors.metrics.moments import Moments, with_days
from actors.metrics.money import ZERO, micros, money
from actors.metrics.ratios import Terms
from actors.metrics.window import Window

FALLS: Final = ("drawdown", "drawdown_today", "drawdown_week", "max_drawdown")
OF_EQUITY: Final = ("equity", "peak_equity", "max_drawdown_abs", *FALLS)


def risk(account: Account, scale: int, now: datetime) -> Risk:
    """The few figures that triggers need; O(1)."""
    return _risk(account, scale, micros(now))


def _risk(account: Account, scale: int, when: int) -> Risk:
    same_day = when < account.day_end
    tally, equity, peak = account.tally, account.equity, account.peak
    worth = None if equity is None else money(equity, scale)
    drawdown = _fall(equity, peak)
    day_peak = account.day_peak if same_day else equity
    week_peak = account.week_peak if same_day or _same_week(account, when) else equity
    fall_today = drawdown if day_peak == peak else _fall(equity, day_peak)
    return Risk(
        tally.trades,
        account.streak,
        money(tally.gross_win - tally.gross_loss, scale),
        money(account.day_pnl, scale) if same_day else ZERO,
        worth,
        worth if equity == peak or peak is None else money(peak, scale),
        drawdown,
        fall_today,
        fall_today if week_peak == day_peak else _fall(equity, week_peak),
    )


def _same_week(account: Account, when: int) -> bool:
    return week_of(account.calendar.day_of(when)) == week_of(account.day)


def metrics(account: Account, terms: Terms, now: datetime) -> Metrics:
    """Every figure as of `now`; definitions in docs/metrics.md."""
    when, scale, tally = micros(now), terms.scale, account.tally
    same_day, day = when < account.day_end, account.day
    today = day if same_day else max(account.calendar.day_of(when), day)
    same_week = same_day or week_of(today) == week_of(day)
    instant = _risk(account, scale, when)
    undefined: dict[str, str] = {}
    max_drawdown, deepest = _deepest(account, instant, scale, undefined)
    days, last_days = _moments(account, today, terms.rolling_days)
    win_rate, profit_factor, expectancy, sqn = ratios.of_trades(tally, scale, undefined)
    sharpe, stderr, sortino, calmar, cagr = ratios.of_days(days, max_drawdown, terms, undefined)
    if cagr is None:
        undefined["cagr"] = undefined["calmar"]
    avg_win, avg_loss = ratios.averages(tally, scale, undefined)
    # In the order of the fields: to look up 35 names takes longer than any of the figures
    return Metrics(
        now,
        terms.currency,
        tally.trades,
        tally.wins,
        tally.losses,
        tally.trades - tally.wins - tally.losses,
        win_rate,
        instant.pnl_total,
        instant.pnl_today,
        money(account.week_pnl, scale) if same_week else ZERO,
        money(account.fees, scale),
        instant.equity,
        instant.peak_equity,
        instant.drawdown,
        instant.drawdown_today,
        instant.drawdown_week,
        max_drawdown,
        deepest,
        sharpe,
        stderr,
        sortino,
        calmar,
        cagr,
        profit_factor,
        expectancy,
        sqn,
        avg_win,
        avg_loss,
        account.streak,
        account.longest_win_streak,
        account.longest_loss_streak,
        _days(account, today),
        _rolling(account.window, last_days, terms, undefined),
        undefined,
    )


def _deepest(
    account: Account, instant: Risk, scale: int, undefined: dict[str, str]
) -> tuple[float | None, Decimal | None]:
    """The largest drawdowns, and why there is none, now or ever."""
    if account.equity is None:
        for name in OF_EQUITY:
            undefined[name] = figures.NO_STARTING_EQUITY
        return None, None
    falls = (instant.drawdown, instant.drawdown_today, instant.drawdown_week, account.max_drawdown)
    if None in falls:
        for name, fall in zip(FALLS, falls, strict=True):
            if fall is None:
                undefined[name] = figures.NOT_POSITIVE
    return account.max_drawdown, money(account.max_drawdown_abs, scale)


def _moments(
    account: Account, today: int, rolling_days: int
) -> tuple[Moments | None, Moments | None]:
    """Moments of all days to today, which counts provisionally, and of the rolling window's.

    None while equity is unknown.
    """
    if account.equity is None:
        return None, None
    if account.returns_from is None:
        return Moments(), Moments()
    closed, returns, idle = account.closed, (account.returns, account.logs), today - account.day
    running = account.running()
    whole = closed.days(returns, running, idle)
    oldest = account.window.first_day
    if oldest is None:
        return whole, Moments()
    span = min(today - oldest + 1, rolling_days, whole.days)
    if span <= idle:
        return whole, with_days(Moments(), 0.0, span)
    return whole, closed.days(returns, running, idle, whole.days - span)


def _rolling(
    window: Window, days: Moments | None, terms: Terms, undefined: dict[str, str]
) -> Ratios:
    tally, prefix = window.tally, "rolling."
    max_drawdown = window.drawdown()
    if max_drawdown is None:
        reason = figures.NO_STARTING_EQUITY if tally.trades else figures.NO_TRADES
        undefined["rolling.max_drawdown"] = reason
    win_rate, profit_factor, expectancy, sqn = ratios.of_trades(
        tally, terms.scale, undefined, prefix
    )
    sharpe, stderr, sortino, calmar, _ = ratios.of_days(
        days, max_drawdown, terms, undefined, prefix
    )
    return Ratios(
        tally.trades,
        win_rate,
        sharpe,
        stderr,
        sortino,
        calmar,
        profit_factor,
        expectancy,
        sqn,
        max_drawdown,
    )


def _days(account: Account, today: int) -> int:
    first = account.first_day if account.returns_from is None else account.returns_from
    return 0 if first is None else today - first + 1


def _fall(equity: int | None, peak: int | None) -> float | None:
    if equity is None or peak is None or peak <= 0:
        return None
    return (peak - equity) / peak

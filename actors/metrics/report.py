"""A snapshot decides nothing and changes nothing: it reads one account as of `now`.

Days that passed since the account's last entry count as zero days, so the clock and not the next
trade moves the ratios. An entry later than `now` (a clock that is ahead) counts as of today.
"""

# ruff: noqa: PLR1730 - a call of min costs as much as all the rest of a comparison

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, Rounded
from typing import Final, TypeVar

from actors.messages import Metrics, Ratios, Risk
from actors.metrics import figures, ratios
from actors.metrics.account import Account
from actors.metrics.capital import Capital
from actors.metrics.moments import Moments, Sums, with_days
from actors.metrics.money import UNITS, ZERO, in_units, micros, money
from actors.metrics.ratios import Measured, Terms
from actors.metrics.window import Window

FALLS: Final = ("drawdown", "drawdown_today", "drawdown_week", "max_drawdown")
OF_EQUITY: Final = ("equity", "peak_equity", "max_drawdown_abs", *FALLS)

Unit = TypeVar("Unit")
Fall = float | None
Amount = Decimal | None
Amounts = tuple[Decimal, Decimal, Decimal, Decimal, Amount, Amount, Amount]


def risk(account: Account, scale: int, now: datetime) -> Risk:
    """The few figures that triggers need; O(1)."""
    return _risk(account, scale, micros(now))


def _risk(account: Account, scale: int, when: int) -> Risk:
    same_day = when < account.day_end
    tally, equity, peak = account.tally, account.equity, account.peak
    worth = None if equity is None else money(equity, scale)
    return Risk(
        tally.trades,
        account.streak,
        money(tally.gross_win - tally.gross_loss, scale),
        money(account.day_pnl, scale) if same_day else ZERO,
        worth,
        worth if equity == peak or peak is None else money(peak, scale),
        *_falls(account, same_day=same_day, same_week=same_day or _same_week(account, when)),
    )


def _same_week(account: Account, when: int) -> bool:
    calendar = account.calendar
    return calendar.week_of(calendar.day_of(when)) == calendar.week_of(account.day)


def metrics(account: Account, terms: Terms, now: datetime) -> Metrics:
    """Every figure as of `now`; definitions in docs/metrics.md."""
    when, scale, tally, today = micros(now), terms.scale, account.tally, account.day
    calendar = account.calendar
    same_day = same_week = when < account.day_end
    if not same_day:
        today = max(calendar.day_of(when), today)
        same_week = calendar.week_of(today) == calendar.week_of(account.day)
    undefined: dict[str, str] = {}
    try:
        amounts = _amounts(account, in_units, UNITS[scale], same_day, same_week)
    except Rounded:  # one has more than 28 digits
        amounts = _amounts(account, money, scale, same_day, same_week)
    total, of_day, of_week, fees, equity, peak, deepest = amounts
    drawdown, of_today, of_this_week = _falls(account, same_day=same_day, same_week=same_week)
    max_drawdown = account.max_drawdown
    if drawdown is None or of_today is None or of_this_week is None or max_drawdown is None:
        _explain((drawdown, of_today, of_this_week, max_drawdown), equity, undefined)
    days, last_days = _moments(account, today, terms.rolling_days)
    measured = last_measured = None
    if account.capital is not None or calendar.weekdays:
        measured, last_measured = _measured(account, today, days, last_days)
    win_rate, profit_factor, expectancy, sqn = ratios.of_trades(tally, scale, undefined)
    sharpe, stderr, sortino, calmar, cagr = ratios.of_days(
        days, max_drawdown, terms, undefined, "", measured
    )
    if cagr is None:
        undefined["cagr"] = undefined["calmar"]
    avg_win, avg_loss = account.averages.of(tally, scale, undefined)
    trades, wins, losses = tally.trades, tally.wins, tally.losses
    first = account.first_day if account.returns_from is None else account.returns_from
    # In the order of the fields: to look up 35 names takes longer than any of the figures
    return Metrics(
        now,
        terms.currency,
        trades,
        wins,
        losses,
        trades - wins - losses,
        win_rate,
        total,
        of_day,
        of_week,
        fees,
        equity,
        peak,
        drawdown,
        of_today,
        of_this_week,
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
        0 if first is None else today - first + 1,
        _rolling(account.window, last_days, last_measured, terms, undefined),
        undefined,
    )


def _amounts(
    account: Account,
    convert: Callable[[int, Unit], Decimal],
    unit: Unit,
    same_day: bool,  # noqa: FBT001
    same_week: bool,  # noqa: FBT001
) -> Amounts:
    """P&L in all, of today and of the week, fees, equity, its peak and largest fall."""
    tally, equity, peak = account.tally, account.equity, account.peak
    worth = None if equity is None else convert(equity, unit)
    return (
        convert(tally.gross_win - tally.gross_loss, unit),
        convert(account.day_pnl, unit) if same_day else ZERO,
        convert(account.week_pnl, unit) if same_week else ZERO,
        convert(account.fees, unit) if account.fees else ZERO,
        worth,
        worth if peak is None or peak == equity else convert(peak, unit),
        None if worth is None else convert(account.max_drawdown_abs, unit),
    )


def _falls(account: Account, *, same_day: bool, same_week: bool) -> tuple[Fall, Fall, Fall]:
    """Drawdown from the peak of all time, of the day and of the week."""
    equity, peak = account.equity, account.peak
    day_peak = account.day_peak if same_day else equity
    week_peak = account.week_peak if same_week else equity
    drawdown = _fall(equity, peak)
    of_day = drawdown if day_peak == peak else _fall(equity, day_peak)
    return drawdown, of_day, of_day if week_peak == day_peak else _fall(equity, week_peak)


def _explain(falls: tuple[Fall, ...], equity: Decimal | None, undefined: dict[str, str]) -> None:
    """Why there are no drawdowns, now or ever."""
    if equity is None:
        for name in OF_EQUITY:
            undefined[name] = figures.NO_STARTING_EQUITY
        return
    for name, fall in zip(FALLS, falls, strict=True):
        if fall is None:
            undefined[name] = figures.NOT_POSITIVE


def _moments(account: Account, today: int, rolling_days: int) -> tuple[Sums | None, Sums | None]:
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
    oldest = account.window.first_day()
    if oldest is None:
        return whole, Moments()
    span = today - oldest + 1
    if span > rolling_days:
        span = rolling_days
    days = whole[0]
    if span > days:
        span = days
    if span <= idle:
        return whole, with_days(Moments(), 0.0, span)
    return whole, closed.days(returns, running, idle, days - span)


def _measured(
    account: Account, today: int, days: Sums | None, last: Sums | None
) -> tuple[Measured | None, Measured | None]:
    """What is not as in the moments of all days and of the rolling window's."""
    if days is None or last is None or account.returns_from is None:
        return None, None
    whole, some = (account.calendar.between(today - one[0] + 1, today) for one in (days, last))
    if account.capital is None:
        return Measured(None, whole), Measured(None, some)
    fixed, last_fixed = _fixed(account, account.capital, today - account.day, days[0], last[0])
    return Measured(fixed, whole), Measured(last_fixed, some)


def _fixed(
    account: Account, capital: Capital, idle: int, days: int, count: int
) -> tuple[Sums, Sums]:
    """The moments of so many days' returns on the capital put in, and of the last of them."""
    value = capital.running(account.gain())
    # They do not compound: where growth is the sum of logarithms, theirs is that of returns
    returns, running = (capital.returns, capital.returns), (value, value)
    whole = capital.closed.days(returns, running, idle)
    if count <= idle:
        return whole, with_days(Moments(), 0.0, count)
    return whole, capital.closed.days(returns, running, idle, days - count)


def _rolling(
    window: Window,
    days: Sums | None,
    measured: Measured | None,
    terms: Terms,
    undefined: dict[str, str],
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
        days, max_drawdown, terms, undefined, prefix, measured
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


def _fall(equity: int | None, peak: int | None) -> float | None:
    if equity is None or peak is None or peak <= 0:
        return None
    return (peak - equity) / peak

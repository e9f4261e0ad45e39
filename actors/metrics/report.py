"""A snapshot decides nothing and changes nothing: it reads one account as of `now`.

Days that passed since the account's last entry count as zero days, so the clock and not the next
trade moves the ratios. An entry later than `now` (a clock that is ahead) counts as of today.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from msgspec import Struct

from actors.messages import Metrics, Ratios, Risk
from actors.metrics import figures
from actors.metrics.account import Account
from actors.metrics.days import week_of
from actors.metrics.figures import Basis, Tally, Undefined
from actors.metrics.moments import Moments, with_days
from actors.metrics.money import mean_money, micros, money

T = TypeVar("T")
DAILY: Final = ("sharpe", "sharpe_stderr", "sortino", "calmar")


class Terms(Struct, frozen=True):
    """What a snapshot needs beside the account: currency, scale of its units, yearly basis."""

    currency: str
    scale: int
    basis: Basis
    rolling_days: int
    short: bool


class Figures:
    """Collects, for figures that do not exist, the reason by name."""

    def __init__(self, prefix: str = "", undefined: dict[str, str] | None = None) -> None:
        self.undefined: dict[str, str] = {} if undefined is None else undefined
        self._prefix = prefix

    def __call__(self, name: str, compute: Callable[..., T], *given: Any) -> T | None:
        """The figure computed from what is given, or None and its reason under `name`."""
        try:
            return compute(*given)
        except Undefined as reason:
            self.undefined[self._prefix + name] = str(reason)
            return None

    def known(self, name: str, value: T | None, reason: str) -> T | None:
        """A figure that is there, or None and this reason."""
        if value is None:
            self.undefined[self._prefix + name] = reason
        return value


def risk(account: Account, scale: int, now: datetime) -> Risk:
    """The few figures that triggers need; O(1)."""
    when = micros(now)
    same_day = when < account.day_end
    same_week = same_day or week_of(account.calendar.day_of(when)) == week_of(account.day)
    equity, peak = account.equity, account.peak
    worth = None if equity is None else money(equity, scale)
    top = worth if equity == peak or peak is None else money(peak, scale)
    return Risk(
        trades=account.tally.trades,
        streak=account.streak,
        pnl_total=money(account.tally.total, scale),
        pnl_today=money(account.day_pnl if same_day else 0, scale),
        equity=worth,
        peak_equity=top,
        drawdown=_fall(equity, peak),
        drawdown_today=_fall(equity, account.day_peak if same_day else equity),
        drawdown_week=_fall(equity, account.week_peak if same_week else equity),
    )


def metrics(account: Account, terms: Terms, now: datetime) -> Metrics:
    """Every figure as of `now`; definitions in docs/metrics.md."""
    figure = Figures()
    scale, tally = terms.scale, account.tally
    instant = risk(account, scale, now)
    today = max(account.calendar.day_of(micros(now)), account.day)
    same_week = week_of(today) == week_of(account.day)
    days = daily_moments(account, today)
    unknown = figures.NO_STARTING_EQUITY
    no_fall = unknown if account.equity is None else figures.NOT_POSITIVE
    max_drawdown = None if account.equity is None else account.max_drawdown
    deepest = None if account.equity is None else money(account.max_drawdown_abs, scale)
    ratios, cagr = _ratios(figure, tally, days, (max_drawdown, no_fall), terms)
    return Metrics(
        at=now,
        currency=terms.currency,
        trades=tally.trades,
        wins=tally.wins,
        losses=tally.losses,
        draws=tally.trades - tally.wins - tally.losses,
        win_rate=ratios.win_rate,
        pnl_total=instant.pnl_total,
        pnl_today=instant.pnl_today,
        pnl_week=money(account.week_pnl if same_week else 0, scale),
        fees_total=money(account.fees, scale),
        equity=figure.known("equity", instant.equity, unknown),
        peak_equity=figure.known("peak_equity", instant.peak_equity, unknown),
        drawdown=figure.known("drawdown", instant.drawdown, no_fall),
        drawdown_today=figure.known("drawdown_today", instant.drawdown_today, no_fall),
        drawdown_week=figure.known("drawdown_week", instant.drawdown_week, no_fall),
        max_drawdown=ratios.max_drawdown,
        max_drawdown_abs=figure.known("max_drawdown_abs", deepest, unknown),
        sharpe=ratios.sharpe,
        sharpe_stderr=ratios.sharpe_stderr,
        sortino=ratios.sortino,
        calmar=ratios.calmar,
        cagr=figure.known("cagr", cagr, figure.undefined.get("calmar", "")),
        profit_factor=ratios.profit_factor,
        expectancy=ratios.expectancy,
        sqn=ratios.sqn,
        avg_win=figure("avg_win", _mean, tally.gross_win, tally.wins, scale, tally, "win"),
        avg_loss=figure("avg_loss", _mean, -tally.gross_loss, tally.losses, scale, tally, "loss"),
        streak=account.streak,
        longest_win_streak=account.longest_win_streak,
        longest_loss_streak=account.longest_loss_streak,
        days=_days(account, today),
        rolling=_rolling(figure, account, today, days, terms),
        undefined=figure.undefined,
    )


def daily_moments(account: Account, today: int) -> Moments | None:
    """Moments of all days to `today`, which counts provisionally; None while equity is unknown."""
    if account.equity is None:
        return None
    if account.returns_from is None:
        return Moments()
    return _days_to(account, today - account.day)


def _rolling(
    figure: Figures, account: Account, today: int, days: Moments | None, terms: Terms
) -> Ratios:
    window = account.window
    if days is not None and days.days:
        first = today + 1 if window.first_day is None else window.first_day
        span = min(today - first + 1, terms.rolling_days, days.days)
        days = _last_days(account, today, span)
    within = Figures("rolling.", figure.undefined)
    reason = figures.NO_STARTING_EQUITY if window.tally.trades else figures.NO_TRADES
    deepest = (window.drawdown(), reason)
    return _ratios(within, window.tally, days, deepest, terms)[0]


def _last_days(account: Account, today: int, span: int) -> Moments:
    idle = today - account.day
    if span <= idle:
        return with_days(Moments(), 0.0, span)
    first = len(account.returns) - (span - idle - 1)
    return _days_to(account, idle, first)


def _days_to(account: Account, idle: int, first: int = 0) -> Moments:
    running = (account.day_return(), account.day_log())
    return account.closed.days((account.returns, account.logs), running, idle, first)


def _ratios(
    figure: Figures,
    tally: Tally,
    days: Moments | None,
    deepest: tuple[float | None, str],
    terms: Terms,
) -> tuple[Ratios, float | None]:
    """The ratios and CAGR. `deepest`: the largest drawdown, and why there is none."""
    max_drawdown = figure.known("max_drawdown", *deepest)
    sharpe = sharpe_stderr = sortino = calmar = cagr = None
    if days is None:
        for name in DAILY:
            figure.known(name, None, figures.NO_STARTING_EQUITY)
    else:
        try:
            sharpe, sharpe_stderr = figures.sharpe_and_stderr(days, terms.basis)
        except Undefined as reason:
            for name in ("sharpe", "sharpe_stderr"):
                figure.known(name, None, str(reason))
        sortino = figure("sortino", figures.sortino, days, terms.basis)
        try:
            cagr = figures.cagr(days, short=terms.short)
            calmar = figure("calmar", figures.calmar, cagr, max_drawdown)
        except Undefined as reason:
            figure.known("calmar", None, str(reason))
    ratios = Ratios(
        trades=tally.trades,
        win_rate=figure("win_rate", figures.win_rate, tally),
        sharpe=sharpe,
        sharpe_stderr=sharpe_stderr,
        sortino=sortino,
        calmar=calmar,
        profit_factor=figure("profit_factor", figures.profit_factor, tally),
        expectancy=figure(
            "expectancy", _mean, tally.total, tally.trades, terms.scale, tally, "trade"
        ),
        sqn=figure("sqn", figures.sqn, tally),
        max_drawdown=max_drawdown,
    )
    return ratios, cagr


def _days(account: Account, today: int) -> int:
    first = account.first_day if account.returns_from is None else account.returns_from
    return 0 if first is None else today - first + 1


def _mean(units: int, count: int, scale: int, tally: Tally, kind: str) -> Decimal:
    if not tally.trades:
        raise Undefined(figures.NO_TRADES)
    if not count:
        raise Undefined(f"no {kind}")
    return mean_money(units, count, scale)


def _fall(equity: int | None, peak: int | None) -> float | None:
    if equity is None or peak is None or peak <= 0:
        return None
    return (peak - equity) / peak

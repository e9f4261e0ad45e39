"""A snapshot decides nothing and changes nothing: it reads one account as of `now`.

Days that passed since the account's last entry count as zero days, so the clock and not the next
trade moves the ratios. An entry later than `now` (a clock that is ahead) counts as of today.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import numpy as np
from msgspec import Struct

from actors.messages import Metrics, Ratios, Risk
from actors.metrics import figures
from actors.metrics.account import Account
from actors.metrics.days import week_of
from actors.metrics.figures import Basis, Returns, Tally, Undefined
from actors.metrics.money import mean_money, micros, money

T = TypeVar("T")


class Terms(Struct, frozen=True):
    """What a snapshot needs beside the account: currency, scale of its units, yearly basis."""

    currency: str
    scale: int
    basis: Basis
    rolling_days: int
    short: bool


class Figures:
    """Computes figures and keeps, for those that do not exist, the reason by name."""

    def __init__(self, prefix: str = "", undefined: dict[str, str] | None = None) -> None:
        self.undefined: dict[str, str] = {} if undefined is None else undefined
        self._prefix = prefix

    def __call__(self, name: str, compute: Callable[[], T]) -> T | None:
        """The figure, or None and its reason under `name`."""
        try:
            return compute()
        except Undefined as reason:
            self.undefined[self._prefix + name] = str(reason)
            return None


def risk(account: Account, scale: int, now: datetime) -> Risk:
    """The few figures that triggers need; O(1)."""
    when = micros(now)
    same_day = when < account.day_end
    same_week = same_day or week_of(account.calendar.day_of(when)) == week_of(account.day)
    equity, peak = account.equity, account.peak
    return Risk(
        trades=account.tally.trades,
        streak=account.streak,
        pnl_total=money(account.tally.total, scale),
        pnl_today=money(account.day_pnl if same_day else 0, scale),
        equity=None if equity is None else money(equity, scale),
        peak_equity=None if peak is None else money(peak, scale),
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
    days = daily_returns(account, today)
    ratios = _ratios(figure, tally, days, lambda: _max_drawdown(account), terms)
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
        equity=figure("equity", lambda: _known(instant.equity)),
        peak_equity=figure("peak_equity", lambda: _known(instant.peak_equity)),
        drawdown=figure("drawdown", lambda: _known_fall(instant.drawdown, account)),
        drawdown_today=figure(
            "drawdown_today", lambda: _known_fall(instant.drawdown_today, account)
        ),
        drawdown_week=figure("drawdown_week", lambda: _known_fall(instant.drawdown_week, account)),
        max_drawdown=ratios.max_drawdown,
        max_drawdown_abs=figure("max_drawdown_abs", lambda: _deepest(account, scale)),
        sharpe=ratios.sharpe,
        sharpe_stderr=ratios.sharpe_stderr,
        sortino=ratios.sortino,
        calmar=ratios.calmar,
        cagr=figure("cagr", lambda: figures.cagr(_some(days), short=terms.short)),
        profit_factor=ratios.profit_factor,
        expectancy=ratios.expectancy,
        sqn=ratios.sqn,
        avg_win=figure("avg_win", lambda: _mean(tally.gross_win, tally.wins, scale, tally, "win")),
        avg_loss=figure(
            "avg_loss", lambda: _mean(-tally.gross_loss, tally.losses, scale, tally, "loss")
        ),
        streak=account.streak,
        longest_win_streak=account.longest_win_streak,
        longest_loss_streak=account.longest_loss_streak,
        days=_days(account, today),
        rolling=_rolling(figure, account, today, days, terms),
        undefined=figure.undefined,
    )


def daily_returns(account: Account, today: int) -> Returns | None:
    """Returns of all days to `today`, which counts provisionally; None while equity is unknown."""
    if account.equity is None:
        return None
    if account.returns_from is None:
        return np.zeros(0)
    idle = np.zeros(max(today - account.day, 0))
    closed = np.array(account.returns, dtype=np.float64)
    return np.concatenate((closed, [account.day_return()], idle))


def _rolling(
    figure: Figures, account: Account, today: int, days: Returns | None, terms: Terms
) -> Ratios:
    window = account.window
    tally = Tally()
    for pnl in window.pnls():
        tally.add(pnl)
    if days is not None:
        first = today + 1 if window.first_day is None else window.first_day
        span = min(today - first + 1, terms.rolling_days, len(days))
        days = days[len(days) - span :]
    within = Figures("rolling.", figure.undefined)
    return _ratios(within, tally, days, lambda: _rolling_drawdown(account), terms)


def _ratios(
    figure: Figures,
    tally: Tally,
    days: Returns | None,
    deepest: Callable[[], float],
    terms: Terms,
) -> Ratios:
    max_drawdown = figure("max_drawdown", deepest)
    basis = terms.basis
    return Ratios(
        trades=tally.trades,
        win_rate=figure("win_rate", lambda: figures.win_rate(tally)),
        sharpe=figure("sharpe", lambda: figures.sharpe(_some(days), basis)),
        sharpe_stderr=figure("sharpe_stderr", lambda: figures.sharpe_stderr(_some(days), basis)),
        sortino=figure("sortino", lambda: figures.sortino(_some(days), basis)),
        calmar=figure(
            "calmar",
            lambda: figures.calmar(figures.cagr(_some(days), short=terms.short), max_drawdown),
        ),
        profit_factor=figure("profit_factor", lambda: figures.profit_factor(tally)),
        expectancy=figure(
            "expectancy", lambda: _mean(tally.total, tally.trades, terms.scale, tally, "trade")
        ),
        sqn=figure("sqn", lambda: figures.sqn(tally)),
        max_drawdown=max_drawdown,
    )


def _max_drawdown(account: Account) -> float:
    return _known_fall(account.max_drawdown, account)


def _rolling_drawdown(account: Account) -> float:
    if not account.window.trades:
        raise Undefined(figures.NO_TRADES)
    deepest = account.window.drawdown()
    if deepest is None:
        raise Undefined(figures.NO_STARTING_EQUITY)
    return deepest


def _deepest(account: Account, scale: int) -> Decimal:
    if account.equity is None:
        raise Undefined(figures.NO_STARTING_EQUITY)
    return money(account.max_drawdown_abs, scale)


def _days(account: Account, today: int) -> int:
    first = account.first_day if account.returns_from is None else account.returns_from
    return 0 if first is None else today - first + 1


def _mean(units: int, count: int, scale: int, tally: Tally, kind: str) -> Decimal:
    if not tally.trades:
        raise Undefined(figures.NO_TRADES)
    if not count:
        raise Undefined(f"no {kind}")
    return mean_money(units, count, scale)


def _some(days: Returns | None) -> Returns:
    if days is None:
        raise Undefined(figures.NO_STARTING_EQUITY)
    return days


def _known(amount: Decimal | None) -> Decimal:
    if amount is None:
        raise Undefined(figures.NO_STARTING_EQUITY)
    return amount


def _fall(equity: int | None, peak: int | None) -> float | None:
    if equity is None or peak is None or peak <= 0:
        return None
    return (peak - equity) / peak


def _known_fall(fall: float | None, account: Account) -> float:
    if fall is None:
        known = account.equity is not None
        raise Undefined(figures.NOT_POSITIVE if known else figures.NO_STARTING_EQUITY)
    return fall

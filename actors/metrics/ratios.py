"""The ratios of one stretch of trades and days: a figure each, or None and in `undefined` why.

All that need the same sums at once, because a snapshot is asked for after every burst of events.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from actors.metrics import figures
from actors.metrics.figures import Basis, Tally, Undefined
from actors.metrics.moments import Moments
from actors.metrics.money import mean_money

OF_SPREAD: Final = ("sharpe", "sharpe_stderr", "sortino")
OF_DAYS: Final = (*OF_SPREAD, "calmar")
OF_TRADES: Final = ("win_rate", "profit_factor", "expectancy", "sqn")


class Terms(Struct, frozen=True):
    """What a snapshot needs beside the account: currency, scale of its units, yearly basis.

    CAGR and Calmar need `growth_days`.
    """

    currency: str
    scale: int
    basis: Basis
    rolling_days: int
    growth_days: int


def of_trades(
    tally: Tally, scale: int, undefined: dict[str, str], prefix: str = ""
) -> tuple[float | None, float | None, Decimal | None, float | None]:
    """Win rate, profit factor, expectancy and SQN."""
    if not tally.trades:
        for name in OF_TRADES:
            undefined[prefix + name] = figures.NO_TRADES
        return None, None, None, None
    factor = sqn = None
    # What often lacks is asked for first: to raise and catch takes longer than any figure
    if tally.gross_loss:
        factor = figures.profit_factor(tally)
    else:
        undefined[prefix + "profit_factor"] = figures.NO_LOSS
    try:
        sqn = figures.sqn(tally)
    except Undefined as reason:
        undefined[prefix + "sqn"] = str(reason)
    return figures.win_rate(tally), factor, mean_money(tally.total, tally.trades, scale), sqn


def averages(
    tally: Tally, scale: int, undefined: dict[str, str]
) -> tuple[Decimal | None, Decimal | None]:
    """The mean win and the mean loss."""
    win = mean_money(tally.gross_win, tally.wins, scale) if tally.wins else None
    loss = mean_money(-tally.gross_loss, tally.losses, scale) if tally.losses else None
    if win is None:
        undefined["avg_win"] = "no win" if tally.trades else figures.NO_TRADES
    if loss is None:
        undefined["avg_loss"] = figures.NO_LOSS if tally.trades else figures.NO_TRADES
    return win, loss


def of_days(
    days: Moments | None,
    max_drawdown: float | None,
    terms: Terms,
    undefined: dict[str, str],
    prefix: str = "",
) -> tuple[float | None, float | None, float | None, float | None, float | None]:
    """Sharpe, its standard error, Sortino, Calmar and CAGR; `days` None: equity is unknown."""
    if days is None:
        for name in OF_DAYS:
            undefined[prefix + name] = figures.NO_STARTING_EQUITY
        return None, None, None, None, None
    sharpe = stderr = sortino = calmar = cagr = None
    count = days.days
    if days.undefined or count < figures.SHARPE_DAYS_MIN:
        why = figures.lacking(days, figures.SHARPE_DAYS_MIN)
        for name in OF_SPREAD:
            undefined[prefix + name] = why
    else:
        try:
            sharpe, stderr = figures.sharpe_and_stderr(days, terms.basis)
        except Undefined as reason:
            undefined[prefix + "sharpe"] = undefined[prefix + "sharpe_stderr"] = str(reason)
        if days.downside / count:
            sortino = figures.sortino(days, terms.basis)
        else:
            undefined[prefix + "sortino"] = figures.NO_LOSING_DAY
    if days.undefined or count < terms.growth_days:
        undefined[prefix + "calmar"] = figures.lacking(days, terms.growth_days)
        return sharpe, stderr, sortino, None, None
    try:
        cagr = figures.growth_rate(days)
        calmar = figures.calmar(cagr, max_drawdown)
    except Undefined as reason:
        undefined[prefix + "calmar"] = str(reason)
    return sharpe, stderr, sortino, calmar, cagr

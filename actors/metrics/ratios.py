"""The ratios of one stretch of trades and days: a figure each, or None and in `undefined` why.

All that need the same sums at once, because a snapshot is asked for after every burst of events.
"""

from __future__ import annotations

from decimal import Decimal
from math import sqrt
from typing import Final, NamedTuple

from msgspec import Struct

from actors.metrics import figures
from actors.metrics.figures import (
    SHARPE_DAYS_MIN,
    Basis,
    Tally,
    Undefined,
    growth_rate,
    lacking,
    sharpe_and_stderr,
    sortino_of,
)
from actors.metrics.moments import Sums
from actors.metrics.money import mean_money

OF_SPREAD: Final = ("sharpe", "sharpe_stderr", "sortino")
OF_DAYS: Final = (*OF_SPREAD, "calmar")
OF_TRADES: Final = ("win_rate", "profit_factor", "expectancy", "sqn")


class Terms(Struct, frozen=True):
    """What a snapshot needs beside the account: currency, scale of its units, yearly basis.

    CAGR and Calmar need `growth_days`, where there are fewer they are undefined as `too_short`.
    """

    currency: str
    scale: int
    basis: Basis
    rolling_days: int
    growth_days: int
    too_short: str


class Measured(NamedTuple):
    """What of some days is not as in the moments of their returns on equity.

    `fixed`: those of returns on a fixed base, None where that is not asked for; `elapsed`: how many
    dates the days cover.
    """

    fixed: Sums | None
    elapsed: int


def of_trades(
    tally: Tally, scale: int, undefined: dict[str, str], prefix: str = ""
) -> tuple[float | None, float | None, Decimal | None, float | None]:
    """Win rate, profit factor, expectancy and SQN, as `figures` defines them.

    To call those takes as long again as to reckon them, so they are written out here.
    """
    trades, won, lost = tally.trades, tally.gross_win, tally.gross_loss
    if not trades:
        for name in OF_TRADES:
            undefined[prefix + name] = figures.NO_TRADES
        return None, None, None, None
    factor = sqn = None
    if lost:
        factor = won / lost
    else:
        undefined[prefix + "profit_factor"] = figures.NO_LOSS
    total = won - lost
    square = total * total
    if spread := trades * tally.squares - square:
        sqn = sqrt(square * (trades - 1) / spread)
        if total < 0:
            sqn = -sqn
    else:
        undefined[prefix + "sqn"] = figures.without_sqn(trades)
    return tally.wins / trades, factor, mean_money(total, trades, scale), sqn


class Averages:
    """The mean win and the mean loss: a trade changes one of them at most, the other is kept."""

    __slots__ = ("_loss", "_lost", "_win", "_won")

    def __init__(self) -> None:
        self._won = self._lost = (0, 0, 0)  # what the means that are kept are made of
        self._win: Decimal | None = None
        self._loss: Decimal | None = None

    def of(
        self, tally: Tally, scale: int, undefined: dict[str, str]
    ) -> tuple[Decimal | None, Decimal | None]:
        """Both, or None and why."""
        wins, losses = tally.wins, tally.losses
        won, lost = (tally.gross_win, wins, scale), (-tally.gross_loss, losses, scale)
        if won != self._won:
            self._won, self._win = won, mean_money(*won) if wins else None
        if lost != self._lost:
            self._lost, self._loss = lost, mean_money(*lost) if losses else None
        if not wins:
            undefined["avg_win"] = "no win" if tally.trades else figures.NO_TRADES
        if not losses:
            undefined["avg_loss"] = figures.NO_LOSS if tally.trades else figures.NO_TRADES
        return self._win, self._loss


# Positional: a keyword takes as long as half of what is reckoned here
def of_days(  # noqa: PLR0917
    days: Sums | None,
    max_drawdown: float | None,
    terms: Terms,
    undefined: dict[str, str],
    prefix: str = "",
    measured: Measured | None = None,
) -> tuple[float | None, float | None, float | None, float | None, float | None]:
    """Sharpe, its standard error, Sortino, Calmar and CAGR; `days` None: equity is unknown.

    `measured` says what of the days is not as in `days`.
    """
    if days is None:
        for name in OF_DAYS:
            undefined[prefix + name] = figures.NO_STARTING_EQUITY
        return None, None, None, None, None
    sharpe = stderr = sortino = calmar = cagr = None
    count, mean, _, _, _, _, _, downside, growth, missing = days
    spread, unknown, elapsed = days, missing, count
    if measured is not None:
        spread, elapsed = measured.fixed or days, measured.elapsed
        _, mean, _, _, _, _, _, downside, _, unknown = spread
    if unknown or count < SHARPE_DAYS_MIN:
        why = lacking(count, unknown, SHARPE_DAYS_MIN, terms.basis.missing)
        for name in OF_SPREAD:
            undefined[prefix + name] = why
    else:
        try:
            sharpe, stderr = sharpe_and_stderr(spread, terms.basis)
        except Undefined as reason:
            undefined[prefix + "sharpe"] = undefined[prefix + "sharpe_stderr"] = str(reason)
        if below := downside / count:
            sortino = sortino_of(mean, below, terms.basis)
        else:
            undefined[prefix + "sortino"] = figures.NO_LOSING_DAY
    if missing or elapsed < terms.growth_days:
        enough = elapsed >= terms.growth_days
        undefined[prefix + "calmar"] = figures.NOT_POSITIVE if enough else terms.too_short
        return sharpe, stderr, sortino, None, None
    try:
        cagr = growth_rate(growth, elapsed)
        calmar = figures.calmar(cagr, max_drawdown)
    except Undefined as reason:
        undefined[prefix + "calmar"] = str(reason)
    return sharpe, stderr, sortino, calmar, cagr

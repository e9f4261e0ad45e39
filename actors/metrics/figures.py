"""Every ratio as a pure function of trades or daily returns: a finite float, or why there is none.

Daily returns are an array of shape (days,) of fractions, one for each calendar day, zero days
included, or its `Moments`; NaN marks a day whose return does not exist because equity was not
positive.
Undefined is never 0, NaN or infinity: the function raises `Undefined` with the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from math import expm1, isfinite, sqrt

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import force_setattr

from actors.metrics.moments import Moments, Sums, moments

CALENDAR_DAYS_PER_YEAR = 365
SHARPE_DAYS_MIN = 2
PART = 1 << 14  # trades that are counted in one step, or Python integers would hold up the loop
CAGR_DAYS_MIN = 30
# A spread below this fraction of the mean is the rounding of equal returns, not risk.
VARIANCE_NOISE = 1e-12

NO_TRADES = "no trades"
NO_LOSING_DAY = "no losing day"
NO_LOSS = "no loss"
NO_STARTING_EQUITY = "no starting equity"
NOT_POSITIVE = "equity not positive"
CAPITAL_NOT_POSITIVE = "capital not positive"
ZERO_VARIANCE = "zero variance"

Returns = npt.NDArray[np.float64]
Days = Returns | Moments


class Undefined(ArithmeticError):
    """A figure that does not exist; the message is the reason shown to the user."""


@dataclass(slots=True)  # whose fields are set in a quarter of the time that a Struct's take
class Tally:
    """Exact sums over closed trades, in scaled units: the same in any order."""

    trades: int = 0
    wins: int = 0
    losses: int = 0
    gross_win: int = 0
    gross_loss: int = 0
    squares: int = 0

    def add(self, pnl: int) -> None:
        """Count one more trade; `gross_loss` is kept positive."""
        self.trades += 1
        self.squares += pnl * pnl
        if pnl > 0:
            self.wins += 1
            self.gross_win += pnl
        elif pnl < 0:
            self.losses += 1
            self.gross_loss -= pnl

    def count(self, pnl: int, sign: int) -> None:
        """Count one trade more (`sign` 1) or less (-1)."""
        self.trades += sign
        self.squares += sign * pnl * pnl
        if pnl > 0:
            self.wins += sign
            self.gross_win += sign * pnl
        elif pnl < 0:
            self.losses += sign
            self.gross_loss -= sign * pnl

    def exchange(self, old: int, new: int) -> None:
        """Count one trade less and another one more."""
        self.squares += new * new - old * old
        if new > 0:
            self.wins += 1
            self.gross_win += new
        elif new < 0:
            self.losses += 1
            self.gross_loss -= new
        if old > 0:
            self.wins -= 1
            self.gross_win -= old
        elif old < 0:
            self.losses -= 1
            self.gross_loss += old

    def count_all(self, pnls: npt.NDArray[np.int64]) -> None:
        """Count many trades; an array of shape (trades,)."""
        for first in range(0, len(pnls), PART):
            self._count_part(pnls[first : first + PART])

    def _count_part(self, pnls: npt.NDArray[np.int64]) -> None:
        largest = max(int(pnls.max()), -int(pnls.min()))
        few = 512  # so many squares, or so many amounts, add up to 64 bits at most
        amounts = pnls if largest * largest * few < 2**63 else pnls.astype(object)
        firsts = np.arange(0, len(pnls), few)
        wins, losses = pnls > 0, pnls < 0
        self.trades += len(pnls)
        self.wins += int(np.count_nonzero(wins))
        self.losses += int(np.count_nonzero(losses))
        self.gross_win += sum(np.add.reduceat(np.where(wins, amounts, 0), firsts).tolist())
        self.gross_loss -= sum(np.add.reduceat(np.where(losses, amounts, 0), firsts).tolist())
        self.squares += sum(np.add.reduceat(amounts * amounts, firsts).tolist())

    def copy(self) -> Tally:
        """The same once more."""
        return replace(self)

    def merge(self, other: Tally, factor: int) -> None:
        """Count all trades of another tally, whose unit is `factor` times as large."""
        self.trades += other.trades
        self.wins += other.wins
        self.losses += other.losses
        self.gross_win += other.gross_win * factor
        self.gross_loss += other.gross_loss * factor
        self.squares += other.squares * factor * factor

    def multiply(self, factor: int) -> None:
        """Go over to a smaller unit."""
        self.squares *= factor * factor
        self.gross_win *= factor
        self.gross_loss *= factor

    @property
    def total(self) -> int:
        """The sum of all P&L."""
        return self.gross_win - self.gross_loss


class Basis(Struct, frozen=True):
    """How returns become yearly: return periods per year, annual risk-free rate, ddof.

    `risk_free_daily` is the return of one period that compounds to the annual one, `root` that of
    the periods. `missing` is why a day may have no return.
    """

    periods: int = 365
    risk_free: float = 0.0
    ddof: int = 1
    missing: str = NOT_POSITIVE
    # What follows from those, once instead of with every ratio
    risk_free_daily: float = 0.0
    root: float = 0.0

    def __post_init__(self) -> None:
        daily = expm1(math.log1p(self.risk_free) / self.periods) if self.risk_free else 0.0
        force_setattr(self, "risk_free_daily", daily)
        force_setattr(self, "root", sqrt(self.periods))


def win_rate(tally: Tally) -> float:
    """Wins / all closed trades, draws among them."""
    if not tally.trades:
        raise Undefined(NO_TRADES)
    return tally.wins / tally.trades


def profit_factor(tally: Tally) -> float:
    """Sum of wins / sum of losses, over trades in currency."""
    if not tally.trades:
        raise Undefined(NO_TRADES)
    if not tally.gross_loss:
        raise Undefined(NO_LOSS)
    return tally.gross_win / tally.gross_loss


def sqn(tally: Tally) -> float:
    """System quality number: sqrt(n) mean / std (ddof 1) of trade P&L (Van Tharp), uncapped.

    Computed as total sqrt((n - 1) / (n squares - total^2)), exact up to the last two steps.
    """
    n, total = tally.trades, tally.gross_win - tally.gross_loss
    square = total * total
    spread = n * tally.squares - square
    if not spread:
        raise Undefined(without_sqn(n))
    root = sqrt(square * (n - 1) / spread)
    return -root if total < 0 else root


def without_sqn(trades: int) -> str:
    """Why trades without spread have no SQN; one has none."""
    if trades < 2:  # noqa: PLR2004
        return "needs 2 trades" if trades else NO_TRADES
    return ZERO_VARIANCE


def sharpe(returns: Days, basis: Basis) -> float:
    """Annualised Sharpe ratio: mean / std of daily excess returns, times sqrt(periods).

    Source: Sharpe (1994), "The Sharpe Ratio".
    """
    return sharpe_and_stderr(_enough(returns, basis), basis)[0]


def sharpe_stderr(returns: Days, basis: Basis) -> float:
    """Standard error of the annualised Sharpe ratio for returns of any skew and kurtosis.

    sqrt((1 + SR^2 / 2 - skew SR + (kurtosis - 3) SR^2 / 4) / n) of the daily SR, with population
    moments, times sqrt(periods). Source: Mertens (2002), "Comments on variance of the IID
    estimator in Lo (2002)".
    """
    return sharpe_and_stderr(_enough(returns, basis), basis)[1]


def _enough(returns: Days, basis: Basis) -> Moments:
    return _complete(returns, max(SHARPE_DAYS_MIN, basis.ddof + 1), basis.missing)


def sharpe_and_stderr(days: Sums, basis: Basis) -> tuple[float, float]:
    """Sharpe ratio and its standard error at once, of two days or more that have a return each."""
    count, mean, second, third, fourth, low, high, _, _, _ = days
    deviation = sqrt(second / (count - basis.ddof))
    largest = high if high > -low else -low  # noqa: FURB136 - a call takes twice as long
    if low == high or deviation <= VARIANCE_NOISE * largest:
        raise Undefined(ZERO_VARIANCE)
    ratio, variance = (mean - basis.risk_free_daily) / deviation, second / count
    skew = third / count / (variance * sqrt(variance))
    kurtosis = fourth / count / (variance * variance)
    square = ratio * ratio
    error = (1.0 + square / 2.0 - skew * ratio + (kurtosis - 3.0) * square / 4.0) / count
    # Never negative but for rounding: kurtosis >= skew^2 + 1 (Pearson)
    return ratio * basis.root, sqrt(error * basis.periods) if error > 0.0 else 0.0


def sortino(returns: Days, basis: Basis) -> float:
    """Annualised Sortino ratio with target 0: mean / sqrt(mean(min(r, 0)^2)) over all n days.

    Source: Sortino and Price (1994); the risk-free rate plays no part.
    """
    days = _complete(returns, SHARPE_DAYS_MIN, basis.missing)
    below = days.downside / days.days
    if not below:
        raise Undefined(NO_LOSING_DAY)
    return sortino_of(days.mean, below, basis)


def sortino_of(mean: float, below: float, basis: Basis) -> float:
    """`sortino` of the mean and the mean square below zero, which is positive."""
    return mean / sqrt(below) * basis.root


def cagr(returns: Days, *, short: bool = False) -> float:
    """Compound annual growth rate: prod(1 + r)^(365 / days) - 1, days being calendar days.

    Without flows the product is last equity / starting equity. Below 30 days only with `short`.
    """
    days = _complete(returns, 1 if short else CAGR_DAYS_MIN)
    return growth_rate(days.growth, days.days)


def growth_rate(growth: float, days: int) -> float:
    """`cagr` of the sum of log(1 + return), of however few days."""
    try:
        return expm1(growth * (CALENDAR_DAYS_PER_YEAR / days))
    except OverflowError:
        raise Undefined("too short to annualise") from None


def calmar(growth: float, max_drawdown: float | None) -> float:
    """CAGR / largest drawdown (a positive fraction). Source: Young (1991)."""
    if max_drawdown is None:
        raise Undefined(NOT_POSITIVE)
    if not max_drawdown:
        raise Undefined("no drawdown")
    ratio = growth / max_drawdown
    if not isfinite(ratio):
        raise Undefined("too short to annualise")
    return ratio


def lacking(days: int, undefined: int, least: int, missing: str = NOT_POSITIVE) -> str:
    """Why so many days are not `least` days with a return each, "" where they are."""
    if days < least:
        return needs(least)
    return missing if undefined else ""


def needs(days: int) -> str:
    """Why fewer days are too few."""
    return f"needs {days} day{'s' if days > 1 else ''}"


def _complete(returns: Days, least: int, missing: str = NOT_POSITIVE) -> Moments:
    """The moments of days that are enough, and have a return each."""
    days = returns if isinstance(returns, Moments) else moments(returns)
    if reason := lacking(days.days, days.undefined, least, missing):
        raise Undefined(reason)
    return days

"""Every ratio as a pure function of trades or daily returns: a finite float, or why there is none.

Daily returns are an array of shape (days,) of fractions, one for each calendar day, zero days
included; NaN marks a day whose return does not exist because equity was not positive.
Undefined is never 0, NaN or infinity: the function raises `Undefined` with the reason.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from msgspec import Struct

CALENDAR_DAYS_PER_YEAR = 365
SHARPE_DAYS_MIN = 2
CAGR_DAYS_MIN = 30
# A spread below this fraction of the mean is the rounding of equal returns, not risk.
VARIANCE_NOISE = 1e-12

NO_TRADES = "no trades"
NO_LOSS = "no loss"
NO_STARTING_EQUITY = "no starting equity"
NOT_POSITIVE = "equity not positive"
ZERO_VARIANCE = "zero variance"

Returns = npt.NDArray[np.float64]


class Undefined(ArithmeticError):
    """A figure that does not exist; the message is the reason shown to the user."""


class Tally(Struct):
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

    @property
    def total(self) -> int:
        """The sum of all P&L."""
        return self.gross_win - self.gross_loss


class Basis(Struct, frozen=True):
    """How returns become yearly: return periods per year, annual risk-free rate, ddof."""

    periods: int = 365
    risk_free: float = 0.0
    ddof: int = 1

    @property
    def risk_free_daily(self) -> float:
        """The risk-free return of one period, compounding to the annual one."""
        return float(math.expm1(math.log1p(self.risk_free) / self.periods))


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
    n, total = tally.trades, tally.total
    if not n:
        raise Undefined(NO_TRADES)
    if n < 2:  # noqa: PLR2004
        raise Undefined("needs 2 trades")
    spread = n * tally.squares - total * total
    if not spread:
        raise Undefined(ZERO_VARIANCE)
    return math.copysign(math.sqrt(total * total * (n - 1) / spread), total)


def sharpe(returns: Returns, basis: Basis) -> float:
    """Annualised Sharpe ratio: mean / std of daily excess returns, times sqrt(periods).

    Source: Sharpe (1994), "The Sharpe Ratio".
    """
    return _daily_sharpe(returns, basis) * math.sqrt(basis.periods)


def sharpe_stderr(returns: Returns, basis: Basis) -> float:
    """Standard error of the annualised Sharpe ratio for returns of any skew and kurtosis.

    sqrt((1 + SR^2 / 2 - skew SR + (kurtosis - 3) SR^2 / 4) / n) of the daily SR, with population
    moments, times sqrt(periods). Source: Mertens (2002), "Comments on variance of the IID
    estimator in Lo (2002)".
    """
    ratio = _daily_sharpe(returns, basis)
    centred = returns - returns.mean()
    unit = centred / math.sqrt(float((centred * centred).mean()))
    square = unit * unit
    skew = float((square * unit).mean())
    kurtosis = float((square * square).mean())
    error = (1 + ratio**2 / 2 - skew * ratio + (kurtosis - 3) * ratio**2 / 4) / len(returns)
    # Never negative but for rounding: kurtosis >= skew^2 + 1 (Pearson)
    return math.sqrt(max(error, 0.0) * basis.periods)


def _daily_sharpe(returns: Returns, basis: Basis) -> float:
    _require_days(returns, max(SHARPE_DAYS_MIN, basis.ddof + 1))
    excess = returns - basis.risk_free_daily
    mean = float(excess.mean())
    deviation = float(excess.std(ddof=basis.ddof))
    level = float(np.abs(returns).max())
    if returns.min() == returns.max() or deviation <= VARIANCE_NOISE * level:
        raise Undefined(ZERO_VARIANCE)
    return mean / deviation


def sortino(returns: Returns, basis: Basis) -> float:
    """Annualised Sortino ratio with target 0: mean / sqrt(mean(min(r, 0)^2)) over all n days.

    Source: Sortino and Price (1994); the risk-free rate plays no part.
    """
    _require_days(returns, SHARPE_DAYS_MIN)
    downside = np.minimum(returns, 0.0)
    deviation = math.sqrt(float((downside * downside).mean()))
    if not deviation:
        raise Undefined("no losing day")
    return float(returns.mean()) / deviation * math.sqrt(basis.periods)


def cagr(returns: Returns, *, short: bool = False) -> float:
    """Compound annual growth rate: prod(1 + r)^(365 / days) - 1, days being calendar days.

    Without flows the product is last equity / starting equity. Below 30 days only with `short`.
    """
    _require_days(returns, 1 if short else CAGR_DAYS_MIN)
    growth = float(np.log1p(returns).sum())
    try:
        return math.expm1(growth * (CALENDAR_DAYS_PER_YEAR / len(returns)))
    except OverflowError:
        raise Undefined("too short to annualise") from None


def calmar(growth: float, max_drawdown: float | None) -> float:
    """CAGR / largest drawdown (a positive fraction). Source: Young (1991)."""
    if max_drawdown is None:
        raise Undefined(NOT_POSITIVE)
    if not max_drawdown:
        raise Undefined("no drawdown")
    ratio = growth / max_drawdown
    if not math.isfinite(ratio):
        raise Undefined("too short to annualise")
    return ratio


def _require_days(returns: Returns, days: int) -> None:
    if len(returns) < days:
        raise Undefined(f"needs {days} day{'s' if days > 1 else ''}")
    if np.isnan(returns).any():
        raise Undefined(NOT_POSITIVE)

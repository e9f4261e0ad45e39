"""NautilusTrader's portfolio statistics: UTC days *with* trades only, 252 of them a year.

Source: nautilus_trader (develop, 2026), crates/analysis/src/statistics. A return there is one of a
closed position; here it is the trade's P&L / the account's equity before it, and trades of one
instant are one return, as in their map. Returns of one UTC day are compounded (1.221 and before
added them). A spread below the machine's epsilon counts as none.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from actors.metrics.arrays import Floats, Ints
from actors.metrics.families.record import Record

SOURCE = "nautilus_trader (develop, 2026): crates/analysis/src/statistics"
PERIODS = 252
EPSILON = sys.float_info.epsilon
DAY_MICROSECONDS = 86_400_000_000
# Those that no equity has a say in
OF_PNL = frozenset(
    {
        "win_rate",
        "expectancy",
        "winner_avg",
        "winner_max",
        "winner_min",
        "loser_avg",
        "loser_max",
        "loser_min",
    }
)


def by_instant(closed: Ints, returns: Floats) -> tuple[Ints, Floats]:
    """One return for each instant: those of the same instant added up."""
    instants, place = np.unique(closed, return_inverse=True)
    totals = np.bincount(place, weights=returns, minlength=len(instants))
    return instants, totals.astype(np.float64)


def by_day(instants: Ints, returns: Floats) -> Floats:
    """One return for each UTC day that has any, compounded; `instants` in ascending order."""
    if not len(instants):
        return returns
    first = np.unique(instants // DAY_MICROSECONDS, return_index=True)[1]
    return np.asarray(np.multiply.reduceat(1.0 + returns, first) - 1.0, dtype=np.float64)


def sharpe(days: Floats, periods: int = PERIODS) -> float:
    """Mean / standard deviation (ddof 1), x sqrt(periods)."""
    return risk_return_ratio(days) * math.sqrt(periods)


def risk_return_ratio(returns: Floats) -> float:
    """Mean / standard deviation (ddof 1)."""
    deviation = _deviation(returns)
    return float(returns.mean()) / deviation if deviation >= EPSILON else math.nan


def sortino(days: Floats, periods: int = PERIODS) -> float:
    """Mean / sqrt(mean(min(r, 0)^2)) over all n, x sqrt(periods)."""
    if len(days) < 2:  # noqa: PLR2004
        return math.nan
    below = np.minimum(days, 0.0)
    downside = math.sqrt(float((below * below).mean()))
    return math.nan if downside < EPSILON else float(days.mean()) / downside * math.sqrt(periods)


def returns_volatility(days: Floats, periods: int = PERIODS) -> float:
    """Standard deviation (ddof 1) x sqrt(periods)."""
    return _deviation(days) * math.sqrt(periods)


def cagr(days: Floats, periods: int = PERIODS) -> float:
    """(product of 1 + r)^(periods / days with trades) - 1."""
    if not len(days):
        return 0.0
    value = np.float64(np.prod(1.0 + days))
    with np.errstate(over="ignore"):
        growth = math.nan if value < 0 else float(value ** (periods / len(days)) - 1.0)
    return growth if math.isfinite(growth) else math.nan


def max_drawdown(returns: Floats) -> float:
    """The deepest fall from the running peak, which starts at 1: negative or 0."""
    value = np.cumprod(1.0 + returns)
    peak = np.maximum.accumulate(np.concatenate(([1.0], value)))[1:]
    return -float(((peak - value) / peak).max(initial=0.0))


def calmar(days: Floats, returns: Floats, periods: int = PERIODS) -> float:
    """`cagr` / the deepest drawdown; NaN without one."""
    deepest = abs(max_drawdown(returns))
    return cagr(days, periods) / deepest if deepest >= EPSILON else math.nan


def returns_skewness(days: Floats) -> float:
    """Adjusted Fisher-Pearson skewness of at least 3 returns."""
    n, deviation = len(days), _deviation(days)
    if n < 3 or not deviation >= EPSILON:  # noqa: PLR2004
        return math.nan
    unit = (days - days.mean()) / deviation
    return n / ((n - 1) * (n - 2)) * float((unit**3).sum())


def returns_kurtosis(days: Floats) -> float:
    """Adjusted Fisher-Pearson excess kurtosis of at least 4 returns."""
    n, deviation = len(days), _deviation(days)
    if n < 4 or not deviation >= EPSILON:  # noqa: PLR2004
        return math.nan
    unit = (days - days.mean()) / deviation
    spread = n * (n + 1) / ((n - 1) * (n - 2) * (n - 3)) * float((unit**4).sum())
    return spread - 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))


def profit_factor(returns: Floats) -> float:
    """Sum of the positive / sum of the negative returns; NaN without a negative one."""
    lost = abs(float(returns[returns < 0].sum()))
    return float(returns[returns >= 0].sum()) / lost if lost else math.nan


def returns_avg(returns: Floats) -> float:
    """Mean return."""
    return _mean(returns)


def returns_avg_win(returns: Floats) -> float:
    """Mean of the positive returns."""
    return _mean(returns[returns > 0])


def returns_avg_loss(returns: Floats) -> float:
    """Mean of the negative returns."""
    return _mean(returns[returns < 0])


def win_rate(pnl: Floats) -> float:
    """Winning trades / all; 0 without any."""
    return int((pnl > 0).sum()) / len(pnl) if len(pnl) else 0.0


def expectancy(pnl: Floats) -> float:
    """Average winner x win rate + average loser x (1 - win rate); a break-even is a loser."""
    wins = win_rate(pnl)
    return winner_avg(pnl) * wins + _mean_or_0(pnl[pnl <= 0]) * (1 - wins)


def winner_avg(pnl: Floats) -> float:
    """Mean P&L of the winners; 0 without any."""
    return _mean_or_0(pnl[pnl > 0])


def winner_max(pnl: Floats) -> float:
    """The largest winner; NaN without any."""
    winners = pnl[pnl > 0]
    return float(winners.max()) if len(winners) else math.nan


def winner_min(pnl: Floats) -> float:
    """The smallest winner; 0 without any."""
    winners = pnl[pnl > 0]
    return float(winners.min()) if len(winners) else 0.0


def loser_avg(pnl: Floats) -> float:
    """Mean P&L of the trades that did not win, break-evens among them; 0 without any."""
    return _mean_or_0(pnl[pnl <= 0])


def loser_max(pnl: Floats) -> float:
    """The largest loser, negative; NaN without any."""
    losers = pnl[pnl < 0]
    return float(losers.min()) if len(losers) else math.nan


def loser_min(pnl: Floats) -> float:
    """The smallest loser, negative or a break-even; 0 without any."""
    losers = pnl[pnl <= 0]
    return float(losers.max()) if len(losers) else 0.0


def figures(record: Record) -> dict[str, float]:
    """Every figure, by NautilusTrader's names."""
    with np.errstate(divide="ignore", invalid="ignore"):
        fractions = record.pnl / np.where(record.before > 0, record.before, np.nan)
    instants, returns = by_instant(record.closed, fractions)
    days, pnl = by_day(instants, returns), record.pnl
    return {
        "sharpe": sharpe(days),
        "sortino": sortino(days),
        "calmar": calmar(days, returns),
        "cagr": cagr(days),
        "max_drawdown": max_drawdown(returns),
        "returns_volatility": returns_volatility(days),
        "risk_return_ratio": risk_return_ratio(returns),
        "returns_skewness": returns_skewness(days),
        "returns_kurtosis": returns_kurtosis(days),
        "returns_avg": returns_avg(returns),
        "returns_avg_win": returns_avg_win(returns),
        "returns_avg_loss": returns_avg_loss(returns),
        "profit_factor": profit_factor(returns),
        "win_rate": win_rate(pnl),
        "expectancy": expectancy(pnl),
        "winner_avg": winner_avg(pnl),
        "winner_max": winner_max(pnl),
        "winner_min": winner_min(pnl),
        "loser_avg": loser_avg(pnl),
        "loser_max": loser_max(pnl),
        "loser_min": loser_min(pnl),
    }


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _mean_or_0(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0


def _deviation(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan

"""quantstats' figures of daily returns: 252 days a year, win rate and profit factor of *days*.

Source: quantstats 0.0.86, quantstats/stats.py. Returns are an array of shape (days,) of fractions.
Not taken over: quantstats reads a series without a loss and with a gain above 100 % as prices.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from actors.metrics.arrays import Floats
from actors.metrics.families.record import Record

SOURCE = "quantstats 0.0.86: quantstats/stats.py"
PERIODS = 252
CONFIDENCE = 0.95
_NORMAL = NormalDist()


def sharpe(returns: Floats, risk_free: float = 0.0, periods: int = PERIODS) -> float:
    """Mean / standard deviation (ddof 1) of the excess over an *annual* rate, x sqrt(periods)."""
    excess = returns - _per_period(risk_free, periods)
    return _quotient(_mean(excess), _deviation(excess)) * math.sqrt(periods)


def sortino(returns: Floats, risk_free: float = 0.0, periods: int = PERIODS) -> float:
    """Mean excess / sqrt(mean(min(r, 0)^2)) over all n, x sqrt(periods); NaN without a fall."""
    excess = returns - _per_period(risk_free, periods)
    below = np.minimum(excess, 0.0)
    downside = math.sqrt(_mean(below * below)) if len(below) else math.nan
    return _mean(excess) / downside * math.sqrt(periods) if downside else math.nan


def cagr(returns: Floats, periods: int = PERIODS) -> float:
    """Growth a year, compounded: (product of 1 + r)^(periods / n) - 1; NaN below 0."""
    if not len(returns):
        return math.nan
    value = np.float64(np.prod(1.0 + returns))
    with np.errstate(over="ignore"):
        return math.nan if value < 0 else float(value ** (periods / len(returns)) - 1.0)


def max_drawdown(returns: Floats) -> float:
    """The deepest fall from the running peak, the start included: negative or 0."""
    value = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    return float((value / np.maximum.accumulate(value)).min()) - 1.0


def calmar(returns: Floats, periods: int = PERIODS) -> float:
    """`cagr` / the deepest drawdown; infinite without one."""
    return _quotient(cagr(returns, periods), abs(max_drawdown(returns)))


def win_rate(returns: Floats) -> float:
    """Winning days / days that are not 0; 0 without any."""
    moving = int((returns != 0).sum())
    return int((returns > 0).sum()) / moving if moving else 0.0


def profit_factor(returns: Floats) -> float:
    """Sum of winning / sum of losing days; without a losing day infinite, without any win 0."""
    won, lost = float(returns[returns >= 0].sum()), abs(float(returns[returns < 0].sum()))
    if not lost:
        return math.inf if won else 0.0
    return won / lost


def avg_win(returns: Floats) -> float:
    """Mean of the winning days."""
    return _mean(returns[returns > 0])


def avg_loss(returns: Floats) -> float:
    """Mean of the losing days, negative."""
    return _mean(returns[returns < 0])


def payoff_ratio(returns: Floats) -> float:
    """Mean winning day / mean losing day; NaN without a loss."""
    return avg_win(returns) / abs(avg_loss(returns))


def volatility(returns: Floats, periods: int = PERIODS) -> float:
    """Standard deviation (ddof 1) x sqrt(periods)."""
    return _deviation(returns) * math.sqrt(periods)


def value_at_risk(returns: Floats) -> float:
    """5 % quantile of the normal distribution with the returns' mean and deviation, if any."""
    deviation = _deviation(returns)
    if not deviation:
        return math.nan
    return _mean(returns) + deviation * _NORMAL.inv_cdf(1 - CONFIDENCE)


def expected_shortfall(returns: Floats) -> float:
    """Mean of the worst 5 % of that normal distribution (their conditional value at risk)."""
    tail = 1 - CONFIDENCE
    mean, deviation = _mean(returns), _deviation(returns)
    if not deviation or math.isnan(deviation):
        return mean
    return mean - deviation * _NORMAL.pdf(_NORMAL.inv_cdf(tail)) / tail


def figures(record: Record) -> dict[str, float]:
    """Every figure, of the default daily returns, by quantstats' names."""
    days = record.days
    return {
        "sharpe": sharpe(days),
        "sortino": sortino(days),
        "calmar": calmar(days),
        "cagr": cagr(days),
        "max_drawdown": max_drawdown(days),
        "volatility": volatility(days),
        "win_rate": win_rate(days),
        "profit_factor": profit_factor(days),
        "payoff_ratio": payoff_ratio(days),
        "avg_win": avg_win(days),
        "avg_loss": avg_loss(days),
        "value_at_risk": value_at_risk(days),
        "expected_shortfall": expected_shortfall(days),
    }


def _per_period(risk_free: float, periods: int) -> float:
    return float((1 + risk_free) ** (1 / periods) - 1) if risk_free else 0.0


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _deviation(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else math.nan


def _quotient(over: float, under: float) -> float:
    """Floating-point division: infinite over 0, NaN for 0 / 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(over) / np.float64(under))

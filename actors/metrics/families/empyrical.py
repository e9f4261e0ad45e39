"""empyrical's figures of daily returns: 252 days a year, drawdowns negative, NaN where undefined.

Source: empyrical-reloaded 0.7.1, empyrical/stats.py. Returns are an array of shape (periods,) of
fractions; a NaN is a period without a value, which is left out of means and counts as 0 in growth.
`periods` a year: 252 days, 52 weeks, 12 months, 1 year.
"""

from __future__ import annotations

import math

import numpy as np

from actors.metrics.arrays import Floats
from actors.metrics.families.record import Record

SOURCE = "empyrical-reloaded 0.7.1: empyrical/stats.py"
PERIODS = 252


def cum_returns(returns: Floats) -> Floats:
    """Growth since the start after each period, as a fraction."""
    growth = np.cumprod(1.0 + np.where(np.isnan(returns), 0.0, returns))
    return np.asarray(growth - 1.0, dtype=np.float64)


def cum_returns_final(returns: Floats) -> float:
    """Growth over all periods, as a fraction; NaN without any."""
    return float(np.nanprod(1.0 + returns)) - 1.0 if len(returns) else math.nan


def max_drawdown(returns: Floats) -> float:
    """The deepest fall from the running peak, the start included: negative or 0."""
    if not len(returns):
        return math.nan
    value = np.concatenate(([1.0], 1.0 + cum_returns(returns)))
    peak = np.fmax.accumulate(value)
    return float(np.nanmin(((value - peak) / peak)[1:]))


def annual_return(returns: Floats, periods: int = PERIODS) -> float:
    """Growth a year, compounded (their CAGR): (1 + growth)^(periods / n) - 1."""
    if not len(returns):
        return math.nan
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.float64(1.0 + cum_returns_final(returns)) ** (periods / len(returns)) - 1)


def annual_volatility(returns: Floats, periods: int = PERIODS) -> float:
    """Standard deviation (ddof 1) x sqrt(periods)."""
    return _deviation(returns) * math.sqrt(periods)


def sharpe(returns: Floats, risk_free: float | Floats = 0.0, periods: int = PERIODS) -> float:
    """Mean / standard deviation (ddof 1) of the excess over a rate per period, x sqrt(periods)."""
    if len(returns) < 2:  # noqa: PLR2004
        return math.nan
    excess = returns - risk_free
    return _quotient(_mean(excess), _deviation(excess)) * math.sqrt(periods)


def downside_risk(returns: Floats, required: float | Floats = 0.0, periods: int = PERIODS) -> float:
    """sqrt(mean(min(r - required, 0)^2)) over all n, x sqrt(periods)."""
    below = np.minimum(returns - required, 0.0)
    return math.sqrt(_mean(below * below)) * math.sqrt(periods)


def sortino(returns: Floats, required: float | Floats = 0.0, periods: int = PERIODS) -> float:
    """Mean excess over the required return a year / `downside_risk`; infinite without a fall."""
    if len(returns) < 2:  # noqa: PLR2004
        return math.nan
    return _quotient(_mean(returns - required) * periods, downside_risk(returns, required, periods))


def calmar(returns: Floats, periods: int = PERIODS) -> float:
    """`annual_return` / the deepest drawdown; NaN without one."""
    deepest = max_drawdown(returns)
    if not deepest < 0:
        return math.nan
    ratio = annual_return(returns, periods) / abs(deepest)
    return math.nan if math.isinf(ratio) else ratio


def omega(
    returns: Floats,
    risk_free: float | Floats = 0.0,
    required: float = 0.0,
    periods: int = PERIODS,
) -> float:
    """Sum of gains / sum of losses about an annual required return; NaN without a loss."""
    if len(returns) < 2 or required <= -1:  # noqa: PLR2004
        return math.nan
    excess = returns - risk_free - ((1 + required) ** (1 / periods) - 1)
    lost = -float(excess[excess < 0].sum())
    return float(excess[excess > 0].sum()) / lost if lost > 0 else math.nan


def stability(returns: Floats) -> float:
    """R^2 of a line through the cumulative log returns."""
    known = returns[~np.isnan(returns)]
    if len(returns) < 2 or not len(known):  # noqa: PLR2004
        return math.nan
    growth = np.cumsum(np.log1p(known))
    time = np.arange(len(growth), dtype=np.float64)
    growth, time = growth - growth.mean(), time - time.mean()
    shared = float(growth @ time)
    return _quotient(shared * shared, float(growth @ growth) * float(time @ time))


def tail_ratio(returns: Floats) -> float:
    """|95th percentile| / |5th percentile|, interpolated linearly."""
    known = returns[~np.isnan(returns)]
    if not len(known):
        return math.nan
    low, high = np.percentile(known, (5, 95))
    return _quotient(abs(float(high)), abs(float(low)))


def figures(record: Record) -> dict[str, float]:
    """Every figure, of the default daily returns, by empyrical's names."""
    days = record.days
    return {
        "sharpe": sharpe(days),
        "sortino": sortino(days),
        "calmar": calmar(days),
        "cagr": annual_return(days),
        "max_drawdown": max_drawdown(days),
        "annual_volatility": annual_volatility(days),
        "downside_risk": downside_risk(days) if len(days) else math.nan,
        "omega": omega(days),
        "stability": stability(days),
        "tail_ratio": tail_ratio(days),
        "cum_returns_final": cum_returns_final(days),
    }


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _deviation(values: Floats) -> float:
    known = values[~np.isnan(values)]
    if len(known) < 2:  # noqa: PLR2004
        return math.nan
    return 0.0 if known.min() == known.max() else float(known.std(ddof=1))


def _quotient(over: float, under: float) -> float:
    """Floating-point division: infinite over 0, NaN for 0 / 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(over) / np.float64(under))

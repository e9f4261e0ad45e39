"""Risk, time and precision of an account as pure functions: a finite figure, or why there is none.

Daily returns are as in actors.metrics.figures; instants are microseconds since 1970, durations
seconds. `Undefined` carries the reason.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from actors.metrics.arrays import Flags, Floats, Ints
from actors.metrics.figures import NO_TRADES, ZERO_VARIANCE, Basis, Returns, Undefined

CONFIDENCE = 0.95
TAIL_DAYS_MIN = 20
MICROSECONDS = 1e6


class Drawdowns(Struct, frozen=True):
    """How long equity was below its peak: now (0 at the peak), and at the longest, in seconds."""

    current_s: float
    longest_s: float


def value_at_risk(returns: Returns, basis: Basis) -> float:
    """The loss that 5 % of the days reached or exceeded: a positive fraction of their base.

    Historical, without interpolation: minus the k-th smallest return, k = 5 % of the days rounded
    up (the inverse of the empirical distribution, type 1 of Hyndman and Fan 1996). Negative where
    even those days won.
    """
    return 0.0 - float(_tail(returns, basis)[-1])  # never -0.0


def expected_shortfall(returns: Returns, basis: Basis) -> float:
    """The mean loss of those k worst days: a positive fraction of their base.

    Source: Acerbi and Tasche (2002), "On the coherence of expected shortfall".
    """
    return 0.0 - float(_tail(returns, basis).mean())


def drawdown_durations(when: Ints, high: Flags, now: int) -> Drawdowns:
    """Times from a peak's last instant to its recovery, or to `now` while there is none.

    `high`: after which of the events at `when` equity was at its peak, which is that of
    `max_drawdown`.
    """
    if not len(when):
        return Drawdowns(0.0, 0.0)
    at_peak = np.flatnonzero(high)
    ends = np.concatenate((when[:1], when[at_peak]))
    gaps = np.diff(ends)
    # a stretch between neighbouring peaks was no drawdown, however long
    below = np.diff(np.concatenate(([-1], at_peak))) > 1
    longest = int(gaps[below].max(initial=0))
    under = len(at_peak) == 0 or at_peak[-1] != len(when) - 1
    current = max(now, int(when[-1])) - int(ends[-1]) if under else 0
    return Drawdowns(current / MICROSECONDS, max(longest, current) / MICROSECONDS)


def exposure(opened: Ints, closed: Ints, now: int) -> float:
    """The share of the time from the first opening to `now` in which a trade was open.

    Of closed trades: a position that is still open counts once it is closed.
    """
    if not len(opened):
        raise Undefined(NO_TRADES)
    order = np.argsort(opened, kind="stable")
    begun, ended = opened[order], np.maximum.accumulate(closed[order])
    reached = np.concatenate((begun[:1], ended[:-1]))
    inside = int(np.maximum(ended - np.maximum(begun, reached), 0).sum())
    whole = max(now, int(ended[-1])) - int(begun[0])
    if not whole:
        raise Undefined("no time has passed")
    return inside / whole


def holding(opened: Ints, closed: Ints) -> float:
    """Mean time from opening to closing, in seconds."""
    if not len(opened):
        raise Undefined(NO_TRADES)
    return float((closed - opened).mean()) / MICROSECONDS


def r_multiples(pnl: Floats, risk: Floats) -> Floats:
    """P&L / amount at stake of the trades that told it. Source: Tharp (1998)."""
    told = ~np.isnan(risk)
    return np.asarray(pnl[told] / risk[told], dtype=np.float64)


# ---------------------------------------------------------------- standard errors


def win_rate_stderr(wins: int, trades: int) -> float:
    """sqrt(p (1 - p) / n)."""
    if not trades:
        raise Undefined(NO_TRADES)
    rate = wins / trades
    return math.sqrt(rate * (1 - rate) / trades)


def expectancy_stderr(pnl: Floats) -> float:
    """Standard deviation (ddof 1) of the trades' P&L / sqrt(n), in currency."""
    _require_trades(pnl)
    return float(pnl.std(ddof=1)) / math.sqrt(len(pnl))


def sqn_stderr(sqn: float, trades: int) -> float:
    """sqrt(1 + SQN^2 / (2 n)): SQN is Student's t of the mean trade, here for normal P&L."""
    return math.sqrt(1 + sqn * sqn / (2 * trades))


def profit_factor_stderr(pnl: Floats) -> float:
    """Delta method: the factor is mean(max(p, 0)) / mean(max(-p, 0)) of n trades."""
    _require_trades(pnl)
    lost = np.maximum(-pnl, 0.0)
    if not lost.any():
        raise Undefined("no loss")
    return _ratio_stderr(np.maximum(pnl, 0.0), lost, 1.0)


def sortino_stderr(returns: Returns, basis: Basis) -> float:
    """Delta method for mean(r) / sqrt(mean(min(r, 0)^2)) of n days, times sqrt(periods)."""
    _require_days(returns, 2, basis)
    below = np.minimum(returns, 0.0) ** 2
    if not below.any():
        raise Undefined("no losing day")
    return _ratio_stderr(returns, below, 0.5) * basis.root


def _ratio_stderr(over: Floats, under: Floats, power: float) -> float:
    """Standard error of mean(over) / mean(under)^power, by the delta method."""
    top, bottom = float(over.mean()), float(under.mean())
    spread = np.cov(over, under, ddof=1)
    slope = np.array([bottom**-power, -power * top * bottom ** (-power - 1)])
    return math.sqrt(max(float(slope @ spread @ slope), 0.0) / len(over))


def _tail(returns: Returns, basis: Basis) -> Returns:
    _require_days(returns, TAIL_DAYS_MIN, basis)
    # 0.05 n in integers, because 1 - 0.95 is not 0.05
    worst = -(-len(returns) * round((1 - CONFIDENCE) * 100) // 100)
    return np.sort(returns)[:worst]


def _require_days(returns: Returns, days: int, basis: Basis) -> None:
    if len(returns) < days:
        raise Undefined(f"needs {days} days")
    if np.isnan(returns).any():
        raise Undefined(basis.missing)


def _require_trades(pnl: Floats) -> None:
    if not len(pnl):
        raise Undefined(NO_TRADES)
    if len(pnl) < 2:  # noqa: PLR2004
        raise Undefined("needs 2 trades")
    if pnl.min() == pnl.max():
        raise Undefined(ZERO_VARIANCE)

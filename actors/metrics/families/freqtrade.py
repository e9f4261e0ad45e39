"""freqtrade's figures exactly as its page shows them, its -100 for "not optimal" included.

Source: freqtrade 2026.9, freqtrade/data/metrics.py and the figures of `GET /profit` in
freqtrade/rpc/rpc.py. A trade's profit is `profit_abs` / starting balance whatever the equity had
become; the days are whole days between the first and the last *opening*, at least 1, so all
ratios explode within one day. Infinity stands where freqtrade gives infinity.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from actors.metrics.arrays import Floats
from actors.metrics.families.record import Record

SOURCE = "freqtrade 2026.9: data/metrics.py, rpc/rpc.py (/profit)"
PERIODS = 365
NOT_OPTIMAL = -100.0
DAY_MICROSECONDS = 86_400_000_000


class Drawdown(Struct, frozen=True):
    """A fall from a peak that starts at the starting balance: amount, and fraction of the peak.

    `high` and `low` are the places of the peak and of the bottom: trades counted from 1, 0 the
    start.
    """

    amount: float
    fraction: float
    high: int
    low: int


def days_between(first: int, last: int) -> int:
    """Whole days between two instants in microseconds, at least 1."""
    return max(1, (last - first) // DAY_MICROSECONDS)


def sharpe(pnl: Floats, days: int, starting: float) -> float:
    """(sum of profit / days) / population deviation of the trades' profit, x sqrt(365)."""
    profit = pnl / starting
    return _annualised(float(profit.sum()) / days, float(np.std(profit)))


def sortino(pnl: Floats, days: int, starting: float) -> float:
    """As `sharpe`, over the population deviation of the losing trades alone."""
    losing = pnl[pnl < 0] / starting
    deviation = float(np.std(losing)) if len(losing) else math.nan
    return _annualised(float((pnl / starting).sum()) / days, deviation)


def calmar(pnl: Floats, days: int, starting: float) -> float:
    """Daily profit in percent x sqrt(365) / the fraction of the largest *absolute* drawdown."""
    percent = float(pnl.sum()) / starting / days * 100
    return _annualised(percent, max_drawdown(pnl, starting).fraction)


def cagr(starting: float, final: float, days: int) -> float:
    """(final / starting)^(365 / days) - 1; 0 where that has no real value or overflows."""
    if final < 0 or starting <= 0 or days <= 0:
        return 0.0
    try:
        return float((final / starting) ** (1 / (days / PERIODS)) - 1)
    except OverflowError:
        return 0.0


def sqn(pnl: Floats, starting: float) -> float:
    """sqrt(n) mean / deviation (ddof 1), rounded to 4 decimals."""
    if not len(pnl):
        return 0.0
    profit = pnl / starting
    deviation = float(profit.std(ddof=1)) if len(pnl) > 1 else math.nan
    if not deviation or math.isnan(deviation):
        return NOT_OPTIMAL
    return round(math.sqrt(len(pnl)) * (float(profit.mean()) / deviation), 4)


def expectancy(pnl: Floats) -> tuple[float, float]:
    """Expectancy in currency, and its ratio (1 + average win / average loss) x win rate - 1.

    Without trades 0 and 100, without a loss the ratio is 100.
    """
    if not len(pnl):
        return 0.0, 100.0
    wins, losses = pnl[pnl > 0], pnl[pnl < 0]
    win_rate, loss_rate = len(wins) / len(pnl), len(losses) / len(pnl)
    average_win = float(wins.sum()) / len(wins) if len(wins) else 0.0
    average_loss = abs(float(losses.sum())) / len(losses) if len(losses) else 0.0
    amount = win_rate * average_win - loss_rate * average_loss
    if not average_loss > 0:
        return amount, 100.0
    return amount, (1 + average_win / average_loss) * win_rate - 1


def max_drawdown(pnl: Floats, starting: float, *, relative: bool = False) -> Drawdown:
    """The drawdown of the largest amount, or with `relative` of the largest fraction.

    With `starting` 0 the fraction is of the profit's own peak, as freqtrade has it then.
    """
    total, peak = _walk(pnl)
    fall = peak - total
    fraction = _fractions(fall, peak, starting)
    low = int(np.nanargmax(fraction if relative else fall))
    high = int(np.argmax(peak[: low + 1]))
    return Drawdown(float(fall[low]), float(fraction[low]), high, low)


def current_drawdown(pnl: Floats, starting: float) -> Drawdown:
    """The fall from the peak to now."""
    total, peak = _walk(pnl)
    fall = peak - total
    fraction = _fractions(fall, peak, starting)
    return Drawdown(float(fall[-1]), float(fraction[-1]), int(np.argmax(peak)), len(pnl))


def win_rate(pnl: Floats) -> float:
    """Trades that did not lose / all: a break-even counts as a win."""
    return float((pnl >= 0).sum()) / len(pnl) if len(pnl) else 0.0


def profit_factor(pnl: Floats) -> float:
    """Sum of wins / sum of losses; infinite without a loss."""
    lost = float(pnl[pnl < 0].sum())
    return float(pnl[pnl >= 0].sum()) / abs(lost) if lost else math.inf


def figures(record: Record) -> dict[str, float]:
    """Every figure of `GET /profit`, by its name there; NaN where it needs a balance above 0.

    Its CAGR takes the exchange's balance for the final one; here it is the account's equity.
    """
    pnl = record.pnl
    amount, ratio = expectancy(pnl)
    unknown, starting = math.nan, record.starting
    of_balance = {} if starting is None or starting <= 0 else _of_balance(record, starting)
    return {
        **dict.fromkeys(("sharpe", "sortino", "calmar", "cagr", "sqn"), unknown),
        **dict.fromkeys(("max_drawdown", "current_drawdown"), unknown),
        **of_balance,
        "max_drawdown_abs": max_drawdown(pnl, starting or 0.0).amount,
        "current_drawdown_abs": current_drawdown(pnl, starting or 0.0).amount,
        "win_rate": win_rate(pnl),
        "profit_factor": profit_factor(pnl),
        "expectancy": amount,
        "expectancy_ratio": ratio,
    }


def _of_balance(record: Record, starting: float) -> dict[str, float]:
    pnl = record.pnl
    first, last = int(record.opened.min()), int(record.opened.max())
    days, instant = days_between(first, last), first == last
    equity = starting if record.equity is None else record.equity
    return {
        "sharpe": 0.0 if instant else sharpe(pnl, days, starting),
        "sortino": 0.0 if instant else sortino(pnl, days, starting),
        "calmar": 0.0 if instant else calmar(pnl, days, starting),
        "cagr": cagr(starting, equity, days),
        "sqn": sqn(pnl, starting),
        "max_drawdown": max_drawdown(pnl, starting).fraction,
        "current_drawdown": current_drawdown(pnl, starting).fraction,
    }


def _walk(pnl: Floats) -> tuple[Floats, Floats]:
    """The running profit from 0, and its running peak."""
    total = np.concatenate(([0.0], np.cumsum(pnl)))
    return total, np.maximum.accumulate(total)


def _fractions(fall: Floats, peak: Floats, starting: float) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        fractions: Floats = fall / (starting + peak)
    fractions[0] = 0.0
    return fractions


def _annualised(mean: float, deviation: float) -> float:
    if not deviation or math.isnan(deviation):
        return NOT_OPTIMAL
    return mean / deviation * math.sqrt(PERIODS)

"""One more trade and all its figures, against recomputing them as others do, at 10,000 trades.

Theirs is what their programs do for each answer: freqtrade's `GET /profit` builds a frame of all
closed trades and calls its functions. empyrical knows daily returns alone, so one sums the trades
to days, and calls its functions for what a snapshot of ours has of them: of all days and of the
rolling window's. Counts, win rates and the like it does not know, so nobody reckons them there. The
trades are at hand as instants and floats: neither side's reading of them is timed.
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from actors.messages import Trade
from actors.metrics.ledger import Ledger
from actors.metrics.options import LedgerOptions
from bench import peers
from bench.metrics import trade
from bench.peers import emit_paired

FIGURES = ("metric_vs_freqtrade_10k", "metric_vs_empyrical_10k")
TRADES = 10_000
START = 10_000
WINDOW = LedgerOptions().rolling_trades
PAIRS = 7
OURS = 100  # adds and snapshots a round
THEIRS = 3


def ours() -> Callable[[], float]:
    """Return what takes in a trade and a snapshot after it: seconds for one of each."""
    ledger = Ledger(LedgerOptions(starting_equity=Decimal(START)))
    numbers: Iterator[int] = itertools.count()
    for number in itertools.islice(numbers, TRADES):
        ledger.apply(trade(number))
    ledger.metrics(closed(trade(TRADES)))

    def once() -> float:
        fresh = [trade(number) for number in itertools.islice(numbers, OURS)]
        began = time.perf_counter()
        for one in fresh:
            ledger.apply(one)
            ledger.metrics(closed(one))
        return (time.perf_counter() - began) / OURS

    return once


def closed(one: Trade) -> datetime:
    assert one.closed_at is not None
    return one.closed_at


def freqtrade() -> float:
    """Seconds of `GET /profit`'s figures, from the closed trades on."""
    metrics = peers.load("freqtrade", "freqtrade.data.metrics")
    frame = peers.load("freqtrade", "pandas").DataFrame
    text = peers.load("freqtrade", "freqtrade.util").format_date
    trades = [trade(number) for number in range(TRADES)]
    rows = [(closed(one), float(one.pnl)) for one in trades]
    first, last = trades[0].opened_at, trades[-1].opened_at

    def recompute() -> None:
        table = frame(
            [{"close_date": text(at), "close_date_dt": at, "profit_abs": pnl} for at, pnl in rows]
        )
        metrics.calculate_expectancy(table)
        metrics.calculate_max_drawdown(table, date_col="close_date_dt", starting_balance=START)
        metrics.calculate_sharpe(table, first, last, START)
        metrics.calculate_sortino(table, first, last, START)
        metrics.calculate_sqn(table, START)
        metrics.calculate_calmar(table, first, last, START)
        metrics.calculate_cagr((last - first).days, START, START + sum(pnl for _, pnl in rows))

    return mean(recompute)


def empyrical() -> float:
    """Seconds of empyrical's figures, from the closed trades on."""
    library: Any = peers.load("empyrical-reloaded", "empyrical")
    pandas = peers.load("empyrical-reloaded", "pandas")
    trades = [trade(number) for number in range(TRADES)]
    rows = [(closed(one), float(one.pnl)) for one in trades]
    window = (closed(trades[-1]).date() - closed(trades[-WINDOW]).date()).days + 1

    def figures(returns: Any) -> None:
        library.sharpe_ratio(returns)
        library.sortino_ratio(returns)
        library.calmar_ratio(returns)
        library.max_drawdown(returns)

    def recompute() -> None:
        pnl = pandas.Series([pnl for _, pnl in rows], index=[at for at, _ in rows])
        days = pnl.resample("1D").sum()
        returns = days / (START + days.cumsum().shift(fill_value=0.0))
        figures(returns)
        library.annual_return(returns)
        figures(returns.iloc[-window:])

    return mean(recompute)


def mean(recompute: Callable[[], None]) -> float:
    recompute()
    began = time.perf_counter()
    for _ in range(THEIRS):
        recompute()
    return (time.perf_counter() - began) / THEIRS


def main() -> None:
    warnings.simplefilter("ignore")
    add_and_snapshot = ours()
    for figure, theirs, goal, what in (
        (FIGURES[0], freqtrade, ">= 500", "freqtrade 2026.9: /profit's frame and functions"),
        (FIGURES[1], empyrical, ">= 150", "empyrical-reloaded 0.7.1: days, whole and window"),
    ):
        against = f"theirs / ours (add + snapshot of all figures); {what}"
        emit_paired(figure, theirs, add_and_snapshot, PAIRS, goal, against=against)


if __name__ == "__main__":
    main()

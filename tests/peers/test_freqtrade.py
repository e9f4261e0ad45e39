"""Figures against the real freqtrade: `make test-parity`."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from actors.metrics.families import freqtrade
from actors.metrics.families.record import Record
from tests.peers.kit import TRADES, loaded, marks, same

pytestmark = marks
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("case", TRADES)
def test_it_computes_as_freqtrade(case):
    metrics = loaded("freqtrade", "freqtrade.data.metrics")
    pandas = loaded("freqtrade", "pandas")
    pnl, start = TRADES[case], 1_000.0
    opened = [FIRST + timedelta(hours=9 * n) for n in range(len(pnl))]
    frame = pandas.DataFrame(
        {"profit_abs": pnl, "close_date": [at + timedelta(hours=1) for at in opened]}
    )
    first, last = opened[0], opened[-1]
    times = np.array([int((at - FIRST).total_seconds() * 1e6) for at in opened], dtype=np.int64)
    whole = Record(
        times, times + 1, np.array(pnl), np.full(len(pnl), start), np.zeros(0), start, start
    )
    have = freqtrade.figures(whole)
    deepest = metrics.calculate_max_drawdown(frame, starting_balance=start)
    expectancy, ratio = metrics.calculate_expectancy(frame)
    days = max(1, (last - first).days)
    want = {
        "sharpe": metrics.calculate_sharpe(frame, first, last, start),
        "sortino": metrics.calculate_sortino(frame, first, last, start),
        "calmar": metrics.calculate_calmar(frame, first, last, start),
        "cagr": metrics.calculate_cagr(days, start, start),
        "sqn": metrics.calculate_sqn(frame, start),
        "max_drawdown": deepest.relative_account_drawdown,
        "max_drawdown_abs": deepest.drawdown_abs,
        "current_drawdown": deepest.current_relative_account_drawdown,
        "current_drawdown_abs": deepest.current_drawdown_abs,
        "expectancy": expectancy,
        "expectancy_ratio": ratio,
    }
    wrong = {n: (have[n], want[n]) for n in want if not same(have[n], want[n])}
    assert not wrong
    assert set(have) - set(want) == {"win_rate", "profit_factor"}  # of /profit itself

"""Figures against the real NautilusTrader: `make test-parity`."""

import numpy as np
import pytest

from actors.metrics.families import nautilus
from tests.peers.kit import SERIES, TRADES, loaded, marks, same

pytestmark = marks
DAY_NS = 86_400_000_000_000
OF_DAYS = {
    "SharpeRatio": nautilus.sharpe,
    "SortinoRatio": nautilus.sortino,
    "ReturnsVolatility": nautilus.returns_volatility,
    "RiskReturnRatio": nautilus.risk_return_ratio,
    "ProfitFactor": nautilus.profit_factor,
    "ReturnsAverage": nautilus.returns_avg,
    "ReturnsAverageWin": nautilus.returns_avg_win,
    "ReturnsAverageLoss": nautilus.returns_avg_loss,
}
OF_PNL = {
    "WinRate": nautilus.win_rate,
    "Expectancy": nautilus.expectancy,
    "AvgWinner": nautilus.winner_avg,
    "MinWinner": nautilus.winner_min,
    "AvgLoser": nautilus.loser_avg,
    "MinLoser": nautilus.loser_min,
}


def statistic(name):
    return getattr(loaded("nautilus_trader", "nautilus_trader.analysis"), name)()


@pytest.mark.parametrize("name", OF_DAYS)
@pytest.mark.parametrize("case", [case for case in SERIES if len(SERIES[case]) > 1])
def test_it_computes_as_nautilus_of_returns(name, case):
    values = SERIES[case]
    if name == "ReturnsAverage":
        values = values[values != 0]  # 1.221 leaves out zeros, its later versions do not
    days = {n * DAY_NS: float(value) for n, value in enumerate(values, start=20_000)}
    want = statistic(name).calculate_from_returns(days)
    have = OF_DAYS[name](values)
    assert same(have, want), (have, want)


@pytest.mark.parametrize("name", OF_PNL)
@pytest.mark.parametrize("case", TRADES)
def test_it_computes_as_nautilus_of_trades(name, case):
    want = statistic(name).calculate_from_realized_pnls(TRADES[case])
    have = OF_PNL[name](np.array(TRADES[case]))
    assert same(have, want), (have, want)

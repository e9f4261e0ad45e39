"""Figures against the real quantstats: `make test-parity`."""

import numpy as np
import pytest

from actors.metrics.families import quantstats
from actors.metrics.families.record import Record
from tests.peers.kit import SERIES, loaded, marks, same, series

pytestmark = marks
QUANTSTATS = {
    name: (theirs, getattr(quantstats, ours))
    for name, theirs, ours in [
        ("sharpe", "sharpe", "sharpe"),
        ("sortino", "sortino", "sortino"),
        ("calmar", "calmar", "calmar"),
        ("cagr", "cagr", "cagr"),
        ("max_drawdown", "max_drawdown", "max_drawdown"),
        ("volatility", "volatility", "volatility"),
        ("win_rate", "win_rate", "win_rate"),
        ("profit_factor", "profit_factor", "profit_factor"),
        ("payoff_ratio", "payoff_ratio", "payoff_ratio"),
        ("avg_win", "avg_win", "avg_win"),
        ("avg_loss", "avg_loss", "avg_loss"),
        ("value_at_risk", "value_at_risk", "value_at_risk"),
        ("expected_shortfall", "conditional_value_at_risk", "expected_shortfall"),
    ]
}


def test_it_checks_every_figure_that_it_shows():
    assert set(quantstats.figures(Record(*[np.zeros(0)] * 5))) == set(QUANTSTATS)


@pytest.mark.parametrize("name", QUANTSTATS)
@pytest.mark.parametrize("case", [case for case in SERIES if case != "empty"])
def test_it_computes_as_quantstats(name, case):
    library = loaded("quantstats", "quantstats.stats")
    theirs, ours = QUANTSTATS[name]
    with np.errstate(all="ignore"):
        want, have = (
            getattr(library, theirs)(series("quantstats", SERIES[case])),
            ours(SERIES[case]),
        )
    assert same(have, want), (have, want)

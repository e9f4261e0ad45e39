"""Figures against the real empyrical-reloaded: `make test-parity`."""

import numpy as np
import pytest

from actors.metrics.families import empyrical
from actors.metrics.families.record import Record
from tests.peers.kit import SERIES, loaded, marks, same, series

pytestmark = marks
EMPYRICAL = {
    "sharpe": ("sharpe_ratio", empyrical.sharpe),
    "sortino": ("sortino_ratio", empyrical.sortino),
    "calmar": ("calmar_ratio", empyrical.calmar),
    "cagr": ("cagr", empyrical.annual_return),
    "max_drawdown": ("max_drawdown", empyrical.max_drawdown),
    "annual_volatility": ("annual_volatility", empyrical.annual_volatility),
    "downside_risk": ("downside_risk", empyrical.downside_risk),
    "omega": ("omega_ratio", empyrical.omega),
    "stability": ("stability_of_timeseries", empyrical.stability),
    "tail_ratio": ("tail_ratio", empyrical.tail_ratio),
    "cum_returns_final": ("cum_returns_final", empyrical.cum_returns_final),
}


def test_it_checks_every_figure_that_it_shows():
    assert set(empyrical.figures(Record(*[np.zeros(0)] * 5))) == set(EMPYRICAL)


@pytest.mark.parametrize("name", EMPYRICAL)
@pytest.mark.parametrize("case", SERIES)
def test_it_computes_as_empyrical(name, case):
    library = loaded("empyrical-reloaded", "empyrical")
    theirs, ours = EMPYRICAL[name]
    with np.errstate(all="ignore"):
        want, have = (
            getattr(library, theirs)(series("empyrical-reloaded", SERIES[case])),
            ours(SERIES[case]),
        )
    # it starts from 100 rather than 1: a drawdown of 1e-9 keeps 7 digits either way
    assert same(have, want, 1e-6 if case == "tiny" else 1e-9), (have, want)

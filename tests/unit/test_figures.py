from __future__ import annotations

import math
import statistics
from array import array

import numpy as np
import pytest

from actors.metrics import figures
from actors.metrics.figures import Basis, Tally, Undefined
from actors.metrics.moments import Closed

DAILY = Basis()
TRADING = Basis(periods=252)


def tally(*pnls):
    sums = Tally()
    for pnl in pnls:
        sums.add(pnl)
    return sums


def returns(*fractions):
    return np.array(fractions, dtype=np.float64)


def reason(compute):
    with pytest.raises(Undefined) as undefined:
        compute()
    return str(undefined.value)


# empyrical-reloaded tests/test_stats.py (efe6066), daily series: ddof 1, 252 periods. The leading
# NaN of its mixed series (no first return) is left out.
MIXED = returns(0.01, 0.1, -0.04, 0.02, 0.03, 0.02, 0.01, -0.1)
POSITIVE = returns(0.01, 0.02, *[0.01] * 7)
NEGATIVE = returns(0.0, -0.06, -0.07, -0.01, -0.09, -0.02, -0.06, -0.08, -0.05)


@pytest.mark.parametrize(
    ("series", "expected"),
    [(MIXED, 1.7238613961706866), (POSITIVE, 52.915026221291804), (NEGATIVE, -24.406808633910085)],
)
def test_it_gives_the_sharpe_ratio_that_empyrical_gives(series, expected):
    assert figures.sharpe(series, TRADING) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("series", "expected"), [(MIXED, 2.605531251673693), (NEGATIVE, -13.5327430750434)]
)
def test_it_gives_the_sortino_ratio_that_empyrical_gives(series, expected):
    assert figures.sortino(series, TRADING) == pytest.approx(expected, rel=1e-13)


def test_it_annualises_with_the_square_root_of_the_periods():
    daily = figures.sharpe(MIXED, Basis(periods=1))
    assert figures.sharpe(MIXED, DAILY) == pytest.approx(daily * math.sqrt(365), rel=1e-15)


def test_a_year_has_365_days_for_an_exchange_that_closes_at_the_weekend_too():
    dice = np.random.default_rng(1)
    open_days = dice.normal(0.001, 0.01, (52, 5))
    every_day = np.hstack([open_days, np.zeros((52, 2))]).ravel()
    expected = figures.sharpe(open_days.ravel(), TRADING)
    assert figures.sharpe(every_day, DAILY) == pytest.approx(expected, rel=0.03)
    assert figures.sharpe(every_day, TRADING) < 0.87 * expected


def test_it_takes_off_the_risk_free_rate_that_compounds_to_the_annual_one():
    basis = Basis(periods=365, risk_free=0.04)
    assert (1 + basis.risk_free_daily) ** 365 == pytest.approx(1.04)
    excess = MIXED - basis.risk_free_daily
    assert figures.sharpe(MIXED, basis) == pytest.approx(figures.sharpe(excess, DAILY))


def test_it_divides_by_the_population_deviation_with_ddof_0():
    expected = statistics.mean(MIXED) / statistics.pstdev(MIXED) * math.sqrt(365)
    assert figures.sharpe(MIXED, Basis(ddof=0)) == pytest.approx(expected)


def test_it_reduces_mertens_error_to_los_for_normal_moments():
    # symmetric points with kurtosis exactly 3: two at +-sqrt(3), four at 0 (variance 1)
    points = np.array([math.sqrt(3), -math.sqrt(3), 0, 0, 0, 0]) + 0.5
    daily = figures.sharpe(points, Basis(periods=1))
    expected = math.sqrt((1 + daily**2 / 2) / 6)
    assert figures.sharpe_stderr(points, Basis(periods=1)) == pytest.approx(expected)


def test_it_widens_the_error_for_negative_skew():
    left = returns(-0.03, 0.02, 0.02, 0.02, 0.02)
    right = 2 * left.mean() - left
    assert right.mean() == pytest.approx(left.mean())
    assert figures.sharpe_stderr(left, DAILY) > figures.sharpe_stderr(right, DAILY)


def test_it_gives_no_sharpe_for_one_day():
    assert reason(lambda: figures.sharpe(returns(-0.01), DAILY)) == "needs 2 days"
    assert reason(lambda: figures.sortino(returns(-0.01), DAILY)) == "needs 2 days"


@pytest.mark.parametrize("constant", [0.0, 0.01, -0.1, 1 / 3])
def test_it_gives_no_sharpe_for_returns_without_variance(constant):
    assert reason(lambda: figures.sharpe(returns(*[constant] * 7), DAILY)) == "zero variance"
    assert reason(lambda: figures.sharpe_stderr(returns(*[constant] * 7), DAILY)) == "zero variance"


def test_it_takes_the_rounding_of_equal_returns_for_no_variance():
    nearly = returns(0.1, 0.1, math.nextafter(0.1, 1), 0.1)
    assert reason(lambda: figures.sharpe(nearly, DAILY)) == "zero variance"


def test_it_gives_no_sortino_without_a_losing_day():
    assert reason(lambda: figures.sortino(returns(0.0, 0.01), DAILY)) == "no losing day"


@pytest.mark.parametrize("figure", [figures.sharpe, figures.sharpe_stderr, figures.sortino])
def test_it_refuses_days_whose_equity_was_not_positive(figure):
    assert reason(lambda: figure(returns(0.1, math.nan, 0.2), DAILY)) == "equity not positive"


def test_it_compounds_growth_over_calendar_days():
    year = np.full(365, 1.2 ** (1 / 365) - 1)
    assert figures.cagr(year) == pytest.approx(0.2)
    assert figures.cagr(year[:73]) == pytest.approx(0.2)


def test_it_gives_no_growth_rate_below_30_days_unless_asked():
    assert reason(lambda: figures.cagr(np.full(29, 0.001))) == "needs 30 days"
    assert figures.cagr(np.full(30, 0.001)) == pytest.approx(1.001**365 - 1)
    assert figures.cagr(np.full(5, 0.001), short=True) == pytest.approx(1.001**365 - 1)


def test_it_gives_a_reason_rather_than_an_infinite_growth_rate():
    assert reason(lambda: figures.cagr(returns(9.0), short=True)) == "too short to annualise"
    assert reason(lambda: figures.calmar(1e300, 1e-20)) == "too short to annualise"


def test_it_divides_growth_by_drawdown():
    assert figures.calmar(0.3, 0.1) == pytest.approx(3.0)
    assert reason(lambda: figures.calmar(0.3, 0.0)) == "no drawdown"


def test_it_counts_draws_in_the_win_rate():
    assert figures.win_rate(tally(1, 0, -1, 2)) == 0.5
    assert reason(lambda: figures.win_rate(tally())) == "no trades"


def test_it_gives_a_profit_factor_only_with_a_loss():
    assert figures.profit_factor(tally(3, 1, -2)) == 2.0
    assert figures.profit_factor(tally(-2)) == 0.0
    assert reason(lambda: figures.profit_factor(tally(3, 0))) == "no loss"
    assert reason(lambda: figures.profit_factor(tally())) == "no trades"


def test_it_gives_the_sqn_of_its_definition():
    pnls = [120, -50, 80, -30, 0, 45]
    expected = math.sqrt(6) * statistics.mean(pnls) / statistics.stdev(pnls)
    assert figures.sqn(tally(*pnls)) == pytest.approx(expected, rel=1e-14)
    assert figures.sqn(tally(*[-pnl for pnl in pnls])) == pytest.approx(-expected, rel=1e-14)


def test_it_gives_no_sqn_for_one_trade_or_equal_trades():
    assert reason(lambda: figures.sqn(tally())) == "no trades"
    assert reason(lambda: figures.sqn(tally(5))) == "needs 2 trades"
    assert reason(lambda: figures.sqn(tally(5, 5, 5))) == "zero variance"


def test_it_returns_plain_floats():
    for value in (
        figures.sharpe(MIXED, DAILY),
        figures.sharpe_stderr(MIXED, DAILY),
        figures.sortino(MIXED, DAILY),
        figures.cagr(MIXED, short=True),
        figures.sqn(tally(1, -2, 4)),
    ):
        assert type(value) is float


def test_it_counts_a_day_of_no_return_once_the_clock_passed_it():
    days, running = Closed(), (0.0, 0.0)
    closed = array("d", [0.1, -0.05]), array("d", [math.log1p(0.1), math.log1p(-0.05)])
    assert days.days(closed, running, 0)[0] == 3
    assert days.days(closed, running, 1)[0] == 4
    assert days.days(closed, running, 1) == Closed().days(closed, running, 1)

"""174 known values of other projects: each passes at its tolerance, or says why it cannot."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from actors.metrics import figures
from actors.metrics.families import empyrical, freqtrade, nautilus

DATA = Path(__file__).parents[1] / "data"
DAY = 86_400_000_000
PERIODS = {"daily": 252, "weekly": 52, "monthly": 12, "yearly": 1}
BENCHMARK = "measured against a benchmark, which Sidewatch has none of and the vector does not give"
P_VALUE = "a test of significance, which freqtrade's backtest shows and its /profit does not"
SKIPPED = {
    ("nautilus", "alpha"): BENCHMARK,
    ("nautilus", "beta_ratio"): BENCHMARK,
    ("nautilus", "information_ratio"): BENCHMARK,
    ("nautilus", "tracking_error"): BENCHMARK,
    ("nautilus", "treynor_ratio"): BENCHMARK,
    ("freqtrade", "p_value"): P_VALUE,
}


def vectors():
    return json.loads((DATA / "metric-vectors.json").read_text())["vectors"]


def reason(vector):
    return SKIPPED.get((vector["definition"], vector["metric"]))


def numbers(values):
    if isinstance(values, dict):
        values = [values["repeat"]] * values["times"]
    if isinstance(values, list):
        return np.array([math.nan if value is None else value for value in values], dtype=float)
    return values


def period(params):
    return PERIODS[params.get("period", "daily")]


def rolling(compute, returns, window):
    places = range(len(returns) - window + 1)
    return [compute(returns[place : place + window]) for place in places]


EMPYRICAL = {
    "cum_returns": lambda r, p: (
        empyrical.cum_returns(r) * (p["starting_value"] or 1) + (p["starting_value"] or 0)
    ),
    "cum_returns_final": lambda r, p: empyrical.cum_returns_final(r),
    "max_drawdown": lambda r, p: empyrical.max_drawdown(r),
    "annual_return": lambda r, p: empyrical.annual_return(r, period(p)),
    "cagr": lambda r, p: empyrical.annual_return(r, period(p)),
    "annual_volatility": lambda r, p: empyrical.annual_volatility(r, period(p)),
    "calmar_ratio": lambda r, p: empyrical.calmar(r, period(p)),
    "omega_ratio": lambda r, p: empyrical.omega(r, numbers(p["risk_free"]), p["required_return"]),
    "sharpe_ratio": lambda r, p: empyrical.sharpe(r, numbers(p["risk_free"])),
    "sortino_ratio": lambda r, p: empyrical.sortino(r, numbers(p["required_return"]), period(p)),
    "downside_risk": lambda r, p: empyrical.downside_risk(
        r, numbers(p["required_return"]), period(p)
    ),
    "stability": lambda r, p: empyrical.stability(r),
    "tail_ratio": lambda r, p: empyrical.tail_ratio(r),
    "roll_max_drawdown": lambda r, p: rolling(empyrical.max_drawdown, r, p["window"]),
    "roll_sharpe_ratio": lambda r, p: rolling(empyrical.sharpe, r, p["window"]),
}

NAUTILUS = {
    "sharpe_ratio": nautilus.sharpe,
    "sortino_ratio": nautilus.sortino,
    "cagr": nautilus.cagr,
    "calmar_ratio": lambda days: nautilus.calmar(days, days),
}


def of_empyrical(metric, inputs):
    return EMPYRICAL[metric](numbers(inputs["returns"]), inputs["params"])


def of_nautilus(metric, inputs):
    name = next(key for key in ("daily_returns", "realized_pnls", "values") if key in inputs)
    compute = NAUTILUS.get(metric) or getattr(nautilus, metric)
    return compute(numbers(inputs[name]))


FREQTRADE = {
    "expectancy": lambda pnl, _: freqtrade.expectancy(pnl)[0],
    "expectancy_ratio": lambda pnl, _: freqtrade.expectancy(pnl)[1],
    "max_drawdown_abs": lambda pnl, i: freqtrade.max_drawdown(pnl, i["starting_balance"]).amount,
    "max_drawdown_relative_at_abs_max": lambda pnl, i: (
        freqtrade.max_drawdown(pnl, i["starting_balance"]).fraction
    ),
    "max_drawdown": lambda pnl, i: freqtrade_drawdown(pnl, i["starting_balance"], i["pick_by"]),
    "edge_bundle": lambda pnl, i: freqtrade_bundle(pnl, i["starting_balance"]),
}


def backtest(*, gains_first=True):
    """P&L of freqtrade's 179 test trades by closing, and their whole days.

    Its unstable sort had gains before losses that closed at the same instant.
    """
    rows = json.loads((DATA / "freqtrade-backtest.json").read_text())["trades"]
    sign = -1 if gains_first else 1
    pnl = [row[2] for row in sorted(rows, key=lambda row: (row[1], sign * row[2]))]
    minutes = max(row[1] for row in rows) - min(row[0] for row in rows)
    return np.array(pnl), minutes // 1_440


OF_BACKTEST = {
    "sharpe": lambda pnl, days: freqtrade.sharpe(pnl, days, 0.01),
    "sortino": lambda pnl, days: freqtrade.sortino(pnl, days, 0.01),
    "calmar": lambda pnl, days: freqtrade.calmar(pnl, days, 0.01),
    "expectancy": lambda pnl, _: freqtrade.expectancy(pnl)[0],
    "max_drawdown_rel": lambda pnl, _: freqtrade.max_drawdown(pnl, 0.01).fraction,
    "max_drawdown_relative_no_start_balance": lambda pnl, _: (
        freqtrade.max_drawdown(pnl, 0.0).fraction
    ),
    "current_drawdown_abs": lambda pnl, _: freqtrade.current_drawdown(pnl, 0.01).amount,
    "current_drawdown_rel": lambda pnl, _: freqtrade.current_drawdown(pnl, 0.01).fraction,
}


def of_freqtrade(metric, inputs):
    if "trades_file" in inputs:
        return OF_BACKTEST[metric](*backtest())
    if metric == "cagr":
        return freqtrade.cagr(inputs["starting_balance"], inputs["final_balance"], inputs["days"])
    pnl = numbers(inputs.get("daily_profit", inputs.get("profit_abs")))
    return FREQTRADE[metric](pnl, inputs)


def freqtrade_drawdown(pnl, starting, pick_by):
    found = freqtrade.max_drawdown(pnl, starting, relative=pick_by == "relative")
    return {
        "abs": found.amount,
        "relative": found.fraction,
        "high_day": max(found.high - 1, 0),
        "low_day": max(found.low - 1, 0),
    }


def freqtrade_bundle(pnl, starting):
    """freqtrade's figures of one trade a day, closed on days 0, 1, 2 ... of the period."""
    days, instant = max(1, len(pnl) - 1), len(pnl) == 1
    expectancy, ratio = freqtrade.expectancy(pnl)
    return {
        "sharpe": 0 if instant else freqtrade.sharpe(pnl, days, starting),
        "sortino": 0 if instant else freqtrade.sortino(pnl, days, starting),
        "calmar": 0 if instant else freqtrade.calmar(pnl, days, starting),
        "sqn": freqtrade.sqn(pnl, starting),
        "expectancy": expectancy,
        "expectancy_ratio": ratio,
        "max_dd_abs": freqtrade.max_drawdown(pnl, starting).amount,
        "max_dd_rel": freqtrade.max_drawdown(pnl, starting, relative=True).fraction,
    }


FAMILIES = {"empyrical": of_empyrical, "nautilus": of_nautilus, "freqtrade": of_freqtrade}


def close(found, expected, tolerance):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        return all(close(found[name], expected[name], tolerance) for name in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            close(one, other, tolerance) for one, other in zip(found, expected, strict=True)
        )
    if expected is None:
        return math.isnan(found)
    if math.isinf(float(expected)):
        return found == float(expected)
    relative = tolerance.get("rel", 0.0)
    if not relative:
        return abs(found - expected) <= absolute(tolerance)
    return math.isclose(found, expected, rel_tol=relative, abs_tol=1e-12)


def absolute(tolerance):
    """1.5 units of the last of `decimal_places`, as numpy's assert_almost_equal has it."""
    return tolerance.get("abs") or 1.5 * 10 ** -tolerance["decimal_places"]


PASSING = [vector for vector in vectors() if reason(vector) is None]


@pytest.mark.parametrize("vector", PASSING, ids=[vector["id"] for vector in PASSING])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_it_computes_as_the_project_does(vector):
    found = FAMILIES[vector["definition"]](vector["metric"], vector["inputs"])
    assert close(found, vector["expected"], vector["tolerance"])


def test_it_leaves_out_only_what_it_says():
    reasons = [reason(vector) for vector in vectors()]
    counts = {why: reasons.count(why) for why in {BENCHMARK, P_VALUE}}
    assert counts == {BENCHMARK: 19, P_VALUE: 1}
    assert (len(reasons), len(PASSING)) == (174, 154)


def test_freqtrades_drawdown_depends_on_the_order_of_ties():
    found = [
        freqtrade.max_drawdown(backtest(gains_first=first)[0], 0.01) for first in (True, False)
    ]
    assert [round(100 * one.fraction, 3) for one in found] == [1.874, 1.966]


def of_days(metric):
    return [
        (numbers(vector["inputs"]["returns"]), vector)
        for vector in PASSING
        if vector["definition"] == "empyrical"
        and vector["metric"] == metric
        and period(vector["inputs"]["params"]) == 252
        and not np.any(numbers(vector["inputs"]["params"].get("risk_free", 0.0)))
    ]


@pytest.mark.parametrize(
    ("metric", "ours", "count"),
    [("sharpe_ratio", figures.sharpe, 4), ("sortino_ratio", figures.sortino, 4)],
)
def test_its_default_figures_are_empyricals_at_252_days(metric, ours, count):
    compared = of_days(metric)
    assert len(compared) == count
    for returns, vector in compared:
        known, basis = returns[~np.isnan(returns)], figures.Basis(periods=252)
        if vector["expected"] is None or vector["expected"] == "Infinity":
            with pytest.raises(figures.Undefined):
                ours(known, basis)
        else:
            assert close(ours(known, basis), vector["expected"], vector["tolerance"])

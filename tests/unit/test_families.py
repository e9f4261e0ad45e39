"""Other projects' figures beside ours: as their own programs printed them, or why there is none."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from actors.messages import Equity, Flow, Trade
from actors.metrics.details import WANTED, record, study
from actors.metrics.families import FAMILIES, chosen, family, freqtrade, nautilus, quantstats
from actors.metrics.ledger import Ledger
from actors.metrics.options import LedgerOptions
from actors.metrics.sheet import merged

DATA = Path(__file__).parents[1] / "data"
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


def trade(n, at, pnl, opened=None):
    return Trade("bot", n, "X", "long", Decimal(1), opened or at, Decimal(str(pnl)), at, at)


def families(events, now, start="1000"):
    options = LedgerOptions(starting_equity=None if start is None else Decimal(start))
    ledger = Ledger(options)
    for event in events:
        ledger.apply(event)
    columns = record(study(ledger.sheet(*WANTED), now))
    return {name: family(name, columns) for name in FAMILIES}


def recorded():
    told = json.loads((DATA / "freqtrade-trades.json").read_text())
    events = [
        trade(
            row["id"],
            datetime.fromtimestamp(row["closed_ms"] / 1_000, UTC),
            row["pnl"],
            datetime.fromtimestamp(row["opened_ms"] / 1_000, UTC),
        )
        for row in told["trades"]
    ]
    return told, events


def test_it_prints_what_a_real_freqtrade_printed():
    told, events = recorded()
    found = families(events, events[-1].closed_at, told["starting_equity"])["freqtrade"]
    want = {
        "sharpe": -3.052017047578064,
        "sortino": -8.641264362953567,
        "calmar": -79.77342823454408,
        "sqn": -0.0442,
        "max_drawdown": 0.0072919820808080675,
        "max_drawdown_abs": 7.219062259999999,
        "current_drawdown": 0.00030447905050500087,
        "current_drawdown_abs": 0.3014342599999993,
        "win_rate": 0.5833333333333334,
        "profit_factor": 0.9722853944011043,
        "expectancy": -0.025119521666666755,
        "expectancy_ratio": -0.011547752332873085,
    }
    # its CAGR is of the wallet (989.7015800826 USDT by GET /balance), which trades do not give
    assert set(found.figures) == {*want, "cagr"}
    assert {name: found.figures[name] for name in want} == pytest.approx(want, rel=1e-9)
    assert freqtrade.cagr(990, 989.7015800826, 1) == pytest.approx(-0.1042017785652688)
    assert (found.trades, found.days, found.undefined) == (12, 1, {})


def test_it_shows_freqtrades_explosion_beside_our_silence():
    """Three small losses within minutes: the report that facts are better than."""
    losses = [trade(n, FIRST + timedelta(minutes=n), pnl) for n, pnl in enumerate((-1, -1.1, -0.9))]
    found = families(losses, FIRST + timedelta(hours=1), "1000")["freqtrade"]
    assert found.figures["sharpe"] < -600


def test_it_follows_freqtrade_without_trades_losses_or_spread():
    one = families([trade(1, FIRST, 5)], FIRST)["freqtrade"]
    assert (one.figures["sharpe"], one.figures["sqn"]) == (0.0, -100.0)
    assert one.figures["expectancy_ratio"] == 100.0
    assert one.figures["profit_factor"] is None
    assert one.undefined["profit_factor"] == "infinite by freqtrade's definition"
    even = [trade(n, FIRST + timedelta(days=n), 5) for n in range(3)]
    same = families(even, FIRST + timedelta(days=3))["freqtrade"]
    assert (same.figures["sharpe"], same.figures["sortino"], same.figures["calmar"]) == (-100,) * 3


def test_freqtrades_growth_is_nothing_where_it_has_no_real_value():
    assert freqtrade.cagr(1_000, -5, 10) == freqtrade.cagr(0, 5, 10) == freqtrade.cagr(1, 2, 0) == 0
    assert freqtrade.cagr(1, 1e300, 1) == 0.0
    assert freqtrade.expectancy(np.zeros(0)) == (0.0, 100.0)
    assert freqtrade.sqn(np.zeros(0), 1.0) == 0.0


def test_nautilus_has_no_growth_without_days():
    assert nautilus.cagr(nautilus.by_day(np.zeros(0, dtype=np.int64), np.zeros(0))) == 0.0


def test_it_tells_the_same_trades_by_four_definitions():
    pnl = [12.0, -5.0, 3.0, -8.0, 20.0, -2.0]
    trades = [trade(n, FIRST + timedelta(days=3 * n), value) for n, value in enumerate(pnl)]
    found = families(trades, FIRST + timedelta(days=15))
    sharpes = {name: one.figures["sharpe"] for name, one in found.items()}
    assert sharpes["empyrical"] == pytest.approx(sharpes["quantstats"], rel=1e-12)
    assert sharpes["freqtrade"] != pytest.approx(sharpes["empyrical"], rel=0.1)
    # days without trades are left out: fewer days, a larger mean
    assert sharpes["nautilus"] > 1.5 * sharpes["empyrical"]
    assert [one.periods for one in found.values()] == [365, 252, 252, 252]


def test_it_gives_no_figures_without_trades():
    for name, found in families([], FIRST).items():
        assert found.figures == {}, name
        assert found.undefined == {"figures": "no trades"}


def test_it_needs_an_equity_for_what_is_measured_on_one():
    found = families([trade(1, FIRST, 5), trade(2, FIRST, -2)], FIRST, None)
    assert found["freqtrade"].undefined["sqn"] == "no starting equity"
    assert found["freqtrade"].figures["expectancy"] == 1.5
    assert found["nautilus"].figures["win_rate"] == 0.5
    assert found["nautilus"].undefined["sharpe"] == "no starting equity"
    assert set(found["empyrical"].undefined.values()) == {"no starting equity"}


def test_it_needs_an_equity_for_the_trades_before_the_first_reported_one():
    """NautilusTrader's returns are those of trades, each on the equity before it."""
    day = timedelta(days=1)
    early, mark = trade(1, FIRST, 5), Equity("bot", FIRST + day, Decimal(500))
    later = [trade(n, FIRST + n * day, n) for n in range(2, 8)]
    found = families([early, mark, *later], FIRST + 9 * day, None)
    for name, reason in found["nautilus"].undefined.items():
        by_it = "NaN by nautilus's definition" if name == "loser_max" else "no starting equity"
        assert reason == by_it
    assert {"sharpe", "cagr", "returns_avg"} < set(found["nautilus"].undefined)
    assert found["nautilus"].figures["win_rate"] == 1.0
    assert "no starting equity" not in found["empyrical"].undefined.values()


def test_it_says_that_equity_was_not_positive_within_a_day():
    pnls = (-1_500, 900, 9)
    hours = [trade(n, FIRST + timedelta(hours=n), pnl) for n, pnl in enumerate(pnls)]
    found = families(hours, FIRST + timedelta(hours=4))
    assert found["nautilus"].undefined["sharpe"] == "equity not positive"


def test_it_takes_the_first_reported_equity_as_the_start():
    mark = Equity("bot", FIRST, Decimal(500))
    found = families([mark, trade(1, FIRST + timedelta(hours=1), 5)], FIRST, None)["freqtrade"]
    assert found.figures["max_drawdown"] == 0.0
    assert found.figures["cagr"] == pytest.approx(1.01**365 - 1)


@pytest.mark.parametrize("equity", [0, -5])
def test_it_measures_nothing_on_a_first_reported_equity_that_is_not_positive(equity):
    mark, later = Equity("bot", FIRST, Decimal(equity)), FIRST + timedelta(days=1)
    events = [mark, trade(1, FIRST + timedelta(hours=1), 5), trade(2, later, -2)]
    found = families(events, later, None)["freqtrade"]
    assert found.figures["expectancy"] == 1.5
    assert found.undefined["calmar"] == found.undefined["sharpe"] == "equity not positive"


def test_it_names_the_reason_where_equity_was_not_positive():
    events = [trade(n, FIRST + timedelta(days=n), value) for n, value in enumerate((-2_000, 3_000))]
    found = families(events, FIRST + timedelta(days=3))
    assert found["empyrical"].figures["stability"] is None
    assert found["quantstats"].undefined["sharpe"] == "equity not positive"
    for one in found.values():
        for value in one.figures.values():
            assert value is None or math.isfinite(value)


@pytest.mark.parametrize("definition", ["empyrical", "quantstats"])
def test_it_gives_a_ruined_account_no_figure_of_the_days_that_are_left(definition):
    ruin = [trade(n, FIRST + timedelta(days=n), pnl) for n, pnl in enumerate((10, -2_000))]
    after = [trade(n, FIRST + timedelta(days=n), 20) for n in range(5, 9)]
    deposit = Flow("bot", FIRST + timedelta(days=4), "f", Decimal(5_000))
    found = families([*ruin, deposit, *after], FIRST + timedelta(days=9))[definition]
    assert set(found.figures.values()) == {None}
    assert set(found.undefined.values()) == {"equity not positive"}


def test_it_has_no_negative_zero():
    events = [trade(1, FIRST, 5), trade(2, FIRST + timedelta(days=1), 7)]
    for one in families(events, FIRST + timedelta(days=2)).values():
        assert "-0.0" not in map(str, one.figures.values())


def test_nautilus_compounds_a_day_and_adds_an_instant():
    closed = np.array([1, 1, 2, 86_400_000_001])
    instants, returns = nautilus.by_instant(closed, np.array([0.1, 0.1, 0.5, -0.25]))
    assert (instants.tolist(), returns.tolist()) == ([1, 2, 86_400_000_001], [0.2, 0.5, -0.25])
    assert nautilus.by_day(instants, returns) == pytest.approx([1.2 * 1.5 - 1, -0.25])


def test_quantstats_counts_days_that_moved():
    days = np.array([0.0, 0.01, -0.02, 0.0, 0.03])
    assert quantstats.win_rate(days) == 2 / 3
    assert quantstats.profit_factor(days) == pytest.approx(2.0)
    assert quantstats.profit_factor(np.array([0.01])) == math.inf
    assert quantstats.max_drawdown(np.array([-0.5, 0.1])) == -0.5


def test_freqtrade_counts_a_break_even_as_a_win():
    assert freqtrade.win_rate(np.array([0.0, -1.0])) == 0.5
    assert nautilus.win_rate(np.array([0.0, -1.0])) == 0.0


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("freqtrade", ("freqtrade",)),
        ("nautilus, freqtrade,nautilus", ("nautilus", "freqtrade")),
        ("all", ("freqtrade", "empyrical", "quantstats", "nautilus")),
        ("freqtrade, all", ("freqtrade", "empyrical", "quantstats", "nautilus")),
    ],
)
def test_it_reads_the_definitions_of_a_request(text, names):
    assert chosen(text) == names


@pytest.mark.parametrize("text", ["", "sharpe", "freqtrade,", "all,sharpe", "x" * 5_000])
def test_it_names_the_parameter_of_an_unknown_definition(text):
    with pytest.raises(
        ValueError, match=r"^definition: '.{0,40}' is none of freqtrade, "
    ) as caught:
        chosen(text)
    assert len(str(caught.value)) < 200


# ---------------------------------------------------------------- portfolios


def two_bots():
    """A on 600, B on 400, both of one currency: together 1,000."""
    a = [trade(1, hour(10), 50, opened=hour(9)), trade(2, hour(58), -30, opened=hour(57))]
    b = [trade(1, hour(34), -21, opened=hour(33)), trade(2, hour(58), 10, opened=hour(56))]
    sheets = []
    for events, start in ((a, 600), (b, 400)):
        ledger = Ledger(LedgerOptions(starting_equity=Decimal(start)))
        for event in events:
            ledger.apply(event)
        sheets.append(ledger.sheet(*WANTED))
    return sheets


def hour(n):
    return FIRST + timedelta(hours=n)


def test_it_takes_a_portfolio_as_one_account_of_the_summed_starting_equity():
    sheets = two_bots()
    columns = record(study(merged(sheets, sheets[0].options), hour(70)))
    found = {name: family(name, columns) for name in FAMILIES}
    # worked by hand: equity 1000 -> 1050, -> 1029, -> 999 -> 1009; days 5 %, -2 %, -20 / 1029
    days = [0.05, -0.02, -20 / 1029]
    mean = sum(days) / 3
    spread = math.sqrt(sum((day - mean) ** 2 for day in days) / 2)
    below = math.sqrt((0.02**2 + (20 / 1029) ** 2) / 3)
    for name in ("empyrical", "quantstats"):
        figures = found[name].figures
        assert figures["sharpe"] == pytest.approx(mean / spread * math.sqrt(252), rel=1e-12)
        assert figures["sortino"] == pytest.approx(mean / below * math.sqrt(252), rel=1e-12)
        assert figures["max_drawdown"] == pytest.approx(1009 / 1050 - 1, rel=1e-12)
        assert figures["cagr"] == pytest.approx(1.009 ** (252 / 3) - 1, rel=1e-12)
    assert found["quantstats"].figures["win_rate"] == pytest.approx(1 / 3)
    # freqtrade: four trades on one balance of 1000; 57 - 9 h between openings are two days
    profit = [0.05, -0.021, -0.03, 0.01]
    deviation = math.sqrt(sum((one - 0.00225) ** 2 for one in profit) / 4)
    freqtrades = found["freqtrade"].figures
    assert freqtrades["sharpe"] == pytest.approx(0.009 / 2 / deviation * math.sqrt(365), rel=1e-12)
    assert freqtrades["max_drawdown_abs"] == pytest.approx(51)
    assert freqtrades["max_drawdown"] == pytest.approx(51 / 1050, rel=1e-12)
    assert freqtrades["cagr"] == pytest.approx(1.009 ** (365 / 2) - 1, rel=1e-12)
    assert freqtrades["win_rate"] == 0.5
    # nautilus: each trade on the whole equity before it, those of one instant added up
    instants = [50 / 1000, -21 / 1050, -30 / 1029 + 10 / 999]
    mean = sum(instants) / 3
    spread = math.sqrt(sum((one - mean) ** 2 for one in instants) / 2)
    nautilus_own = found["nautilus"].figures
    assert nautilus_own["sharpe"] == pytest.approx(mean / spread * math.sqrt(252), rel=1e-12)
    assert nautilus_own["returns_avg"] == pytest.approx(mean, rel=1e-12)
    assert nautilus_own["expectancy"] == pytest.approx(30 * 0.5 - 25.5 * 0.5)
    assert [(one.trades, one.days) for one in found.values()] == [(4, 3)] * 4
    undefined = {name: set(one.undefined) for name, one in found.items() if one.undefined}
    assert undefined == {"nautilus": {"returns_kurtosis"}}  # of three instants, it needs four


def test_it_says_why_a_portfolio_with_an_unknown_part_has_no_figure():
    known, unknown = two_bots()
    unknown = replace(unknown, start=None)
    columns = record(study(merged([known, unknown], known.options), hour(70)))
    found = {name: family(name, columns) for name in FAMILIES}
    assert set(found["empyrical"].undefined.values()) == {"no starting equity"}
    assert found["freqtrade"].undefined["sharpe"] == "no starting equity"
    assert found["freqtrade"].figures["expectancy"] == pytest.approx(9 / 4)
    assert found["nautilus"].undefined["sharpe"] == "no starting equity"
    assert found["nautilus"].figures["winner_max"] == 50.0

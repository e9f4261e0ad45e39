"""The operator's own triggers: what they hear, and what they find."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from actors.alerts import figures
from actors.alerts.conditions import read
from actors.alerts.watch import Own, Watch
from actors.messages import (
    BotHealth,
    BreakerState,
    Health,
    HealthUpdate,
    KillSwitchState,
    Metrics,
    MetricsUpdate,
    PositionState,
    Risk,
    RiskUpdate,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
RISK = Risk(12, -3, Decimal(-5), Decimal(-5), Decimal("9000.5"), None, 0.06, None, None)
CALM = BotHealth(
    "HEALTHY", [], KillSwitchState(), BreakerState(), PositionState(2, 5, 0.4), None, False, "", 0
)


def own(when, name="deep", **fields):
    return Own(name, read(when, figures.KINDS), **fields)


def risk(bot="alpha", **fields):
    return RiskUpdate(bot, 1, AT, "USDT", replace(RISK, **fields))


def metrics(bots=("alpha",), **fields):
    plain = msgspec.structs.asdict(RISK) | {"at": AT, "currency": "USDT", "undefined": {}}
    ratios = dict.fromkeys(figures.RATIOS) | {"trades": 12}
    plain["rolling"] = ratios
    for name in figures.METRICS:
        plain.setdefault(name, None)
    for name in ("wins", "losses", "draws", "days", "longest_win_streak", "longest_loss_streak"):
        plain[name] = 0
    for name in ("pnl_week", "fees_total"):
        plain[name] = Decimal(0)
    told = msgspec.convert(plain | fields, Metrics, from_attributes=True)
    return MetricsUpdate(AT, dict.fromkeys(bots, told), {})


def health(**bots):
    return HealthUpdate("", 1, Health(AT, "HEALTHY", [], bots, {}))


def bands(findings):
    return [(finding.trigger, finding.bot, finding.band) for finding in findings]


# ---------------------------------------------------------------- figures


def test_it_offers_every_number_and_switch_by_name():
    told = figures.of_metrics(metrics().bots["alpha"]) | figures.of_health(CALM)
    assert told.keys() == set(figures.KINDS) == set(figures.NAMES)
    assert told["losses_in_a_row"] == 3
    assert figures.of_health(None).keys() == set(figures.HEALTH)
    for name, kind in figures.KINDS.items():
        if told[name] is not None:
            assert isinstance(told[name], bool) is (kind == "true or false")


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (None, "undefined"),
        (True, "yes"),
        (False, "no"),
        (0.0612345, "0.06123"),
        (12, "12"),
        (100, "100"),
        (Decimal("9000.500"), "9000.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("100.00"), "100"),
    ],
)
def test_it_shows_a_figure(value, want):
    assert figures.shown(value) == want


# ---------------------------------------------------------------- what is found when


def test_it_judges_what_risk_knows_after_each_event():
    watch = Watch([own("drawdown > 0.05 and trades >= 10")])
    assert bands(watch.risk(risk())) == [("deep", "alpha", 1)]
    assert bands(watch.risk(risk(drawdown=0.01))) == [("deep", "alpha", 0)]
    assert bands(watch.risk(risk(drawdown=None))) == [("deep", "alpha", 0)]
    assert watch.metrics(metrics()) == []  # told already, by the event itself
    assert watch.health(health(alpha=CALM)) == []


def test_it_judges_any_other_figure_when_all_are_told():
    watch = Watch([own("sharpe < 1 and trades >= 10"), own("rolling_win_rate < 0.5", "cold")])
    assert watch.risk(risk()) == []
    assert bands(watch.metrics(metrics(sharpe=0.5))) == [("deep", "alpha", 1), ("cold", "alpha", 0)]
    assert watch.risk(risk()) == []


def test_it_judges_what_all_figures_were_at_one_instant():
    watch = Watch([own("trades >= 13 and sharpe < 1 and silent")])
    watch.metrics(metrics(sharpe=0.5))
    watch.risk(risk(trades=13))  # the ratio of these 13 is not told yet
    assert bands(watch.health(health(alpha=replace(CALM, silent=True)))) == [("deep", "alpha", 0)]
    assert bands(watch.metrics(metrics(sharpe=0.5, trades=13))) == [("deep", "alpha", 1)]


def test_it_judges_health_when_it_changes():
    watch = Watch([own("kill_switch_active and drawdown > 0.05")])
    on = replace(CALM, kill_switch=KillSwitchState(active=True))
    watch.risk(risk())
    assert bands(watch.health(health(alpha=CALM, beta=CALM))) == [("deep", "alpha", 0)]
    assert watch.health(health(alpha=CALM, beta=CALM)) == []
    assert bands(watch.health(health(alpha=on, beta=on))) == [("deep", "alpha", 1)]
    assert bands(watch.risk(risk())) == [("deep", "alpha", 1)]


def test_it_judges_nothing_by_figures_that_it_has_not_heard():
    watch = Watch([own("not silent"), own("drawdown > 0.05 and not silent", "both")])
    assert watch.risk(risk()) == []
    assert bands(watch.health(health())) == [("deep", "alpha", 1), ("both", "alpha", 1)]
    watch = Watch([own("drawdown > 0.05 or breaker_open")])
    assert watch.health(health(alpha=CALM)) == []
    assert bands(watch.metrics(metrics())) == [("deep", "alpha", 1)]


def test_it_takes_a_bot_without_trades_for_one_of_undefined_figures():
    watch = Watch([own("drawdown > 0.05 or breaker_open")])
    watch.metrics(MetricsUpdate(AT, {}, {}))
    open_ = replace(CALM, circuit_breaker=BreakerState(open=True))
    assert bands(watch.health(health(beta=open_))) == [("deep", "beta", 1)]


def test_it_looks_only_at_the_bots_it_is_for():
    watch = Watch([own("trades > 1", bots=frozenset({"beta"}))])
    assert watch.risk(risk("alpha")) == []
    assert bands(watch.risk(risk("beta"))) == [("deep", "beta", 1)]


def test_it_wants_nothing_where_there_is_nothing_to_watch():
    watch = Watch([])
    assert not watch.wanted
    assert watch.risk(risk()) == watch.metrics(metrics()) == watch.health(health(a=CALM)) == []


# ---------------------------------------------------------------- what is said


def test_it_tells_the_condition_and_its_figures():
    watch = Watch([own("drawdown > 0.05 and trades >= 10", "too_deep", text="Deeper than ever.")])
    watch.health(health(alpha=CALM))
    (finding,) = watch.risk(risk())
    assert finding.title == "Too deep: drawdown > 0.05 and trades >= 10"
    assert finding.text == "Deeper than ever. Now: drawdown 0.06, trades 12."
    assert finding.facts == [("drawdown", "0.06"), ("trades", "12")]
    (over,) = watch.risk(risk(drawdown=0.01))
    assert over.cleared == "It no longer holds: drawdown 0.01, trades 12."


def test_it_shortens_a_long_condition_in_the_title():
    (finding,) = Watch([own(" or ".join(["trades > 1"] * 20))]).risk(risk())
    assert finding.title.endswith("...")
    assert len(finding.title) < 100

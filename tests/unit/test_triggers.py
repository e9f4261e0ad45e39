"""What the figures and the health of a bot amount to."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.alerts import controls, facts, triggers
from actors.alerts.triggers import Internal, Limits
from actors.messages import (
    ApiHealth,
    BotHealth,
    BreakerState,
    Health,
    HealthUpdate,
    KillSwitchState,
    PositionState,
    Risk,
    RiskUpdate,
)

AT = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
RISK = Risk(
    trades=7,
    streak=0,
    pnl_total=Decimal("12.5"),
    pnl_today=Decimal("-3.456"),
    equity=Decimal("987.654"),
    peak_equity=Decimal(1000),
    drawdown=0.0,
    drawdown_today=0.0,
    drawdown_week=0.0,
)
BOT = BotHealth(
    level="HEALTHY",
    reasons=[],
    kill_switch=KillSwitchState(),
    circuit_breaker=BreakerState(),
    positions=PositionState(),
    last_seen=AT,
    silent=False,
    state="",
    api_errors_per_minute=0,
)


def of_risk(**changed):
    update = RiskUpdate("native", 1, AT, "USDT", replace(RISK, **changed))
    return {found.trigger: found for found in triggers.of_risk(update, Limits())}


def of_health(bot=BOT, apis=None, rejected=""):
    health = Health(AT, bot.level, [], {"native": bot}, apis or {})
    update = HealthUpdate("native", 1, health, rejected)
    return {found.trigger: found for found in controls.of_health(update, lambda _bot: Limits())}


@pytest.mark.parametrize(
    ("value", "band"),
    [(0.0, 0), (0.0499999, 0), (0.05, 1), (0.0999, 1), (0.10, 2), (0.1999, 2), (0.20, 3), (1.0, 3)],
)
def test_it_bands_a_days_drawdown_at_1_2_and_4_times_the_limit(value, band):
    found = of_risk(drawdown_today=value)["drawdown_day"]
    assert (found.band, found.severity, found.value, found.threshold) == (
        band,
        "critical",
        value,
        0.05,
    )


@pytest.mark.parametrize(
    ("field", "trigger", "value", "threshold"),
    [
        ("drawdown_today", "drawdown_day", 0.06, 0.05),
        ("drawdown_week", "drawdown_week", 0.11, 0.10),
        ("drawdown", "drawdown_total", 0.21, 0.20),
    ],
)
def test_it_compares_each_drawdown_with_its_own_limit(field, trigger, value, threshold):
    found = of_risk(**{field: value})
    assert [name for name, one in found.items() if one.band] == [trigger]
    assert found[trigger].threshold == threshold
    assert f"{value:.2%}" in found[trigger].title
    assert f"{threshold:.2%}" in found[trigger].cleared


def test_it_finds_nothing_in_an_undefined_figure():
    found = of_risk(drawdown=None, drawdown_today=None, drawdown_week=None)
    assert list(found) == ["losses_in_a_row"]


@pytest.mark.parametrize(
    ("streak", "band", "losses"),
    [(3, 0, 0), (0, 0, 0), (-9, 0, 9), (-10, 1, 10), (-20, 2, 20), (-40, 3, 40)],
)
def test_it_counts_losses_not_wins(streak, band, losses):
    found = of_risk(streak=streak)["losses_in_a_row"]
    assert (found.band, found.value, found.severity) == (band, float(losses), "warning")


def test_it_tells_the_accounts_figures_in_the_bots_currency():
    found = of_risk(drawdown_today=0.5)["drawdown_day"]
    assert found.facts == [
        ("Drawdown", "50.00%"),
        ("Limit", "5.00%"),
        ("P&L today", "-3.46 USDT"),
        ("Equity", "987.65 USDT"),
        ("Trades", "7"),
    ]


def test_it_leaves_out_an_equity_that_nobody_knows():
    assert "Equity" not in dict(of_risk(equity=None)["losses_in_a_row"].facts)


def test_it_finds_nothing_wrong_with_a_healthy_bot():
    apis = {"binance": ApiHealth(True, 12.0, AT)}
    assert [one.trigger for one in of_health(apis=apis).values() if one.band] == []


@pytest.mark.parametrize(
    ("changed", "trigger", "severity", "text"),
    [
        (
            {"kill_switch": KillSwitchState(active=True, reason="manual")},
            "kill_switch",
            "critical",
            "manual",
        ),
        (
            {"kill_switch": KillSwitchState(active=True)},
            "kill_switch",
            "critical",
            "The kill switch was activated.",
        ),
        (
            {"circuit_breaker": BreakerState(open=True)},
            "circuit_breaker",
            "critical",
            "The circuit breaker tripped.",
        ),
        ({"silent": True}, "silent", "critical", "No sign of life for more than 120 s."),
        (
            {"api_errors_per_minute": 4},
            "api_errors",
            "warning",
            "4 API errors within a minute, the limit is 3.",
        ),
        (
            {"positions": PositionState(open=5, limit=5)},
            "position_limit",
            "warning",
            "5 of 5 positions are open.",
        ),
    ],
)
def test_it_finds_each_control_that_is_wrong(changed, trigger, severity, text):
    found = of_health(replace(BOT, **changed))
    wrong = [one for one in found.values() if one.band]
    assert [(one.trigger, one.severity, one.text) for one in wrong] == [(trigger, severity, text)]


@pytest.mark.parametrize("out_of_order", [False, True])
def test_it_says_that_a_danger_was_told_out_of_order(out_of_order):
    controls = {
        "kill_switch": KillSwitchState(True, since=AT, out_of_order=out_of_order),
        "circuit_breaker": BreakerState(True, since=AT, out_of_order=out_of_order),
    }
    for name, state in controls.items():
        facts = dict(of_health(replace(BOT, **{name: state}))[name].facts)
        assert facts["Since"].startswith(f"{AT:%Y-%m-%d}")
        assert ("Order" in facts) == out_of_order
    calm = KillSwitchState(False, since=AT, out_of_order=True)
    assert "Order" not in dict(of_health(replace(BOT, kill_switch=calm))["kill_switch"].facts)


def test_it_needs_more_api_errors_than_the_limit():
    assert of_health(replace(BOT, api_errors_per_minute=3))["api_errors"].band == 0


def test_it_knows_no_position_limit_without_a_limit():
    found = of_health(replace(BOT, positions=PositionState(open=5)))["position_limit"]
    assert (found.band, found.threshold, found.text) == (0, None, "5 positions are open.")


def test_it_tells_of_no_positions_that_the_bot_never_told_of():
    found = of_health(replace(BOT, positions=PositionState(limit=5)))
    assert "Open positions" not in {label for one in found.values() for label, _ in one.facts}
    full = found["position_limit"]
    assert (full.band, full.value, full.threshold) == (0, None, 5.0)
    assert full.cleared == "Now an unknown number of positions are open."


def test_it_says_when_the_bot_was_last_seen():
    facts = dict(of_health()["silent"].facts)
    assert facts["Last seen"] == "2026-01-01 12:30:00 UTC"
    assert dict(of_health(replace(BOT, last_seen=None))["silent"].facts)["Last seen"] == "never"


def test_it_marks_only_the_switches_as_transitions():
    found = of_health(rejected="no room")
    assert {name for name, one in found.items() if one.transition} == {
        "kill_switch",
        "circuit_breaker",
    }


@pytest.mark.parametrize(("failures", "band"), [(0, 0), (1, 0), (2, 1), (9, 1)])
def test_it_takes_one_lost_ping_for_a_blip(failures, band):
    apis = {"binance": ApiHealth(False, None, AT, failures=failures)}
    found = of_health(apis=apis)["exchange_unreachable"]
    assert (found.band, found.key) == (band, "exchange_unreachable||binance")
    assert found.text == "The exchange's API does not answer: no detail."


def test_it_takes_a_rejected_order_for_an_event_that_never_resolves():
    found = of_health(rejected="5 of 5 open")["position_rejected"]
    assert (found.once, found.band, found.text, found.bot) == (True, 1, "5 of 5 open", "native")


def test_it_tells_its_own_trouble_and_its_end():
    trouble = Internal("channel", "slack", "critical", "Channel slack is down", "timeout")
    found = triggers.of_internal(trouble)
    assert (found.band, found.key, found.once) == (1, "channel||slack", False)
    over = triggers.of_internal(replace(trouble, holds=False, text="It delivers again."))
    assert (over.band, over.cleared) == (0, "It delivers again.")


fractions = st.one_of(st.none(), st.sampled_from([0.0, 0.0499999, 0.05, 0.1, 0.2, 0.4]))


@given(fractions, fractions, fractions, st.integers(-41, 41))
def test_it_is_calm_where_no_finding_holds(today, week, total, streak):
    changed = {"drawdown_today": today, "drawdown_week": week, "drawdown": total}
    found = of_risk(streak=streak, **changed)
    calm = triggers.is_calm(replace(RISK, streak=streak, **changed), Limits())
    assert calm == all(finding.band == 0 for finding in found.values())
    assert {finding.key for finding in found.values()} <= set(triggers.risk_keys("native"))


bots = st.builds(
    replace,
    st.just(BOT),
    kill_switch=st.builds(KillSwitchState, active=st.booleans()),
    circuit_breaker=st.builds(BreakerState, open=st.booleans()),
    positions=st.builds(PositionState, open=st.none() | st.integers(0, 3), limit=st.integers(0, 3)),
    silent=st.booleans(),
    api_errors_per_minute=st.integers(0, 5),
)


@given(bots, st.booleans())
def test_it_writes_nothing_of_a_bot_that_is_and_was_well(bot, held):
    update = HealthUpdate("", 1, Health(AT, "HEALTHY", [], {"native": bot}, {}))
    wrong = {f.key for f in controls.of_health(update, lambda _bot: Limits()) if f.band}
    assert controls.is_well(bot, Limits()) is not bool(wrong)
    found = controls.of_health(update, lambda _bot: Limits(), lambda _keys: held)
    assert {f.key for f in found} == (
        set(controls.control_keys("native")) if wrong or held else set()
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (75, "1 min 15 s"),
        (7_260, "2 h 1 min"),
        (3_605, "1 h"),
        (180_000, "2 d 2 h"),
    ],
)
def test_it_writes_how_long_something_lasted_in_two_units(seconds, words):
    assert facts.span(seconds) == words

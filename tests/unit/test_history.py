"""Columns of a bot's events: what a ledger accepts, in its order, with its equity and its days."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Equity, Flow, Trade
from actors.metrics import figures, risk
from actors.metrics.details import account, details, record
from actors.metrics.details import portfolio as merged
from actors.metrics.families import FAMILIES, family
from actors.metrics.history import History
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.ledgers import Ledgers
from actors.metrics.portfolio import portfolio

FIRST = datetime(2024, 3, 1, tzinfo=UTC)
NOW = FIRST + timedelta(days=50)
ZONES = ("UTC", "Europe/Berlin", "America/New_York")


def trade(identity, day, pnl, **more):
    at = FIRST + timedelta(days=day)
    return Trade(
        "bot",
        identity,
        more.pop("symbol", "BTC"),
        more.pop("side", "long"),
        Decimal(1),
        at - timedelta(minutes=more.pop("minutes", 5)),
        Decimal(str(pnl)),
        at,
        at,
        **more,
    )


def history(*events, **options):
    options.setdefault("starting_equity", Decimal(1_000))
    book = History(LedgerOptions(**options))
    for event in events:
        book.take(event)
    return book


def ledger(events, options):
    book = Ledger(options)
    for event in events:
        book.apply(event)
    return book


days = st.integers(0, 40 * 24).map(lambda hour: hour / 24)
cents = st.integers(-9_000, 9_000).map(lambda n: Decimal(n).scaleb(-2))
events = st.lists(
    st.builds(
        lambda n, day, pnl, revision: trade(n, day, pnl, revision=revision),
        st.integers(1, 20) | st.sampled_from(["a", "7"]),
        days,
        cents | st.just(Decimal("1e-15")),
        st.integers(0, 2),
    )
    | st.builds(
        lambda n, day, amount: Flow("bot", FIRST + timedelta(days=day), n, amount),
        st.integers(1, 4),
        days,
        cents.filter(bool),
    )
    | st.builds(
        lambda day, amount: Equity("bot", FIRST + timedelta(days=day), Decimal(900) + amount),
        days,
        cents,
    ),
    max_size=30,
)


@given(events, st.sampled_from([None, Decimal(1_000)]), st.sampled_from(ZONES))
@settings(max_examples=150, deadline=None)
def test_it_follows_equity_and_days_as_the_ledger_does(given_events, start, zone):
    options = LedgerOptions(starting_equity=start, zone=zone)
    book = history(*given_events, starting_equity=start, zone=zone)
    of, want = account(book, NOW), ledger(given_events, options).metrics(NOW)
    equity = of.path.after[-1] if len(of.path.after) else of.starting
    units = None if want.equity is None else int(want.equity * 10**of.columns.scale)
    assert equity == units
    assert len(of.rows) == want.trades
    if want.equity is not None and want.trades:
        assert len(of.days.returns) == want.days
    for name in ("sharpe", "sortino"):
        if (have := getattr(want, name)) is not None:
            computed = getattr(figures, name)(of.days.returns, figures.Basis())
            assert computed == pytest.approx(have, rel=1e-6, abs=1e-6)


@given(events, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_it_computes_the_same_bits_in_any_order(given_events, shuffle):
    unique = {(type(e), str(getattr(e, "id", e.at))): e for e in given_events}  # no contradictions
    one = list(unique.values())
    other = [*one, *one]
    shuffle.shuffle(other)
    answers = [
        msgspec.json.encode(
            (
                [family(name, record(account(book, NOW))) for name in FAMILIES],
                details(account(book, NOW), NOW),
            )
        )
        for book in (history(*one), history(*other))
    ]
    assert answers[0] == answers[1]


def test_it_replaces_a_corrected_trade():
    book = history(trade(1, 1, 10), trade(1, 2, -4, revision=1), trade(1, 1, 99))
    columns = book.columns()
    assert len(columns.when) == 1
    assert columns.floats(columns.amount).tolist() == [-4.0]


def test_it_keeps_out_another_currency():
    book = history(trade(1, 1, 10), currency="EUR")
    assert not book.take(trade(2, 2, 5, currency="USD"))
    assert len(book) == 1


def test_it_takes_the_currency_of_the_first_trade_that_names_one():
    book = history(trade(1, 1, 10), trade(2, 2, 5, currency="USDT"), currency_is_set=False)
    assert (book.currency, len(book)) == ("USDT", 2)


def test_it_knows_equity_before_each_trade():
    at = FIRST + timedelta(days=2)
    book = history(
        trade(1, 1, 10),
        Flow("bot", at, 1, Decimal(90)),
        Equity("bot", at, Decimal(500)),
        trade(2, 3, 1),
    )
    assert record(account(book, NOW)).before.tolist() == [1_000.0, 500.0]
    unknown = history(
        trade(1, 1, 10), Equity("bot", at, Decimal(500)), trade(2, 3, 1), starting_equity=None
    )
    before = record(account(unknown, NOW)).before
    assert np.isnan(before[0])
    assert before[1] == 500.0


def test_it_compounds_the_parts_of_a_day_that_flows_cut():
    at = FIRST + timedelta(days=1.5)
    deposit, out = Flow("bot", at, 1, Decimal(890)), Flow("bot", at, 2, Decimal(-400))
    book = history(trade(1, 1.25, 110), deposit, out, trade(2, 1.75, -160), trade(3, 2.1, 72))
    first, second = account(book, FIRST + timedelta(days=2.2)).days.returns
    assert first == pytest.approx(1.11 * 0.9 - 1, rel=1e-12)
    assert second == 72 / 1_440


def test_it_takes_a_start_of_many_decimals():
    start = Decimal("1000.0000000000001")
    of = account(history(trade(1, 1, "0.5"), starting_equity=start), NOW)
    assert of.path.after[-1] == int((start + Decimal("0.5")) * 10**of.columns.scale)


# ---------------------------------------------------------------- details


def detailed(*given_events, now=NOW, **options):
    book = history(*given_events, **options)
    return details(account(book, now), now)


def test_it_times_drawdowns_from_the_peak_to_the_recovery():
    found = detailed(trade(1, 1, 10), trade(2, 2, -5), trade(3, 4, 5), trade(4, 9, -1))
    assert found.drawdown_longest_s == (NOW - FIRST).total_seconds() - 4 * 86_400
    assert found.drawdown_current_s == found.drawdown_longest_s
    early = detailed(
        trade(1, 1, 10), trade(2, 2, -5), trade(3, 4, 5), now=FIRST + timedelta(days=5)
    )
    assert (early.drawdown_current_s, early.drawdown_longest_s) == (0.0, 3 * 86_400.0)


def test_it_does_not_take_a_quiet_peak_for_a_drawdown():
    found = detailed(trade(1, 1, 10), trade(2, 30, 5))
    assert (found.drawdown_current_s, found.drawdown_longest_s) == (0.0, 0.0)


def test_a_withdrawal_is_no_drawdown():
    out = Flow("bot", FIRST + timedelta(days=2), 1, Decimal(-500))
    assert detailed(trade(1, 1, 10), out, trade(2, 3, 0)).drawdown_longest_s == 0.0


def test_it_measures_exposure_without_counting_overlaps_twice():
    found = detailed(
        trade(1, 1, 1, minutes=60),
        trade(2, 1, 1, minutes=30),
        trade(3, 2, 1, minutes=60),
        now=FIRST + timedelta(days=2),
    )
    assert found.exposure == pytest.approx(2 / 25)
    assert found.holding_mean_s == 50 * 60


def test_it_shows_the_best_and_the_worst_trade():
    found = detailed(trade(1, 1, 3, symbol="ETH"), trade(2, 2, -7, side="short"))
    assert (found.best.pnl, found.best.symbol, found.best.side) == (3, "ETH", "long")
    assert (found.worst.pnl, found.worst.symbol, found.worst.side) == (-7, "BTC", "short")
    assert found.worst.closed_at == FIRST + timedelta(days=2)


def test_it_gives_r_multiples_where_the_risk_is_known():
    found = detailed(
        trade(1, 1, 30, risk=Decimal(10)), trade(2, 2, -10, risk=Decimal(10)), trade(3, 3, 5)
    )
    multiples = found.r_multiples
    assert (multiples.trades, multiples.mean, multiples.best, multiples.worst) == (2, 1.0, 3, -1)
    assert detailed(trade(1, 1, 1)).undefined["r_multiples"] == "no trade told its risk"


def test_it_takes_the_worst_days_for_value_at_risk():
    losses = [trade(n, n, -n) for n in range(1, 31)]
    now = FIRST + timedelta(days=30)
    found = detailed(*losses, now=now)
    of = account(history(*losses), now)
    worst = sorted(of.days.returns)
    assert found.days == 30
    assert found.value_at_risk == -worst[1]  # 5 % of 30 days is 1.5, so the second worst
    assert found.expected_shortfall == -(worst[0] + worst[1]) / 2
    assert (
        detailed(trade(1, 1, 1), now=FIRST + timedelta(days=3)).undefined["value_at_risk"]
        == "needs 20 days"
    )


def test_it_breaks_down_by_symbol_side_hour_and_weekday():
    found = detailed(
        trade(1, 0.25, 4, symbol="ETH", fee=Decimal("0.1")),
        trade(2, 0.25, -1, symbol="ETH", side="short"),
        trade(3, 1.5, -2),
    )
    bitcoin, ether = found.by_symbol
    assert (ether.name, ether.trades, ether.wins, ether.losses) == ("ETH", 2, 1, 1)
    assert (ether.pnl_total, ether.fees_total, ether.expectancy) == (
        3,
        Decimal("0.1"),
        Decimal("1.5"),
    )
    assert (ether.profit_factor, bitcoin.profit_factor) == (4.0, 0.0)
    assert {g.name: g.pnl_total for g in found.by_side} == {"long": 2, "short": -1}
    assert {g.name: g.trades for g in found.by_hour} == {"06": 2, "12": 1}
    assert {g.name: g.trades for g in found.by_weekday} == {"Friday": 2, "Saturday": 1}


def test_it_tells_hours_in_the_accounts_zone():
    found = detailed(trade(1, 0.25, 1), zone="Asia/Kathmandu")
    assert [group.name for group in found.by_hour] == ["11"]  # 06:00 UTC is 11:45 there


def test_it_bounds_the_number_of_groups():
    many = [trade(n, n / 100, 1, symbol=f"S{n % 600}") for n in range(1_200)]
    found = detailed(*many, trade("x", 13, 5, symbol="S599"))
    assert len(found.by_symbol) == 500
    assert found.by_symbol[-1].name == "(others)"
    assert "S599" in {group.name for group in found.by_symbol}  # the one with most trades
    assert sum(group.trades for group in found.by_symbol) == 1_201
    assert sum(group.pnl_total for group in found.by_symbol) == 1_205


def test_it_compounds_days_to_months():
    found = detailed(trade(1, 1, 100), trade(2, 2, -110), trade(3, 40, 99))
    assert [(month.month, month.days) for month in found.months] == [
        ("2024-03", 30),
        ("2024-04", 20),
    ]
    assert found.months[0].value == pytest.approx(1.1 * 0.9 - 1)
    assert found.months[1].value == pytest.approx(0.1)


def test_it_gives_no_month_where_equity_was_not_positive():
    found = detailed(trade(1, 1, -2_000), trade(2, 40, 3_000))
    assert found.months[0].value is None


def test_it_says_how_precise_each_ratio_is():
    rng = random.Random(5)
    trades = [trade(n, n / 4, round(rng.gauss(1, 10), 2)) for n in range(1, 161)]
    found = detailed(*trades).precision
    assert (found["win_rate"].sample, found["win_rate"].of) == (160, "trades")
    assert (found["sharpe"].sample, found["sharpe"].of) == (51, "days")
    assert found["calmar"].stderr is None
    want = ledger(trades, LedgerOptions(starting_equity=Decimal(1_000))).metrics(NOW)
    assert found["sharpe"].stderr == pytest.approx(want.sharpe_stderr, rel=1e-9)
    pnl = np.array([float(one.pnl) for one in trades])
    assert found["expectancy"].stderr == pytest.approx(pnl.std(ddof=1) / 160**0.5)


@pytest.mark.parametrize("name", ["profit_factor", "sortino"])
def test_its_standard_errors_agree_with_resampling(name):
    rng = np.random.default_rng(11)
    pnl = rng.normal(0.1, 1.0, 2_000)
    returns = rng.normal(0.001, 0.01, 2_000)
    if name == "profit_factor":
        stderr = risk.profit_factor_stderr(pnl)
        samples = pnl[rng.integers(0, 2_000, (1_000, 2_000))]
        values = np.maximum(samples, 0).sum(1) / np.maximum(-samples, 0).sum(1)
    else:
        stderr = risk.sortino_stderr(returns, 365)
        samples = returns[rng.integers(0, 2_000, (1_000, 2_000))]
        down = np.sqrt((np.minimum(samples, 0) ** 2).mean(1))
        values = samples.mean(1) / down * 365**0.5
    assert stderr == pytest.approx(values.std(), rel=0.1)


def test_it_says_why_a_detail_is_undefined():
    found = detailed(starting_equity=None)
    assert found.undefined == {
        "drawdown_current_s": "no starting equity",
        "drawdown_longest_s": "no starting equity",
        "exposure": "no trades",
        "holding_mean_s": "no trades",
        "best": "no trades",
        "worst": "no trades",
        "r_multiples": "no trades",
        "value_at_risk": "needs 20 days",
        "expected_shortfall": "needs 20 days",
    }
    for name in found.undefined:
        assert getattr(found, name) is None


# ---------------------------------------------------------------- portfolios


@given(
    st.lists(events, min_size=2, max_size=3),
    st.lists(st.sampled_from([None, Decimal(1_000)]), min_size=3, max_size=3),
)
@settings(max_examples=100, deadline=None)
def test_it_merges_accounts_as_the_live_portfolio_does(histories, starts):
    books, ledgers = [], []
    for rank, (given_events, start) in enumerate(zip(histories, starts, strict=False)):
        named = [msgspec.structs.replace(event, bot=f"b{rank}") for event in given_events]
        options = LedgerOptions(starting_equity=start)
        books.append(history(*named, starting_equity=start))
        ledgers.append(ledger(named, options))
        ledgers[-1].name = f"b{rank}"
    want = portfolio(ledgers, ledgers[0].options, NOW)
    of = merged(books, NOW)
    assert len(of.rows) == want.trades
    equity = of.path.after[-1] if len(of.path.after) else of.starting
    assert equity == (None if want.equity is None else want.equity * 10**of.columns.scale)
    for name in ("sharpe", "sortino"):
        if (have := getattr(want, name)) is not None:
            computed = getattr(figures, name)(of.days.returns, figures.Basis())
            assert computed == pytest.approx(have, rel=1e-9, abs=1e-9)


def test_it_tells_a_portfolio_in_detail():
    one, other = history(trade(1, 1, 5)), history(trade(1, 2, -2, symbol="ETH"), trade(2, 3, 1))
    found = details(merged([one, other], NOW), NOW)
    assert found.trades == 3
    assert [(group.name, group.pnl_total) for group in found.by_symbol] == [("BTC", 6), ("ETH", -2)]
    assert found.months[0].value == pytest.approx(4 / 2_000)


def test_it_takes_the_currency_that_an_outdated_trade_is_first_to_name():
    events = [
        trade("a", 1, 5, revision=1),
        trade("a", 1, 9, currency="EUR"),
        trade("b", 2, 7, currency="USD"),
        trade("c", 3, 1, currency="EUR"),
    ]
    options = LedgerOptions(currency_is_set=False)
    book, live = History(options), Ledgers(lambda _bot: options)
    for event in events:
        book.take(event)
        live.apply(event)
    assert book.currency == live.of["bot"].options.currency == "EUR"
    assert len(book) == live.of["bot"].metrics(NOW).trades == 2

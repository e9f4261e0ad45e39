"""Accounts in detail: worked out of a ledger's columns, and of those of a currency's ledgers."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Equity, Flow, Trade
from actors.metrics import breakdown, figures, risk
from actors.metrics.breakdown import local_times
from actors.metrics.details import WANTED, details, record
from actors.metrics.details import study as worked_out
from actors.metrics.families import FAMILIES, family
from actors.metrics.figures import Basis
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.money import floats, micros
from actors.metrics.options import calendar_of
from actors.metrics.portfolio import portfolio
from actors.metrics.sheet import merged
from actors.metrics.summary import total

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


def ledger(events, options):
    book = Ledger(options)
    for event in events:
        book.apply(event)
    return book


def history(*events, **options):
    options.setdefault("starting_equity", Decimal(1_000))
    return ledger(events, LedgerOptions(**options))


def study(book, now):
    return worked_out(book.sheet(*WANTED), now)


def whole(books, now):
    sheets = [book.sheet(*WANTED) for book in books]
    return worked_out(merged(sheets, sheets[0].options), now)


days = st.integers(0, 40 * 24).map(lambda hour: hour / 24)
cents = st.integers(-9_000, 9_000).map(lambda n: Decimal(n).scaleb(-2))
events = st.lists(
    st.builds(
        lambda n, day, pnl, revision: trade(n, day, pnl, revision=revision),
        st.integers(1, 20) | st.sampled_from(["a", "7"]),
        days,
        cents | st.sampled_from([Decimal("1e-15"), Decimal("1e-40")]),
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


choices = st.fixed_dictionaries(
    {
        "base": st.sampled_from(["compounding", "fixed"]),
        "calendar": st.sampled_from(["all", "weekdays"]),
    }
)


@given(events, st.sampled_from([None, Decimal(1_000)]), st.sampled_from(ZONES), choices)
@settings(max_examples=150, deadline=None)
def test_it_goes_the_way_of_the_live_figures(given_events, start, zone, chosen):
    book = history(*given_events, starting_equity=start, zone=zone, **chosen)
    of, want = study(book, NOW), book.metrics(NOW)
    same_way(of, want)
    assert details(of, NOW).precision["sharpe"].stderr == want.sharpe_stderr
    first, returns = book.daily_returns()
    if first is None:
        assert len(of.walk.days.returns) == 0
    else:
        assert calendar_of(book.options).ordinal(of.walk.days.first) == first
        same = np.array(returns)
        assert np.array_equal(of.walk.days.returns[: len(same)], same, equal_nan=True)
        assert not of.walk.days.returns[len(same) :].any()
    curve = book.history(FIRST - timedelta(days=9), NOW, 5_000)
    assert [point.equity for point in curve] == floats(of.walk.after, of.sheet.scale).tolist()
    assert [not point.drawdown for point in curve if point.equity > 0] == [
        bool(high) for high, after in zip(of.walk.at_peak, of.walk.after, strict=True) if after > 0
    ]


def same_way(of, want):
    """Count, equity and ratios are those of the live figures, to the bit but for the last steps."""
    equity = of.walk.after[-1] if len(of.walk.after) else of.walk.start
    assert equity == (None if want.equity is None else Fraction(want.equity) * 10**of.sheet.scale)
    assert len(of.rows) == want.trades
    if want.equity is not None and want.trades:
        assert len(of.walk.days.returns) == want.days
    for name in ("sharpe", "sortino"):
        if (have := getattr(want, name)) is not None:
            computed = getattr(figures, name)(of.walk.days.measured, figures.Basis())
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
                [family(name, record(study(book, NOW))) for name in FAMILIES],
                details(study(book, NOW), NOW),
            )
        )
        for book in (history(*one), history(*other))
    ]
    assert answers[0] == answers[1]


def test_it_replaces_a_corrected_trade():
    book = history(trade(1, 1, 10), trade(1, 2, -4, revision=1), trade(1, 1, 99))
    assert study(book, NOW).pnl.tolist() == [-4.0]


def test_it_knows_equity_before_each_trade():
    at = FIRST + timedelta(days=2)
    book = history(
        trade(1, 1, 10),
        Flow("bot", at, 1, Decimal(90)),
        Equity("bot", at, Decimal(500)),
        trade(2, 3, 1),
    )
    assert record(study(book, NOW)).before.tolist() == [1_000.0, 500.0]
    unknown = history(
        trade(1, 1, 10), Equity("bot", at, Decimal(500)), trade(2, 3, 1), starting_equity=None
    )
    before = record(study(unknown, NOW)).before
    assert np.isnan(before[0])
    assert before[1] == 500.0


def test_it_compounds_the_parts_of_a_day_that_flows_cut():
    at = FIRST + timedelta(days=1.5)
    deposit, out = Flow("bot", at, 1, Decimal(890)), Flow("bot", at, 2, Decimal(-400))
    book = history(trade(1, 1.25, 110), deposit, out, trade(2, 1.75, -160), trade(3, 2.1, 72))
    first, second = study(book, FIRST + timedelta(days=2.2)).walk.days.returns
    assert first == pytest.approx(1.11 * 0.9 - 1, rel=1e-12)
    assert second == 72 / 1_440


def test_it_takes_a_start_of_many_decimals():
    start = Decimal("1000.0000000000001")
    of = study(history(trade(1, 1, "0.5"), starting_equity=start), NOW)
    assert of.walk.after[-1] == int((start + Decimal("0.5")) * 10**of.sheet.scale)


# ---------------------------------------------------------------- details


def detailed(*given_events, now=NOW, **options):
    book = history(*given_events, **options)
    return details(study(book, now), now)


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


def test_it_names_the_best_and_the_worst_trade():
    mark = Equity("bot", FIRST, Decimal(1_000))
    found = detailed(mark, trade("7", 1, 3), trade("q/é", 2, -7), trade("other", 3, 0))
    assert (found.best.bot, found.best.id) == ("bot", "7")
    assert (found.worst.bot, found.worst.id) == ("bot", "q/é")


def test_of_several_bests_it_names_the_first_in_order():
    given = [trade("b", 2, 3), trade("a", 2, 3), trade(9, 3, 3), trade("b", 1, 1)]
    assert detailed(*given).best.id == detailed(*reversed(given[:3])).best.id == "a"


def test_it_names_them_though_their_ledger_goes_on():
    """It is worked out in a thread, while trades come in and those of before are compacted."""
    book = history(*(trade(f"t{n}", n / 10, n) for n in range(40)), rolling_trades=2)
    sheet = book.sheet(*WANTED)
    for n in range(100):
        book.apply(trade(f"later{n}", 30 + n / 10, n))
    while book.compact(micros(FIRST + timedelta(days=33)), 30):
        pass
    assert book.timeline.heap is not sheet.members[0].heap
    found = details(worked_out(sheet, NOW), NOW)
    assert (found.worst.id, found.best.id) == ("t0", "t39")


def test_it_names_the_bot_of_a_portfolios_best_trade():
    books = []
    for bot, events in (
        ("a", [trade(1, 1, 5), Equity("bot", FIRST + timedelta(days=1.5), Decimal(900))]),
        ("b", [trade("x", 2, -2), trade("y", 0.5, 9)]),
    ):
        books.append(history(*(msgspec.structs.replace(event, bot=bot) for event in events)))
    found = details(whole(books, NOW), NOW)
    assert (found.best.bot, found.best.id) == ("b", "y")
    assert (found.worst.bot, found.worst.id) == ("b", "x")
    found = details(whole([*books[:1], history(starting_equity=None)], NOW), NOW)
    assert (found.best.bot, found.best.id, found.worst.id) == ("a", "1", "1")


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
    of = study(history(*losses), now)
    worst = sorted(of.walk.days.returns)
    assert found.days == 30
    assert found.value_at_risk == -worst[1]  # 5 % of 30 days is 1.5, so the second worst
    assert found.expected_shortfall == -(worst[0] + worst[1]) / 2
    quiet = detailed(trade(1, 1, 1), now=FIRST + timedelta(days=40))
    assert (str(quiet.value_at_risk), str(quiet.expected_shortfall)) == ("0.0", "0.0")
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
    assert found["sharpe"].stderr == want.sharpe_stderr
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
        stderr = risk.sortino_stderr(returns, Basis(365))
        samples = returns[rng.integers(0, 2_000, (1_000, 2_000))]
        down = np.sqrt((np.minimum(samples, 0) ** 2).mean(1))
        values = samples.mean(1) / down * 365**0.5
    assert stderr == pytest.approx(values.std(), rel=0.1)


def test_it_says_why_a_detail_is_undefined():
    found = detailed(starting_equity=None)
    rolling = {name for name in found.undefined if name.startswith("rolling_by_days.")}
    assert {name: found.undefined[name] for name in found.undefined.keys() - rolling} == {
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
    for name in found.undefined.keys() - rolling:
        assert getattr(found, name) is None
    assert rolling == {
        f"rolling_by_days.{name}"
        for name, value in msgspec.structs.asdict(found.rolling_by_days).items()
        if value is None
    }


# ---------------------------------------------------------------- portfolios


@given(
    st.lists(events, min_size=2, max_size=3),
    st.lists(st.sampled_from([None, Decimal(1_000)]), min_size=3, max_size=3),
    choices,
)
@settings(max_examples=100, deadline=None)
def test_it_merges_accounts_as_the_live_portfolio_does(histories, starts, chosen):
    ledgers = []
    for rank, (given_events, start) in enumerate(zip(histories, starts, strict=False)):
        named = [msgspec.structs.replace(event, bot=f"b{rank}") for event in given_events]
        options = LedgerOptions(starting_equity=start, **chosen)
        ledgers.append(ledger(named, options))
        ledgers[-1].name = f"b{rank}"
    of, want = whole(ledgers, NOW), portfolio(ledgers, ledgers[0].options, NOW)
    same_way(of, want)
    assert details(of, NOW).precision["sharpe"].stderr == want.sharpe_stderr


def test_it_merges_an_account_of_zeros_with_one_of_a_far_smaller_unit():
    """A bot that reckons in floats sends what is left of 0.1 + 0.2 - 0.3."""
    residue, plain = history(trade(1, 1, 0.1 + 0.2 - 0.3)), history(trade(1, 2, 0), trade(2, 3, 0))
    assert residue.scale - plain.scale > 19
    found = details(whole([residue, plain], NOW), NOW)
    assert (found.trades, found.best.pnl) == (3, Decimal(repr(0.1 + 0.2 - 0.3)))


def test_it_tells_a_portfolio_in_detail():
    one, other = history(trade(1, 1, 5)), history(trade(1, 2, -2, symbol="ETH"), trade(2, 3, 1))
    found = details(whole([one, other], NOW), NOW)
    assert found.trades == 3
    assert [(group.name, group.pnl_total) for group in found.by_symbol] == [("BTC", 6), ("ETH", -2)]
    assert found.months[0].value == pytest.approx(4 / 2_000)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
def test_it_tells_local_times_as_the_zone_does(zone):
    dice = random.Random(zone)
    first = datetime(1970, 1, 3, tzinfo=UTC)
    instants = sorted(
        [first + timedelta(hours=dice.randrange(9 * 24 * 365), minutes=dice.randrange(60))]
        + [datetime(2024, 10, 27, tzinfo=UTC) + timedelta(minutes=15 * n) for n in range(96)]
        + [first + timedelta(seconds=dice.randrange(2_000_000_000)) for _ in range(400)]
    )
    hours, weekdays = local_times(np.array(list(map(micros, instants))), zone)
    local = [instant.astimezone(ZoneInfo(zone)) for instant in instants]
    assert hours.tolist() == [one.hour for one in local]
    assert weekdays.tolist() == [one.weekday() for one in local]
    assert [len(one) for one in local_times(np.zeros(0, np.int64), zone)] == [0, 0]


@pytest.mark.parametrize("kind", [np.int64, object])
def test_it_sums_groups_exactly_at_any_size(monkeypatch, kind):
    monkeypatch.setattr(breakdown, "PART", 7)
    dice = random.Random(4)
    place = np.array([dice.randrange(3) for _ in range(40)])
    large = [dice.randrange(-(2**63), 2**63) for _ in range(40)]
    amounts = np.array(large, kind)
    sums = [sum(large[at] for at in range(40) if place[at] == group) for group in range(4)]
    assert breakdown._sums(place, amounts, 4) == sums
    assert total(amounts) == sum(large)

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Equity, Flow, Trade
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.portfolio import Portfolio, portfolio

DATA = Path(__file__).parents[1] / "data"
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def at(day, hour=12, minute=0, second=0):
    """Day 0 is Monday, 2 March 2026."""
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute, seconds=second)


def trade(identity, when, pnl, **more):
    return Trade(
        bot=more.pop("bot", "alpha"),
        id=identity,
        symbol="BTC/USD",
        side="long",
        quantity=Decimal(1),
        opened_at=when - timedelta(minutes=5),
        pnl=Decimal(str(pnl)),
        closed_at=when,
        **more,
    )


def equity(when, value, bot="alpha"):
    return Equity(bot=bot, at=when, equity=Decimal(str(value)))


def flow(identity, when, amount, bot="alpha"):
    return Flow(bot=bot, at=when, id=identity, amount=Decimal(str(amount)))


def ledger(*events, start: object = 1000, **options):
    starting = None if start is None else Decimal(str(start))
    book = Ledger(LedgerOptions(starting_equity=starting, **options))
    for event in events:
        book.apply(event)
    return book


def bits(figures):
    """The exact bytes: floats in their shortest round-trip form, money as text."""
    return msgspec.json.encode(figures, order="deterministic")


# ------------------------------------------------------------------ freqtrade


def freqtrade():
    recorded = json.loads((DATA / "freqtrade-trades.json").read_text())
    trades = [
        trade(row["id"], datetime.fromtimestamp(row["closed_ms"] / 1000, UTC), row["pnl"])
        for row in recorded["trades"]
    ]
    return recorded, trades


def test_it_agrees_with_freqtrade_on_a_recorded_dry_run():
    recorded, trades = freqtrade()
    profit = recorded["profit"]
    figures = ledger(*trades, start=recorded["starting_equity"]).metrics(trades[-1].closed_at)
    assert figures.win_rate == 7 / 12 == pytest.approx(float(profit["winrate"]))
    assert (figures.wins, figures.losses, figures.draws) == (7, 5, 0)
    assert figures.pnl_total == Decimal(profit["profit_closed_coin"]) == Decimal("-0.30143426")
    assert round(figures.max_drawdown, 8) == round(float(profit["max_drawdown"]), 8) == 0.00729198
    assert figures.max_drawdown_abs == Decimal("7.21906226")
    assert figures.drawdown == pytest.approx(float(profit["current_drawdown"]), rel=1e-12)
    assert figures.profit_factor == pytest.approx(float(profit["profit_factor"]), rel=1e-12)
    assert float(figures.expectancy) == pytest.approx(float(profit["expectancy"]), rel=1e-12)
    assert round(figures.sqn, 4) == float(profit["sqn"])
    assert figures.peak_equity == 990
    assert figures.equity == Decimal("989.69856574")


def test_it_gives_no_daily_ratio_for_twelve_trades_of_one_day():
    recorded, trades = freqtrade()
    figures = ledger(*trades, start=recorded["starting_equity"]).metrics(trades[-1].closed_at)
    assert figures.days == 1
    for name in ("sharpe", "sharpe_stderr", "sortino"):
        assert getattr(figures, name) is None
        assert figures.undefined[name] == "needs 2 days"
    assert figures.undefined["cagr"] == figures.undefined["calmar"] == "needs 30 days"


# ----------------------------------------------------------- a second opinion


def oracle(trades, start, today):
    """Every figure by its definition, in fractions, from scratch (UTC days, no ticks, no flows)."""
    rows = sorted(trades, key=lambda row: (row.closed_at, row.id))
    balance = peak = Fraction(start)
    deepest, fraction = Fraction(0), Fraction(0)
    by_day: dict[int, Fraction] = {}
    for row in rows:
        balance += Fraction(row.pnl)
        peak = max(peak, balance)
        deepest = max(deepest, peak - balance)
        fraction = max(fraction, (peak - balance) / peak)
        day = row.closed_at.toordinal()
        by_day[day] = by_day.get(day, Fraction(0)) + Fraction(row.pnl)
    opening, returns = Fraction(start), []
    for day in range(rows[0].closed_at.toordinal(), today + 1):
        returns.append(by_day.get(day, Fraction(0)) / opening)
        opening += by_day.get(day, Fraction(0))
    mean = sum(returns) / len(returns)
    variance = sum((r - mean) ** 2 for r in returns) / (len(returns) - 1)
    downside = sum(min(r, Fraction(0)) ** 2 for r in returns) / len(returns)
    return {
        "equity": balance,
        "drawdown": (peak - balance) / peak,
        "max_drawdown": fraction,
        "max_drawdown_abs": deepest,
        "sharpe": float(mean) / math.sqrt(variance) * math.sqrt(365),
        "sortino": float(mean) / math.sqrt(downside) * math.sqrt(365),
        "cagr": (float(balance) / start) ** (365 / len(returns)) - 1,
        "days": len(returns),
    }


@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_a_recomputation_in_fractions(seed):
    dice = random.Random(seed)
    trades = [
        trade(i, at(0) + timedelta(minutes=dice.randrange(60 * 24 * 60)), dice.gauss(0.5, 15))
        for i in range(dice.choice([40, 300]))
    ]
    dice.shuffle(trades)
    now = at(64)
    figures = ledger(*trades, start=5000).metrics(now)
    expected = oracle(trades, 5000, now.toordinal())
    assert figures.days == expected["days"]
    assert Fraction(figures.equity) == expected["equity"]
    assert Fraction(figures.max_drawdown_abs) == expected["max_drawdown_abs"]
    for name in ("drawdown", "max_drawdown"):
        assert getattr(figures, name) == float(expected[name])
    for name in ("sharpe", "sortino", "cagr"):
        assert getattr(figures, name) == pytest.approx(expected[name], rel=1e-11)
    assert figures.calmar == pytest.approx(figures.cagr / figures.max_drawdown)


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_a_recomputation_on_the_rolling_window(seed):
    dice = random.Random(seed)
    trades = [trade(i, at(0) + timedelta(hours=7 * i), dice.gauss(0.5, 15)) for i in range(200)]
    figures = ledger(*trades, start=5000, rolling_trades=30).metrics(trades[-1].closed_at)
    before = 5000 + sum(Fraction(row.pnl) for row in trades[:170])
    window = oracle(trades[170:], before, trades[-1].closed_at.toordinal())
    rolling = figures.rolling
    assert rolling.trades == 30
    assert rolling.max_drawdown == float(window["max_drawdown"])
    assert rolling.win_rate == sum(row.pnl > 0 for row in trades[170:]) / 30
    # the first of the window's days also holds trades from before the window
    first = trades[170].closed_at.replace(hour=0, minute=0)
    days = [row for row in trades if row.closed_at >= first]
    opening = 5000 + sum(Fraction(row.pnl) for row in trades if row.closed_at < first)
    spanned = oracle(days, opening, trades[-1].closed_at.toordinal())
    assert rolling.sharpe == pytest.approx(spanned["sharpe"], rel=1e-11)
    assert rolling.sortino == pytest.approx(spanned["sortino"], rel=1e-11)


def test_it_limits_the_rolling_days():
    trades = [trade(i, at(10 * i), 5 - 3 * (i % 3)) for i in range(12)]
    ten_days = ledger(*trades, rolling_days=10).metrics(at(110))
    opening = 1000 + sum(row.pnl for row in trades[:11])
    alone = ledger(trade(0, at(101), 0), trades[-1], start=opening).metrics(at(110))
    assert ten_days.rolling.trades == 12
    assert ten_days.rolling.sharpe == pytest.approx(alone.sharpe, rel=1e-12)


def deepest(moves, opening):
    """Current and largest drawdown over (kind, amount) moves, flows moving equity and peak."""
    balance = peak = Fraction(opening)
    worst = Fraction(0)
    for kind, amount in moves:
        balance = Fraction(amount) if kind is Equity else balance + Fraction(amount)
        peak = peak + Fraction(amount) if kind is Flow else max(peak, balance)
        worst = max(worst, (peak - balance) / peak)
    return float((peak - balance) / peak), float(worst), balance


@pytest.mark.parametrize("seed", range(25))
def test_it_agrees_with_a_recomputation_of_drawdowns_with_ticks_and_flows(seed):
    dice = random.Random(seed)
    now, rows = at(9, 23, 59), []
    for i in range(120):
        when = at(0) + timedelta(minutes=dice.randrange(60 * 24 * 9 + 60 * 11))
        kind = dice.choice([Trade, Trade, Equity, Flow])
        amount = dice.randrange(8000, 12_000) if kind is Equity else dice.randrange(-400, 401)
        rows.append((when, [Flow, Trade, Equity].index(kind), i, kind, amount))
    rows.append((at(9, 0), 1, 120, Trade, 3))
    make = {Trade: trade, Flow: flow, Equity: lambda _, when, value: equity(when, value)}
    events = [make[kind](i, when, amount) for when, _, i, kind, amount in rows]
    figures = ledger(*events, start=10_000, rolling_trades=9).metrics(now)

    rows.sort()
    moves = [(kind, amount) for *_, kind, amount in rows]

    def since(place):
        return deepest(moves[place:], deepest(moves[:place], 10_000)[2])

    today = next(place for place, row in enumerate(rows) if row[0] >= at(9, 0))
    week = next(place for place, row in enumerate(rows) if row[0] >= at(7, 0))
    window = [place for place, row in enumerate(rows) if row[3] is Trade][-9]
    assert figures.drawdown == since(0)[0]
    assert figures.max_drawdown == since(0)[1]
    assert figures.drawdown_today == since(today)[0]
    assert figures.drawdown_week == since(week)[0]
    assert figures.rolling.max_drawdown == since(window)[1]


# ------------------------------------------------------------ order of arrival

INSTANTS = st.integers(0, 40).map(lambda n: at(0) + timedelta(hours=9 * n))
AMOUNTS = st.integers(-30_000, 30_000).map(lambda n: Decimal(n).scaleb(-2))


@st.composite
def histories(draw):
    """Trades with their corrections, ticks and flows; each with duplicates, in two orders."""
    events = []
    for identity in range(draw(st.integers(1, 12))):
        key = draw(st.sampled_from([identity, str(identity), f"t{identity}"]))
        for revision in range(draw(st.integers(1, 3))):
            pnl, when = draw(AMOUNTS), draw(INSTANTS)
            events.append(trade(key, when, pnl, revision=revision, fee=abs(pnl) / 1000))
    moves = draw(st.lists(st.tuples(INSTANTS, AMOUNTS), max_size=4))
    ticks = draw(st.lists(st.tuples(INSTANTS, AMOUNTS), max_size=4))
    events += [flow(identity, when, amount) for identity, (when, amount) in enumerate(moves)]
    events += [equity(when, 1000 + amount) for when, amount in ticks]
    again = draw(st.lists(st.sampled_from(events), max_size=6))
    return events, draw(st.permutations(events + again))


@settings(max_examples=300, deadline=None)
@given(
    histories(),
    st.sampled_from([None, Decimal(1000), Decimal("0.001"), Decimal(100_000)]),
    st.sampled_from(["UTC", "America/New_York"]),
    st.integers(1, 5),
)
def test_it_is_identical_to_the_bit_in_any_order_of_arrival(history, start, zone, rolling):
    events, shuffled = history
    options = LedgerOptions(starting_equity=start, zone=zone, rolling_trades=rolling)
    in_order, stepwise, lazily = Ledger(options), Ledger(options), Ledger(options)
    for event in events:
        in_order.apply(event)
    for event in shuffled:
        stepwise.apply(event)
        stepwise.risk(at(20))
        lazily.apply(event)
    expected = in_order.metrics(at(20))
    assert bits(stepwise.metrics(at(20))) == bits(expected)
    assert bits(lazily.metrics(at(20))) == bits(expected)
    assert stepwise.series(50) == in_order.series(50)
    assert b"NaN" not in bits(expected)
    assert portfolio([in_order], options, at(20)) == expected


@pytest.mark.parametrize("seed", range(6))
def test_it_is_identical_after_late_events_far_behind_a_checkpoint(seed):
    dice = random.Random(seed)
    events = [trade(i, at(0) + timedelta(minutes=i), dice.gauss(0, 3)) for i in range(3000)]
    events[::50] = [equity(row.closed_at, 1000 + dice.gauss(0, 9)) for row in events[::50]]
    events[25::400] = [flow(i, row.closed_at, 20) for i, row in enumerate(events[25::400])]
    late = dice.sample(events, 8)
    book = ledger(rolling_trades=1500)
    for event in events:
        if event not in late:
            book.apply(event)
    for event in late:
        book.risk(at(3))
        assert book.apply(event)
    assert bits(book.metrics(at(3))) == bits(ledger(*events, rolling_trades=1500).metrics(at(3)))


def test_it_ignores_the_same_webhook_twice():
    book = ledger(trade(7, at(0), 10), flow(7, at(0), 5), equity(at(0), 1020))
    before = bits(book.metrics(at(1)))
    assert not book.apply(trade(7, at(0), 10))
    assert not book.apply(trade("7", at(0), 10))
    assert not book.apply(flow("7", at(0), 5))
    assert not book.apply(equity(at(0), "1020.00"))
    assert bits(book.metrics(at(1))) == before


def test_it_keeps_ids_apart_that_only_look_alike():
    book = ledger(*[trade(key, at(0), 1) for key in (7, "07", "7 ", "+7", "\u0667", 10**18)])
    assert book.metrics(at(0)).trades == 6
    assert not book.apply(trade(str(10**18), at(0), 1))


def test_it_replaces_a_trade_by_its_higher_revision_only():
    book = ledger(trade("a", at(0), 10), trade("b", at(0, 13), 1))
    assert book.apply(trade("a", at(1), -4, revision=2))
    assert not book.apply(trade("a", at(1), 99, revision=1))
    assert not book.apply(trade("a", at(1), 99, revision=2))
    figures = book.metrics(at(1))
    assert (figures.trades, figures.pnl_total, figures.pnl_today) == (2, -3, -4)
    assert bits(figures) == bits(
        ledger(trade("b", at(0, 13), 1), trade("a", at(1), -4)).metrics(at(1))
    )


def test_it_orders_tied_closes_by_id():
    win, loss = trade(9, at(0), 100), trade(10, at(0), -100)
    figures = ledger(loss, win).metrics(at(0))
    assert figures.max_drawdown == 100 / 1100
    assert figures.streak == -1


def test_it_counts_a_late_trade_on_the_day_it_closed():
    book = ledger(trade(1, at(0), 10), trade(3, at(2), 10))
    book.metrics(at(2))
    book.apply(trade(2, at(1), -50))
    figures = book.metrics(at(2))
    assert (figures.pnl_today, figures.pnl_total) == (10, -30)
    assert figures.max_drawdown == pytest.approx(50 / 1010)
    assert figures.drawdown_today == 0.0


# ------------------------------------------------------------------- the days


def test_it_lets_the_clock_push_days_without_trades():
    book = ledger(trade(1, at(0), 10), trade(2, at(1), -5))
    early, late = book.metrics(at(1)), book.metrics(at(11))
    assert (early.days, late.days) == (2, 12)
    assert abs(late.sharpe) < abs(early.sharpe)
    assert (late.pnl_today, late.pnl_week) == (0, 0)
    again = ledger(trade(1, at(0), 10), trade(2, at(1), -5), trade(3, at(11), 0)).metrics(at(11))
    assert again.sharpe == late.sharpe


@pytest.mark.parametrize(
    ("when", "today"),
    [
        (datetime(2026, 3, 8, 4, 59, 59, tzinfo=UTC), "7"),  # 23:59:59 EST, the 7th
        (datetime(2026, 3, 8, 5, 0, tzinfo=UTC), "8"),  # midnight EST
        (datetime(2026, 3, 9, 3, 59, 59, tzinfo=UTC), "8"),  # 23:59:59 EDT: a day of 23 hours
        (datetime(2026, 3, 9, 4, 0, tzinfo=UTC), "9"),
        (datetime(2026, 11, 1, 4, 0, tzinfo=UTC), "1"),  # midnight EDT
        (datetime(2026, 11, 2, 4, 59, 59, tzinfo=UTC), "1"),  # a day of 25 hours
        (datetime(2026, 11, 2, 5, 0, tzinfo=UTC), "2"),
    ],
)
def test_it_draws_local_days_of_23_and_25_hours(when, today):
    zone = ZoneInfo("America/New_York")
    local = when.astimezone(zone)
    assert str(local.day) == today
    noon = local.replace(hour=12, minute=0, second=0)
    book = ledger(trade(1, when, 3), zone="America/New_York")
    assert book.metrics(max(noon, when)).pnl_today == 3
    assert book.metrics(noon + timedelta(days=1)).pnl_today == 0
    assert book.metrics(noon + timedelta(days=1)).days == 2


def test_it_begins_a_day_at_the_change_where_midnight_does_not_exist():
    # Beirut puts its clocks forward at 00:00 on 29 March 2026, to 01:00
    change = datetime(2026, 3, 28, 22, tzinfo=UTC)
    book = ledger(zone="Asia/Beirut")
    assert not book.turn(change - timedelta(seconds=1))
    assert book.turn(change)
    assert not book.turn(change + timedelta(hours=22, minutes=59))
    assert book.turn(change + timedelta(hours=23))


def test_it_never_runs_backwards_where_clocks_go_back_past_midnight():
    # St John's went from 00:01 to 23:01 of the day before, on 7 November 2010
    zone = ZoneInfo("America/St_Johns")
    midnight = datetime(2010, 11, 7, tzinfo=zone).astimezone(UTC)
    again = midnight + timedelta(minutes=30)
    assert again.astimezone(zone).day == 6
    book = ledger(trade(1, midnight, 1), trade(2, again, 1), zone="America/St_Johns")
    assert book.metrics(again).pnl_today == 2
    assert book.metrics(again).days == 1
    afresh = ledger(trade(2, again, 1), zone="America/St_Johns")
    assert afresh.metrics(midnight + timedelta(hours=20)).days == 1


@pytest.mark.parametrize("offset", [-1, 0, 1, 86_399_999_999])
def test_it_draws_the_same_days_in_utc_and_in_a_zone_without_offset(offset):
    when = at(5, 0) + timedelta(microseconds=offset)
    trades = [trade(1, at(3), 2), trade(2, when, 5)]
    plain, zoned = ledger(*trades), ledger(*trades, zone="Etc/GMT")
    for now in (when, at(5, 0), at(5, 23), at(6, 0)):
        assert bits(plain.metrics(now)) == bits(zoned.metrics(now))


def test_it_starts_the_week_on_monday():
    book = ledger(
        trade(1, at(-1), 100), trade(2, at(0), -20), trade(3, at(2), -1), trade(4, at(3), 5)
    )
    figures = book.metrics(at(3))
    assert (figures.pnl_week, figures.pnl_today) == (-16, 5)
    assert figures.drawdown_week == pytest.approx(16 / 1100)
    assert figures.drawdown_today == 0.0
    assert book.risk(at(6, 23)).drawdown_week == pytest.approx(16 / 1100)
    assert book.risk(at(7, 0)).drawdown_week == 0.0
    assert book.metrics(at(7, 0)).pnl_week == 0


def test_it_measures_the_day_from_its_own_peak():
    book = ledger(trade(1, at(0), 1000), trade(2, at(0, 13), -500), trade(3, at(1), 100))
    assert book.risk(at(1)).drawdown_today == 0.0
    book.apply(trade(4, at(1, 13), -160))
    assert book.risk(at(1, 13)).drawdown_today == 160 / 1600
    assert book.risk(at(1, 13)).drawdown == 560 / 2000
    assert book.risk(at(2)).drawdown_today == 0.0


def test_it_notices_the_turn_of_the_day_once():
    book = ledger(zone="Asia/Tokyo")
    assert not book.turn(at(0, 14, 59))
    assert not book.turn(at(0, 14, 59, 59))
    assert book.turn(at(0, 15))  # midnight in Tokyo
    assert not book.turn(at(1, 14))
    assert book.turn(at(5))
    book.apply(trade(1, at(6, 16), 1))
    assert not book.turn(at(6, 17)), "the trade's own update has told of this day"


def test_it_counts_an_event_ahead_of_the_clock_as_of_today():
    book = ledger(trade(1, at(1, 0), 5))
    figures = book.metrics(at(0, 23, 59))
    assert (figures.pnl_today, figures.days) == (5, 1)


# ------------------------------------------------------------ equity and flows


def test_it_does_not_take_a_deposit_for_profit():
    plain = ledger(trade(1, at(0), 10), trade(2, at(1), -20)).metrics(at(1))
    late = ledger(trade(1, at(0), 10), trade(2, at(1), -20), flow("d", at(1, 13), 5000)).metrics(
        at(1)
    )
    assert late.pnl_total == plain.pnl_total
    assert late.max_drawdown_abs == plain.max_drawdown_abs == 20
    assert late.sharpe == pytest.approx(plain.sharpe, rel=1e-12)
    assert (late.equity, late.peak_equity) == (5990, 6010)
    assert late.drawdown == 20 / 6010


def test_it_measures_a_day_with_a_flow_on_the_equity_that_earned_it():
    # +10 % on 1,000, then 8,900 arrive, then -1 % on 10,000: the day is 1.1 x 0.99 - 1
    flowing = ledger(trade(1, at(0), 100), flow(1, at(0, 13), 8900), trade(2, at(0, 14), -100))
    simple = ledger(trade(1, at(0), "89"))
    day = (trade(9, at(1), 0),)
    for event in day:
        flowing.apply(event)
        simple.apply(event)
    assert flowing.metrics(at(1)).sharpe == pytest.approx(simple.metrics(at(1)).sharpe)
    assert flowing.metrics(at(1)).sortino is None
    growth = ledger(
        trade(1, at(0), 100), flow(1, at(0, 13), 8900), short_history_ratios=True
    ).metrics(at(364))
    assert growth.cagr == pytest.approx(0.1)


def test_it_survives_the_withdrawal_of_everything():
    book = ledger(trade(1, at(0), -100), trade(2, at(1), 200), flow(1, at(1, 13), -1100))
    figures = book.metrics(at(3))
    assert (figures.equity, figures.peak_equity) == (0, 0)
    assert figures.undefined["drawdown"] == "equity not positive"
    assert figures.max_drawdown == 0.1
    assert figures.sharpe is not None
    book.apply(flow(2, at(4), 500))
    book.apply(trade(3, at(4, 13), 5))
    assert book.metrics(at(4)).drawdown == 0.0


def test_it_takes_reported_equity_for_the_truth():
    book = ledger(equity(at(0), 1200), trade(1, at(0, 13), 50), flow(1, at(0, 14), 10))
    assert book.metrics(at(0)).equity == 1260
    book.apply(equity(at(0, 15), 630))
    figures = book.metrics(at(0))
    assert (figures.equity, figures.peak_equity, figures.pnl_total) == (630, 1260, 50)
    assert figures.drawdown == figures.max_drawdown == figures.rolling.max_drawdown == 0.5
    book.apply(trade(2, at(0, 16), 70))
    assert book.metrics(at(0)).equity == 700


def test_it_takes_equities_alone_that_arrive_late():
    late, early = equity(at(1, 9), 990), equity(at(1, 8), 995)
    book = ledger(late)
    assert book.metrics(at(1)).equity == 990
    book.apply(early)
    assert bits(book.metrics(at(1))) == bits(ledger(early, late).metrics(at(1)))
    assert book.metrics(at(1)).max_drawdown == 0.01


def test_it_bases_everything_on_the_first_tick_when_no_start_is_known():
    book = ledger(trade(1, at(0), 10), start=None)
    unknown = book.metrics(at(1))
    for name in ("equity", "peak_equity", "drawdown", "drawdown_today", "drawdown_week"):
        assert getattr(unknown, name) is None
        assert unknown.undefined[name] == "no starting equity"
    for name in ("max_drawdown", "max_drawdown_abs", "sharpe", "sortino", "cagr", "calmar"):
        assert getattr(unknown, name) is None
        assert unknown.undefined[name] == "no starting equity"
    assert unknown.undefined["rolling.max_drawdown"] == "no starting equity"
    assert (unknown.pnl_total, unknown.win_rate, unknown.days) == (10, 1.0, 2)
    book.apply(equity(at(2), 500))
    book.apply(trade(2, at(3), -50))
    known = book.metrics(at(3))
    assert (known.equity, known.peak_equity, known.days) == (450, 500, 2)
    assert known.max_drawdown == known.rolling.max_drawdown == 0.1
    # days of 0 and -10 %: mean -0.05, deviation sqrt(0.005)
    assert known.sharpe == pytest.approx(-0.05 / math.sqrt(0.005) * math.sqrt(365))


def test_it_gives_no_returns_once_equity_is_not_positive():
    book = ledger(trade(1, at(0), -1500), trade(2, at(1), 100))
    figures = book.metrics(at(40))
    for name in ("sharpe", "sharpe_stderr", "sortino", "cagr", "calmar"):
        assert getattr(figures, name) is None
        assert figures.undefined[name] == "equity not positive"
    assert (figures.equity, figures.drawdown, figures.max_drawdown) == (-400, 1.4, 1.5)


def test_it_gives_no_drawdown_of_a_peak_that_is_not_positive():
    figures = ledger(trade(1, at(0), -5), start=0).metrics(at(0))
    assert figures.max_drawdown_abs == 5
    for name in ("drawdown", "drawdown_today", "max_drawdown"):
        assert figures.undefined[name] == "equity not positive"


# -------------------------------------------------------------------- figures


def test_it_says_why_each_figure_of_an_empty_ledger_is_undefined():
    figures = ledger().metrics(at(0))
    assert (figures.trades, figures.days, figures.streak, figures.drawdown) == (0, 0, 0, 0.0)
    names = [n for n in figures.__struct_fields__ if getattr(figures, n) is None]
    rolling = [f"rolling.{n}" for n in figures.rolling.__struct_fields__]
    absent = [n for n in rolling if getattr(figures.rolling, n[8:]) is None]
    assert sorted(figures.undefined) == sorted(names + absent)
    assert figures.undefined["win_rate"] == figures.undefined["expectancy"] == "no trades"
    assert figures.undefined["sharpe"] == "needs 2 days"


def test_it_gives_three_small_losses_no_ratio_rather_than_a_huge_one():
    book = ledger(*[trade(i, at(0, 12 + i), "-0.01") for i in range(3)])
    figures = book.metrics(at(0, 20))
    assert figures.sharpe is figures.sortino is figures.sharpe_stderr is None
    assert figures.undefined["sqn"] == "zero variance"
    assert figures.profit_factor == 0.0


def test_it_tells_zero_variance_of_days_from_zero_variance_of_trades():
    # equal trades on a growing account: no SQN, but a Sharpe ratio
    equal = ledger(trade(1, at(0), 10), trade(2, at(1), 10)).metrics(at(1))
    assert equal.undefined["sqn"] == "zero variance"
    assert equal.sharpe is not None
    # equal returns of unequal trades: an SQN, but no Sharpe ratio
    compound = ledger(trade(1, at(0), 100), trade(2, at(1), 110), trade(3, at(2), 121))
    assert compound.metrics(at(2)).undefined["sharpe"] == "zero variance"
    assert compound.metrics(at(2)).sqn is not None


def test_it_neither_extends_nor_breaks_a_streak_by_a_draw():
    pnls = [1, 2, 0, 3, -1, 0, -1, -5, 0, -2, 4]
    book = ledger(*[trade(i, at(0, 0, i), pnl) for i, pnl in enumerate(pnls)])
    figures = book.metrics(at(0))
    assert (figures.streak, figures.longest_win_streak, figures.longest_loss_streak) == (1, 3, 4)
    assert (figures.wins, figures.losses, figures.draws) == (4, 4, 3)
    assert figures.win_rate == 4 / 11
    assert (figures.avg_win, figures.avg_loss) == (Decimal("2.5"), Decimal("-2.25"))


def test_it_adds_money_exactly_at_any_number_of_decimals():
    amounts = ["0.1", "0.2", "1e-18", "123456789012345678", "-1e-25", "1E+3"]
    book = ledger(*[trade(i, at(0, 0, i), a, fee=Decimal(a)) for i, a in enumerate(amounts)])
    figures = book.metrics(at(0))
    exact = sum(Fraction(amount) for amount in amounts)
    assert Fraction(figures.pnl_total) == Fraction(figures.fees_total) == exact
    assert Fraction(figures.equity) == 1000 + exact
    assert str(ledger(trade(1, at(0), "1E+3")).metrics(at(0)).pnl_total) == "1000"


def test_it_keeps_the_two_largest_drawdowns_apart():
    book = ledger(
        trade(1, at(0), -500), trade(2, at(1), 9500), trade(3, at(2), -1000), trade(4, at(3), 1)
    )
    figures = book.metrics(at(3))
    assert (figures.max_drawdown, figures.max_drawdown_abs) == (0.5, 1000)


def test_it_gives_the_same_risk_as_metrics():
    dice = random.Random(3)
    book = ledger()
    for i in range(200):
        now = at(0) + timedelta(hours=5 * i)
        book.apply(trade(i, now, round(dice.gauss(0, 20), 2)))
        now += timedelta(hours=dice.choice([0, 40]))
        risk, figures = book.risk(now), book.metrics(now)
        for name in risk.__struct_fields__:
            assert getattr(risk, name) == getattr(figures, name), name


# ------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (trade(1, at(0), "NaN"), "pnl"),
        (trade(1, at(0), "-Infinity"), "pnl"),
        (trade(1, at(0), "1e31"), "pnl"),
        (trade(1, at(0), 1, fee=Decimal("NaN")), "fee"),
        (trade(1, at(0), 1, currency="EUR"), "currency"),
        (trade(1, at(0).replace(year=1969), 1), "closed_at"),
        (equity(at(0).replace(year=2200), 1), "at"),
        (equity(at(0), "sNaN"), "equity"),
        (flow(1, at(0), "Infinity"), "amount"),
    ],
)
def test_it_refuses_what_would_spoil_later_figures_and_stays_as_it_was(event, field):
    book = ledger(trade(0, at(0), 10))
    before = bits(book.metrics(at(0)))
    with pytest.raises(ValueError, match=rf"^{field}: "):
        book.apply(event)
    assert bits(book.metrics(at(0))) == before


def test_it_takes_at_for_the_close_where_no_close_is_given():
    plain = trade(1, at(0), 10)
    fallback = msgspec.structs.replace(plain, at=at(0), closed_at=None)
    assert bits(ledger(fallback).metrics(at(0))) == bits(ledger(plain).metrics(at(0)))
    with pytest.raises(ValueError, match=r"^closed_at: missing"):
        ledger(msgspec.structs.replace(plain, closed_at=None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone": "Mars/Olympus"},
        {"zone": "../etc"},
        {"periods_per_year": 0},
        {"risk_free": math.nan},
        {"ddof": 2},
        {"rolling_trades": 0},
        {"rolling_days": 0},
        {"starting_equity": Decimal("NaN")},
    ],
)
def test_it_refuses_an_option_out_of_range_by_its_name(wrong):
    with pytest.raises(ValueError, match=rf"^{next(iter(wrong))}: "):
        LedgerOptions(**wrong)


# ------------------------------------------------------------------ the chart


def test_it_draws_every_point_of_a_short_history_from_the_start():
    points = ledger(trade(1, at(0), 100), trade(2, at(1), -110)).series()
    assert [(p.t, p.equity, p.drawdown) for p in points] == [
        (at(0).timestamp(), 1000.0, 0.0),
        (at(0).timestamp(), 1100.0, 0.0),
        (at(1).timestamp(), 990.0, 0.1),
    ]


@pytest.mark.parametrize("limit", [8, 9, 100, 500])
def test_it_keeps_the_extremes_of_a_long_history(limit):
    dice = random.Random(5)
    book = ledger(*[trade(i, at(0, 0, i), dice.gauss(0, 5)) for i in range(2000)], start=10_000)
    every, few = book.series(5000), book.series(limit)
    assert len(every) == 2001
    assert len(few) <= limit
    assert [p.t for p in few] == sorted(p.t for p in few)
    assert few[0] == every[0]
    assert few[-1] == every[-1]
    for extreme in (
        min(every, key=lambda p: p.equity),
        max(every, key=lambda p: p.equity),
        max(every, key=lambda p: p.drawdown),
    ):
        assert extreme in few


def test_it_draws_nothing_while_no_equity_is_known():
    book = ledger(trade(1, at(0), 100), start=None)
    assert book.series() == []
    book.apply(equity(at(1), 400))
    assert [p.equity for p in book.series()] == [400.0]
    with pytest.raises(ValueError, match=r"^points: "):
        book.series(7)


# -------------------------------------------------------------- the portfolio


def test_it_merges_ledgers_as_if_they_were_one_account():
    dice = random.Random(8)
    books = {bot: ledger(start=1000) for bot in ("alpha", "beta", "gamma")}
    whole = ledger(start=3000)
    for i in range(300):
        bot = dice.choice(list(books))
        event = trade(i, at(0) + timedelta(hours=3 * i), round(dice.gauss(1, 20), 2), bot=bot)
        if i % 40 == 7:
            event = flow(i, event.closed_at, 100, bot=bot)
        books[bot].apply(event)
        whole.apply(event)
    options = LedgerOptions()
    merged = portfolio(list(books.values()), options, at(40))
    assert bits(merged) == bits(whole.metrics(at(40)))
    assert bits(portfolio(list(books.values())[::-1], options, at(40))) == bits(merged)


def test_it_follows_ledgers_as_they_grow_change_and_join():
    alpha, beta, late = ledger(), ledger(start=500), ledger(start=50)
    options = LedgerOptions()
    follower = Portfolio(options)
    steps = [
        (alpha, trade(1, at(0), 10)),
        (beta, trade(1, at(0), "-0.5", bot="beta")),
        (alpha, trade(2, at(2), 4)),
        (beta, trade(2, at(1), 4, bot="beta")),  # behind alpha's last, in order within beta
        (alpha, trade(1, at(0), -10, revision=1)),
        (beta, trade(3, at(3), "1e-20", bot="beta")),  # a finer scale
        (alpha, equity(at(4), 1300)),
        (beta, trade(4, at(5), -30, bot="beta")),
        (late, trade(1, at(1), 3, bot="late")),
    ]
    books = [alpha, beta]
    for book, event in steps:
        assert book.apply(event)
        if book not in books:
            books.append(book)
        followed = follower.metrics(books, at(6))
        assert bits(followed) == bits(portfolio(books, options, at(6)))
    assert followed.equity == Decimal("1826.50000000000000000001")


def test_it_adds_up_reported_equity_by_its_change():
    alpha = ledger(equity(at(0), 1000), equity(at(1), 900), start=None)
    beta = ledger(trade(1, at(2), 100, bot="beta"), start=2000)
    figures = portfolio([alpha, beta], LedgerOptions(), at(2))
    assert (figures.equity, figures.peak_equity, figures.pnl_total) == (3000, 3000, 100)
    assert figures.max_drawdown == 100 / 3000
    assert figures.trades == 1


def test_it_knows_no_equity_of_a_portfolio_with_an_unknown_part():
    known, unknown = ledger(trade(1, at(0), 5)), ledger(trade(1, at(0), 7, bot="b"), start=None)
    figures = portfolio([known, unknown], LedgerOptions(), at(0))
    assert figures.pnl_total == 12
    assert figures.undefined["equity"] == "no starting equity"
    empty = portfolio([], LedgerOptions(starting_equity=Decimal(5)), at(0))
    assert (empty.trades, empty.undefined["equity"]) == (0, "no starting equity")


def test_it_merges_a_ledger_without_entries_in_a_unit_that_its_start_outgrows():
    fine, idle = ledger(trade(1, at(0), "1E-15"), trade(1, at(0), "2E-15", revision=1)), ledger()
    whole = portfolio([fine, idle], LedgerOptions(), at(1))
    assert whole.equity == 2_000 + Decimal("2E-15")


def test_it_refuses_to_merge_currencies():
    with pytest.raises(ValueError, match=r"^currency: .*EUR"):
        portfolio([ledger(currency="EUR")], LedgerOptions(currency="USD"), at(0))


def test_it_shows_its_state():
    assert repr(ledger(trade(1, at(0), 5))) == "<Ledger alpha USD entries=1>"

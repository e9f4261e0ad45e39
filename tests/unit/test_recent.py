"""The rolling window by days: that of a ledger that began days ago with the equity of then."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.messages import Equity, Flow, Trade
from actors.metrics.details import WANTED, details, study
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.portfolio import portfolio
from actors.metrics.sheet import merged

FIRST = datetime(2024, 3, 1, tzinfo=UTC)
SAME = ("trades", "win_rate", "profit_factor", "expectancy", "sqn", "max_drawdown")
CLOSE = ("sharpe", "sharpe_stderr", "sortino", "calmar")
ENDLESS = 100_000


def trade(identity, day, pnl, revision=0, bot="bot"):
    at = FIRST + timedelta(days=day)
    return Trade(
        bot, identity, "BTC", "long", Decimal(1), at, Decimal(pnl), at, at, revision=revision
    )


def flow(identity, day, amount):
    return Flow("bot", FIRST + timedelta(days=day), identity, Decimal(amount))


def equity(day, amount, bot="bot"):
    return Equity(bot, FIRST + timedelta(days=day), Decimal(amount))


days = st.integers(0, 60 * 8).map(lambda part: part / 8)  # midnights of UTC among them
cents = st.integers(-60_000, 60_000).map(lambda n: Decimal(n).scaleb(-2))
identities = st.integers(1, 30) | st.sampled_from(["a", "7"])
events = st.lists(
    st.builds(trade, identities, days, cents, st.integers(0, 2))
    | st.builds(flow, st.integers(1, 4), days, cents.filter(bool))
    | st.builds(equity, days, cents.map(lambda amount: 700 + amount)),
    max_size=40,
)
starts = st.sampled_from([None, Decimal(1_000), Decimal(1_000), Decimal(0), Decimal(-50)])
choices = st.builds(
    LedgerOptions,
    starting_equity=starts,
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
    rolling_days=st.sampled_from([1, 2, 7, 31, 45, 90]),
    rolling_trades=st.just(3),
    short_history_ratios=st.booleans(),
    calendar=st.sampled_from(["all", "weekdays"]),
)
nows = st.sampled_from([0, 5.5, 50, 61, 75, 200]).map(lambda day: FIRST + timedelta(days=day))


def ledger(events, options, name="bot"):
    book = Ledger(options)
    for event in events:
        book.apply(event)
    book.name = name
    return book


def window(books, now):
    sheets = [book.sheet(*WANTED) for book in books]
    sheet = sheets[0] if len(sheets) == 1 else merged(sheets, sheets[0].options)
    found = details(study(sheet, now), now)
    prefix = "rolling_by_days."
    why = {
        name.removeprefix(prefix): reason
        for name, reason in found.undefined.items()
        if name.startswith(prefix)
    }
    return found.rolling_by_days, why


def when(event):
    return event.closed_at if isinstance(event, Trade) else event.at


def standing(events):
    """Each trade as its highest revision has it, of two alike the first; each flow once."""
    found = {}
    for event in events:
        key = (type(event), str(getattr(event, "id", event)))
        before = found.get(key)
        if before is None or getattr(event, "revision", 0) > getattr(before, "revision", 0):
            found[key] = event
    return list(found.values())


def began(histories, options, now):
    """The ledgers of what happened in the window, as if nothing had been before it but equity.

    Each with its own options; a reported equity says that the days had begun already.
    """
    zone = ZoneInfo(options[0].zone)
    whole = [ledger(*pair) for pair in zip(histories, options, strict=True)]
    known = all(book.metrics(now).equity is not None for book in whole)
    told = [event for events in histories for event in events]
    # of an account that is not known as a whole, reported equities say nothing
    last = max([now, *(when(event) for event in told if known or not isinstance(event, Equity))])
    day = opening(last.astimezone(zone).date(), options[0])
    since = datetime.combine(day, time.min, zone).astimezone(UTC)
    pairs = list(zip(histories, options, strict=True))
    old = [
        ledger([event for event in events if when(event) < since], own, f"b{rank}")
        for rank, (events, own) in enumerate(pairs)
    ]
    inside = [[event for event in events if when(event) >= since] for events in histories]
    equities = [book.metrics(since).equity for book in old]
    at_once = [event for events in inside for event in events if when(event) == since]
    if has_days(old, since) and all(isinstance(event, Flow) for event in at_once):
        moved = sum(event.amount for event in inside[0] if when(event) == since)
        inside[0].append(Equity("bot", since, equities[0] + moved))
    return [
        ledger(
            events,
            replace(own, starting_equity=then, rolling_days=ENDLESS, rolling_trades=ENDLESS),
            f"b{rank}",
        )
        for rank, (events, own, then) in enumerate(zip(inside, options, equities, strict=True))
    ]


def opening(today, options):
    """The date with which the window of a day begins."""
    if options.calendar == "all":
        return today - timedelta(days=options.rolling_days - 1)
    while today.isoweekday() > 5:
        today += timedelta(days=1)
    for _ in range(options.rolling_days - 1):
        today -= timedelta(days=3 if today.isoweekday() == 1 else 1)
    return today - timedelta(days=2) if today.isoweekday() == 1 else today


def has_days(books, now):
    sheets = [book.sheet(*WANTED) for book in books]
    sheet = sheets[0] if len(sheets) == 1 else merged(sheets, sheets[0].options)
    return len(study(sheet, now).walk.days.returns) > 0


def agree(found, why, want, days):
    for name in SAME:
        assert getattr(found, name) == getattr(want, name), name
    for name in CLOSE:
        have, other = getattr(found, name), getattr(want, name)
        assert (have is None) == (other is None), name
        assert have is None or have == pytest.approx(other, rel=1e-12, abs=1e-300), name
    names = (*SAME, *CLOSE)
    assert why == {name: want.undefined[name] for name in names if getattr(want, name) is None}
    assert found.days == days


@given(events, choices, nows)
@settings(max_examples=150, deadline=None)
def test_it_tells_what_a_ledger_does_that_began_then(given_events, options, now):
    found, why = window([ledger(given_events, options)], now)
    [book] = began([standing(given_events)], [options], now)
    want = book.metrics(now)
    agree(found, why, want, want.days if book.daily_returns()[0] is not None else 0)


@given(st.lists(events, min_size=2, max_size=3), choices, st.lists(starts, min_size=3), nows)
@settings(max_examples=60, deadline=None)
def test_it_tells_it_of_a_portfolio_too(histories, options, starts, now):
    own = [
        replace(options, starting_equity=start) for start, _ in zip(starts, histories, strict=False)
    ]
    books = [
        ledger(events, one, f"b{rank}")
        for rank, (events, one) in enumerate(zip(histories, own, strict=True))
    ]
    found, why = window(books, now)
    fresh = began([standing(events) for events in histories], own, now)
    want = portfolio(fresh, fresh[0].options, now)
    agree(found, why, want, want.days if has_days(fresh, now) else 0)


@given(events, choices, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_it_tells_the_same_bits_in_any_order(given_events, options, dice):
    one = standing(given_events)
    other = [*one, *one]
    dice.shuffle(other)
    now = FIRST + timedelta(days=61)
    answers = [window([ledger(events, options)], now) for events in (one, other)]
    assert msgspec.json.encode(answers[0]) == msgspec.json.encode(answers[1])


def test_it_leaves_out_what_was_before():
    options = LedgerOptions(starting_equity=Decimal(1_000), rolling_days=3)
    book = ledger(
        [trade(1, 1.5, -500), trade(2, 9, 100), trade(3, 10.5, -60), flow(1, 10.7, 460)], options
    )
    found, why = window([book], FIRST + timedelta(days=11))
    assert (found.trades, found.days, found.win_rate) == (2, 3, 0.5)
    assert found.max_drawdown == 0.1  # from 600; from 1,000 it was half of all
    assert found.profit_factor == 100 / 60
    assert why == {"calmar": "needs 30 days"}


def test_quiet_days_count():
    options = LedgerOptions(starting_equity=Decimal(1_000), rolling_days=30)
    found, why = window([ledger([trade(1, 1, -500)], options)], FIRST + timedelta(days=90))
    assert (found.trades, found.days, found.max_drawdown) == (0, 30, 0.0)
    assert (why["sharpe"], why["sortino"]) == ("zero variance", "no losing day")
    assert (why["calmar"], why["win_rate"]) == ("no drawdown", "no trades")


def test_a_ruin_of_before_does_not_make_its_days_undefined():
    options = LedgerOptions(starting_equity=Decimal(1_000), rolling_days=7)
    ruin = [trade(1, 1, -2_000), flow(1, 2, 3_000)]
    book = ledger([*ruin, trade(2, 20, 50), trade(3, 21, -20)], options)
    now = FIRST + timedelta(days=22)
    found, why = window([book], now)
    assert book.metrics(now).undefined["sharpe"] == "equity not positive"
    assert found.sharpe is not None
    assert why == {"calmar": "needs 30 days"}


def test_a_busy_bot_has_days_that_its_last_trades_do_not_reach():
    options = LedgerOptions(starting_equity=Decimal(1_000), rolling_trades=5, rolling_days=10)
    book = ledger([trade(n, n / 10, (-1) ** n * n) for n in range(1, 200)], options)
    now = FIRST + timedelta(days=19.9)
    assert book.metrics(now).undefined["rolling.sharpe"] == "needs 2 days"
    found, _ = window([book], now)
    assert (found.days, found.trades) == (10, 100)
    assert found.sharpe is not None

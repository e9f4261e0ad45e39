"""A portfolio's curve: what an independent walk gives, point by point, and what its figures say."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Equity, Flow, Trade
from actors.metrics import ledgers as module
from actors.metrics.ledgers import Ledgers
from actors.metrics.options import LedgerOptions
from actors.metrics.queries import HistoryQuery, SheetsQuery, TooLarge
from actors.metrics.sheet import NEEDED
from actors.metrics.study import curves
from tests.oracle import KINDS, accepted, instant

FIRST = datetime(2024, 3, 29, tzinfo=UTC)
NOW = FIRST + timedelta(days=9)
ALL = HistoryQuery(points=5_000)
BOTS = ("alpha", "beta", "gamma")


def hours(n):
    return FIRST + timedelta(hours=n)


def trade(bot, identity, hour, pnl, **more):
    at = hours(hour)
    return Trade(bot, identity, "X", "long", Decimal(1), at, Decimal(pnl), at, at, **more)


def book(events, starts, **options):
    """Ledgers of all bots; `starts` by bot, a currency where it is one."""

    def of(bot):
        start = starts.get(bot)
        currency = "EUR" if bot == "euro" else "USD"
        return LedgerOptions(starting_equity=start, currency=currency, **options)

    found = Ledgers(of)
    for event in events:
        found.apply(event)
    return found


def drawn(found, query=ALL, currency="USD"):
    sheets = found.sheets(SheetsQuery(NEEDED, currency=currency))
    return curves(sheets, query)[currency]


def walked(events, starts):
    """(seconds, equity, drawdown) after each event whose equity is known, and the last peak."""
    bots = sorted({event.bot for event in events})
    order = [
        (instant(event), KINDS[type(event)], rank, event)
        for rank, bot in enumerate(bots)
        for event in accepted([one for one in events if one.bot == bot])
    ]
    held = {bot: starts.get(bot) for bot in bots}
    points, peak = [], None
    if None not in held.values():
        peak = sum(held.values())
    for when, _, _, event in sorted(order, key=lambda each: each[:3]):
        if isinstance(event, Equity):
            held[event.bot] = event.equity
        elif held[event.bot] is not None:
            held[event.bot] += event.amount if isinstance(event, Flow) else event.pnl
        if None in held.values():
            continue
        total = sum(held.values())
        if peak is not None and isinstance(event, Flow):
            peak += event.amount
        peak = total if peak is None else max(peak, total)
        fall = Fraction(peak - total) / Fraction(peak) if peak > 0 else 0
        points.append((when.timestamp(), float(Fraction(total)), float(fall)))
    return points, peak


def daily(events, zone):
    """The P&L of each local day that has any."""
    sums = defaultdict(Decimal)
    for bot in {event.bot for event in events}:
        for event in accepted([one for one in events if one.bot == bot]):
            day = instant(event).astimezone(ZoneInfo(zone)).date()
            sums[day] += event.pnl if isinstance(event, Trade) else 0
    return sorted((day, pnl) for day, pnl in sums.items() if pnl)


amounts = st.integers(-90_000, 90_000).map(lambda n: Decimal(n).scaleb(-2)) | st.sampled_from(
    [Decimal("0.1") + Decimal("1e-15"), Decimal("-123456789.25")]
)
at = st.integers(0, 200)
bot = st.sampled_from(BOTS)
event = (
    st.builds(
        lambda name, n, hour, pnl, revision: trade(name, n, hour, pnl, revision=revision),
        bot,
        st.integers(1, 9) | st.just("x"),
        at,
        amounts,
        st.integers(0, 1),
    )
    | st.builds(
        lambda name, n, hour, amount: Flow(name, hours(hour), n, amount),
        bot,
        st.integers(1, 4),
        at,
        amounts.filter(bool),
    )
    | st.builds(
        lambda name, hour, amount: Equity(name, hours(hour), 800 + amount), bot, at, amounts
    )
)
starting = st.sampled_from([None, Decimal(1_000), Decimal("0.000001")])


@given(
    st.lists(event, min_size=1, max_size=25),
    st.fixed_dictionaries(dict.fromkeys(BOTS, starting)),
    st.sampled_from(["UTC", "Europe/Berlin"]),
)
@settings(max_examples=200, deadline=None)
def test_it_is_what_an_independent_walk_gives(events, starts, zone):
    found = book(events, starts, zone=zone)
    history = drawn(found)
    points, peak = walked(events, starts)
    assert [(point.t, point.equity, point.drawdown) for point in history.points] == points
    assert [(one.day, one.pnl) for one in history.days if one.pnl] == daily(events, zone)
    figures = found.update(NOW).portfolio["USD"]
    assert figures.peak_equity == peak
    if points:
        assert float(figures.equity) == points[-1][1]
        deepest = max(point.drawdown for point in history.points)
        assert (figures.max_drawdown or 0.0) == deepest
        assert figures.drawdown == (points[-1][2] if peak > 0 else None)
    assert sum(one.pnl for one in history.days) == figures.pnl_total


def test_it_keeps_extremes_at_any_zoom():
    events = [
        trade(BOTS[n % 3], n, n / 10, "-400" if n == 700 else "250" if n == 1_300 else (-1) ** n)
        for n in range(2_000)
    ]
    found = book(events, dict.fromkeys(BOTS, Decimal(1_000)))
    whole, few = drawn(found).points, drawn(found, HistoryQuery(points=20)).points
    assert len(whole) == 2_000
    assert len(few) <= 20
    figures = found.update(NOW).portfolio["USD"]
    for points in (whole, few):
        assert max(point.drawdown for point in points) == figures.max_drawdown
        assert max(point.equity for point in points) == figures.peak_equity
        assert points[-1].equity == figures.equity
    assert set(few) <= set(whole)
    part = drawn(found, HistoryQuery(first=hours(70), last=hours(71), points=20))
    assert part.points == [point for point in whole if hours(70) <= when(point) < hours(71)]
    assert [one.day for one in part.days] == [date(2024, 3, 31)]


def when(point):
    return datetime.fromtimestamp(point.t, UTC)


def test_it_never_adds_unlike_currencies():
    events = [trade("alpha", 1, 1, 10), trade("beta", 1, 2, 5), trade("euro", 1, 3, -7)]
    found = book(events, dict.fromkeys([*BOTS, "euro"], Decimal(100)))
    assert [point.equity for point in drawn(found).points] == [210, 215]
    assert [point.equity for point in drawn(found, currency="EUR").points] == [93]
    every = curves(found.sheets(SheetsQuery(NEEDED)), ALL)
    assert {currency: one.days[0].pnl for currency, one in every.items()} == {"EUR": -7, "USD": 15}
    assert curves(found.sheets(SheetsQuery(NEEDED, currency="DOGE")), ALL) == {}


def test_it_draws_one_bot_alone_as_its_own_curve():
    found = book([trade("alpha", n, n, n - 4) for n in range(9)], {"alpha": Decimal(50)})
    assert drawn(found) == found.history(ALL)["alpha"]


def test_it_refuses_to_copy_more_than_fits(monkeypatch):
    monkeypatch.setattr(module, "EVENTS_MAX", 2)
    found = book([trade("alpha", n, n, 1) for n in range(3)], {})
    with pytest.raises(TooLarge, match=r"^bot: more than 2 events: ask for one$"):
        found.sheets(SheetsQuery(NEEDED))
    assert found.sheets(SheetsQuery(NEEDED, bot="beta")) == {}


def test_it_draws_so_many_points_of_all_portfolios_together(monkeypatch):
    monkeypatch.setattr(module, "POINTS_MAX", 20)
    events = [trade(bot, n, n, 1) for bot in ("alpha", "euro") for n in range(30)]
    found = book(events, dict.fromkeys(["alpha", "euro"], Decimal(100)))
    every = curves(found.sheets(SheetsQuery(NEEDED)), HistoryQuery(points=500))
    assert [0 < len(one.points) <= 10 for one in every.values()] == [True, True]
    assert len(drawn(found, HistoryQuery(points=500)).points) > 10

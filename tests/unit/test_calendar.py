"""Weekdays alone as days: a weekend is part of the Monday that follows it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from actors.messages import Equity, Trade
from actors.metrics.days import Calendar
from actors.metrics.definitions import DEFINITIONS, explained
from actors.metrics.details import WANTED, details, study
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.money import micros, moment

MONDAY = datetime(2025, 3, 3, 10, tzinfo=UTC)
OPTIONS = LedgerOptions(
    starting_equity=Decimal(1_000), calendar="weekdays", short_history_ratios=True
)


def at(day, hour=0):
    return MONDAY + timedelta(days=day, hours=hour)


def trade(identity, when, pnl):
    amount = Decimal(str(pnl))
    return Trade("bot", identity, "X", "long", Decimal(1), when, amount, when, when)


def ledger(*events, **changes):
    book = Ledger(msgspec.structs.replace(OPTIONS, **changes))
    for event in events:
        book.apply(event)
    return book


def returns(book, now):
    return study(book.sheet(*WANTED), now).walk.days.returns.tolist()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
def test_its_days_follow_each_other_without_a_gap_through_years_of_clocks(zone):
    calendar, local = Calendar(zone, weekdays=True), ZoneInfo(zone)
    day = calendar.day_of(micros(datetime(1999, 12, 30, 12, tzinfo=local)))
    for number in range(day, day + 2_000):
        start, end = calendar.start_of(number), calendar.start_of(number + 1)
        named = date.fromordinal(calendar.ordinal(number))
        assert named.isoweekday() <= 5
        for when in (start, (start + end) // 2, end - 1):
            assert calendar.day_of(when) == number
            assert calendar.end_of_day(when) == end
        first = moment(start).astimezone(local).date()
        assert first == named - timedelta(days=2 if named.isoweekday() == 1 else 0)
        monday = date.fromordinal(calendar.ordinal(calendar.monday(number)))
        assert monday == named - timedelta(days=named.weekday())
        assert calendar.week_of(number) == calendar.week_of(calendar.monday(number))
        assert calendar.between(day, number) == (named.toordinal() - calendar.ordinal(day) + 1)
    numbers = np.arange(day, day + 99)
    assert calendar.ordinal(numbers).tolist() == [calendar.ordinal(int(n)) for n in numbers]


def test_a_quiet_weekend_is_no_day():
    book = ledger(trade(1, at(4), 100), trade(2, at(7), 110))  # Friday, Monday
    assert returns(book, at(7)) == [0.1, 0.1]
    assert returns(book, at(9)) == [0.1, 0.1, 0.0, 0.0]
    assert book.metrics(at(9)).days == 4


def test_what_happens_on_a_weekend_is_of_its_monday():
    events = [
        trade(1, at(4), 100),  # Friday
        trade(2, at(5), 50),  # Saturday
        Equity("bot", at(6), Decimal(1_210)),
        trade(3, at(7), -110),
    ]
    book = ledger(*events)
    assert returns(book, at(7)) == [0.1, 0.0]
    found = book.metrics(at(7, 1))
    assert (found.pnl_today, found.pnl_week, found.days) == (-60, -60, 2)
    assert found.drawdown_today == 110 / 1_210
    sunday = ledger(*events[:3]).metrics(at(6, 2))
    assert (sunday.pnl_today, sunday.pnl_week, sunday.days) == (50, 50, 2)
    assert book.daily_pnl(at(0), at(30)) == [
        (at(4).toordinal(), Decimal(100)),
        (at(7).toordinal(), Decimal(-60)),
    ]


def test_tables_tell_the_weekday_on_which_a_trade_closed():
    book = ledger(trade(1, at(5), 10), trade(2, at(7), 10))
    found = details(study(book.sheet(*WANTED), at(8)), at(8))
    assert [group.name for group in found.by_weekday] == ["Monday", "Saturday"]


def test_a_weekend_across_two_months_is_of_the_month_of_its_monday():
    friday = datetime(2025, 2, 28, 12, tzinfo=UTC)
    book = ledger(trade(1, friday, 100), trade(2, friday + timedelta(days=1), 110))
    found = details(study(book.sheet(*WANTED), MONDAY), MONDAY)
    assert [(month.month, month.days) for month in found.months] == [("2025-02", 1), ("2025-03", 1)]
    assert found.months[1].value == pytest.approx(0.1)


def test_growth_has_the_dates_for_its_time_that_have_passed():
    events = [trade(1, at(0), 100), trade(2, at(17), -50), trade(3, at(38), 80)]
    found, every = (
        ledger(*events, calendar=calendar).metrics(at(39)) for calendar in ("weekdays", "all")
    )
    assert (found.days, every.days) == (30, 40)
    assert found.cagr == pytest.approx(every.cagr, rel=1e-12)
    assert found.calmar == pytest.approx(every.calmar, rel=1e-12)
    short = ledger(*events[:2], short_history_ratios=False)
    assert short.metrics(at(28)).undefined["cagr"] == "needs 30 days"
    assert short.metrics(at(29)).cagr is not None  # 22 weekdays


def test_sharpe_is_the_same_of_weekdays_as_of_all_days_that_are_annualised_alike():
    """A year of trades on weekdays: 261 of them, or 365 with the zero days of its weekends."""
    days = [n for n in range(364) if at(n).isoweekday() <= 5]
    events = [trade(n, at(n), (n * 7919) % 41 - 18) for n in days]
    weekdays = ledger(*events, periods_per_year=261).metrics(at(361))
    every = ledger(*events, calendar="all").metrics(at(361))
    assert weekdays.sharpe == pytest.approx(every.sharpe, rel=0.01)
    assert ledger(*events, periods_per_year=365).metrics(at(361)).sharpe > 1.18 * weekdays.sharpe


def test_the_definitions_name_a_calendar_that_is_not_the_default():
    found = explained(OPTIONS)
    changed = {name for name, one in found.items() if one != DEFINITIONS[name]}
    assert changed >= {"sharpe", "sortino", "days", "cagr", "pnl_today", "drawdown_week"}
    assert "calendar: weekdays" in found["sharpe"].formula
    assert "pnl_total" not in changed


def test_it_refuses_another_calendar():
    with pytest.raises(ValueError, match="calendar: all or weekdays, not 'NYSE'"):
        LedgerOptions(calendar="NYSE")

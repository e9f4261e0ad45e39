"""The fixed base: a day's P&L as a fraction of the capital put in, whatever was made of it."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from actors.messages import Equity, Flow, Trade
from actors.metrics.definitions import DEFINITIONS, explained
from actors.metrics.details import WANTED, details, record, study
from actors.metrics.families import FAMILIES, family
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.ledgers import Ledgers
from actors.metrics.portfolio import portfolio
from actors.metrics.snapshot import Depot, pack, unpack

FIRST = datetime(2025, 3, 3, 10, tzinfo=UTC)
OPTIONS = LedgerOptions(starting_equity=Decimal(1_000), base="fixed", short_history_ratios=True)


def at(day, hour=0):
    return FIRST + timedelta(days=day, hours=hour)


def trade(identity, when, pnl, bot="bot"):
    amount = Decimal(str(pnl))
    return Trade(bot, identity, "X", "long", Decimal(1), when, amount, when, when)


def flow(identity, when, amount, bot="bot"):
    return Flow(bot, when, identity, Decimal(amount))


def ledger(*events, **changes):
    book = Ledger(msgspec.structs.replace(OPTIONS, **changes))
    for event in events:
        book.apply(event)
    return book


def returns(book, now):
    return study(book.sheet(*WANTED), now).walk.days.fixed.tolist()


def test_profit_moves_no_base():
    book = ledger(trade(1, at(0), 100), trade(2, at(1), -55), trade(3, at(3), 55))
    assert returns(book, at(4)) == [0.1, -0.055, 0.0, 0.055, 0.0]
    assert study(book.sheet(*WANTED), at(4)).walk.days.returns[1] == -0.05


def test_deposits_and_withdrawals_move_it_from_their_instant_on():
    book = ledger(
        trade(1, at(0), 100),
        flow("in", at(0, 1), 1_000),
        trade(2, at(0, 2), 100),
        flow("out", at(1), -1_500),
        trade(3, at(1, 1), 100),
    )
    assert returns(book, at(1, 2)) == [0.15, 0.2]  # not 0.1 + 0.05, which rounds twice


def test_the_first_reported_equity_is_the_capital_where_no_start_is_known():
    book = ledger(
        flow("before", at(0), 77),
        Equity("bot", at(0, 1), Decimal(500)),
        trade(1, at(0, 2), 50),
        starting_equity=None,
    )
    assert returns(book, at(0, 3)) == [0.1]


def test_parts_of_a_day_that_cancel_leave_no_rounding():
    book = ledger(
        trade(1, at(0), 1e15),
        flow("in", at(0, 1), 2_000),
        trade(2, at(0, 2), -3e15),
        flow("out", at(0, 3), -2_000),
        trade(3, at(0, 4), 0.001),
    )
    assert returns(book, at(0, 5)) == [1e-6]


def test_no_capital_gives_no_ratio_but_drawdowns_and_growth_of_the_equity():
    events = [trade(1, at(0), 500), flow("out", at(1), -1_000), trade(2, at(2), -100)]
    found = ledger(*events).metrics(at(3))
    assert (found.sharpe, found.sortino, found.sharpe_stderr) == (None, None, None)
    assert found.undefined["sharpe"] == found.undefined["rolling.sortino"] == "capital not positive"
    assert found.max_drawdown == 0.2
    assert found.cagr == ledger(*events, base="compounding").metrics(at(3)).cagr
    more = details(study(ledger(*events).sheet(*WANTED), at(40)), at(40))
    assert more.undefined["value_at_risk"] == "capital not positive"
    assert more.months[0].value is None
    assert more.precision["sharpe"].stderr is None
    assert more.precision["sharpe"].sample == 41


def test_a_day_without_change_needs_no_capital():
    book = ledger(flow("out", at(0), -1_000), trade(1, at(1), 0), trade(2, at(2), 0))
    assert returns(book, at(3)) == [0.0, 0.0, 0.0]


def test_a_lost_equity_has_returns_on_the_capital_but_no_growth():
    events = [trade(1, at(0), -1_200), trade(2, at(1), 300)]
    fixed, compounding = (
        ledger(*events, base=base).metrics(at(2)) for base in ("fixed", "compounding")
    )
    assert fixed.sharpe is not None
    assert compounding.undefined["sharpe"] == "equity not positive"
    assert fixed.undefined["cagr"] == fixed.undefined["calmar"] == "equity not positive"


def test_whatever_compounds_is_the_same_by_either_base():
    dice = random.Random(2)
    events = [trade(n, at(n / 3), dice.randrange(-20, 25)) for n in range(90)]
    events.append(flow("in", at(9), 300))
    fixed, compounding = (ledger(*events, base=base) for base in ("fixed", "compounding"))
    one, other = fixed.metrics(at(40)), compounding.metrics(at(40))
    for name in ("cagr", "calmar", "max_drawdown", "max_drawdown_abs", "drawdown", "days", "sqn"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.rolling.calmar == other.rolling.calmar
    for name in ("sharpe", "sharpe_stderr", "sortino"):
        assert getattr(one, name) != getattr(other, name), name
        assert getattr(one.rolling, name) != getattr(other.rolling, name), name
    studies = [study(book.sheet(*WANTED), at(40)) for book in (fixed, compounding)]
    families = [[family(name, record(of)) for name in FAMILIES] for of in studies]
    assert families[0] == families[1]


def test_details_are_of_the_returns_on_the_capital():
    events = [trade(n, at(n), n) for n in range(1, 31)]
    found = details(study(ledger(*events).sheet(*WANTED), at(30)), at(30))
    assert found.value_at_risk == -0.002
    assert found.expected_shortfall == -0.0015
    live = ledger(*events).metrics(at(30))
    assert found.precision["sharpe"].stderr == pytest.approx(live.sharpe_stderr, rel=1e-12)
    assert found.rolling_by_days.sharpe == live.sharpe
    assert found.rolling_by_days.calmar == live.calmar
    march, april = found.months
    assert march.value == pytest.approx(sum(range(1, 29)) / 1_000, rel=1e-15)
    assert april.value == pytest.approx((29 + 30) / 1_000, rel=1e-15)


def test_a_portfolio_has_the_capital_of_all():
    def options(_bot):
        return OPTIONS

    ledgers = Ledgers(options)
    for event in (
        trade(1, at(0), 100, "a"),
        trade(1, at(0, 1), 100, "b"),
        flow("in", at(1), 2_000, "b"),
        trade(2, at(1, 1), 100, "a"),
        trade(3, at(2), -100, "b"),
    ):
        ledgers.apply(event)
    alone = ledger(
        trade(1, at(0), 200),
        flow("in", at(1), 2_000),
        trade(2, at(1, 1), 100),
        trade(3, at(2), -100),
        starting_equity=Decimal(2_000),
    )
    found, want = ledgers.update(at(3)).portfolio["USD"], alone.metrics(at(3))
    assert (found.sharpe, found.sortino) == (want.sharpe, want.sortino)
    assert found.sharpe is not None


@pytest.mark.parametrize("changes", [{"base": "fixed"}, {"calendar": "weekdays"}])
def test_a_portfolio_of_one_has_its_own_base_and_calendar(changes):
    events = [trade(n, at(n), n % 3 - 1) for n in range(9)]
    plain = LedgerOptions(starting_equity=Decimal(1_000))
    one = ledger(*events, base="compounding")
    found = portfolio([one], msgspec.structs.replace(plain, **changes), at(9))
    want = ledger(*events, **{"base": "compounding", **changes}).metrics(at(9))
    assert (found.sharpe, found.days) == (want.sharpe, want.days)
    assert found.sharpe != one.metrics(at(9)).sharpe


@pytest.mark.parametrize("start", [None, Decimal(1_000)])
def test_another_base_follows_from_what_is_compacted(start):
    dice, events = random.Random(5), []
    for n in range(200):
        when, amount = at(n / 2), dice.randrange(-20, 30)
        kind = dice.randrange(5)
        if kind == 0:
            events.append(flow(n, when, amount or 1))
        elif kind == 1:
            events.append(Equity("bot", when, Decimal(1_000 + amount)))
        else:
            events.append(trade(n, when, amount))
    was = ledger(*events, starting_equity=start, base="compounding", rolling_trades=5)
    was.horizon = 2**60
    while was.compact(was.horizon, 50):
        pass
    assert was.timeline.base.entries > 150
    now, options = at(101), msgspec.structs.replace(was.options, base="fixed")
    depot = Depot()
    packed = msgspec.json.decode(msgspec.json.encode(pack(was, depot)))
    depot.encode(9)
    again = unpack(packed, options, depot.fresh, Depot())
    want = ledger(*events, starting_equity=start, rolling_trades=5).metrics(now)
    assert msgspec.json.encode(again.metrics(now)) == msgspec.json.encode(want)
    assert want.sharpe != was.metrics(now).sharpe


def test_the_definitions_name_a_base_that_is_not_the_default():
    assert explained(LedgerOptions()) == DEFINITIONS
    found = explained(OPTIONS)
    changed = {name for name, one in found.items() if one != DEFINITIONS[name]}
    assert changed == {
        *("sharpe", "sharpe_stderr", "sortino", "cagr"),
        *("value_at_risk", "expected_shortfall", "months"),
    }
    assert "capital put in (base: fixed)" in found["sharpe"].formula
    assert "capital not positive" in found["sharpe"].undefined
    assert "equity not positive" not in found["sharpe"].undefined


def test_it_refuses_another_base():
    with pytest.raises(ValueError, match="base: compounding or fixed, not 'both'"):
        LedgerOptions(base="both")

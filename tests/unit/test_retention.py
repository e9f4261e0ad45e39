"""Retention: what is compacted changes no figure by a bit, and cannot be changed any more."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Equity, Flow, Trade
from actors.metrics import compaction
from actors.metrics.base import _largest
from actors.metrics.ledger import Ledger, LedgerOptions, Settled
from actors.metrics.ledgers import Ledgers
from actors.metrics.money import micros

pytestmark = pytest.mark.usefixtures("small_blocks")
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 60
BASES = ("compounding", "fixed")
CALENDARS = ("all", "weekdays")


def amount(dice):
    return Decimal(dice.randrange(-3000, 3000)).scaleb(-dice.choice([0, 2, 2, 2, 2, 2, 9, 17]))


def trade(dice, n, when, pnl, *, bot="alpha", revision=0):
    return Trade(
        bot,
        n,
        dice.choice(["BTC/USD", "ETH/USD"]),
        dice.choice(["long", "short"]),
        Decimal(n if isinstance(n, int) else 1) / 8,
        when - timedelta(minutes=5),
        pnl,
        when,
        when,
        fee=Decimal(dice.choice(["0", "0.1"])),
        revision=revision,
    )


def history(dice, length, bots=("alpha",), moves=0.2):
    """Events mostly in order, some late, corrected, moved or sent twice."""
    events = []
    for n in range(length):
        when = MONDAY + timedelta(minutes=DAYS * 24 * 60 * n // length)
        if dice.random() < 0.2:
            when -= timedelta(hours=dice.randrange(24 * 20))
        if dice.random() < 0.3:
            when = when.replace(minute=0)  # many at one instant
        bot, kind = dice.choice(bots), dice.random()
        if kind < moves / 3:
            events.append(Flow(bot, when, n, amount(dice) or Decimal(1)))
        elif kind < moves:
            events.append(Equity(bot, when, 1000 + amount(dice)))
        else:
            key = dice.choice([n, f"t{n}", f"é{n}"])
            events.append(trade(dice, key, when, amount(dice), bot=bot))
        if dice.random() < 0.15:
            again = dice.choice(events)
            if isinstance(again, Trade):
                moved = again.closed_at + timedelta(hours=dice.choice([0, 0, -30, 30, 500]))
                revision = dice.randrange(3)
                again = trade(dice, again.id, moved, amount(dice), bot=again.bot, revision=revision)
            events.append(again)
    return events


def bits(figures):
    return msgspec.json.encode(figures, order="deterministic")


def options(dice):
    return LedgerOptions(
        starting_equity=dice.choice([None, Decimal(1000), Decimal("98765432101.25")]),
        zone=dice.choice(["UTC", "America/New_York", "Asia/Tokyo"]),
        rolling_trades=dice.choice([3, 20]),
        rolling_days=dice.choice([5, 90]),
        base=dice.choice(BASES),
        calendar=dice.choice(CALENDARS),
    )


def taken(ledger, event):
    try:
        return ledger.apply(event)
    except Settled:
        return "settled"


def at(event):
    return getattr(event, "closed_at", None) or event.at


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_it_compacts_without_changing_any_figure_by_a_bit(seed):
    dice = random.Random(seed)
    chosen = options(dice)
    plain, compacted = Ledger(chosen), Ledger(chosen)
    events = history(dice, dice.choice([30, 120]), moves=dice.choice([0, 0.2, 0.6]))
    accepted = []
    now = MONDAY
    for event in events:
        now = max(now, at(event))
        if dice.random() < 0.1:
            horizon = micros(now - timedelta(days=dice.choice([1, 8, 20])))
            plain.horizon = compacted.horizon = max(plain.horizon, horizon)
        if dice.random() < 0.3:
            compacted.compact(compacted.horizon, dice.choice([1, 5, 1000]))
        outcome = taken(plain, event)
        assert taken(compacted, event) == outcome
        if outcome is True:
            accepted.append(event)
        if dice.random() < 0.2:
            assert compacted.risk(now) == plain.risk(now)
        if dice.random() < 0.1:
            assert bits(compacted.metrics(now)) == bits(plain.metrics(now))
    whole = Ledger(chosen)
    for event in accepted:
        whole.apply(event)
    later = now + timedelta(days=dice.choice([0, 3, 40]))
    assert (
        bits(compacted.metrics(later)) == bits(plain.metrics(later)) == bits(whole.metrics(later))
    )
    span = MONDAY - timedelta(days=30), later
    assert compacted.daily_pnl(*span) == plain.daily_pnl(*span)


def ordered(length, chosen=None, step=timedelta(hours=6)):
    """A ledger of trades in order, of 1, -0.5, 1, -0.5, ..."""
    ledger = Ledger(chosen or LedgerOptions(starting_equity=Decimal(1000), rolling_trades=10))
    dice = random.Random(1)
    for n in range(length):
        pnl = Decimal("-0.5") if n % 2 else Decimal(1)
        ledger.apply(trade(dice, f"t{n}", MONDAY + n * step, pnl))
    return ledger


def compact(ledger, until):
    ledger.horizon = micros(until)
    while ledger.compact(ledger.horizon, 50):
        pass


def test_it_keeps_the_window_and_the_week_of_the_last_entry():
    ledger = ordered(400)
    compact(ledger, MONDAY + timedelta(days=1_000))
    base = ledger.timeline.base
    assert (base.entries, len(ledger.timeline), len(ledger.past)) == (390, 10, 390)
    within_a_week = ordered(400, step=timedelta(minutes=9))
    compact(within_a_week, MONDAY + timedelta(days=1_000))
    assert within_a_week.timeline.base.entries == 0


def test_it_forgets_the_ids_of_compacted_trades_but_knows_them_again():
    ledger = ordered(400)
    compact(ledger, MONDAY + timedelta(days=90))
    assert len(ledger.timeline.heap.data) < 2_000
    assert sum(map(len, ledger.index.runs())) < 100
    assert all(ledger.past.has(f"t{n}") for n in range(360))
    assert not any(ledger.past.has(f"t{n}") for n in range(360, 400))
    assert not any(ledger.past.has(f"new{n}") for n in range(1_000))


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (Equity("alpha", MONDAY, Decimal(1)), "at: equity of 2026-03-02T00:00:00"),
        (Flow("alpha", MONDAY, "f", Decimal(1)), "at: flow f of 2026-03-02T00:00:00"),
        (
            trade(random.Random(2), "late", MONDAY, Decimal(1)),
            "closed_at: trade late of 2026-03-02T.* is settled: metrics.retention_days keeps open",
        ),
        (
            trade(random.Random(2), "t3", MONDAY, Decimal(9), revision=1),
            "closed_at: trade t3 of .* corrects what is settled",
        ),
        (
            trade(random.Random(2), "t3", MONDAY + timedelta(days=99), Decimal(9), revision=1),
            "closed_at: trade t3 of .* corrects what is settled",
        ),
        (
            trade(random.Random(2), "t390", MONDAY, Decimal(9), revision=1),
            "closed_at: trade t390 of .* corrects what is settled",
        ),
    ],
)
def test_it_refuses_what_would_change_what_is_settled(event, says):
    ledger = ordered(400)
    compact(ledger, MONDAY + timedelta(days=60))
    before = bits(ledger.metrics(MONDAY + timedelta(days=100)))
    with pytest.raises(Settled, match=says):
        ledger.apply(event)
    assert bits(ledger.metrics(MONDAY + timedelta(days=100))) == before


def test_it_takes_a_compacted_trade_that_comes_again_for_a_duplicate():
    ledger = ordered(400)
    ledger.apply(trade(random.Random(1), "t7", MONDAY, Decimal(5), revision=3))
    compact(ledger, MONDAY + timedelta(days=60))
    for n, revision in (("t3", 0), ("t7", 0), ("t7", 3)):
        assert not ledger.apply(trade(random.Random(1), n, MONDAY, Decimal(8), revision=revision))
    with pytest.raises(Settled):
        ledger.apply(trade(random.Random(1), "t7", MONDAY, Decimal(8), revision=4))


def test_it_draws_compacted_days_by_their_corners():
    ledger, whole = ordered(400, step=timedelta(hours=1)), ordered(400, step=timedelta(hours=1))
    compact(ledger, MONDAY + timedelta(days=60))
    assert ledger.timeline.base.entries > 300
    curve, every = ledger.series(1_000), whole.series(1_000)
    assert len(curve) < len(every) / 2
    assert {point.t for point in curve} <= {point.t for point in every}
    assert max(p.equity for p in curve) == max(p.equity for p in every)
    assert max(p.drawdown for p in curve) == max(p.drawdown for p in every)
    assert curve[0] == every[0]
    assert curve[-1] == every[-1]
    day = MONDAY + timedelta(days=3), MONDAY + timedelta(days=4)
    assert len(ledger.history(*day)) < len(whole.history(*day)) == 24


@settings(max_examples=100, deadline=None)
@given(
    falls=st.lists(st.tuples(st.integers(1, 60), st.integers(-20, 60)), max_size=12),
    by=st.integers(0, 200),
)
def test_it_keeps_each_fall_that_more_equity_makes_the_largest(falls, by):
    def largest(some):
        return max((fall / (peak + by) for fall, peak in some if peak + by > 0), default=0)

    assert largest(_largest(falls)) == largest(falls)


# ------------------------------------------------------------- several bots


def bot_options(dice):
    """Some bots' starting equity is known, some's is not; one more comes only later."""
    rolling, zone = dice.choice([3, 20]), dice.choice(["UTC", "Asia/Tokyo"])
    starts = {bot: dice.choice([None, Decimal(1000), Decimal("77.25")]) for bot in BOTS}
    if dice.random() < 0.5:
        starts = dict.fromkeys(BOTS, Decimal(1000))
    base, calendar = dice.choice(BASES), dice.choice(CALENDARS)

    def choose(bot):
        return LedgerOptions(
            starting_equity=starts[bot],
            currency_is_set=False,
            zone=zone,
            rolling_trades=rolling,
            base=base,
            calendar=calendar,
        )

    return choose


BOTS = ("alpha", "beta", "aaron", "zoe")


def live(dice):
    """Events of two bots, after a while of more."""
    events = history(dice, dice.choice([40, 150]), BOTS[:2], dice.choice([0, 0.2, 0.5]))
    late = history(dice, 60, dice.choice([BOTS[:3], BOTS]), dice.choice([0, 0.2, 0.5]))
    half = MONDAY + timedelta(days=DAYS * dice.choice([0.3, 0.7]))
    late = [e for e in late if at(e) > half and e.bot in BOTS[2:]]
    merged = sorted(enumerate(events + late), key=lambda pair: (arrival(pair[1]), pair[0]))
    return [event for _, event in merged]


def arrival(event):
    late = random.Random(str(event.at))
    return at(event) + timedelta(hours=late.choice([0, 0, 0, 30, 200]))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_it_compacts_bots_of_one_currency_together(seed):
    dice = random.Random(seed)
    choose = bot_options(dice)
    plain, compacted = Ledgers(choose), Ledgers(choose)
    accepted, now = [], MONDAY
    for event in live(dice):
        now = max(now, at(event))
        if dice.random() < 0.1:
            horizon = micros(now - timedelta(days=dice.choice([1, 8, 20])))
            plain.settle(horizon)
            compacted.settle(horizon)
        if dice.random() < 0.3:
            compacted.compact(dice.choice([1, 5, 1000]))
        assert compacted.apply(event) == plain.apply(event)
        assert compacted.settled == plain.settled
        if not plain.settled:
            accepted.append(event)
        if dice.random() < 0.1:
            assert bits(compacted.update(now)) == bits(plain.update(now))
    whole = Ledgers(choose)
    for event in accepted:
        whole.apply(event)
    later = now + timedelta(days=dice.choice([0, 3, 40]))
    told = bits(compacted.update(later))
    assert told == bits(plain.update(later)) == bits(whole.update(later))


def test_a_bot_may_join_with_what_happened_just_after_the_horizon():
    plain, compacted = (
        Ledgers(lambda _: LedgerOptions(Decimal(99), rolling_trades=2)) for _ in "ab"
    )
    for ledgers in (plain, compacted):
        dice = random.Random(1)
        for n, day in enumerate([0, 1, 2, 30, 31, 50, 60]):
            ledgers.apply(trade(dice, n, MONDAY + timedelta(days=day), Decimal(n - 3)))
        ledgers.settle(micros(MONDAY + timedelta(days=10)))
    assert compacted.compact(100)
    joins = trade(random.Random(2), 1, MONDAY + timedelta(days=11), Decimal(7), bot="beta")
    assert compacted.apply(joins)
    assert plain.apply(joins)
    now = MONDAY + timedelta(days=90)
    assert bits(compacted.update(now)) == bits(plain.update(now))


def test_a_slice_has_so_many_entries_of_all_bots_and_then_of_one_after_the_other():
    ledgers = Ledgers(lambda _: LedgerOptions(Decimal(99), rolling_trades=2))
    dice = random.Random(1)
    for bot in range(10):
        for n in range(60):
            when = MONDAY + timedelta(hours=n)
            ledgers.apply(trade(dice, n, when, Decimal(n - 3), bot=f"bot{bot}"))
    ledgers.settle(micros(MONDAY + timedelta(days=2)))
    for day in range(40, 44):
        for bot in range(10):
            when = MONDAY + timedelta(days=day)
            ledgers.apply(trade(dice, 100 + day, when, Decimal(1), bot=f"bot{bot}"))
    sizes = [(0, 0)]
    while ledgers.compact(100):
        sizes.append((ledgers.commons()["USD"].base.entries, ledgers.compacted()))
    assert sizes[:6] == [(0, 0), (100, 0), (200, 0), (300, 0), (400, 0), (480, 0)]
    each = sorted(set(sizes[6:]))  # some slices only forget ids
    assert each == [(480, 48 * bots) for bots in range(1, 11)]


def test_a_slice_has_as_many_entries_as_fit_its_time():
    one = compaction.Slice()
    assert one.most == compaction.SLICE_MAX
    one.took(2 * compaction.SLICE_S)
    assert one.most == compaction.SLICE_MAX // 2
    one.took(9.0)
    assert one.most == compaction.SLICE_MIN
    one.took(0.0)
    assert one.most == compaction.SLICE_MIN
    one.took(compaction.SLICE_S / 100)
    assert one.most == compaction.SLICE_MAX

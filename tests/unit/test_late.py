"""Events out of order, at every edge of a block and of the tree above."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from actors.messages import Equity, Flow, Trade
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.portfolio import Portfolio

pytestmark = pytest.mark.usefixtures("small_blocks")
BASES = ("compounding", "fixed")
CALENDARS = ("all", "weekdays")
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def trade(identity, when, pnl, revision=0, fee=0):
    return Trade(
        "alpha",
        identity,
        "BTC/USD",
        "long",
        Decimal(1),
        when - timedelta(minutes=5),
        pnl,
        when,
        when,
        fee=Decimal(fee),
        revision=revision,
    )


def amount(dice, scale):
    if dice.random() < 0.05:
        return Decimal(0)
    return Decimal(dice.randrange(-3000, 3000)).scaleb(-scale)


def history(dice, length, moves, scale):
    """Trades with corrections, flows and marks, on a few days, many at one instant."""
    events = []
    for n in range(length):
        when = MONDAY + timedelta(hours=dice.randrange(24 * 21))
        kind = dice.random()
        if kind < moves / 2:
            events.append(Flow("alpha", when, n, amount(dice, scale) / 10))
        elif kind < moves:
            events.append(Equity("alpha", when, 1000 + amount(dice, scale)))
        else:
            key = dice.choice([n, f"t{n}"])
            events.append(trade(key, when, amount(dice, scale), fee=1))
            if dice.random() < 0.2:
                again = when + timedelta(hours=dice.randrange(-90, 90))
                events.append(trade(key, again, amount(dice, scale), 1))
    return [event for event in events if not isinstance(event, Flow) or event.amount]


def bits(figures):
    return msgspec.json.encode(figures, order="deterministic")


def risk(figures):
    names = figures.__struct_fields__
    return {name: getattr(figures, name) for name in names}


@pytest.mark.parametrize("seed", range(60))
def test_it_tells_after_each_late_event_what_it_would_tell_in_order(seed):
    dice = random.Random(seed)
    moves = dice.choice([0, 0, 0.1, 0.4])
    events = history(dice, dice.choice([12, 60, 150]), moves, dice.choice([0, 2, 2, 17]))
    zone = dice.choice(["UTC", "America/New_York"])
    start = dice.choice([None, Decimal(1000), Decimal(1000), Decimal("12345678901.25")])
    options = LedgerOptions(
        starting_equity=start,
        zone=zone,
        rolling_trades=dice.choice([3, 20]),
        base=dice.choice(BASES),
        calendar=dice.choice(CALENDARS),
    )
    late = Ledger(options)
    arrived = dice.sample(events, len(events))
    for count, event in enumerate(arrived, 1):
        late.apply(event)
        if dice.random() < 0.3:
            now = MONDAY + timedelta(days=dice.choice([14, 20, 40]))
            in_order = fresh(options, arrived[:count])
            told = late.risk(now), in_order.risk(now)
            assert told[0] == told[1]
            if dice.random() < 0.5:
                assert bits(late.metrics(now)) == bits(in_order.metrics(now))
            assert late.series(50) == in_order.series(50)


def fresh(options, events):
    """A ledger that never had anything late: of each trade only what stands, sorted."""
    stands = {}
    for event in events:
        key = (
            type(event),
            str(getattr(event, "id", (event.at, str(getattr(event, "equity", ""))))),
        )
        if key not in stands or getattr(event, "revision", 0) > stands[key].revision:
            stands[key] = event
    kinds = [Flow, Trade, Equity]

    def order(event):
        identity = getattr(event, "id", 0)
        number = isinstance(identity, int)
        worth = event.equity if isinstance(event, Equity) else 0
        return (
            event.at,
            kinds.index(type(event)),
            not number,
            identity if number else 0,
            str(identity),
            worth,
        )

    book = Ledger(options)
    for event in sorted(stands.values(), key=order):
        book.apply(event)
    assert book.rewrites == 0 or book.scale > 4
    return book


@pytest.mark.parametrize("seed", range(40))
def test_it_merges_bots_anew_as_it_would_have_followed_them(seed):
    dice = random.Random(seed)
    moves = dice.choice([0, 0.2, 0.4])
    starts = {name: dice.choice([None, Decimal(500), Decimal("7.25")]) for name in ("a", "b", "c")}
    starts = starts if dice.random() < 0.5 else dict.fromkeys(starts, Decimal(400))
    books = {name: Ledger(LedgerOptions(starting_equity=starts[name])) for name in starts}
    events = {name: history(dice, 40, moves, dice.choice([0, 2, 17])) for name in starts}
    for name, book in books.items():
        book.name = name
        for event in events[name]:
            book.apply(event)
    options = LedgerOptions(
        rolling_trades=dice.choice([3, 30]),
        base=dice.choice(BASES),
        calendar=dice.choice(CALENDARS),
    )
    now = MONDAY + timedelta(days=23)
    anew = Portfolio(options)
    once = anew.metrics(list(books.values()), now)
    walked = Portfolio(options)
    walked._members = sorted(books.values(), key=lambda book: book.name)
    walked._restart()
    walked._follow()
    assert bits(once) == bits(walked.metrics(list(books.values()), now))
    late = trade("later", MONDAY + timedelta(days=22), Decimal(5))
    for book in books.values():
        book.apply(late)
        book.apply(Equity("a", MONDAY + timedelta(days=22, hours=1), Decimal(777)))
    assert bits(anew.metrics(list(books.values()), now)) == bits(
        walked.metrics(list(books.values()), now)
    )
    assert [seen.rewrites for seen in anew._seen] == [seen.rewrites for seen in walked._seen]


@pytest.mark.parametrize("seed", range(60))
def test_it_follows_bots_whose_events_arrive_in_any_order(seed):
    dice = random.Random(seed)
    starts = dice.choice([(Decimal(400), Decimal(500)), (Decimal("7.25"), None), (None, None)])
    books = [Ledger(LedgerOptions(starting_equity=start)) for start in starts]
    events = []
    for book, name in zip(books, ("a", "b"), strict=True):
        book.name = name
        some = history(dice, 60, dice.choice([0, 0.2, 0.4]), dice.choice([0, 2, 17]))
        some.sort(key=lambda event: event.at)
        events += [
            (place + dice.random() * dice.choice([0, 3, 60]), book, one)
            for place, one in enumerate(some)
        ]
    options = LedgerOptions(
        rolling_trades=dice.choice([3, 30]),
        base=dice.choice(BASES),
        calendar=dice.choice(CALENDARS),
    )
    now, follower = MONDAY + timedelta(days=23), Portfolio(options)
    for _, book, event in sorted(events, key=lambda each: each[0]):
        book.apply(event)
        if dice.random() < 0.4:
            if dice.random() < 0.3:
                book.metrics(now)
            followed = follower.metrics(books, now)
            assert bits(followed) == bits(Portfolio(options).metrics(books, now))


def test_it_keeps_amounts_beyond_64_bits_in_smaller_blocks():
    books = Ledger(LedgerOptions(starting_equity=Decimal(1_000)))
    events = [trade(n, MONDAY + timedelta(hours=n), Decimal(n % 7 - 3)) for n in range(80)]
    for one in events[:40]:
        books.apply(one)
    narrow = len(books.timeline.blocks)
    books.apply(trade("fine", MONDAY + timedelta(hours=39, minutes=1), Decimal("1e-30")))
    for one in events[40:]:
        books.apply(one)
    assert len(books.timeline.blocks) - narrow > 2 * narrow

"""Bulk loading: the same figures, to the bit, as applying each journaled event in turn."""

import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import codec
from actors.messages import Equity, Flow, Trade
from actors.metrics import identities, timeline
from actors.metrics.block import COLUMNS
from actors.metrics.identities import Heap, Index, canonical_id, digest, encode
from actors.metrics.ledger import LedgerOptions
from actors.metrics.ledgers import Ledgers
from actors.metrics.money import micros, scaled
from actors.metrics.summary import TRADE
from actors.metrics.texts import instants, units
from actors.metrics.wanted import Wanted
from runtime.store import Run

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = MONDAY + timedelta(days=40)
SPAN = (datetime(1970, 1, 1), datetime(2199, 12, 31))  # noqa: DTZ001 - hypothesis wants it so
EAST = timezone(timedelta(hours=9))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(timeline, "BLOCK_MAX", 16)
    monkeypatch.setattr(timeline, "BLOCK_FILL", 12)


def options(bot):
    return LedgerOptions(
        starting_equity=Decimal(1000) if bot == "alpha" else None, currency_is_set=False
    )


def journaled(events, chunk):
    """The journal's runs of events: single rows and runs of several."""
    runs, seq = [], 1
    while events:
        stream = codec.stream(events[0])
        n = 1
        while n < min(chunk, len(events)) and codec.stream(events[n]) == stream:
            n += 1
        lines = b"\n".join(codec.encode(event) for event in events[:n])
        runs.append(Run(seq, n, stream, 0.0, lines))
        seq, events = seq + n, events[n:]
    return runs


def bits(ledgers):
    return msgspec.json.encode(ledgers.update(NOW), order="deterministic")


def history(dice, length):
    events = []
    for n in range(length):
        when = MONDAY + timedelta(microseconds=dice.randrange(30 * 86_400) * 1_000_000)
        if dice.random() < 0.2:
            when += timedelta(microseconds=dice.randrange(1_000_000))
        bot = dice.choice(["alpha", "alpha", "beta"])
        amount = Decimal(dice.randrange(-9_999, 9_999)).scaleb(-dice.choice([0, 2, 2, 2, 9, 17]))
        kind = dice.random()
        if kind < 0.05:
            events.append(Flow(bot, when, n, amount or Decimal(1)))
        elif kind < 0.2:
            events.append(Equity(bot, when, 1000 + amount))
        else:
            events.append(trade(dice, n, bot, when, amount))
    return events


def trade(dice, n, bot, when, amount):
    key = dice.choice([n, f"t{n}", f"t{n // 3}", str(n // 3), f"é{n // 2}"])
    closed = when.astimezone(EAST) if dice.random() < 0.1 else when
    return Trade(
        bot,
        key,
        dice.choice(["BTC/USD", "ETH/USD"]),
        dice.choice(["long", "short"]),
        Decimal(n) / 8,
        when - timedelta(hours=1),
        amount,
        closed,
        closed,
        fee=Decimal(dice.choice(["0", "0", "0.1", "1E-7"])),
        currency=dice.choice([None, None, None, "EUR", "EUR", "DOGE"]),
        revision=dice.choice([0, 0, 0, 0, 0, 1]),
        risk=dice.choice([None, None, Decimal("12.5"), Decimal("0.1"), Decimal("1E-9")]),
    )


def rows(ledger):
    """Every column but the references to ids, symbols of trades by name."""
    trades = ledger.timeline.column("kind") == TRADE
    symbols = ledger.timeline.column("symbol")[trades] // 2
    names = [ledger.symbols()[number] for number in symbols.tolist()]
    columns = ledger.columns(*(name for name in COLUMNS if name not in ("ids", "symbol")))
    return names, {name: column.tolist() for name, column in columns.items()}


def test_it_corrects_a_trade_of_an_earlier_piece():
    first = trade(random.Random(1), 16, "alpha", MONDAY, Decimal(1))
    first = msgspec.structs.replace(first, currency=None, revision=0)
    again = msgspec.structs.replace(first, pnl=Decimal(5), revision=2)
    ledgers = Ledgers(options)
    loader = ledgers.loader()
    for event in (first, again):
        loader.take(journaled([event], 1), set(), 10)
    loader.finish()
    found = ledgers.of["alpha"].metrics(NOW)
    assert (found.trades, found.pnl_total) == (1, 5)


@pytest.mark.parametrize("seed", range(40))
def test_it_loads_what_applying_each_event_in_turn_would_give(seed):
    dice = random.Random(seed)
    events = history(dice, dice.choice([5, 80, 300]))
    events += dice.sample(events, len(events) // 8)
    if dice.random() < 0.5:
        events.sort(key=lambda event: event.at)
    one_by_one, bulk = Ledgers(options), Ledgers(options)
    for event in events:
        one_by_one.apply(event)
    loader = bulk.loader()
    runs = journaled(events, dice.choice([1, 7, 1000]))
    while runs:
        some, runs = runs[:9], runs[9:]
        loader.take(some, set(), 10**9)
    loader.finish()
    assert bits(bulk) == bits(one_by_one)
    for bot, ledger in bulk.of.items():
        assert ledger.series(400) == one_by_one.of[bot].series(400)
        assert str(rows(ledger)) == str(rows(one_by_one.of[bot]))  # as text NaN equals NaN
    after = history(dice, 20)
    for event in after:
        assert bulk.apply(event) == one_by_one.apply(event)
    assert bits(bulk) == bits(one_by_one)


@pytest.mark.parametrize("seed", range(10))
def test_it_loads_only_what_one_bot_had_up_to_an_instant(seed):
    dice = random.Random(seed)
    events = history(dice, 120)
    bot, at = dice.choice(["", "alpha", "beta"]), MONDAY + timedelta(days=12)
    one_by_one, bulk = Ledgers(options), Ledgers(options)
    for event in events:
        if event.at <= at and bot in ("", event.bot):
            one_by_one.apply(event)
    loader = bulk.loader(Wanted(bot, at))
    loader.take(journaled(events, 50), set(), 10**9)
    loader.finish()
    assert bits(bulk) == bits(one_by_one)


def test_it_leaves_out_what_is_poisoned_too_late_or_of_another_version():
    dice = random.Random(1)
    events = [trade(dice, n, "alpha", MONDAY + timedelta(hours=n), Decimal(1)) for n in range(9)]
    events = [
        msgspec.structs.replace(one, id=f"a{n}", currency=None, revision=0)
        for n, one in enumerate(events)
    ]
    [run] = journaled(events, 100)
    other = Run(10, 1, "trade", 0.0, b'{"type":"trade","of":"another version"}')
    ledgers = Ledgers(options)
    loader = ledgers.loader()
    loader.take([run, other], {2, 3}, 8)
    loader.finish()
    assert ledgers.of["alpha"].metrics(NOW).trades == 6


def test_it_loads_what_a_bot_with_floats_sends():
    dice = random.Random(8)
    events = [
        Trade("alpha", n, "X", "long", Decimal(repr(dice.random())), at, Decimal(repr(pnl)), at, at)
        for n in range(300)
        for at in [MONDAY + timedelta(hours=n)]
        for pnl in [dice.gauss(0.1, 25)]
    ]
    one_by_one, bulk = Ledgers(options), Ledgers(options)
    for event in events:
        one_by_one.apply(event)
    for some in (events[:20], events[20:], events[:50]):
        loader = bulk.loader()
        loader.take(journaled(some, 60), set(), 10**9)
        loader.finish()
    assert bits(bulk) == bits(one_by_one)
    assert bulk.of["alpha"].scale >= 16


def test_it_keeps_an_amount_beyond_64_bits():
    huge = [
        Trade("alpha", n, "X", "long", Decimal("1e14"), MONDAY, Decimal("3e14"), MONDAY, MONDAY)
        for n in range(40)
    ]
    huge[7] = msgspec.structs.replace(huge[7], pnl=Decimal("1e-30"))
    one_by_one, bulk = Ledgers(options), Ledgers(options)
    loader = bulk.loader()
    loader.take(journaled(huge, 100), set(), 10**9)
    loader.finish()
    for event in huge:
        one_by_one.apply(event)
    assert bits(bulk) == bits(one_by_one)


@given(st.lists(st.datetimes(*SPAN), min_size=1))
def test_it_reads_the_journals_instants(moments):
    aware = [moment.replace(tzinfo=UTC) for moment in moments]
    texts = [msgspec.json.encode(moment).decode().strip('"') for moment in aware]
    read, good = instants(texts)
    assert good.all()
    assert read.tolist() == [micros(moment) for moment in aware]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T12:00:00+09:00",
        "2026-03-02T12:00:00.5Z",
        "2026-03-02T12:00:00.123456+00:00",
        "2026-03-02T12:00:00",
        "2026-03-02",
        "1969-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "٢026-03-02T12:00:00Z",
        "",
    ],
)
def test_it_leaves_other_forms_of_an_instant_to_the_decoder(text):
    assert not instants([text])[1][0]


@given(
    st.lists(st.decimals(-(10**9), 10**9, allow_nan=False, places=None), min_size=1),
    st.sampled_from([4, 8, 12, 16]),
)
def test_it_reads_amounts_exactly_or_not_at_all(amounts, scale):
    read, good = units([str(amount) for amount in amounts], scale)
    for amount, unit, fine in zip(amounts, read.tolist(), good.tolist(), strict=True):
        exact = scaled(amount, scale, "amount")
        assert fine == (exact is not None)
        assert not fine or unit == exact


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "1E+40", "0.30000000000000004", "1E-9", "1.000000001", "x"]
)
def test_it_reads_no_amount_that_is_not_exact(text):
    for texts in ([text, "1", "2"], [text] * 9):
        assert not units(texts, 4)[1][0]


def test_it_finds_an_id_among_many_and_compares_what_a_digest_confuses():
    index, heap = Index(), Heap()
    known = [canonical_id(f"trade-{n}") for n in range(50_000)]
    for when, identity in enumerate(known[:20_000]):
        index.put(identity, when)
    digests = np.array([digest(identity) for identity in known[20_000:]], np.uint32)
    index.put_run(identities.Run.sorted(digests, np.arange(20_000, 50_000)))
    assert all(when in index.candidates(known[when]) for when in range(0, 50_000, 71))
    new = sum(bool(index.candidates(f"other-{n}")) for n in range(20_000))
    assert new <= 5
    assert index.seen(digests).all()
    index.move(known[30_000], 7)
    assert list(index.candidates(known[30_000])) == [7]
    for identity in (0, 7, 10**17, "é", "07", "\ud800", "x" * 300):
        assert heap.get(heap.put(identity)) == identity
    references = heap.put_all([encode("a"), encode(""), encode("ü")])
    assert [heap.get(int(reference)) for reference in references] == ["a", "", "ü"]


def test_it_tells_two_trades_apart_whose_digests_are_the_same():
    one, other = "plumless", "buckeroo"
    assert digest(one) == digest(other)
    made = [
        Trade("alpha", name, "X", "long", Decimal(1), MONDAY, Decimal(5), MONDAY, MONDAY)
        for name in (one, other, one)
    ]
    bulk = Ledgers(options)
    loader = bulk.loader()
    loader.take(journaled(made, 9), set(), 9)
    loader.finish()
    assert bulk.of["alpha"].metrics(NOW).trades == 2
    assert not bulk.apply(made[1])

"""Replay: whatever rows the journal has, the ledgers are those of applying each event in turn."""

import random
from decimal import Decimal
from functools import partial

import msgspec
import pytest

from actors import codec
from actors.metrics import replay as replaying
from actors.metrics.ledgers import Ledgers
from actors.metrics.replay import replay
from runtime.clock import SystemClock
from runtime.store import Entry, Store
from tests.unit.test_bulk import MONDAY, bits, history, options, trade

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]  # the store has a thread


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(replaying, "PIECE_ROWS", 7)


def rows(events, dice):
    """Write events as single rows and as runs of their stream; some runs beyond a piece."""

    def write(tx):
        left = list(events)
        while left:
            stream = codec.stream(left[0])
            most, n = dice.choice([1, 1, 1, 3, 5, 12]), 1
            while n < min(most, len(left)) and codec.stream(left[n]) == stream:
                n += 1
            data = [codec.encode(event) for event in left[:n]]
            if n == 1:
                tx.journal.append([Entry(stream, data[0], 0.0)])
            else:
                tx.journal.append_run(stream, 0.0, b"\n".join(data), [None] * n)
            if dice.random() < 0.05:
                tx.journal.append([Entry("other", b"{}", 0.0)])
            left = left[n:]

    return write


def plain(dice, length):
    for n in range(length):
        when = MONDAY.replace(minute=n % 60, hour=n // 60 % 24)
        one = trade(dice, n, "alpha", when, Decimal(dice.randrange(-99, 99)))
        yield msgspec.structs.replace(one, currency=None)


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("seed", range(6))
async def test_it_gives_the_ledgers_of_the_whole_journal_and_of_a_part(tmp_path, seed, inline):
    dice = random.Random(seed)
    events = [*plain(dice, 60), *history(dice, 30), *plain(dice, 40)]
    store = Store(tmp_path / "s.db", SystemClock(), inline=inline)
    await store.open()
    await store.write(rows(events, dice))
    all_rows = await store.read(lambda tx: tx.journal.read(0, 1_000))
    pieces = [await store.read(partial(replaying._joined, after)) for after in range(100)]
    assert None in pieces
    assert any(piece is not None and piece.n == 7 for piece in pieces)
    for until in (store.head(), 55, 9):
        for left_out in (set(), {3, 50}):
            expected = Ledgers(options)
            for row in all_rows:
                if row.stream != "other" and row.seq <= until and row.seq not in left_out:
                    expected.apply(codec.decode(row.data))
            ledgers = Ledgers(options)
            await replay(store, ledgers.loader(), left_out, until=until)
            assert bits(ledgers) == bits(expected)
    await store.close()

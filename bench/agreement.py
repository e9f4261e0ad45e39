"""The ledger against the oracle on a million random trades: `python -m bench.agreement [trades]`.

Prints how far each figure is off and returns 1 where one disagrees. The history has gaps of days,
deposits, reported equities, trades that arrive late, duplicates, and corrections anywhere.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from actors.messages import Equity, Flow, Trade
from actors.metrics.ledger import Ledger, LedgerOptions
from tests import oracle

FIRST = datetime(2018, 1, 1, tzinfo=UTC)
START = Decimal(100_000)
LATE = 40  # how many events may overtake one
CORRECTIONS = 2_000
ZONE = "Europe/Berlin"


def history(trades: int, rng: random.Random) -> list[Trade | Equity | Flow]:
    """Events in the order in which they happened."""
    events: list[Trade | Equity | Flow] = []
    at, equity = FIRST, START
    step = timedelta(days=365 * 8) / trades
    for number in range(trades):
        at += step * rng.expovariate(1.0)
        if rng.random() < 20 / trades:
            at += timedelta(days=rng.randint(1, 9))  # a holiday
        pnl = Decimal(round(rng.gauss(0.02, 9.0), 2)).quantize(Decimal("0.01"))
        fee = Decimal(rng.randint(0, 99)).scaleb(-4)
        equity += pnl
        events.append(trade(number, at, pnl, fee))
        chance = rng.random()
        if chance < 200 / trades:
            amount = Decimal(rng.randint(-20_000, 25_000)).scaleb(-1)
            equity += amount
            events.append(Flow("bot", at, number, amount or Decimal(1)))
        elif chance < 0.01:
            equity += Decimal(rng.randint(-500, 500)).scaleb(-2)
            events.append(Equity("bot", at, equity))
    return events


def trade(
    number: int, at: datetime, pnl: Decimal, fee: Decimal = Decimal(0), revision: int = 0
) -> Trade:
    opened = at - timedelta(minutes=5)
    return Trade(
        "bot", number, "BTC", "long", Decimal(1), opened, pnl, at, at, fee=fee, revision=revision
    )


def arrivals(
    events: list[Trade | Equity | Flow], rng: random.Random
) -> Iterator[Trade | Equity | Flow]:
    """The same events as they arrive: late, twice, and corrected afterwards."""
    places = sorted(range(len(events)), key=lambda place: place + rng.random() * LATE)
    for place in places:
        yield events[place]
        if rng.random() < 0.01:
            yield events[place]
    closed = [event for event in events if isinstance(event, Trade)]
    for wrong in rng.sample(closed, min(CORRECTIONS, len(closed) // 50)):
        assert isinstance(wrong.id, int)
        assert wrong.closed_at is not None
        moved = wrong.closed_at + timedelta(minutes=rng.randint(-600, 600))
        yield trade(wrong.id, moved, wrong.pnl + Decimal(rng.randint(-9, 9)), wrong.fee, 1)


def main(trades: int) -> int:
    rng = random.Random(20_261_124)
    events = list(arrivals(history(trades, rng), rng))
    began = time.perf_counter()
    ledger = Ledger(LedgerOptions(starting_equity=START, zone=ZONE))
    for event in events:
        ledger.apply(event)
    now = max(event.at for event in events if event.at is not None) + timedelta(days=2)
    ours = ledger.metrics(now)
    print(f"ledger: {len(events):,} events in {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    expected = oracle.figures(events, START, now, zone=ZONE)
    print(f"oracle: {time.perf_counter() - began:.0f} s", flush=True)
    wrong = 0
    for name, want in expected.items():
        holder = ours.rolling if name.startswith("rolling.") else ours
        have = getattr(holder, name.removeprefix("rolling."))
        good = oracle.agree(have, want)
        wrong += not good
        print(f"{'ok ' if good else 'BAD'} {name:24} {have} {off(have, want)}")
    print(f"{len(expected) - wrong} of {len(expected)} figures agree on {ours.trades:,} trades")
    return 1 if wrong else 0


def off(have: object, want: Decimal | int | None) -> str:
    """By how much a ratio is off; money and counts are exact or bad."""
    if not isinstance(have, float) or want is None:
        return ""
    return f"off by {abs(Decimal(have) - want) / max(Decimal(1), abs(want)):.1e}"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))

"""What one more trade costs a ledger, and one snapshot of its figures, at three sizes.

And what a correction and a late trade cost at a million, as triggers need them.
"""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from actors.messages import Trade
from actors.metrics.ledger import Ledger
from actors.metrics.options import LedgerOptions
from bench.figure import emit

FIGURES = ("metric_add_us", "metric_snapshot_us", "correction_us")
CORRECTIONS = 300
SIZES = (100, 10_000, 1_000_000)
ADDS = 2_000
BATCH = 50
SNAPSHOTS = 500
FIRST = datetime(2023, 1, 1, tzinfo=UTC)


def trade(number: int) -> Trade:
    closed = FIRST + timedelta(minutes=10 * number)
    return Trade(
        bot="native",
        id=f"t{number}",
        symbol="BTC/USDT",
        side="long",
        quantity=Decimal(1),
        opened_at=closed - timedelta(minutes=5),
        closed_at=closed,
        at=closed,
        pnl=Decimal("-0.25") if number % 3 == 0 else Decimal("0.5"),
    )


def measure(size: int) -> tuple[float, float]:
    """Return the microseconds of an add, walked as triggers need it, and of a snapshot.

    Each snapshot comes after a new trade, so that nothing of the last one can be kept.
    """
    ledger = Ledger(LedgerOptions(starting_equity=Decimal(10_000)))
    for number in range(size):
        ledger.apply(trade(number))
    ledger.risk(trade(size).closed_at)
    fresh = [trade(number) for number in range(size, size + ADDS + SNAPSHOTS)]
    adds, snapshots = [], []
    for first in range(0, ADDS, BATCH):
        began = time.perf_counter()
        for one in fresh[first : first + BATCH]:
            ledger.apply(one)
            ledger.risk(one.closed_at)
        adds.append((time.perf_counter() - began) / BATCH)
    for one in fresh[ADDS:]:
        ledger.apply(one)
        ledger.risk(one.closed_at)
        began = time.perf_counter()
        ledger.metrics(one.closed_at)
        snapshots.append(time.perf_counter() - began)
    return statistics.median(adds) * 1e6, statistics.median(snapshots) * 1e6


def late(size: int) -> list[float]:
    """Return the microseconds of corrections and of late trades, anywhere in the history."""
    ledger = Ledger(LedgerOptions(starting_equity=Decimal(10_000)))
    for number in range(size):
        ledger.apply(trade(number))
    now = trade(size).closed_at
    ledger.risk(now)
    dice, taken = random.Random(1), []
    for number in range(CORRECTIONS):
        old = trade(dice.randrange(size))
        changed = msgspec.structs.replace(old, pnl=Decimal("-7.5"), revision=1)
        event = changed if number % 2 else msgspec.structs.replace(old, id=f"late{number}")
        began = time.perf_counter()
        ledger.apply(event)
        ledger.risk(now)
        taken.append((time.perf_counter() - began) * 1e6)
    return taken


def main() -> None:
    found = {size: measure(size) for size in SIZES}
    for place, figure, goal, n in (
        (0, "metric_add_us", "<= 10", ADDS),
        (1, "metric_snapshot_us", "<= 50", SNAPSHOTS),
    ):
        values = [pair[place] for pair in found.values()]
        each = ", ".join(f"{size:,}: {pair[place]:.1f}" for size, pair in found.items())
        emit(figure, max(values), "us", goal, against=f"worst median; {each}", n=n, spread=values)
    taken = late(SIZES[-1])
    emit(
        "correction_us",
        statistics.median(taken),
        "us",
        "<= 100",
        against=f"at {SIZES[-1]:,} trades; half corrections, half late, with what triggers need",
        n=len(taken),
        spread=taken,
    )


if __name__ == "__main__":
    main()

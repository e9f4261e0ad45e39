"""What compacting costs: how long a slice of it holds the loop, and what a settled trade takes.

A million trades, all but the last ones compacted as the metrics actor does it: slice by slice.
"""

from __future__ import annotations

import itertools
import statistics
import time
from array import array
from datetime import timedelta
from decimal import Decimal
from zlib import crc32

import msgspec
import numpy as np

from actors.metrics.compaction import SLICE_MAX
from actors.metrics.depot import Depot
from actors.metrics.ledgers import Ledgers
from actors.metrics.money import micros
from actors.metrics.options import LedgerOptions
from actors.metrics.snapshot import pack
from actors.metrics.summary import TRADE
from bench.figure import emit
from bench.metrics import FIRST
from bench.replay import resident

FIGURES = ("compact_slice_ms", "compacted_bytes_per_trade", "compacted_disk_bytes_per_trade")
TRADES = 1_000_000
A_STAGE = 100_000
EVERY = timedelta(minutes=1)  # 1,440 trades a day, for two years


def options(_bot: str) -> LedgerOptions:
    return LedgerOptions(starting_equity=Decimal(10_000_000))


def fill(ledgers: Ledgers) -> None:
    """Take in the trades as a start does, without their way through a journal."""
    ledger = ledgers.ledger("native")
    assert ledger is not None
    first, step = micros(FIRST), EVERY // timedelta(microseconds=1)
    for start in range(0, TRADES, A_STAGE):
        numbers = np.arange(start, start + A_STAGE)
        when = first + step * numbers
        ids = [f"t{number}" for number in numbers.tolist()]
        encoded = [one.encode() for one in ids]
        zeros = np.zeros(A_STAGE, np.int64)
        columns = {
            "when": when,
            "kind": np.full(A_STAGE, TRADE, np.uint8),
            "ids": zeros,
            "amount": (numbers * 7_919 % 20_011 - 10_000) * 100,
            "fee": zeros,
            "opened": when - step // 2,
            "quantity": zeros + 10_000,
            "symbol": np.zeros(A_STAGE, np.uint32),
            "risk": np.full(A_STAGE, np.nan),
            "digest": np.frombuffer(array("I", map(crc32, encoded)), np.uint32),
        }
        ledger.stage(columns, ids, encoded)


def stored(ledgers: Ledgers) -> int:
    """Return the bytes of a snapshot."""
    depot = Depot()
    packed = [pack(ledger, depot) for ledger in ledgers.of.values()]
    depot.encode(len(packed))
    return sum(map(len, depot.fresh.values())) + len(msgspec.json.encode(packed))


def main() -> None:
    before = resident()
    ledgers = Ledgers(options)
    fill(ledgers)
    now = FIRST + EVERY * TRADES
    ledgers.update(now)
    whole, kept = resident() - before, stored(ledgers)
    ledgers.settle(micros(now))
    slices = []
    for _ in itertools.count():
        began = time.perf_counter()
        more = ledgers.compact(SLICE_MAX)
        slices.append((time.perf_counter() - began) * 1e3)
        if not more:
            break
    base = ledgers.of["native"].timeline.base.entries
    figures = ledgers.update(now).bots["native"]
    if figures.trades != TRADES or base < TRADES * 0.98:
        raise RuntimeError(f"{base} of {figures.trades} trades compacted")
    settled, packed = resident() - before, stored(ledgers)
    emit(
        "compact_slice_ms",
        statistics.median(slices),
        "ms",
        "<= 20",
        against=f"{SLICE_MAX:,} of {TRADES:,} trades; {sum(slices) / 1e3:.1f} s for all",
        n=len(slices),
        spread=slices,
    )
    for figure, now_bytes, then in (
        ("compacted_bytes_per_trade", settled, whole),
        ("compacted_disk_bytes_per_trade", packed, kept),
    ):
        emit(
            figure,
            now_bytes / TRADES,
            "bytes",
            "<= 30",
            against=f"{then / TRADES:.0f} bytes before, {base:,} of {TRADES:,} trades compacted",
        )


if __name__ == "__main__":
    main()

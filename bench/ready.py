"""How long a start takes with 100,000 trades in the journal: process start to address line."""

from __future__ import annotations

import functools
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import anyio

from actors import codec
from actors.messages import Trade
from actors.place import cursor_key
from bench.figure import emit
from runtime.clock import SystemClock
from runtime.store import Entry, Store, Tx
from tests.acceptance.process import Sidewatch

FIGURES = ("ready_100k_s",)
TRADES = 100_000
A_WRITE = 10_000
RUNS = 3


def entries(first: int, count: int, last: datetime) -> list[Entry]:
    kept = []
    for number in range(first, first + count):
        closed = last - timedelta(minutes=10 * (TRADES - number))
        trade = Trade(
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
        kept.append(Entry("trade", codec.encode(trade), closed.timestamp(), codec.key(trade)))
    return kept


def put_cursors(tx: Tx) -> None:
    """Leave what a process that had handled every trade leaves."""
    head = str(tx.journal.head()).encode()
    tx.state.put(cursor_key("metrics"), head)
    tx.state.put(cursor_key("health"), head)


async def fill(path: Path) -> None:
    store = Store(path, SystemClock())
    await store.open()
    last = datetime.now(UTC)
    for first in range(0, TRADES, A_WRITE):
        rows = entries(first, A_WRITE, last)
        await store.write(lambda tx, rows=rows: tx.journal.append(rows))
    await store.write(put_cursors)
    await store.close()


def start(data: Path) -> tuple[float, float]:
    """Return the seconds to the address line, and to the answer with every trade in it."""
    began = time.perf_counter()
    with Sidewatch(data) as sidewatch:
        announced = time.perf_counter() - began
        figures = sidewatch.get("/api/v1/metrics/realtime")["bots"]["native"]
        answered = time.perf_counter() - began
        if figures["trades"] != TRADES:
            raise RuntimeError(f"{figures['trades']} of {TRADES} trades: {json.dumps(figures)}")
        sidewatch.stop()
    return announced, answered


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with Sidewatch(data) as sidewatch:
            sidewatch.stop()
        name = next(path.name for path in data.iterdir() if path.name.endswith((".db", ".sqlite")))
        anyio.run(functools.partial(fill, data / name))
        runs = [start(data) for _ in range(RUNS)]
    announced = [run[0] for run in runs]
    answered = statistics.median(run[1] for run in runs)
    emit(
        "ready_100k_s",
        statistics.median(announced),
        "s",
        "<= 2",
        against=f"{TRADES:,} trades journaled and handled; first figures after {answered:.2f} s",
        n=RUNS,
        spread=announced,
    )


if __name__ == "__main__":
    main()

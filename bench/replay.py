"""What a start costs with a million trades in the journal, how it holds the loop, their memory.

The journal is real and read as the metrics actor reads it, decoding and first figures included:
half of the trades came one by one (a row each), half in batches of 500 (a row each).
"""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
import msgspec

from actors import codec
from actors.metrics.keep import MANIFEST, Keeper
from actors.metrics.ledgers import Ledgers
from actors.metrics.options import LedgerOptions
from actors.metrics.replay import READER, aside, rebuild, replay
from actors.place import cursor_key
from bench.figure import emit
from bench.metrics import FIRST, trade
from runtime.clock import SystemClock
from runtime.store import Entry, Store, Tx

FIGURES = ("replay_1m_s", "replay_snapshot_s", "replay_hold_ms", "bytes_per_trade")
NOW = FIRST + timedelta(minutes=10 * 1_000_000)
TICK_S = 0.001
TAIL = 10_000
TRADES = 1_000_000
A_WRITE = 10_000
A_RUN = 500
RUNS = 3
AT = 1_800_000_000.0


def varied(number: int) -> bytes:
    """A journaled trade with a profit that few others have."""
    pnl = Decimal(number * 7_919 % 20_011 - 10_000) / 100
    return codec.encode(msgspec.structs.replace(trade(number), pnl=pnl))


def write(tx: Tx, first: int) -> None:
    half = first + A_WRITE // 2
    tx.journal.append(Entry("trade", varied(n), AT, f"t{n}") for n in range(first, half))
    for start in range(half, first + A_WRITE, A_RUN):
        those = range(start, start + A_RUN)
        data = b"\n".join(varied(n) for n in those)
        tx.journal.append_run("trade", AT, data, [f"t{n}" for n in those])


async def fill(path: Path) -> None:
    store = Store(path, SystemClock())
    await store.open()
    for first in range(0, TRADES, A_WRITE):
        await store.write(lambda tx, first=first: write(tx, first))
    await store.close()


def options(_bot: str) -> LedgerOptions:
    return LedgerOptions(starting_equity=Decimal(10_000_000))


class Held:
    """The longest time that the loop stood still."""

    def __init__(self) -> None:
        self.ms = 0.0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch meanwhile."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch)
            await anyio.sleep(TICK_S)
            yield
            await anyio.sleep(2 * TICK_S)
            group.cancel_scope.cancel()

    async def _watch(self) -> None:
        while True:
            began = time.perf_counter()
            await anyio.sleep(TICK_S)
            self.ms = max(self.ms, (time.perf_counter() - began - TICK_S) * 1e3)


async def start(path: Path, held: Held) -> tuple[float, Ledgers]:
    """Return the seconds from an open database to the first figures, and the ledgers."""
    store = Store(path, SystemClock())
    await store.open()
    async with held.watched():
        began = time.perf_counter()
        ledgers = Ledgers(options)
        await rebuild(store, ledgers, set(), after=0, until=store.head(), now=NOW)
        figures = ledgers.update(NOW)
        taken = time.perf_counter() - began
    await store.close()
    if figures.bots["native"].trades != TRADES:
        raise RuntimeError(f"{figures.bots['native'].trades} of {TRADES} trades")
    return taken, ledgers


async def save(path: Path, ledgers: Ledgers) -> None:
    """Keep a snapshot of all but the tail, as the metrics actor does over a few minutes."""
    store = Store(path, SystemClock())
    await store.open()
    seq = TRADES - TAIL
    await store.write(lambda tx: tx.state.put(cursor_key(READER), str(seq).encode()))
    await replay(store, ledgers.loader(), set(), until=seq)
    keeper = Keeper(store, READER)
    while await store.read(lambda tx: tx.state.get(MANIFEST)) is None:
        await keeper.step(ledgers, seq, set())
    await store.close()


async def restart(path: Path, held: Held) -> float:
    """Return the seconds from an open database with a snapshot to the first figures."""
    store = Store(path, SystemClock())
    await store.open()
    async with held.watched():
        began = time.perf_counter()
        ledgers, keeper = Ledgers(options), Keeper(store, READER)
        after = await keeper.load(TRADES, set(), ledgers, work=aside)
        await rebuild(store, ledgers, set(), after=after, until=TRADES, now=NOW)
        figures = ledgers.update(NOW)
        taken = time.perf_counter() - began
    await store.close()
    if after != TRADES - TAIL or figures.bots["native"].trades != TRADES:
        raise RuntimeError(f"from {after}: {figures.bots['native'].trades}; {keeper.passed_over}")
    return taken


def resident() -> int:
    """Return the bytes of this process in memory, with what the allocator can give back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        anyio.run(partial(fill, path))
        before, holds = resident(), [Held() for _ in range(2 * RUNS)]
        taken, kept = anyio.run(start, path, holds[0])
        each = (resident() - before) / TRADES
        runs = [taken]
        del kept
        runs += [anyio.run(start, path, held)[0] for held in holds[1:RUNS]]
        anyio.run(partial(save, path, Ledgers(options)))
        again = [anyio.run(restart, path, held) for held in holds[RUNS:]]
    worst = [held.ms for held in holds]
    emit(
        "replay_1m_s",
        statistics.median(runs),
        "s",
        "<= 2",
        against=f"{TRADES:,} trades in the journal, half in single rows; to the first figures",
        n=RUNS,
        spread=runs,
    )
    emit(
        "replay_snapshot_s",
        statistics.median(again),
        "s",
        "<= 0.2",
        against=f"the same with a stored snapshot and a tail of {TAIL:,} trades",
        n=RUNS,
        spread=again,
    )
    emit(
        "replay_hold_ms",
        statistics.median(worst),
        "ms",
        "<= 20",
        against="the longest time that the loop stood still during each of these starts",
        n=len(worst),
        spread=worst,
    )
    emit("bytes_per_trade", each, "bytes", "<= 200", against=f"resident, {TRADES:,} trades, ids")


if __name__ == "__main__":
    main()

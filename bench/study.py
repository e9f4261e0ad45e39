"""What details of a million trades cost: CPU, memory while they last, and how late the loop comes.

Once of now, which works on copies of the live ledger's columns, and once of an instant, which reads
the journal first. The loop's lag is how much later than asked for a sleep of a millisecond ends.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

import anyio
from anyio.lowlevel import checkpoint

from actors.metrics.ledgers import Ledgers
from actors.metrics.queries import SheetsQuery
from actors.metrics.replay import replay
from actors.metrics.sheet import Sheet
from actors.metrics.study import Studies
from bench.figure import emit, percentile
from bench.metrics import FIRST
from bench.replay import TRADES, fill, options, resident
from runtime.clock import SystemClock
from runtime.store import Store

FIGURES = (
    "study_1m_cpu_s",
    "study_1m_mib",
    "study_1m_lag_p99_ms",
    "study_journal_1m_cpu_s",
    "study_journal_1m_mib",
    "study_journal_1m_lag_p99_ms",
)
GOALS = {"cpu_s": "<= 1", "mib": "<= 200", "lag_p99_ms": "<= 20"}
JOURNAL_GOALS = {"cpu_s": "<= 4", "mib": "<= 400", "lag_p99_ms": "<= 20"}
NOW = FIRST + timedelta(minutes=10 * TRADES)
RUNS = 3
TICK_S = 0.001
LOOK_EVERY_S = 0.02


class Cost(NamedTuple):
    """Of one study."""

    cpu_s: float
    mib: float
    lag_p99_ms: float


async def ticks(late: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await anyio.sleep(TICK_S)
        late.append((time.perf_counter() - began - TICK_S) * 1e3)


class Watch:
    """The most memory that the process had while it ran."""

    def __enter__(self) -> Self:
        self._before = self._most = resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def mib(self) -> float:
        return (self._most - self._before) / 2**20

    def _look(self) -> None:
        pages = Path("/proc/self/statm")
        while not self._over.wait(LOOK_EVERY_S):
            self._most = max(self._most, int(pages.read_text().split()[1]) * 4096)


async def cost(ask: Callable[[], Awaitable[object]]) -> Cost:
    late: list[float] = []
    with Watch() as watch:
        async with anyio.create_task_group() as group:
            group.start_soon(ticks, late)
            await anyio.sleep(0.05)
            late.clear()
            began = time.process_time()
            await ask()
            cpu_s = time.process_time() - began
            group.cancel_scope.cancel()
    return Cost(cpu_s, watch.mib, percentile(late, 99))


async def measure(path: Path, at: datetime | None) -> list[Cost]:
    store = Store(path, SystemClock())
    await store.open()
    ledgers = Ledgers(options)
    if at is None:
        await replay(store, ledgers.loader(), set(), until=store.head())
        ledgers.update(NOW)

    async def live(query: SheetsQuery) -> dict[str, Sheet]:
        """Copy as the metrics actor does."""
        found: dict[str, Sheet] = {}
        for one in ledgers.copying(query):
            await checkpoint()
            found.update([] if one is None else [one])
        return found

    studies = Studies(store, options, live)

    async def ask() -> None:
        bots, _ = await studies.details("", at, NOW)
        if bots["native"].trades != TRADES:
            raise RuntimeError(f"{bots['native'].trades} of {TRADES} trades")

    costs = [await cost(ask) for _ in range(RUNS)]
    await store.close()
    return costs


def report(prefix: str, costs: list[Cost], goals: dict[str, str], what: str) -> None:
    against = f"details of {TRADES:,} trades, {what}; median"
    for name, unit in (("cpu_s", "s"), ("mib", "MiB"), ("lag_p99_ms", "ms")):
        values = sorted(getattr(one, name) for one in costs)
        value = values[len(values) // 2]
        emit(f"{prefix}_{name}", value, unit, goals[name], against=against, n=RUNS, spread=values)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        anyio.run(partial(fill, path))
        journal = anyio.run(partial(measure, path, NOW))
        live = anyio.run(partial(measure, path, None))
    report("study_1m", live, GOALS, "of the live ledger")
    report("study_journal_1m", journal, JOURNAL_GOALS, "read from the journal")


if __name__ == "__main__":
    main()

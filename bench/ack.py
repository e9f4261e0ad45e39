"""How fast an event is acknowledged, on disk, over loopback HTTP: alone, and 1,000 at a time."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.figure import emit, paired, percentile
from bench.process import Poster, body, caught_up
from tests.acceptance.process import Sidewatch

FIGURES = ("ack_p99_ms", "batch_ratio")
SINGLES = 2_000
PAIRS = 5
SINGLES_A_PAIR = 150
BATCHES_A_PAIR = 3
BATCH = 1_000


class Bench:
    """One process and the count of the trades that it was sent."""

    def __init__(self, sidewatch: Sidewatch) -> None:
        self.sidewatch = sidewatch
        self.poster = Poster(sidewatch.url)
        self.sent = 0

    def post(self, count: int, times: int) -> list[float]:
        """Post `times` bodies of `count` trades, when all before are digested."""
        caught_up(self.sidewatch, self.sent)
        bodies = [body(self.sent + count * place, count) for place in range(times)]
        self.sent += count * times
        return [self.poster.post(data) for data in bodies]

    def rate(self, count: int, times: int) -> float:
        return count * times / sum(self.post(count, times))


def fsync_p99_ms(folder: Path) -> float:
    """The disk's own part: 4 KiB appended and synced."""
    took = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(500):
            began = time.perf_counter()
            file.write(bytes(4_096))
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return percentile(took, 99) * 1_000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        disk_ms = fsync_p99_ms(Path(folder))
        with Sidewatch(Path(folder) / "data") as sidewatch:
            bench = Bench(sidewatch)
            bench.post(1, 200)
            took = [s * 1_000 for s in bench.post(1, SINGLES)]
            ratio, ratios = paired(
                lambda: bench.rate(BATCH, BATCHES_A_PAIR),
                lambda: bench.rate(1, SINGLES_A_PAIR),
                PAIRS,
            )
            bench.poster.close()
    against = f"median {statistics.median(took):.2f} ms; fsync alone p99 {disk_ms:.2f} ms"
    emit(
        "ack_p99_ms",
        percentile(took, 99),
        "ms",
        "<= 10",
        against=against,
        n=len(took),
        spread=took,
    )
    emit(
        "batch_ratio",
        ratio,
        "x",
        ">= 300",
        against="trades/s of single POSTs, one connection",
        n=PAIRS,
        spread=ratios,
    )


if __name__ == "__main__":
    main()

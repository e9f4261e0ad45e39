"""How many trades a second are acknowledged, on disk, over the Unix socket as NDJSON."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

from bench.figure import emit
from bench.process import UnixPoster, body, caught_up
from tests.acceptance.process import Sidewatch

FIGURES = ("unix_ndjson_acked_per_s",)
BODY_BYTES_MAX = 1_048_576
LINES = 4_000
BODIES = 10
ROUNDS = 7
SUSTAINED = 50


def lines(first: int, count: int) -> bytes:
    """Encode trades, one a line."""
    data = b"\n".join(json.dumps(trade).encode() for trade in json.loads(body(first, count)))
    if len(data) > BODY_BYTES_MAX:
        raise RuntimeError(f"a body of {len(data)} bytes")
    return data


class Bench:
    """One process, one connection to its Unix socket, and the count of what it was sent."""

    def __init__(self, sidewatch: Sidewatch, path: str) -> None:
        self.sidewatch = sidewatch
        self.path = path
        self.sent = 0

    def round(self, count: int = BODIES) -> tuple[float, float]:
        """Return the trades acknowledged a second, and the seconds until figures had them all."""
        bodies = [lines(self.sent + LINES * place, LINES) for place in range(count)]
        poster = UnixPoster(self.path)  # only now: an idle connection is closed after 5 s
        began = time.perf_counter()
        for data in bodies:
            poster.post(data)
        acknowledged = time.perf_counter()
        poster.close()
        self.sent += LINES * count
        caught_up(self.sidewatch, self.sent)
        return LINES * count / (acknowledged - began), time.perf_counter() - acknowledged


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "events.sock")
        environ = {"SIDEWATCH__SERVER__UNIX_SOCKET": path}
        with Sidewatch(Path(folder) / "data", environ) as sidewatch:
            bench = Bench(sidewatch, path)
            bench.round()
            rounds = [bench.round() for _ in range(ROUNDS)]
            sustained, _ = bench.round(SUSTAINED)
    rates = [rate for rate, _ in rounds]
    behind = statistics.median(late for _, late in rounds)
    emit(
        "unix_ndjson_acked_per_s",
        statistics.median(rates),
        "trades/s",
        ">= 150,000",
        against=(
            f"{BODIES} bodies of {LINES:,} lines in a row, one connection;"
            f" all in the figures {behind:.2f} s later;"
            f" {sustained:,.0f}/s over {SUSTAINED} bodies, beside the figures' share"
        ),
        n=ROUNDS,
        spread=rates,
    )


if __name__ == "__main__":
    main()

"""How long a trade takes from a bot's POST to 100 dashboards' WebSockets."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from bench.figure import emit, percentile
from bench.process import Poster, body
from tests.acceptance.process import Sidewatch, bearer

FIGURES = ("trade_to_browser_p99_ms",)
CLIENTS = 100
TRADES = 100
EVERY_S = 0.1
WARM = 10


async def listen(socket: ClientConnection, arrived: list[tuple[float, str | bytes]]) -> None:
    async for message in socket:
        arrived += [(time.perf_counter(), message)]  # later: decoding would delay the next one


def trades_in(message: str | bytes) -> int:
    """Return how many trades a message's figures hold, 0 for another kind of message."""
    fields: dict[str, Any] = json.loads(message)
    if fields["type"] != "metrics_update":
        return 0
    return int(fields["metrics"]["bots"].get("native", {}).get("trades", 0))


def delays_ms(posted: list[float], arrived: list[tuple[float, str | bytes]]) -> list[float]:
    """Return each trade's delay until the first figures that hold it. Raises where one is not."""
    delays, known = [], 0
    for at, message in arrived:
        trades = trades_in(message)
        delays += [(at - posted[number]) * 1_000 for number in range(known, trades)]
        known = max(known, trades)
    if known != len(posted):
        raise RuntimeError(f"a client heard of {known} of {len(posted)} trades")
    return delays[WARM:]


async def measure(url: str) -> list[float]:
    address = url.replace("http", "ws") + "/api/v1/live"
    sockets = [
        await connect(address, additional_headers=bearer("READ"), max_size=None, compression=None)
        for _ in range(CLIENTS)
    ]
    arrived: list[list[tuple[float, str | bytes]]] = [[] for _ in sockets]
    readers = [
        asyncio.create_task(listen(socket, kept))
        for socket, kept in zip(sockets, arrived, strict=True)
    ]
    await asyncio.sleep(1.0)
    poster, posted = Poster(url), []
    for number in range(TRADES + WARM):
        data = body(number, 1)
        posted.append(time.perf_counter())
        await asyncio.to_thread(poster.post, data)
        await asyncio.sleep(EVERY_S)
    await asyncio.sleep(1.0)
    poster.close()
    for socket in sockets:
        socket.transport.abort()
    await asyncio.gather(*readers, return_exceptions=True)
    return [delay for kept in arrived for delay in delays_ms(posted, kept)]


def main() -> None:
    environ = {"SIDEWATCH__SERVER__DASHBOARDS_MAX": str(CLIENTS)}
    with (
        tempfile.TemporaryDirectory() as folder,
        Sidewatch(Path(folder) / "data", environ) as sidewatch,
    ):
        delays = asyncio.run(measure(sidewatch.url))
    emit(
        "trade_to_browser_p99_ms",
        percentile(delays, 99),
        "ms",
        "<= 100",
        against=f"{CLIENTS} clients, 10 trades/s; median {statistics.median(delays):.1f} ms",
        n=len(delays),
        spread=delays,
    )


if __name__ == "__main__":
    main()

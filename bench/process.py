"""What the figures of a whole process share: trades in bulk, a lean HTTP client, /proc."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.process import TOKENS, Sidewatch

CAUGHT_UP_S = 30.0


def body(first: int, count: int, bot: str = "native") -> bytes:
    """Encode trades with the ids `first` and on; one alone is not in a list."""
    now = datetime.now(UTC)
    trades = [
        {
            "type": "trade",
            "bot": bot,
            "id": f"t{number}",
            "symbol": "BTC/USDT",
            "side": "long",
            "quantity": "1",
            "opened_at": (now - timedelta(minutes=5)).isoformat(),
            "closed_at": now.isoformat(),
            "pnl": "-0.25" if number % 3 == 0 else "0.5",
        }
        for number in range(first, first + count)
    ]
    return json.dumps(trades if count > 1 else trades[0]).encode()


class Poster:
    """One kept-alive connection; httpx alone would cost as much as what is measured."""

    kind = "application/json"

    def __init__(self, url: str) -> None:
        self._link = self._connect(url)
        self._headers = {
            "Authorization": f"Bearer {TOKENS['SIDEWATCH_INGEST_TOKEN']}",
            "Content-Type": self.kind,
        }

    def _connect(self, url: str) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

    def post(self, data: bytes) -> float:
        """Post events; return the seconds until the answer. Raises where one is not accepted."""
        began = time.perf_counter()
        self._link.request("POST", "/api/v1/events", data, self._headers)
        answer = self._link.getresponse()
        text = answer.read()
        took = time.perf_counter() - began
        result = json.loads(text)
        if answer.status != 200 or result["rejected"] or result["duplicates"]:
            raise RuntimeError(f"HTTP {answer.status}: {text[:300]!r}")
        return took

    def close(self) -> None:
        self._link.close()


class UnixPoster(Poster):
    """The same over a Unix socket, whose path is given; it posts NDJSON."""

    kind = "application/x-ndjson"

    def _connect(self, url: str) -> http.client.HTTPConnection:
        link = http.client.HTTPConnection("sidewatch", timeout=30)
        link.sock = socket.socket(socket.AF_UNIX)
        link.sock.connect(url)
        return link


def caught_up(sidewatch: Sidewatch, trades: int, bot: str = "native") -> None:
    """Wait until that many trades are in a bot's figures."""
    deadline = time.monotonic() + CAUGHT_UP_S
    while True:
        known = sidewatch.get("/api/v1/metrics/realtime")["bots"].get(bot, {}).get("trades", 0)
        if known >= trades:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {known} of {trades} trades after {CAUGHT_UP_S} s")
        time.sleep(0.02)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, its own threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Memory that a process has resident."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

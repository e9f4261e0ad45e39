"""A real `sidewatch run` in a process of its own, and a client of its public API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[2]
TOKENS = {
    "SIDEWATCH_READ_TOKEN": "read-token-of-the-tests-4f1c",
    "SIDEWATCH_INGEST_TOKEN": "ingest-token-of-the-tests-9b7d",
    "SIDEWATCH_OPERATE_TOKEN": "operate-token-of-the-tests-2e6a",
    "SIDEWATCH_HMAC_KEY": "hmac-key-of-the-tests-8d3f-51c0-77aa-e9b2",
    "SIDEWATCH_FREQTRADE_SECRET": "freqtrade-secret-of-the-tests-6c8e",
}
START_S = 20.0
STEP_S = 15.0


def instant() -> str:
    return datetime.now(UTC).isoformat()


def trade(number, pnl, bot="native"):
    now = instant()
    return {
        "type": "trade",
        "bot": bot,
        "id": f"t{number}",
        "symbol": "BTC/USDT",
        "side": "long",
        "quantity": "1",
        "opened_at": now,
        "closed_at": now,
        "pnl": str(pnl),
    }


def environment(data_dir, added):
    """A clean environment for a process on that data directory."""
    env = {k: v for k, v in os.environ.items() if "SIDEWATCH" not in k}
    env |= {"SIDEWATCH_PORT": "0", "SIDEWATCH_DATA_DIR": str(data_dir), **TOKENS}
    return env | added


class Sidewatch:
    """One process of `module`. `environ` is added to a clean one; `log` collects its stderr."""

    def __init__(self, data_dir, environ=None, arguments=("run",), module="sidewatch"):
        self.data_dir = data_dir
        self.module = module
        self.environ = environ or {}
        self.arguments = arguments

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc_info):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()
        self._reader.join(10)
        self.process.stderr.close()
        self.client.close()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, *self.arguments],
            env=environment(self.data_dir, self.environ),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = []
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.url = self.process.stdout.readline().strip()
        assert self.url, "".join(self.log)
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def restart_after_kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.__exit__()
        self.start()

    def stop(self):
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10), time.monotonic() - began

    def post(self, events, **options):
        options.setdefault("headers", bearer("INGEST"))
        answer = self.client.post("/api/v1/events", json=events, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path, **params):
        answer = self.client.get(path, params=params, headers=bearer("OPERATE"))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def live(self):
        address = self.url.replace("http", "ws") + "/api/v1/live"
        return connect(address, additional_headers=bearer("READ"), max_size=None)


def bearer(scope):
    return {"Authorization": f"Bearer {TOKENS[f'SIDEWATCH_{scope}_TOKEN']}"}


def until(socket, wanted, timeout_s=STEP_S):
    """Read messages from the live socket until one fits; returns it."""
    deadline = time.monotonic() + timeout_s
    seen = []
    while True:
        message = json.loads(socket.recv(timeout=max(0.01, deadline - time.monotonic())))
        if wanted(message):
            return message
        seen.append(message["type"])
        assert time.monotonic() < deadline, seen

"""How long SIGTERM takes while a dashboard has stopped reading, and while two channels hang."""

from __future__ import annotations

import base64
import json
import os
import socket
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from bench.figure import emit
from bench.process import Poster, body
from tests.acceptance.process import Sidewatch, bearer, instant
from tests.fakes.http import Hang, ThreadedFake
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import CHAT, TOKEN, FakeTelegram

FIGURES = ("stop_stuck_s", "stop_hung_s")
RUNS = 3
BOTS = 60
CHOKE_S = 30.0  # a page is told 20 times a second at most
STUCK_S = 1.0


def connect_and_freeze(url: str) -> socket.socket:
    """Open the live WebSocket by hand, read the upgrade's first bytes and nothing more."""
    where = urlsplit(url)
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    link.connect((where.hostname, where.port))
    lines = [
        "GET /api/v1/live HTTP/1.1",
        f"Host: {where.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        f"Authorization: {bearer('READ')['Authorization']}",
    ]
    link.sendall("\r\n".join([*lines, "", ""]).encode())
    if b" 101 " not in link.recv(64):
        raise RuntimeError("the WebSocket was refused")
    return link


def unread(link: socket.socket) -> int:
    """Return the bytes that the server's kernel holds for a client of this machine."""
    server, client = link.getpeername()[1], link.getsockname()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        ports = [int(end.rpartition(":")[2], 16) for end in (local, remote)]
        if ports == [server, client]:
            return int(queues.partition(":")[0], 16)
    return 0


def choke(url: str, link: socket.socket) -> int:
    """Post until the server's kernel takes no more for the client; return what it holds."""
    poster, held, since = Poster(url), 0, time.monotonic()
    number, until = 0, since + CHOKE_S
    while time.monotonic() < until:
        number += 1
        trades = [json.loads(body(number, 1, f"bot{bot}")) for bot in range(BOTS)]
        poster.post(json.dumps(trades).encode())
        now = unread(link)
        if now != held:
            held, since = now, time.monotonic()
        elif held and time.monotonic() - since >= STUCK_S:
            poster.close()
            return held
    raise RuntimeError(f"not stuck after {CHOKE_S:.0f} s: {held} bytes unread")


def measure() -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder, Sidewatch(Path(folder) / "data") as sidewatch:
        link = connect_and_freeze(sidewatch.url)
        held = choke(sidewatch.url, link)
        code, seconds = sidewatch.stop()
        link.close()
    if code != 0:
        raise RuntimeError(f"exit code {code}")
    return seconds, held


def measure_hung(*, hangs: bool) -> float:
    """Return how long a stop takes after an alert to Slack and Telegram, taken or left hanging."""
    with ThreadedFake(FakeSlack) as slack, ThreadedFake(FakeTelegram) as telegram:
        if hangs:
            slack.down = telegram.down = Hang()
        environ = {
            "ALERTS_SLACK_ENABLED": "true",
            "SLACK_WEBHOOK_URL": slack.url,
            "ALERTS_TELEGRAM_ENABLED": "true",
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_CHAT_ID": str(CHAT),
            "TELEGRAM_API_BASE": telegram.url,
        }
        with (
            tempfile.TemporaryDirectory() as folder,
            Sidewatch(Path(folder) / "data", environ) as sidewatch,
        ):
            switch = {"type": "kill_switch", "bot": "b", "active": True, "reason": "measured"}
            sidewatch.post({**switch, "at": instant()})
            until = time.monotonic() + CHOKE_S
            while not (slack.requests and telegram.requests):
                if time.monotonic() > until:
                    raise RuntimeError("an attempt never began")
                time.sleep(0.01)
            code, seconds = sidewatch.stop()
    if code != 0:
        raise RuntimeError(f"exit code {code}")
    return seconds


def main() -> None:
    stuck()
    hung()


def hung() -> None:
    pairs = [(measure_hung(hangs=True), measure_hung(hangs=False)) for _ in range(RUNS)]
    hanging, well = zip(*pairs, strict=True)
    emit(
        "stop_hung_s",
        statistics.median(hanging),
        "s",
        "<= 3",
        against=f"{statistics.median(well):.2f} s while both answer, in turn",
        n=RUNS,
        spread=list(hanging),
    )


def stuck() -> None:
    runs = [measure() for _ in range(RUNS)]
    seconds = [run[0] for run in runs]
    emit(
        "stop_stuck_s",
        statistics.median(seconds),
        "s",
        "<= 2.1",
        against=f"a client that reads nothing, {runs[-1][1] // 1024} KiB unread in the kernel",
        n=RUNS,
        spread=seconds,
    )


if __name__ == "__main__":
    main()

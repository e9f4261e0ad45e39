"""What Sidewatch costs while nothing happens: every channel on, one bot, one dashboard."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from bench.figure import emit
from bench.process import Poster, body, cpu_s, rss_bytes
from tests.acceptance.process import Sidewatch, instant
from tests.fakes.http import ThreadedFake
from tests.fakes.slack import FakeSlack
from tests.fakes.smtp import FakeSmtp
from tests.fakes.telegram import CHAT, TOKEN, FakeTelegram

FIGURES = ("idle_rss_mib", "idle_cpu_percent")
SETTLE_S = 3.0
SECONDS = 15
BEAT_EVERY_S = 5
MIB = 1_048_576
CHANNELS = ("slack", "email", "telegram", "console")


def channels(slack: FakeSlack, telegram: FakeTelegram, smtp: FakeSmtp) -> dict[str, str]:
    return {
        "ALERTS_SLACK_ENABLED": "true",
        "SLACK_WEBHOOK_URL": slack.url,
        "ALERTS_TELEGRAM_ENABLED": "true",
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_API_BASE": telegram.url,
        "ALERTS_EMAIL_ENABLED": "true",
        "EMAIL_SMTP_HOST": "127.0.0.1",
        "EMAIL_SMTP_PORT": str(smtp.port),
        "EMAIL_SMTP_SECURITY": "none",
        "EMAIL_FROM": "sidewatch@example.org",
        "EMAIL_TO": "owner@example.org",
        "SIDEWATCH__CONSOLE__ENABLED": "true",
    }


def read_all(socket: ClientConnection) -> None:
    try:
        while True:
            socket.recv()
    except ConnectionClosed:
        return


def watch(sidewatch: Sidewatch) -> tuple[list[float], list[float]]:
    """Return the CPU percent of each second, and the memory in MiB at its end."""
    pid = sidewatch.process.pid
    percents, memory = [], []
    for second in range(SECONDS):
        if second % BEAT_EVERY_S == 0:
            beat = {"type": "heartbeat", "bot": "native", "at": instant()}
            sidewatch.post(beat)
        before, began = cpu_s(pid), time.monotonic()
        time.sleep(1.0)
        percents.append(100 * (cpu_s(pid) - before) / (time.monotonic() - began))
        memory.append(rss_bytes(pid) / MIB)
    return percents, memory


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadedFake(FakeSlack) as slack,
        ThreadedFake(FakeTelegram) as telegram,
        FakeSmtp(security="none") as smtp,
        Sidewatch(Path(folder) / "data", channels(slack, telegram, smtp)) as sidewatch,
        sidewatch.live() as socket,
    ):
        reader = threading.Thread(target=read_all, args=(socket,), daemon=True)
        reader.start()
        poster = Poster(sidewatch.url)
        poster.post(body(0, 100))
        poster.close()
        names = sidewatch.get("/api/v1/supervisor")
        if not all(f'"name": "{name}"' in json.dumps(names) for name in CHANNELS):
            raise RuntimeError("a channel is not on")
        time.sleep(SETTLE_S)
        percents, memory = watch(sidewatch)
    setting = (
        f"all channels, one bot (100 trades, a heartbeat each {BEAT_EVERY_S} s), one dashboard"
    )
    emit("idle_rss_mib", max(memory), "MiB", "<= 90", against=setting, n=SECONDS, spread=memory)
    emit(
        "idle_cpu_percent",
        sum(percents) / len(percents),
        "%",
        "<= 1",
        against=f"{setting}; mean of {SECONDS} s of one core",
        n=SECONDS,
        spread=percents,
    )


if __name__ == "__main__":
    main()

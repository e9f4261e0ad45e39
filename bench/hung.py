"""One channel hangs: what a healthy one waits longer, in turn within one process.

Telegram takes each request and never answers, then it is well again, and so on; meanwhile alerts
go to a webhook one at a time. The figure is the 99th percentile with less without.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from bench.alert import APART_S, WARM, decided, one, to_webhook
from bench.figure import emit, percentile
from bench.process import Poster
from bench.receiver import Receiver
from tests.acceptance.process import Sidewatch
from tests.fakes.http import Hang, ThreadedFake
from tests.fakes.telegram import CHAT, TOKEN, FakeTelegram

FIGURES = ("hung_channel_extra_p99_ms",)
PAIRS = 4
ALERTS = 50  # of each side of a pair
HANGS = "hangs"


def environ(webhook: Receiver, telegram: FakeTelegram) -> dict[str, str]:
    return {
        **to_webhook(webhook),
        "ALERTS_TELEGRAM_ENABLED": "true",
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_API_BASE": telegram.url,
    }


def run(folder: Path) -> dict[str, list[float]]:
    """Return the milliseconds from decision to webhook, with a hung channel and without."""
    timings: dict[str, list[tuple[str, float]]] = {HANGS: [], "well": []}
    with (
        Receiver() as webhook,
        ThreadedFake(FakeTelegram) as telegram,
        Sidewatch(folder / "data", environ(webhook, telegram)) as sidewatch,
    ):
        poster = Poster(sidewatch.url)
        number = 0
        for pair in range(PAIRS + 1):
            for side, found in timings.items():
                telegram.down = Hang() if side == HANGS else None
                for _ in range(ALERTS if pair else WARM):
                    began = time.monotonic()
                    timing = one(poster, webhook, number)
                    number += 1
                    if pair:
                        found.append((timing.alert, timing.heard))
                    time.sleep(max(0.0, began + APART_S - time.monotonic()))
        poster.close()
        opened = decided(sidewatch)
    return {
        side: [(heard - opened[alert]) * 1_000 for alert, heard in found]
        for side, found in timings.items()
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        taken = run(Path(folder))
    hung, well = taken[HANGS], taken["well"]
    medians = f"{statistics.median(hung):.2f} and {statistics.median(well):.2f} ms"
    emit(
        "hung_channel_extra_p99_ms",
        percentile(hung, 99) - percentile(well, 99),
        "ms",
        "<= 5",
        against=f"p99 {percentile(well, 99):.2f} ms while all are well; medians {medians}",
        n=len(hung),
        spread=hung,
    )


if __name__ == "__main__":
    main()

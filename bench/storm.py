"""10,000 alerts at once: how soon all are on disk, and that none is hidden or sends a flood.

The events are posted in ten bodies; the clock runs from the first byte posted until the database
holds the last alert. Then every alert must be sent or counted as held, every critical be sent by
itself, and the channel's rate be kept.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from bench.alert import rejection
from bench.figure import emit
from bench.process import Poster
from bench.receiver import Receiver
from tests.acceptance.process import Sidewatch, instant

FIGURES = ("storm_10k_accept_s",)
ALERTS = 10_000
BODY = 1_000
CRITICALS = 5
RUNS = 3
STORED_S = 30.0
RATE_S = 1.0
LEAST_S = 0.95 * RATE_S  # between two first bytes; the sender's clock starts behind the answer


def switch(bot: str) -> dict[str, object]:
    event = {"type": "kill_switch", "bot": bot, "at": instant(), "active": True}
    return {**event, "reason": f"switch of {bot}"}


def bodies() -> list[bytes]:
    """Ten bodies of events, each of them an alert; the criticals among the last."""
    events = [rejection(number) for number in range(ALERTS - CRITICALS)]
    for number in range(CRITICALS):
        events.insert(len(events) - 100 * number, switch(f"b{number}"))
    return [json.dumps(events[at : at + BODY]).encode() for at in range(0, ALERTS, BODY)]


def stored(path: Path) -> int:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as link:
        sql = "SELECT count(*) FROM state WHERE key >= 'alert/' AND key < 'alert0'"
        return int(link.execute(sql).fetchone()[0])


def accept_s(sidewatch: Sidewatch, path: Path) -> float:
    poster = Poster(sidewatch.url)
    prepared = bodies()
    began = time.perf_counter()
    for body in prepared:
        poster.post(body)
    while (count := stored(path)) < ALERTS:
        if time.perf_counter() - began > STORED_S:
            raise RuntimeError(f"{count} of {ALERTS} alerts after {STORED_S} s")
        time.sleep(0.01)
    took = time.perf_counter() - began
    poster.close()
    return took


def check(path: Path, webhook: Receiver) -> None:
    """Nothing hidden, nothing dropped, no flood. Raises where it is not so."""
    deadline = time.monotonic() + 60.0
    wanted = {f"switch of b{number}" for number in range(CRITICALS)}
    while not all(any(text in a.body for a in webhook.arrivals) for text in wanted):
        if time.monotonic() > deadline:
            raise RuntimeError(f"a critical is hidden: {len(webhook.arrivals)} messages")
        time.sleep(0.1)
    gaps = [b.at - a.at for a, b in zip(webhook.arrivals, webhook.arrivals[1:], strict=False)]
    if min(gaps) < LEAST_S:
        raise RuntimeError(f"two posts {min(gaps):.3f} s apart")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as link:
        rows = dict(link.execute("SELECT state, count(*) FROM queue GROUP BY state"))
    if sum(rows.values()) < ALERTS:
        raise RuntimeError(f"not all counted: {rows}")


def run() -> float:
    with tempfile.TemporaryDirectory() as folder, Receiver() as webhook:
        environ = {
            "ALERTS_SLACK_ENABLED": "true",
            "SLACK_WEBHOOK_URL": webhook.url,
            "SIDEWATCH__ALERTS__DEBOUNCE_S": "0",
        }
        data = Path(folder) / "data"
        with Sidewatch(data, environ) as sidewatch:
            took = accept_s(sidewatch, data / "sidewatch.db")
            check(data / "sidewatch.db", webhook)
    return took


def main() -> None:
    took = [run() for _ in range(RUNS)]
    emit(
        "storm_10k_accept_s",
        statistics.median(took),
        "s",
        "<= 1",
        against="first byte posted -> the last of 10,000 alerts in the database",
        n=RUNS,
        spread=took,
    )


if __name__ == "__main__":
    main()

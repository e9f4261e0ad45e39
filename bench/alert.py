"""How fast an alert reaches a webhook, and the same with Alertmanager, in turn, in one run.

Ours counts from the instant the alert is decided (its `opened`), so the fsync of its transaction
lies inside: an alert is accepted once that is committed, and this figure begins before. Counted
from the commit it would be the smaller by one fsync. Alertmanager's counts from the moment its POST
is sent; nothing of it is durable. Each alert is sent alone, after the same rest on either side: a
processor and caches that have just worked for one would flatter the other. A webhook answers at
once.
"""

from __future__ import annotations

import base64
import json
import re
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench import alertmanager
from bench.alertmanager import Alertmanager
from bench.figure import emit, percentile
from bench.process import Poster
from bench.receiver import Receiver
from tests.acceptance.process import Sidewatch

FIGURES = (
    "alert_p50_ms",
    "alert_p99_ms",
    "event_to_webhook_p99_ms",
    "alert_vs_alertmanager_p50",
)
WARM = 10
ALERTS = 300
BLOCK = 30  # alerts of each side for one ratio
APART_S = 0.12  # the webhook takes ten messages a second; so long rests each side before its own
ID = re.compile(r"Alert ([0-9a-z]{8}) ")
ALERT_ID = re.compile(r'"alert_id":"([0-9a-z]{8})"')
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
EVERY = {
    "SIDEWATCH__ALERTS__DEBOUNCE_S": "0",
    "SIDEWATCH__ALERTS__HOURLY_LIMIT": "10000",
}


class Timing(NamedTuple):
    """Unix seconds: when the event was posted, and when the webhook heard of it."""

    posted: float
    heard: float
    alert: str


def rejection(number: int, bot: str = "native") -> dict[str, object]:
    """An event that is one alert by itself: an order that the position limit refused."""
    return {
        "type": "position_rejected",
        "bot": bot,
        "at": datetime.now(UTC).isoformat(),
        "id": f"r{number}",
        "reason": f"rejection {number}.",
    }


def to_webhook(webhook: Receiver) -> dict[str, str]:
    return {
        **EVERY,
        "SIDEWATCH__WEBHOOK__ENABLED": "true",
        "SIDEWATCH__WEBHOOK__URL": webhook.url,
        "SIDEWATCH__WEBHOOK__SECRET": SECRET,
        "SIDEWATCH__WEBHOOK__ALLOW_PRIVATE": "true",
    }


def one(poster: Poster, webhook: Receiver, number: int) -> Timing:
    """Post an event when the channel is idle, and wait for its alert."""
    before = len(webhook.arrivals)
    posted = time.time()
    poster.post(json.dumps(rejection(number)).encode())
    webhook.wait_for(before + 1)
    arrival = webhook.arrivals[before]
    found = ALERT_ID.search(arrival.body)
    if found is None:
        raise RuntimeError(f"not the message of an alert: {arrival.body[:200]}")
    return Timing(posted, arrival.at, found[1])


def one_of_theirs(peer: Alertmanager, webhook: Receiver, number: int) -> float:
    before = len(webhook.arrivals)
    posted = peer.post(f"rejection-{number}")
    webhook.wait_for(before + 1)
    return webhook.arrivals[before].at - posted


def decided(sidewatch: Sidewatch) -> dict[str, float]:
    """When each alert was decided, in unix seconds."""
    opened: dict[str, float] = {}
    page = sidewatch.get("/api/v1/alerts", limit=100)["alerts"]
    while page:
        opened |= {a["id"]: datetime.fromisoformat(a["opened"]).timestamp() for a in page}
        page = sidewatch.get("/api/v1/alerts", limit=100, before=page[-1]["id"])["alerts"]
    return opened


def run(folder: Path) -> tuple[list[Timing], list[float], dict[str, float]]:
    """Measure in turn; the peer's part is empty where it is not installed."""
    ours: list[Timing] = []
    theirs: list[float] = []
    with Receiver() as webhook, Sidewatch(folder / "data", to_webhook(webhook)) as sidewatch:
        poster = Poster(sidewatch.url)
        with Receiver() as their_webhook:
            peer = Alertmanager(folder / "peer", their_webhook.url)
            there = bool(alertmanager.version())
            if there:
                peer.__enter__()
            try:
                for number in range(WARM + ALERTS):
                    time.sleep(APART_S)
                    ours.append(one(poster, webhook, number))
                    if there:
                        time.sleep(APART_S)
                        theirs.append(one_of_theirs(peer, their_webhook, number))
            finally:
                if there:
                    peer.__exit__()
        poster.close()
        return ours[WARM:], theirs[WARM:], decided(sidewatch)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs, opened = run(Path(folder))
    alert_ms = [(t.heard - opened[t.alert]) * 1_000 for t in ours]
    event_ms = [(t.heard - t.posted) * 1_000 for t in ours]
    inside = "from the decision, so that the fsync of its transaction lies inside"
    n = len(ours)
    emit(
        "alert_p50_ms",
        statistics.median(alert_ms),
        "ms",
        "<= 2.5",
        against=inside,
        n=n,
        spread=alert_ms,
    )
    emit(
        "alert_p99_ms",
        percentile(alert_ms, 99),
        "ms",
        "<= 8",
        against=inside,
        n=n,
        spread=alert_ms,
    )
    emit(
        "event_to_webhook_p99_ms",
        percentile(event_ms, 99),
        "ms",
        "<= 25",
        against=f"median {statistics.median(event_ms):.2f} ms",
        n=n,
        spread=event_ms,
    )
    versus(alert_ms, [s * 1_000 for s in theirs])


def versus(alert_ms: list[float], theirs_ms: list[float]) -> None:
    name, goal = "alert_vs_alertmanager_p50", "<= 1.9"
    if not theirs_ms:
        why = f"{alertmanager.BINARY} is not installed: make bench-peers"
        emit(name, None, "x", goal, why=why)
        return
    pairs = [
        statistics.median(alert_ms[at : at + BLOCK]) / statistics.median(theirs_ms[at : at + BLOCK])
        for at in range(0, len(theirs_ms), BLOCK)
    ]
    against = (
        f"Alertmanager {alertmanager.version()}, group_wait 0 s, nothing durable: "
        f"p50 {statistics.median(theirs_ms):.2f} ms, p99 {percentile(theirs_ms, 99):.2f} ms"
    )
    emit(name, statistics.median(pairs), "x", goal, against=against, n=len(pairs), spread=pairs)


if __name__ == "__main__":
    main()

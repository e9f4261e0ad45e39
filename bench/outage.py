"""A channel that fails, fires nothing twice, and hears soon: outages, flashes, hangs, 429.

Real processes, each against its own fakes on loopback. An outage is 30 s of HTTP 500 with 50 alerts
waiting, seen by eight channels (four processes with two); each recovers at another moment of the
probes' cycle, spread evenly over it, so that the median says what an owner may expect.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.alert import ID, rejection
from bench.figure import emit
from bench.kills import environ, named
from bench.process import Poster
from tests.acceptance.process import Sidewatch, instant
from tests.fakes.http import FakeProvider, RateLimit, Status, ThreadedFake
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram

FIGURES = (
    "outage_first_p50_s",
    "outage_first_max_s",
    "outage_requests",
    "flash_delivered",
    "retry_after_s",
)
ALERTS = 50
OUTAGE_S = 30.0
PROCESSES = 4
CYCLE_S = 3.57  # between two probes at that age: 3.4 s and half the jitter
FLASHES = 20
PATIENCE_S = 120.0


class Outage(NamedTuple):
    """One channel's outage: seconds from recovery to the first delivery, requests until then."""

    first_s: float
    requests: int
    duplicates: int


def post(sidewatch: Sidewatch, events: list[dict[str, object]]) -> None:
    poster = Poster(sidewatch.url)
    poster.post(json.dumps(events).encode())
    poster.close()


def ids(fake: FakeProvider) -> Counter[str]:
    return Counter(found[1] for m in fake.messages if (found := ID.search(m["text"])))


def told_of(fake: FakeProvider) -> Counter[str]:
    """Count how often each alert was told; those about the channels themselves, which end, are not.

    A line of a roll-up stands for a message.
    """
    told: Counter[str] = Counter()
    for message in fake.messages:
        lines = message["text"].split("\n")
        own = [line for line in lines if "Channel " in line]
        ids = {id_ for line in own for id_ in named({"text": line})}
        if own and not ids:
            continue  # a message about a channel by itself
        told.update(named(message) - ids)
    return told


def recover(fake: FakeProvider, phase_s: float) -> Outage:
    """Let a channel come back `phase_s` after a probe, once 30 s are over; see what it gets."""
    with fake.changed:
        asked = fake.requests
        fake.changed.wait_for(lambda: fake.requests > asked, PATIENCE_S)
    time.sleep(phase_s)
    fake.down = None
    began = time.monotonic()
    fake.wait_for_messages(1, PATIENCE_S)
    first_s, requests = time.monotonic() - began, fake.requests
    told = told_of(fake)
    while len(told) < ALERTS:
        fake.wait_for_messages(len(fake.messages) + 1, PATIENCE_S)
        told = told_of(fake)
    return Outage(first_s, requests, told.total() - len(told))


def outage(folder: Path, number: int) -> list[Outage]:
    """One process with two channels through one outage."""
    with (
        ThreadedFake(FakeSlack) as slack,
        ThreadedFake(FakeTelegram) as telegram,
        Sidewatch(folder / f"outage{number}", environ(slack, telegram)) as sidewatch,
        ThreadPoolExecutor(2) as both,
    ):
        slack.down = telegram.down = Status(500)
        began = time.monotonic()
        post(sidewatch, [rejection(n) for n in range(ALERTS)])
        time.sleep(began + OUTAGE_S - time.monotonic())
        places = [(2 * number + place + 0.5) / (2 * PROCESSES) for place in range(2)]
        phases = [CYCLE_S * place for place in places]
        return list(both.map(recover, [slack, telegram], phases))


def flash(folder: Path) -> int:
    """Kill switches that go on and off while the channel is down; how many came as one message."""
    with (
        ThreadedFake(FakeSlack) as slack,
        ThreadedFake(FakeTelegram) as telegram,
        Sidewatch(folder / "flash", environ(slack, telegram)) as sidewatch,
    ):
        slack.down = telegram.down = Status(500)
        for active in (True, False):
            post(sidewatch, [switch(n, active=active) for n in range(FLASHES)])
            time.sleep(2.0)
        slack.down = telegram.down = None
        alerts = sidewatch.get("/api/v1/alerts", limit=100)["alerts"]
        wanted = {a["id"] for a in alerts if a["trigger"] == "kill_switch"}
        deadline = time.monotonic() + PATIENCE_S
        while not all(wanted <= told_of(fake).keys() for fake in (slack, telegram)):
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
        time.sleep(3.0)  # a second message of one of them would come now
        return min(sum(told_of(fake)[id_] == 1 for id_ in wanted) for fake in (slack, telegram))


def switch(number: int, *, active: bool) -> dict[str, object]:
    event = {"type": "kill_switch", "bot": f"b{number}", "at": instant(), "active": active}
    return {**event, "reason": f"switch {number}"}


def retry_after(folder: Path) -> list[float]:
    """Seconds from each 429 that asks for one second to the next try."""
    waits = []
    with (
        ThreadedFake(FakeSlack) as slack,
        ThreadedFake(FakeTelegram) as telegram,
        Sidewatch(folder / "retry", environ(slack, telegram)) as sidewatch,
    ):
        slack.script = [RateLimit(1), RateLimit(1)]
        telegram.script = [RateLimit(1), RateLimit(1)]
        post(sidewatch, [rejection(0), rejection(1)])
        for fake in (slack, telegram):
            fake.wait_for_messages(2, PATIENCE_S)
            waits += [b - a for a, b in zip(fake.arrivals[:3], fake.arrivals[1:3], strict=False)]
    return waits


def main() -> None:
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(PROCESSES + 2) as pool:
        folder = Path(name)
        flashed, waited = pool.submit(flash, folder), pool.submit(retry_after, folder)
        outages = [
            o for runs in pool.map(lambda n: outage(folder, n), range(PROCESSES)) for o in runs
        ]
        report(outages)
        emit("flash_delivered", flashed.result(), f"of {FLASHES}", str(FLASHES), n=2)
        waits = waited.result()
        worst = max(waits, key=lambda s: abs(s - 1.25))
        emit("retry_after_s", worst, "s", "1.0 to 1.5", n=len(waits), spread=waits)


def report(outages: list[Outage]) -> None:
    if again := sum(o.duplicates for o in outages):
        raise RuntimeError(f"{again} duplicates after an outage")
    first = [o.first_s for o in outages]
    requests = [float(o.requests) for o in outages]
    against = f"{OUTAGE_S:.0f} s of HTTP 500, {ALERTS} alerts, recoveries over the probes' cycle"
    n = len(outages)
    emit(
        "outage_first_p50_s",
        statistics.median(first),
        "s",
        "<= 2",
        against=against,
        n=n,
        spread=first,
    )
    emit("outage_first_max_s", max(first), "s", "<= 5", against=against, n=n, spread=first)
    emit(
        "outage_requests",
        max(requests),
        "requests",
        "<= 25",
        against=f"{against}; none came twice",
        n=n,
        spread=requests,
    )


if __name__ == "__main__":
    main()

"""SIGKILL at random moments over an outage: nothing is lost, and hardly anything comes twice.

Real processes, one after the other on each of four data directories. In each life an event is
posted, which is one alert on two channels; the kill comes at a random moment: within the first
milliseconds, within half a second, or just behind a channel's request. In the first half the
channels refuse or hang, then they take what waits while the kills go on. After every kill SQLite's
integrity_check must say ok. In the end each event on disk must have reached each channel; a
message that came again counts for the kill before it.

`python -m bench.kills 20` makes 20 kills, SIDEWATCH_KILLS=20 too.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import sqlite3
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from bench.alert import EVERY, rejection
from bench.figure import emit
from bench.process import Poster
from tests.acceptance.process import Sidewatch
from tests.fakes.http import FakeProvider, Hang, Status, ThreadedFake
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import CHAT, TOKEN, FakeTelegram

FIGURES = ("kills_lost", "kills_duplicates_max")
KILLS = 200
LINES = 4
DRAIN_S = 300.0
ID = re.compile(r"Alert ([0-9a-z]{8}) ")
LINE_ID = re.compile(r"\[([0-9a-z]{8})\]")  # as a line of a roll-up ends
NUMBER = re.compile(r"rejection (\d+)\.")


def named(message: dict[str, str]) -> set[str]:
    """Return the ids of the alerts that a message tells: its own, or each line's of a roll-up."""
    return {*ID.findall(message["text"]), *LINE_ID.findall(message["text"])}


class Channel:
    """One channel's fake, and what was seen of it life by life."""

    def __init__(self, name: str, fake: FakeProvider) -> None:
        self.name = name
        self.fake = fake
        self.told: set[str] = set()
        self.read = 0
        self.again = [0]

    def end_of_life(self) -> None:
        """Count the messages that tell again what was told: the kill before is to blame for one."""
        messages = self.fake.messages[self.read :]
        self.read += len(messages)
        again = 0
        for message in messages:
            ids = named(message)
            again += not self.told.isdisjoint(ids)
            self.told |= ids
        self.again.append(again)


def environ(slack: FakeSlack, telegram: FakeTelegram) -> dict[str, str]:
    return {
        **EVERY,
        "ALERTS_SLACK_ENABLED": "true",
        "SLACK_WEBHOOK_URL": slack.url,
        "ALERTS_TELEGRAM_ENABLED": "true",
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_API_BASE": telegram.url,
    }


def check_integrity(path: Path) -> None:
    """Raise unless the database that the kill has left is sound."""
    with sqlite3.connect(path) as link:
        answer = [row[0] for row in link.execute("PRAGMA integrity_check")]
    link.close()
    if answer != ["ok"]:
        raise RuntimeError(f"integrity_check: {answer[:3]}")


def waiting(path: Path) -> int:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as link:
        sql = "SELECT count(*) FROM queue WHERE state <> 'done'"
        count = int(link.execute(sql).fetchone()[0])
    link.close()
    return count


def journaled(path: Path) -> set[int]:
    """Return the numbers of all events on disk: what was killed before its answer may be, too."""
    with sqlite3.connect(path) as link:
        rows = link.execute("SELECT data FROM journal WHERE stream = 'position_rejected'")
        texts = [bytes(row[0]).decode() for row in rows]
    link.close()
    return {int(found[1]) for text in texts if (found := NUMBER.search(text))}


def alerted(path: Path) -> dict[str, int]:
    """Return the number of each alert's event. Raises where an event became two alerts."""
    with sqlite3.connect(path) as link:
        rows = link.execute("SELECT data FROM state WHERE key LIKE 'alert/%'")
        alerts = [json.loads(row[0]) for row in rows]
    link.close()
    numbers = {
        alert["id"]: int(found[1]) for alert in alerts if (found := NUMBER.search(alert["text"]))
    }
    if len(set(numbers.values())) < len(numbers):
        raise RuntimeError("an event became two alerts")
    return numbers


def mishap(chance: random.Random, *, out: bool) -> object:
    """What a channel does in one life: in the outage it fails or hangs, later it mostly works."""
    if out:
        return chance.choice([Status(500), Status(503), Hang()])
    return chance.choice([None, None, None, Status(500)])


def lives(
    sidewatch: Sidewatch, channels: list[Channel], kills: int, chance: random.Random
) -> set[int]:
    """Live and be killed; return the numbers of the events that were acknowledged."""
    acknowledged: set[int] = set()
    for number in range(kills):
        for channel in channels:
            channel.fake.down = mishap(chance, out=number < kills // 2)
        post = threading.Thread(target=try_post, args=(sidewatch.url, number, acknowledged))
        post.start()
        wait_for_the_moment(channels, chance)
        sidewatch.process.kill()
        sidewatch.process.wait(10)
        post.join(10)
        for channel in channels:
            channel.end_of_life()
        check_integrity(sidewatch.data_dir / "sidewatch.db")
        sidewatch.__exit__()
        sidewatch.start()
    return acknowledged


def wait_for_the_moment(channels: list[Channel], chance: random.Random) -> None:
    """Wait until a random moment for a kill, every other time just behind a request."""
    if chance.random() < 0.5:
        fake = chance.choice(channels).fake
        with fake.changed:
            asked = fake.requests
            fake.changed.wait_for(lambda: fake.requests > asked, timeout=0.5)
        time.sleep(chance.uniform(0, 0.004))
    else:
        time.sleep(chance.choice([chance.uniform(0, 0.03), chance.uniform(0, 0.5)]))


def try_post(url: str, number: int, acknowledged: set[int]) -> None:
    """Post an event, and note it only where it was acknowledged before the kill."""
    poster = Poster(url)
    try:
        poster.post(json.dumps(rejection(number)).encode())
        acknowledged.add(number)
    except (OSError, http.client.HTTPException):
        return
    finally:
        poster.close()


def drain(path: Path, channels: list[Channel]) -> None:
    """Mend the channels, and wait until nothing waits."""
    for channel in channels:
        channel.fake.down = None
    deadline = time.monotonic() + DRAIN_S
    while count := waiting(path):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{count} wait after {DRAIN_S} s")
        time.sleep(0.5)


class Line(NamedTuple):
    """What came of the kills on one data directory."""

    channels: list[Channel]
    acknowledged: int
    wanted: set[int]
    numbers: dict[str, int]


def run(folder: Path, kills: int, seed: int) -> Line:
    """Kill on one data directory, then let everything arrive."""
    chance = random.Random(seed)
    with ThreadedFake(FakeSlack) as slack, ThreadedFake(FakeTelegram) as telegram:
        channels = [Channel("slack", slack), Channel("telegram", telegram)]
        path = folder / "sidewatch.db"
        with Sidewatch(folder, environ(slack, telegram)) as sidewatch:
            acknowledged = lives(sidewatch, channels, kills, chance)
            drain(path, channels)
            for channel in channels:
                channel.end_of_life()
            code, _ = sidewatch.stop()
        check_integrity(path)
    if code:
        raise RuntimeError(f"exit code {code}")
    wanted = acknowledged | journaled(path)
    return Line(channels, len(acknowledged), wanted, alerted(path))


def main(kills: int) -> None:
    shares = [len(range(line, kills, LINES)) for line in range(LINES)]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(LINES) as pool:
        folders = [Path(name) / str(line) for line in range(LINES)]
        lines = list(pool.map(run, folders, shares, range(LINES)))
    report(lines, kills)


def report(lines: list[Line], kills: int) -> None:
    channels = [(channel, line) for line in lines for channel in line.channels]
    lost = sum(
        len(line.wanted - {line.numbers.get(id_) for id_ in channel.told})
        for channel, line in channels
    )
    acknowledged = sum(line.acknowledged for line in lines)
    durable = sum(len(line.wanted) for line in lines)
    emit(
        "kills_lost",
        lost,
        "alerts",
        "0",
        against=f"{durable} on disk, {acknowledged} of them acknowledged; 2 channels; "
        "integrity_check ok after each kill",
        n=kills,
    )
    again = sum(sum(channel.again) for channel, _ in channels)
    emit(
        "kills_duplicates_max",
        max(max(channel.again) for channel, _ in channels),
        "a kill a channel",
        "<= 1",
        against=f"{again} messages told again, by the same id, some of {durable * 2} deliveries",
        n=kills,
    )


if __name__ == "__main__":
    main(int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SIDEWATCH_KILLS", KILLS)))

"""A channel that is down for a day: bounded memory, and everything soon after its return."""

import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import anyio
import pytest

from actors.alerts import actor as alerts_actor
from actors.alerts import outbox
from actors.alerts.triggers import Internal
from actors.messages import Alert
from actors.senders.rollup import TOGETHER_MAX
from tests.fakes.delivery import Line, World
from tests.fakes.notices import notice

pytestmark = pytest.mark.anyio

HOURS = 24
MANY = 150
BACKLOG = 10_000
NAME = re.compile(r"Trouble (c\d{3})")
OPEN = 20
WITHIN_S = 60.0


async def trouble(life, subject, severity, *, holds=True):
    message = Internal("state", subject, severity, f"Trouble {subject}", "text", holds=holds)
    await life.ref("alerts").tell(message)


def states(tx):
    return tx.queue.count("slack")


async def a_day(world, life):
    """Criticals that stay and are told again each 5 minutes, warnings that come and go."""
    waiting, rows = [], []
    for number in range(OPEN):
        await anyio.sleep(130)
        await trouble(life, f"c{number:02}", "critical")
    for minute in range(HOURS * 60 // 5):
        for number in range(OPEN):
            await trouble(life, f"c{number:02}", "critical")
        for holds in (True, False):
            await trouble(life, f"w{minute % 7}", "warning", holds=holds)
        await anyio.sleep(300)
        counts = await life.store.read(states)
        waiting.append(counts.get("queued", 0) + counts.get("held", 0) + counts.get("inflight", 0))
        rows.append(sum(counts.values()))
    return waiting


async def test_it_delivers_a_days_alerts_within_a_minute_of_the_channels_return(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(alerts_actor, "LOOK_EVERY_S", 20.0)
    world = World(tmp_path / "world", 1)
    slack = world.providers["slack"]
    async with world.living() as life:
        slack.mode = "fail"
        waiting = await a_day(world, life)
        requests = slack.requests
        slack.mode = "ok"
        back = anyio.current_time()
        await anyio.sleep(WITHIN_S)
        counts = await life.store.read(states)
        assert counts.get("queued", 0) + counts.get("inflight", 0) == 0
        told = [(at - back, notice) for at, notice in slack.taken]
    assert max(waiting) <= 60  # a critical owes one message however often it is told again
    assert requests < 3_400  # a probe each 27 s, and the eager ones of the first ten minutes
    # The oldest critical goes first, all of them before anything else.
    urgent = [notice for _, notice in told if notice.severity == "critical"]
    named = re.findall(r"Trouble (c\d\d)", "".join(n.title + n.text for n in urgent))
    assert list(dict.fromkeys(named)) == [f"c{number:02}" for number in range(OPEN)]
    assert [notice.severity for _, notice in told[: len(urgent)]] == ["critical"] * len(urgent)
    # At the channel's own rate.
    instants = [at for at, _ in told]
    assert min(b - a for a, b in pairwise(instants)) >= 0.999


def queued(life):
    """Put criticals of two weeks into the outbox, each with its alert, as an earlier life did."""
    now = life.world.clock.now()

    def put(tx):
        for number in range(BACKLOG):
            at = now - timedelta(seconds=120 * (BACKLOG - number))
            kind = "kill_switch" if number == BACKLOG // 2 else "drawdown_day"
            id_ = f"b{number:07}"
            alert = Alert(id_, kind, "critical", "alpha", "Trouble", "x", "open", at)
            outbox.put(tx, alert)
            told = notice(id=f"{id_}.1", alert_id=id_, trigger=kind, at=at, value=number / BACKLOG)
            outbox.enqueue(tx, told, ["slack"], at.timestamp(), held=False)

    return put


@pytest.mark.parametrize("rate_s", [1.0, 3.0])
async def test_it_counts_each_of_10_000_criticals_within_a_minute(tmp_path, monkeypatch, rate_s):
    monkeypatch.setattr(Line, "rate_s", rate_s)
    world = World(tmp_path / "world", 1)
    slack = world.providers["slack"]
    slack.mode = "fail"
    async with world.living() as life:
        await life.store.write(queued(life))
    async with world.living() as life:
        await anyio.sleep(3_600)
        await trouble(life, "now", "warning")
        await anyio.sleep(60)
        slack.mode = "ok"
        back = anyio.current_time()
        await anyio.sleep(WITHIN_S)
        counts = await life.store.read(states)
        assert counts.get("queued", 0) + counts.get("inflight", 0) == 0
        jobs = [job for job, _ in (await life.jobs())["slack"]]
        told = [notice for _, notice in slack.taken]
    assert min(b - a for a, b in pairwise([at for at, _ in slack.taken])) >= rate_s - 0.001
    assert slack.taken[-1][0] <= back + WITHIN_S
    # Each is told by itself or counted in a message that arrived, the oldest first.
    rolled = {notice.id: int(notice.title.split()[0]) for notice in told if notice.kind == "digest"}
    by_id = {f"told in roll-up {id_}": id_ for id_ in rolled}
    inside = Counter(by_id[job.detail] for job in jobs if job.detail in by_id)
    assert inside == rolled
    alone = [notice for notice in told if notice.kind != "digest"]
    assert sum(rolled.values()) + len(alone) == len(jobs)
    assert len(jobs) >= BACKLOG + 1
    assert [notice.at for notice in told] == sorted(notice.at for notice in told)
    assert told[-1].severity == "warning"
    # The one kill switch among them is seen.
    assert any("1 kill_switch, worst" in notice.text for notice in told)
    assert max(rolled.values()) <= TOGETHER_MAX


async def test_it_names_every_critical_within_a_minute_however_many_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(alerts_actor, "LOOK_EVERY_S", 20.0)
    world = World(tmp_path / "world", 1)
    slack = world.providers["slack"]
    async with world.living() as life:
        slack.mode = "fail"
        for number in range(MANY):
            await trouble(life, f"c{number:03}", "critical")
            await anyio.sleep(130)  # below thirty an hour, so that none is combined before
        slack.mode = "ok"
        back = anyio.current_time()
        await anyio.sleep(WITHIN_S)
        counts = await life.store.read(states)
        assert counts.get("queued", 0) + counts.get("inflight", 0) == 0
        told = [(at - back, notice) for at, notice in slack.taken]
        alerts = await life.store.read(lambda tx: outbox.history(tx, 1_000))
    named = [
        found for _, notice in told for found in NAME.findall(f"{notice.title}\n{notice.text}")
    ]
    assert list(dict.fromkeys(named)) == [f"c{number:03}" for number in range(MANY)]
    rolled = [notice for _, notice in told if notice.kind == "digest"]
    assert {notice.severity for notice in rolled} == {"critical"}
    ids = {alert.id for alert in alerts if NAME.search(alert.title)}
    told_ids = {notice.alert_id for _, notice in told} | set(
        re.findall(r"\[(\w{8})\]", "".join(notice.text for notice in rolled))
    )
    assert ids <= told_ids
    assert min(b - a for a, b in pairwise([at for at, _ in told])) >= 0.999

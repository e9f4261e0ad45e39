"""A channel that is down for a day: bounded memory, and everything soon after its return."""

from itertools import pairwise

import anyio
import pytest

from actors.alerts import actor as alerts_actor
from actors.alerts.triggers import Internal
from tests.fakes.delivery import World

pytestmark = pytest.mark.anyio

HOURS = 24
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
        with anyio.fail_after(600):
            while not slack.taken:  # noqa: ASYNC110 - a probe comes at least every 5 minutes
                await anyio.sleep(0.25)
        back = slack.taken[0][0]
        await anyio.sleep(WITHIN_S)
        counts = await life.store.read(states)
        assert counts.get("queued", 0) + counts.get("inflight", 0) == 0
        told = [(at - back, notice) for at, notice in slack.taken]
    assert max(waiting) <= 60  # a critical owes one message however often it is told again
    assert requests < 400  # 288 probes of 5 minutes each, and the eager ones of the first hour
    # The oldest critical goes first, all of them before anything else.
    titles = [notice.title for _, notice in told if notice.severity == "critical"]
    wanted = [f"Trouble c{number:02}" for number in range(OPEN)]
    assert [title for title in titles if title in wanted] == wanted
    assert [notice.severity for _, notice in told[:OPEN]] == ["critical"] * OPEN
    # At the channel's own rate.
    instants = [at for at, _ in told]
    assert min(b - a for a, b in pairwise(instants)) >= 0.999

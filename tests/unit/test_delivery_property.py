"""Random lives of a delivery: whatever fails, every accepted alert is sent, or counted in what is.

Alerts of every kind, quiet times, channels that fail, refuse, hang, lie and recover, a disk that
refuses, clocks that jump, actors that crash, processes that end and are killed, in virtual time on
both backends.
SIDEWATCH_DELIVERIES=1000 runs more schedules, SIDEWATCH_FIRST_DELIVERY=n begins at another: a
failure names its number, and the same number makes the same schedule.
"""

import os
import shutil
from contextlib import suppress
from decimal import Decimal

import anyio
import msgspec
import pytest

from actors.alerts import outbox
from actors.alerts.commands import Acknowledge
from actors.alerts.debounce import TriggerState
from actors.alerts.disk import STATE
from actors.alerts.triggers import Internal
from actors.messages import (
    BotHealth,
    BreakerState,
    Health,
    HealthUpdate,
    KillSwitchState,
    PositionState,
    Risk,
    RiskUpdate,
    SendTest,
)
from runtime.ref import AskFailed, AskTimeout, Declined
from tests.fakes.delivery import CHANNELS, DEBOUNCE_S, MODES, World
from tests.fakes.notices import notice

pytestmark = pytest.mark.anyio

FIRST = int(os.environ.get("SIDEWATCH_FIRST_DELIVERY", "0"))
SCHEDULES = int(os.environ.get("SIDEWATCH_DELIVERIES", "6"))
LIVES_MAX = 4
STEPS = 20
POINTS = ("sender.claimed", "sender.sent", "sender.failed", "sender.marked")
EMPTY_WITHIN_S = 3 * 3_600
COMBINED_WITHIN_S = 62.0
RISK = Risk(1, 0, Decimal(0), Decimal(0), None, None, None, None, None)


class Schedule:
    """What happens to one world, by its own chance."""

    def __init__(self, world):
        self.world = world
        self.chance = world.chance
        self.switches = {}
        self.seq = 0
        self.failing = False

    async def run(self):
        """Live some lives, mend everything, and check what must hold."""
        for _ in range(self.chance.randint(1, LIVES_MAX) - 1):
            async with self.world.living() as life:
                await self.live(life)
                killed = self.chance.random() < 0.6
                await self.end(life, killed=killed)
            if killed:
                life.bury()
        async with self.world.living() as life:
            await self.live(life)
            await self.mend(life)
            await self.until_empty(life)
            await self.check(life)

    async def live(self, life):
        deeds = [
            self.happen, self.happen, self.state, self.state, self.switch, self.switch, self.loss,
            self.storm, self.misbehave, self.misbehave, self.recover, self.wait, self.wait,
            self.jump, self.disk, self.crash, self.poison, self.acknowledge,
        ]  # fmt: skip
        for _ in range(STEPS):
            await self.chance.choice(deeds)(life)

    async def end(self, life, *, killed):
        """End a life with a disk that works: what it refused lives on in memory alone."""
        await self.mend_disk(life)
        await life.settle()
        if killed:
            life.kill()

    # ---------------------------------------------------------------- what happens

    async def happen(self, life):
        subject, severity = self.chance.choice("abc"), self.chance.choice(["warning", "critical"])
        message = Internal("happened", subject, severity, f"Happened {subject}", "text", once=True)
        await life.ref("alerts").tell(message)

    async def state(self, life):
        subject, holds = self.chance.choice("abc"), self.chance.random() < 0.6
        severity = self.chance.choice(["info", "warning", "critical"])
        message = Internal("state", subject, severity, f"State {subject}", "text", holds=holds)
        await life.ref("alerts").tell(message)

    async def switch(self, life):
        bot = self.chance.choice("abc")
        self.switches[bot] = not self.switches.get(bot, False)
        self.seq += 1
        bots = {name: _controls(active=active) for name, active in self.switches.items()}
        health = Health(self.world.clock.now(), "HEALTHY", [], bots, {})
        await life.ref("alerts").tell(HealthUpdate(bot, self.seq, health))

    async def loss(self, life):
        drawdown = self.chance.choice([0.01, 0.04, 0.06, 0.11, 0.22])
        await self.tell_risk(life, self.chance.choice("ab"), drawdown)

    async def poison(self, life):
        await self.tell_risk(life, "poison", None)

    async def tell_risk(self, life, bot, drawdown):
        self.seq += 1
        risk = msgspec.structs.replace(RISK, drawdown_today=drawdown)
        update = RiskUpdate(bot, self.seq, self.world.clock.now(), "USD", risk)
        await life.ref("alerts").tell(update)

    async def storm(self, life):
        if self.chance.random() < 0.7:
            return
        severity = self.chance.choice(["info", "critical"])
        for number in range(self.chance.randint(20, 60)):
            message = Internal("storm", f"s{number}", severity, f"Storm {number}", "x", once=True)
            await life.ref("alerts").tell(message)

    async def acknowledge(self, life):
        """Take one on that is open, if the disk lets us."""
        known = await life.store.read(lambda tx: outbox.history(tx, 100))
        found = [alert.id for alert in known if alert.state == "open"]
        if found:
            with suppress(Declined, AskFailed, AskTimeout):
                await life.ref("alerts").ask(Acknowledge(self.chance.choice(found)), timeout_s=5.0)

    # ---------------------------------------------------------------- what goes wrong

    async def misbehave(self, _life):
        provider = self.chance.choice(list(self.world.providers.values()))
        provider.mode = self.chance.choice(MODES)
        provider.retry_after_s = self.chance.choice([None, 0.0, 1.0, 30.0])

    async def recover(self, _life):
        self.chance.choice(list(self.world.providers.values())).mode = "ok"

    async def wait(self, _life):
        await anyio.sleep(self.chance.choice([0.01, 0.3, 1.0, 5.0, 20.0, 61.0, 301.0, 601.0]))

    async def jump(self, _life):
        if self.chance.random() < 0.3:
            self.world.jumped = True
            self.world.clock.jump(self.chance.choice([-86_400, -3_600, -5, 5, 3_600, 86_400]))

    async def disk(self, life):
        if self.chance.random() < 0.5:
            await self.mend_disk(life)
        else:
            self.world.broken = self.failing = True
            life.break_disk()

    async def mend_disk(self, life):
        if self.failing:
            life.mend_disk()
            await anyio.sleep(1.5)  # until alerts has looked again
            self.failing = False

    async def crash(self, life):
        life.crash_at = self.chance.choice(POINTS)

    # ---------------------------------------------------------------- the end

    async def mend(self, life):
        await self.mend_disk(life)
        life.crash_at = None
        life.remind_no_more()  # or it might happen behind the last look
        for provider in self.world.providers.values():
            provider.mode = "ok"

    async def until_empty(self, life):
        """Wait until nothing waits, is parked or held; a passing test revives what is parked."""
        for _ in range(EMPTY_WITHIN_S // 60):
            await anyio.sleep(60)
            states = await life.store.read(lambda tx: tx.queue.count())
            if states.keys() <= {"done"}:
                await life.settle()
                return
            if states.get("dead"):
                for name in CHANNELS:
                    await life.ref(name).ask(SendTest(notice(id="test")), timeout_s=30.0)
        raise AssertionError(f"the outbox does not empty: {states}")

    async def check(self, life):
        jobs = await life.jobs()
        pending = await life.store.read(_suppressed)
        for name in CHANNELS:
            told = self.delivered(name, jobs[name])
            assert told + pending == self.world.accepted, name
        if not (self.world.jumped or self.world.broken or self.world.lives > 1):
            self.check_criticals([job for found in jobs.values() for job in found])
        self.check_debounce()

    def delivered(self, name, jobs):
        """Count what a channel has told: by itself, or in a message that it was sent."""
        sent = self.world.providers[name].ids
        details = {message.id: job.detail for job, message in jobs}

        def arrived(identity):
            while identity not in sent and details.get(identity, "").startswith("told in "):
                where = details[identity].removeprefix("told in ")
                kind, _, what = where.rpartition(" ")
                identity = f"{what}.1" if kind == "digest" else what
            return identity in sent

        total = 0
        for job, message in jobs:
            assert job.state == "done", (job.state, job.detail)
            assert arrived(message.id), (job.detail, message.title)
            if job.detail.startswith(("told in digest ", "told in roll-up ")):
                total += message.fresh + message.suppressed
            elif not job.detail.startswith("told in ") and message.kind != "digest":
                # A digest's parts are counted one by one, what was folded by who told it.
                total += message.suppressed + message.fresh
        return total

    def check_criticals(self, jobs):
        for job, message in jobs:
            if message.severity == "critical" and job.detail.startswith("told in digest"):
                assert job.updated - job.created <= COMBINED_WITHIN_S, message.title

    def check_debounce(self):
        """What only happens is told once in 5 minutes, unless it got worse.

        A clock that jumps over a restart excuses: nobody can know how long that took.
        """
        if self.world.jumped:
            return
        last = {}
        for at, title, rank in self.world.fired:
            before, told = last.get(title, (float("-inf"), -1))
            assert at - before >= DEBOUNCE_S - 1e-6 or rank > told, title
            last[title] = (at, rank)


def _controls(*, active):
    switch = KillSwitchState(active, "tested")
    return BotHealth("HEALTHY", [], switch, BreakerState(), PositionState(), None, False, "", 0)


def _suppressed(tx):
    """What is counted on disk, and told with the next message of its kind."""
    rows = tx.state.scan(STATE, 100_000)
    return sum(msgspec.json.decode(data, type=TriggerState).suppressed for _, data in rows)


@pytest.mark.parametrize("number", range(FIRST, FIRST + SCHEDULES))
async def test_it_tells_or_counts_all_that_was_accepted(tmp_path, number):
    remind_s = DEBOUNCE_S if number % 3 else 0.0
    await Schedule(World(tmp_path / "world", number, remind_s=remind_s)).run()
    shutil.rmtree(tmp_path / "world")

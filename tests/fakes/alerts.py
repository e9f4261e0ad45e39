"""The alerts actor on the bench, and what it did to its neighbours."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from msgspec.structs import replace

from actors.alerts import outbox
from actors.alerts.actor import AlertsActor, Left
from actors.alerts.book import Book
from actors.alerts.commands import ListSilences
from actors.alerts.routing import Policy
from actors.alerts.triggers import Internal, Limits
from actors.messages import Risk, RiskUpdate
from tests.fakes.bench import bench

START = datetime(2026, 1, 1, tzinfo=UTC)
RISK = Risk(1, 0, Decimal(0), Decimal(0), None, None, None, None, None)


class Alerts:
    """An actor under test, and what it did to its neighbours."""

    def __init__(self, *, hourly_limit=10, later_s=0.0, policy=None, own=(), **plans):
        self.plans = plans
        self.policy = policy or Policy(["slack", "mail"])
        self.own = own
        self.refreshed = 0
        self.hourly_limit = hourly_limit
        self.later_s = later_s
        self.woken = 0
        self.left = Left()
        self.emergencies = []
        self.emergency_channels = []

    def start(self, table):
        self.table = table
        table.clock.jump(self.later_s)
        self.later_s = 0.0
        return AlertsActor(
            table.store,
            book=lambda: Book(self.policy, self.hourly_limit, tell_resolved=True, **self.plans),
            limits_of=self._limits,
            broadcaster=table.ref("broadcaster"),
            wake=self._wake,
            emergency=self._emergency,
            own=self.own,
            refresh=self._refresh,
            left=self.left,
        )

    def _limits(self, bot):
        if bot == "poison":
            raise RuntimeError("poison")
        return Limits()

    def _emergency(self, notice, channels):
        self.emergencies.append(notice)
        self.emergency_channels.append(channels)

    async def _refresh(self):
        self.refreshed += 1

    def _wake(self):
        self.woken += 1

    async def risk(self, drawdown, seq=1, bot="native"):
        risk = replace(RISK, drawdown_today=drawdown)
        await self.ref.tell(RiskUpdate(bot, seq, START, "USDT", risk))
        await self.settle()

    async def trouble(self, *subjects, severity="critical", holds=True):
        for subject in subjects:
            title = f"Trouble {subject}"
            message = Internal("channel", str(subject), severity, title, "text", holds=holds)
            await self.ref.tell(message)
        await self.settle()

    async def settle(self):
        """Wait until everything told was handled: an ask stands behind it."""
        await self.ref.ask(ListSilences())

    @property
    def ref(self):
        return self.table.ref("tested")

    @property
    def told(self):
        return [(c.alert.title, c.alert.state, c.new) for c in self.table.heard["broadcaster"]]

    async def jobs(self, channel="slack"):
        alerts = await self.history()
        group = self.table.store.read
        found = []
        for alert in reversed(alerts):
            found += await group(lambda tx, alert=alert: tx.queue.group(alert.id))
        return [(job, outbox.notice_of(job)) for job in found if job.topic == channel]

    async def sent(self):
        return [notice.id for job, notice in await self.jobs() if job.state == "queued"]

    async def history(self):
        return await self.table.store.read(lambda tx: outbox.history(tx, 1_000))


def run(alerts, tmp_path):
    return bench(tmp_path, alerts.start, neighbours=["broadcaster"])

"""A sender over a real store, with a channel that answers by script."""

from __future__ import annotations

from collections import deque

import anyio
import msgspec

from actors.alerts import outbox
from actors.alerts.record import Attempt
from actors.messages import Alert
from actors.senders.actor import SenderActor, no_faults
from actors.senders.channel import Receipt, SendError
from tests.fakes.bench import bench
from tests.fakes.notices import notice

NEIGHBOURS = ("alerts", "broadcaster")
TRANSIENT = SendError("503 busy", permanent=False)
REFUSED = SendError("400 no such chat", permanent=True)


class NoJitter:
    def random(self):
        return 0.0


class FakeChannel:
    """Answers by script, then with 200; `sent` is every attempt with its loop time."""

    name = "fake"

    def __init__(self, *script, rate_s=0.0, takes_s=0.0):
        self.script = deque(script)
        self.rate_s = rate_s
        self.takes_s = takes_s
        self.sent = []
        self.closed = 0

    async def send(self, message):
        self.sent.append((round(anyio.current_time() - self.began, 3), message.id))
        if self.takes_s:
            await anyio.sleep(self.takes_s)
        answer = self.script.popleft() if self.script else None
        if answer is not None:
            raise answer
        return Receipt("200 ok")

    async def close(self):
        self.closed += 1

    @property
    def times(self):
        return [at for at, _ in self.sent]

    @property
    def ids(self):
        return [identity for _, identity in self.sent]


def queue(*ids, severity="critical"):
    """Put one alert, and a notice for each id, into the outbox."""

    def put(tx):
        now = 1_767_225_600.0
        message = notice(severity=severity)
        alert = Alert("7f3a", "drawdown", severity, "alpha", "t", "x", "open", message.at)
        outbox.put(tx, alert)
        for offset, identity in enumerate(ids):
            one = notice(id=identity, severity=severity)
            outbox.enqueue(tx, one, ["fake"], now + offset / 1_000 - 1, held=False)

    return put


def sending(tmp_path, channel, *ids, faults=no_faults, **options):
    channel.began = anyio.current_time()

    def start(table):
        return SenderActor(
            "fake",
            channel,
            table.store,
            alerts=table.ref("alerts"),
            broadcaster=table.ref("broadcaster"),
            random=NoJitter(),
            faults=faults,
            **options,
        )

    return bench(tmp_path, start, neighbours=NEIGHBOURS, prepare=queue(*ids))


async def job(table, identity="n1"):
    return await table.store.read(lambda tx: tx.queue.get("fake", f"{identity}/fake"))


async def attempts(table):
    rows = await table.store.read(lambda tx: tx.journal.last("attempt", 100))
    return [msgspec.json.decode(row.data, type=Attempt) for row in reversed(rows)]

"""The hub: what each browser is still to be sent. Figures coalesce, alerts never drop.

A client too slow for its alerts is let go, and resumes from the ring when it is back.
"""

from __future__ import annotations

from collections import deque

import anyio
import msgspec
from msgspec import Struct

from actors.messages import Alert, EquityPoint, Health, MetricsUpdate
from runtime.clock import Clock
from runtime.status import SystemStatus

RING = 1_000
FIGURES = "metrics_update"
IN_FLIGHT_MAX = 2  # figures a page may have before it has drawn them

_encoder = msgspec.json.Encoder()


class Frame(Struct, frozen=True):
    """One encoded message for browsers."""

    seq: int
    data: bytes


class TooSlow(Exception):
    """The client is more alerts behind than the ring holds."""


class Client:
    """One browser's queue: a slot for each kind of figures, and every alert in order."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._slots: dict[str, Frame] = {}
        self._alerts: deque[Frame] = deque()
        self._bell = anyio.Event()
        self.closed = False
        self._acknowledges = False
        self._in_flight = 0

    def acknowledge(self) -> None:
        """Take note that the page has drawn some figures; from now on it always says so."""
        self._acknowledges = True
        self._in_flight = max(0, self._in_flight - 1)
        self._bell.set()

    def offer(self, kind: str, frame: Frame) -> None:
        """Queue figures; they take the place of what still waits."""
        if kind == FIGURES and kind in self._slots:
            frame = self._hub.all_metrics()  # what was replaced may have been another bot's
        self._slots[kind] = frame
        self._bell.set()

    def offer_alert(self, frame: Frame) -> None:
        """Queue an alert; more than the ring holds ends this client."""
        if len(self._alerts) >= RING:
            self.closed = True
        else:
            self._alerts.append(frame)
        self._bell.set()

    def close(self) -> None:
        """End the client's wait."""
        self.closed = True
        self._bell.set()

    async def next(self) -> Frame:
        """Wait for the next frame: alerts first. Raises TooSlow once closed."""
        while True:
            if self.closed:
                raise TooSlow
            if self._alerts:
                return self._alerts.popleft()
            for kind in self._slots:
                if kind != FIGURES or not self._acknowledges or self._in_flight < IN_FLIGHT_MAX:
                    self._in_flight += kind == FIGURES
                    return self._slots.pop(kind)
            self._bell = anyio.Event()
            await self._bell.wait()


class Hub:
    """All browsers' queues, and the ring of alert messages for those that come back.

    A seq grows with every message and over restarts: at least the clock's milliseconds.
    """

    def __init__(self, clock: Clock, clients_max: int = 32) -> None:
        self._clock = clock
        self.clients_max = clients_max
        self.clients: set[Client] = set()
        self.seq = 0
        self._ring: deque[Frame] = deque(maxlen=RING)
        self._latest: MetricsUpdate | None = None
        self._all: Frame | None = None
        self._empty = anyio.Event()

    def join(self) -> Client | None:
        """Add a client; None when there are too many."""
        if len(self.clients) >= self.clients_max:
            return None
        client = Client(self)
        self.clients.add(client)
        return client

    def replay(self, client: Client, after: int) -> None:
        """Queue the alert messages after a seq again."""
        for frame in self._ring:
            if frame.seq > after:
                client.offer_alert(frame)

    def leave(self, client: Client) -> None:
        """Remove a client."""
        self.clients.discard(client)
        if not self.clients:
            self._empty.set()

    async def drained(self) -> None:
        """Wait until every client has left."""
        while self.clients:
            self._empty = anyio.Event()
            await self._empty.wait()

    def close(self) -> None:
        """End every client's wait."""
        for client in list(self.clients):
            client.close()

    def frame(self, kind: str, **fields: object) -> Frame:
        """Encode one message with the next seq."""
        now = self._clock.now()
        self.seq = max(self.seq + 1, int(now.timestamp() * 1_000))
        message = {"type": kind, "seq": self.seq, "at": now, **fields}
        return Frame(self.seq, _encoder.encode(message))

    # ------------------------------------------------------------ publishing

    def metrics(self, update: MetricsUpdate) -> None:
        """Publish the figures of the bots that changed, each with its newest chart point."""
        known = self._latest
        if known is not None:
            self._latest = MetricsUpdate(
                update.at, {**known.bots, **update.bots}, {**known.portfolio, **update.portfolio}
            )
        else:
            self._latest = update
        self._all = None
        if self.clients:
            self._publish(FIGURES, metrics=update, points=_points(update))

    def all_metrics(self) -> Frame:
        """Return the latest figures of every bot, encoded once for all who need them."""
        if self._all is None:
            assert self._latest is not None
            self._all = self.frame(FIGURES, metrics=self._latest, points=_points(self._latest))
        return self._all

    def health(self, health: Health) -> None:
        """Publish the health."""
        if self.clients:
            self._publish("health_update", health=health)

    def supervisor(self, status: SystemStatus) -> None:
        """Publish the actor tree."""
        if self.clients:
            self._publish("supervisor_update", supervisor=status)

    def alert(self, alert: Alert, *, new: bool) -> None:
        """Publish an alert; it is kept for those who come back."""
        frame = self.frame("alert_triggered" if new else "alert_update", alert=alert)
        self._ring.append(frame)
        for client in self.clients:
            client.offer_alert(frame)

    def _publish(self, kind: str, **fields: object) -> None:
        frame = self.frame(kind, **fields)
        for client in self.clients:
            client.offer(kind, frame)


def _points(update: MetricsUpdate) -> dict[str, list[EquityPoint]]:
    return {
        bot: [EquityPoint(update.at.timestamp(), float(m.equity), m.drawdown or 0.0)]
        for bot, m in update.bots.items()
        if m.equity is not None
    }

"""The crew: builds each actor anew for each of its lives, from the settings and what lasts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from actors.alerts.actor import AlertsActor
from actors.alerts.book import Book
from actors.broadcaster import Broadcaster
from actors.deadman import Deadman
from actors.feed import Feed
from actors.health.actor import HealthActor
from actors.health.pinger import Pinger
from actors.keeper import StoreActor
from actors.messages import Notice, Refresh, Wake
from actors.metrics.actor import MetricsActor
from actors.metrics.study import Studies
from actors.place import Position
from actors.reporter import Reporter
from actors.rush import Rush
from actors.senders.actor import SenderActor, SendNow
from runtime.ref import NoSuchActor, Ref
from runtime.system import System
from sidewatch import __version__, bots, channels
from sidewatch.door import access, address
from sidewatch.lasting import Lasting
from sidewatch.oncall import escalation_plan, failover_plan, quiet_hours, windows
from sidewatch.policy import policy
from web.build import build
from web.server import ServerActor
from web.services import Limits, Services

RULES_KEPT = 1_000  # bots


class Crew:
    """Builds actors, and keeps none of them. `system` gives who runs them, once there is one."""

    def __init__(self, lasting: Lasting, system: Callable[[], System]) -> None:
        self._lasting = lasting
        self._settings = lasting.settings
        self._store = lasting.store
        self._system = system

    # ------------------------------------------------------------ messages from outside the tree

    def ref(self, name: str) -> Ref[Any]:
        """Return the address of an actor of this tree."""
        return self._system().ref(name)

    def post(self, name: str, message: Any) -> None:
        """Leave a message without waiting; what finds no room is a dead letter."""
        with suppress(NoSuchActor):  # the tree has ended
            self.ref(name).post(message)

    async def _refresh(self) -> None:
        for name in ("metrics", "health"):
            with suppress(NoSuchActor):
                await self.ref(name).tell(Refresh())

    def _wake_senders(self) -> None:
        for name in self._lasting.channels:
            self.post(name, Wake())

    def _send_now(self, notice: Notice, channels: list[str]) -> None:
        # What finds no room is still in the alerts' backlog, and goes out once the disk works.
        for name in channels:
            self.post(name, SendNow(notice))

    # ------------------------------------------------------------ actors

    def keeper(self) -> StoreActor:
        """Build who takes care of the store."""
        lasting = self._lasting
        return StoreActor(self._store, self.ref("alerts"), lasting.unwritten, lasting.untold)

    def reporter(self) -> Reporter:
        """Build who tells alerts of our own faults."""
        return Reporter(self.ref("alerts"))

    def metrics(self) -> MetricsActor:
        """Build the metrics."""
        return MetricsActor(
            self._store,
            self._lasting.metrics_position,
            self._lasting.ledger_options,
            self.ref("alerts"),
            self.ref("broadcaster"),
            watched=bool(self._lasting.own_triggers),
            horizon=self._lasting.horizon,
        )

    def health(self) -> HealthActor:
        """Build the health."""
        return HealthActor(
            self._store,
            self._lasting.health_position,
            self._lasting.signs,
            rules=functools.lru_cache(RULES_KEPT)(functools.partial(bots.rules, self._settings)),
            apis=list(self._settings.apis),
            alerts=self.ref("alerts"),
            broadcaster=self.ref("broadcaster"),
        )

    def pinger(self, name: str) -> Pinger:
        """Build who asks one exchange."""
        health = self._settings.health
        return Pinger(
            name,
            self._settings.apis[name].url,
            self.ref("health"),
            period_s=health.ping_period_s,
            timeout_s=health.ping_timeout_s,
        )

    def alerts(self) -> AlertsActor:
        """Build the alerts."""
        return AlertsActor(
            self._store,
            book=self._book,
            limits_of=functools.partial(bots.limits, self._settings),
            broadcaster=self.ref("broadcaster"),
            wake=self._wake_senders,
            emergency=self._send_now,
            own=self._lasting.own_triggers,
            refresh=self._refresh,
            left=self._lasting.left,
            handovers=self._lasting.handovers,
        )

    def _book(self) -> Book:
        settings = self._settings
        return Book(
            policy(settings),
            settings.alerts.hourly_limit,
            tell_resolved=settings.alerts.resolved,
            failover=failover_plan(settings),
            escalation=escalation_plan(settings),
            quiet=quiet_hours(settings),
            windows=windows(settings),
            url=settings.server.public_url or address(settings, self._lasting.sockets),
        )

    def sender(self, name: str) -> SenderActor:
        """Build the sender of one channel."""
        return SenderActor(
            name,
            self._lasting.channels[name](),
            self._store,
            alerts=self.ref("alerts"),
            broadcaster=self.ref("broadcaster"),
            random=self._system().random,
            note=self._lasting.channel_troubles.__setitem__,
            fingerprint=channels.fingerprint(self._settings, name),
            handover=self._lasting.handovers[name],
        )

    def feed(self, place: Position, rush: Rush) -> Feed:
        """Build who carries journaled events to one reader."""
        return Feed(self._store, rush, [(place, self.ref(place.reader))])

    def broadcaster(self) -> Broadcaster:
        """Build who feeds the browsers."""
        return Broadcaster(self._lasting.hub)

    def server(self) -> ServerActor:
        """Build the server."""
        settings = self._settings.server
        allowed = access(self._settings, self._lasting.sockets)
        limits = Limits(
            body_bytes_max=settings.body_bytes_max, batch_bytes_max=settings.batch_bytes_max
        )
        return ServerActor(
            lambda: build(self._services(), allowed, limits, settings.backend),
            self._lasting.sockets,
            self._lasting.hub,
            backend=settings.backend,
            connections_max=settings.connections_max,
        )

    def deadman(self) -> Deadman:
        """Build the dead-man's switch."""
        settings, url = self._settings.deadman, self._settings.deadman.url
        assert url is not None
        return Deadman(
            url.reveal(),
            status=self._system().status,
            channels=lambda: self._lasting.channel_troubles,
            store=self._store,
            alerts=self.ref("alerts"),
            period_s=settings.period_s,
            timeout_s=settings.timeout_s,
        )

    def _services(self) -> Services:
        lasting = self._lasting
        return Services(
            ingest=lasting.ingest,
            store=lasting.store,
            hub=lasting.hub,
            clock=lasting.clock,
            status=self._system().status,
            quarantined=lambda: list(self._system().quarantined),
            metrics=self.ref("metrics"),
            health=self.ref("health"),
            alerts=self.ref("alerts"),
            senders={name: self.ref(name) for name in lasting.channels},
            studies=Studies(
                lasting.store,
                lasting.ledger_options,
                self.ref("metrics").ask,
                lasting.metrics_position,
            ),
            started=lasting.started,
            version=__version__,
        )

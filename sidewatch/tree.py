"""The tree: the one place that builds the supervision tree from Settings.

root (rest_for_one): store, core (metrics, health, pingers, alerts), senders, feeds, broadcaster,
server, watch (the dead-man's switch). What outlives an incarnation (positions, hub, sockets) is
made here.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from actors.alerts.actor import AlertsActor, Left
from actors.alerts.book import Book
from actors.alerts.handover import Handover
from actors.alerts.triggers import Internal
from actors.broadcaster import Broadcaster, coalesces
from actors.deadman import Deadman
from actors.feed import Feed
from actors.health import actor as health_actor
from actors.health.actor import HealthActor
from actors.health.pinger import Pinger
from actors.hub import Hub
from actors.ingest import Ingest
from actors.keeper import Keep, StoreActor
from actors.messages import AlertChanged, Notice, Recorded, Refresh, Wake
from actors.metrics import replay
from actors.metrics.actor import MetricsActor
from actors.metrics.study import Studies
from actors.place import Position
from actors.rush import Rush
from actors.senders.actor import SenderActor, SendNow
from config.settings import Settings
from runtime.clock import Clock, SystemClock
from runtime.mailbox import MailboxPolicy
from runtime.ref import NoSuchActor, Ref
from runtime.restart import Backoff
from runtime.spec import ChildSpec, SupervisorSpec
from runtime.store import OpenReport, Store
from runtime.system import Quarantined, Reported, System
from sidewatch import __version__, bots, channels
from sidewatch.door import access, address
from sidewatch.oncall import escalation_plan, failover_plan, quiet_hours, windows
from sidewatch.policy import own_triggers, policy
from web.build import build
from web.server import ServerActor
from web.services import Access, Services
from web.services import Limits as WebLimits

DATABASE = "sidewatch.db"
BLOCKED_AFTER_S = 2.0
ZOMBIE_AFTER_S = 0.25
ACTOR_INTENSITY = 10
ACTOR_PERIOD_S = 60.0
BACKOFF = Backoff(min_s=0.05, max_s=5.0)
FAULTS = {"gave_up", "quarantined", "zombie", "stuck", "blocked", "refused"}

log = structlog.get_logger()


class Tree:
    """Everything of one run: the store, the sockets, the hub, and the specification."""

    def __init__(
        self, settings: Settings, sockets: list[socket.socket], clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self.sockets = sockets
        self.clock = clock or SystemClock()
        self.started = self.clock.now()
        self.store = Store(settings.storage.data_dir / DATABASE, self.clock)
        self.hub = Hub(self.clock, settings.server.dashboards_max)
        self.left = Left()
        self.metrics_position = Position(reader=replay.READER, streams=replay.STREAMS)
        self.health_position = Position(
            reader=health_actor.READER, streams=health_actor.STREAMS, together_max=1
        )
        self.channels = channels.builders(settings)
        self.ledger_options = functools.partial(bots.ledger_options, settings)
        self.own_triggers = own_triggers(settings)
        self.handovers = {name: Handover() for name in self.channels}
        self.channel_troubles = dict.fromkeys(self.channels, "")
        self.rush = Rush(self.clock)
        self.ingest = Ingest(
            self.store, self.clock, lambda seen: self._offer("health", seen), self.rush
        )
        self.system = System(
            self._root(),
            clock=self.clock,
            report=self._report,
            on_quarantine=self._quarantined,
            blocked_after_s=BLOCKED_AFTER_S,
            zombie_after_s=ZOMBIE_AFTER_S,
        )
        self.store.on_commit(self._wake_feeds)

    # ------------------------------------------------------------ specification

    def _root(self) -> SupervisorSpec:
        return SupervisorSpec(
            id="root",
            name="root",
            strategy="rest_for_one",
            intensity=3,
            period_s=60.0,
            children=[
                ChildSpec(id="store", name="store", start=self._store),
                self._core(),
                self._senders(),
                self._feed("feed", self.metrics_position, self.rush),
                # Its own, and in no rush: a kill switch never waits behind a backfill of trades.
                self._feed("feed-health", self.health_position, Rush(self.clock)),
                ChildSpec(
                    id="broadcaster",
                    name="broadcaster",
                    start=lambda: Broadcaster(self.hub),
                    mailbox=MailboxPolicy(
                        when_full="coalesce", key=coalesces, never_drop=(AlertChanged,)
                    ),
                    backoff=BACKOFF,
                ),
                ChildSpec(id="server", name="server", start=self._server, backoff=BACKOFF),
                *self._watch(),
            ],
        )

    def _core(self) -> SupervisorSpec:
        health = self.settings.health
        pingers = [
            self._actor(
                f"pinger-{name}",
                lambda name=name, url=api.url: Pinger(  # type: ignore[misc]
                    name,
                    url,
                    self.ref("health"),
                    period_s=health.ping_period_s,
                    timeout_s=health.ping_timeout_s,
                ),
            )
            for name, api in self.settings.apis.items()
        ]
        return SupervisorSpec(
            id="core",
            intensity=ACTOR_INTENSITY,
            period_s=ACTOR_PERIOD_S,
            children=[
                self._actor("metrics", self._metrics, self.metrics_position.isolate),
                self._actor("health", self._health, self.health_position.isolate),
                *pingers,
                self._actor("alerts", self._alerts),
            ],
        )

    def _senders(self) -> SupervisorSpec:
        return SupervisorSpec(
            id="senders",
            intensity=ACTOR_INTENSITY,
            period_s=ACTOR_PERIOD_S,
            children=[
                self._actor(name, lambda name=name: self._sender(name))  # type: ignore[misc]
                for name in self.channels
            ],
        )

    def _watch(self) -> list[SupervisorSpec]:
        """The dead-man's switch, last: it beats only once everything before it runs."""
        deadman = self.settings.deadman
        if deadman.url is None:
            return []
        url = deadman.url.reveal()
        actor = self._actor(
            "deadman",
            lambda: Deadman(
                url,
                status=self.system.status,
                channels=lambda: self.channel_troubles,
                store=self.store,
                alerts=self.ref("alerts"),
                period_s=deadman.period_s,
                timeout_s=deadman.timeout_s,
            ),
        )
        return [
            SupervisorSpec(
                id="watch", intensity=ACTOR_INTENSITY, period_s=ACTOR_PERIOD_S, children=[actor]
            )
        ]

    def _actor(
        self, name: str, start: Callable[[], Any], isolate: Callable[..., Any] | None = None
    ) -> ChildSpec:
        return ChildSpec(id=name, name=name, start=start, isolate=isolate, backoff=BACKOFF)

    # ------------------------------------------------------------ actors

    def ref(self, name: str) -> Ref[Any]:
        """Return the address of an actor of this tree."""
        return self.system.ref(name)

    def _store(self) -> StoreActor:
        return StoreActor(self.store, self.ref("alerts"))

    def _metrics(self) -> MetricsActor:
        return MetricsActor(
            self.store,
            self.metrics_position,
            self.ledger_options,
            self.ref("alerts"),
            self.ref("broadcaster"),
            watched=bool(self.own_triggers),
        )

    def _health(self) -> HealthActor:
        return HealthActor(
            self.store,
            self.health_position,
            rules=functools.partial(bots.rules, self.settings),
            apis=list(self.settings.apis),
            alerts=self.ref("alerts"),
            broadcaster=self.ref("broadcaster"),
        )

    def _alerts(self) -> AlertsActor:
        return AlertsActor(
            self.store,
            book=self._book,
            limits_of=functools.partial(bots.limits, self.settings),
            broadcaster=self.ref("broadcaster"),
            wake=self._wake_senders,
            emergency=self._send_now,
            own=self.own_triggers,
            refresh=self._refresh,
            left=self.left,
            handovers=self.handovers,
        )

    def _sender(self, name: str) -> SenderActor:
        return SenderActor(
            name,
            self.channels[name](),
            self.store,
            alerts=self.ref("alerts"),
            broadcaster=self.ref("broadcaster"),
            random=self.system.random,
            note=self.channel_troubles.__setitem__,
            fingerprint=channels.fingerprint(self.settings, name),
            handover=self.handovers[name],
        )

    def _feed(self, name: str, place: Position, rush: Rush) -> ChildSpec:
        return ChildSpec(
            id=name,
            name=name,
            start=lambda: Feed(self.store, rush, [(place, self.ref(place.reader))]),
            mailbox=MailboxPolicy(capacity=8, when_full="coalesce", key=type),
            backoff=BACKOFF,
        )

    def _server(self) -> ServerActor:
        settings = self.settings.server
        return ServerActor(
            lambda: build(self._services(), self._access(), self._web_limits(), settings.backend),
            self.sockets,
            self.hub,
            backend=settings.backend,
            connections_max=settings.connections_max,
        )

    # ------------------------------------------------------------ settings for each part

    def _book(self) -> Book:
        alerts = self.settings.alerts
        return Book(
            policy(self.settings),
            alerts.hourly_limit,
            tell_resolved=alerts.resolved,
            failover=failover_plan(self.settings),
            escalation=escalation_plan(self.settings),
            quiet=quiet_hours(self.settings),
            windows=windows(self.settings),
            url=self.settings.server.public_url or address(self.settings, self.sockets),
        )

    def _services(self) -> Services:
        return Services(
            ingest=self.ingest,
            store=self.store,
            hub=self.hub,
            clock=self.clock,
            status=self.system.status,
            quarantined=lambda: list(self.system.quarantined),
            metrics=self.ref("metrics"),
            health=self.ref("health"),
            alerts=self.ref("alerts"),
            senders={name: self.ref(name) for name in self.channels},
            studies=Studies(self.store, self.ledger_options, self.ref("metrics").ask),
            started=self.started,
            version=__version__,
        )

    def _access(self) -> Access:
        return access(self.settings, self.sockets)

    def _web_limits(self) -> WebLimits:
        bounds = self.settings.server
        return WebLimits(
            body_bytes_max=bounds.body_bytes_max, batch_bytes_max=bounds.batch_bytes_max
        )

    # ------------------------------------------------------------ what the runtime tells

    def _offer(self, name: str, message: Any) -> None:
        with suppress(NoSuchActor):  # the tree has ended
            self.ref(name).offer(message)

    def _refresh(self) -> None:
        for name in ("metrics", "health"):
            self._offer(name, Refresh())

    def _wake_feeds(self, _head: int) -> None:
        for name in ("feed", "feed-health"):
            self._offer(name, Wake())

    def _wake_senders(self) -> None:
        for name in self.channels:
            self._offer(name, Wake())

    def _send_now(self, notice: Notice, channels: list[str]) -> None:
        for name in channels:
            self._offer(name, SendNow(notice))

    def _report(self, report: Reported) -> None:
        if report.kind == "started" or report.detail == "the system ended":
            log.debug(report.kind, actor=report.name, detail=report.detail)
            return
        log.warning(report.kind, actor=report.name, detail=report.detail)
        if report.kind in FAULTS and report.name != "alerts" and report.kind != "blocked":
            self._offer(
                "alerts",
                Internal(
                    trigger=f"actor_{report.kind}",
                    subject=report.name,
                    severity="critical" if report.kind == "gave_up" else "warning",
                    title=f"Sidewatch: {report.name} {report.kind.replace('_', ' ')}",
                    text=report.detail[:500] or "See the supervisor's status.",
                    once=True,
                ),
            )

    def _quarantined(self, kept: Quarantined, message: Any) -> None:
        places = {"metrics": self.metrics_position, "health": self.health_position}
        seq = message.seq if isinstance(message, Recorded) else None
        place = places.get(kept.actor)
        if place is not None and seq is not None:
            place.poison(seq)
        self._offer("store", Keep(kept, seq if place is not None else None))

    def opened(self, report: OpenReport) -> None:
        """Tell that a broken database was set aside."""
        if report.set_aside:
            log.error("database set aside", file=report.set_aside)
            self._offer(
                "alerts",
                Internal(
                    trigger="storage",
                    subject="database",
                    severity="critical",
                    title="Sidewatch: the database was broken",
                    text=f"It was set aside as {report.set_aside}; history starts anew.",
                    once=True,
                ),
            )

"""The tree: who is supervised with whom, in which order, and what each mailbox holds.

root (rest_for_one): store, core (reporter, metrics, health, pingers, alerts), senders, feeds,
broadcaster, server, watch (the dead-man's switch). `lasting` outlives them, `crew` builds them,
`reports` hears of them.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from typing import Any

from actors import broadcaster, keeper, reporter
from actors.messages import AlertChanged, Wake
from actors.place import Position
from actors.rush import Rush
from actors.senders import actor as sender
from config.settings import Settings
from runtime.clock import Clock, SystemClock
from runtime.mailbox import MailboxPolicy
from runtime.ref import Ref
from runtime.restart import Backoff
from runtime.spec import ChildSpec, SupervisorSpec
from runtime.store import Store
from runtime.system import System
from sidewatch.crew import Crew
from sidewatch.lasting import DATABASE, Lasting
from sidewatch.reports import Reports

BLOCKED_AFTER_S = 2.0
ZOMBIE_AFTER_S = 0.25
ACTOR_INTENSITY = 10
ACTOR_PERIOD_S = 60.0
BACKOFF = Backoff(min_s=0.05, max_s=5.0)

# An actor that is not named here waits for room: whoever tells it waits, too.
SENDER = MailboxPolicy(when_full="coalesce", key=sender.coalesces)
FEED = MailboxPolicy(capacity=8, when_full="coalesce", key=type)  # all a feed gets is Wake
BROADCASTER = MailboxPolicy(
    when_full="coalesce", key=broadcaster.coalesces, never_drop=(AlertChanged,)
)


class Tree:
    """Everything of one run: what lasts, and the system of actors on it."""

    def __init__(
        self,
        settings: Settings,
        sockets: list[socket.socket],
        clock: Clock | None = None,
        store: Store | None = None,
    ) -> None:
        self.settings = settings
        self.sockets = sockets
        self.clock = clock or SystemClock()
        self.store = store or Store(settings.storage.data_dir / DATABASE, self.clock)
        self.lasting = Lasting(settings, sockets, self.clock, self.store)
        self.crew = Crew(self.lasting, lambda: self.system)
        self.reports = Reports(self.lasting, self.crew.post)
        self.system = System(
            self._root(),
            clock=self.clock,
            report=self.reports.heard,
            on_quarantine=self.reports.quarantined,
            blocked_after_s=BLOCKED_AFTER_S,
            zombie_after_s=ZOMBIE_AFTER_S,
        )
        self.store.on_commit(self._wake_feeds)

    def ref(self, name: str) -> Ref[Any]:
        """Return the address of an actor of this tree."""
        return self.system.ref(name)

    def _wake_feeds(self, _head: int) -> None:
        for name in ("feed", "feed-health"):
            self.crew.post(name, Wake())

    def _root(self) -> SupervisorSpec:
        crew, lasting = self.crew, self.lasting
        return SupervisorSpec(
            id="root",
            name="root",
            strategy="rest_for_one",
            intensity=3,
            period_s=60.0,
            children=[
                ChildSpec(id="store", name="store", start=crew.keeper, mailbox=keeper.MAILBOX),
                self._core(),
                self._senders(),
                self._feed("feed", lasting.metrics_position, lasting.rush),
                # Its own, and in no rush: a kill switch never waits behind a backfill of trades.
                self._feed("feed-health", lasting.health_position, Rush(self.clock)),
                _actor("broadcaster", crew.broadcaster, mailbox=BROADCASTER),
                _actor("server", crew.server),
                *self._watch(),
            ],
        )

    def _core(self) -> SupervisorSpec:
        crew, lasting = self.crew, self.lasting
        return _one_for_one(
            "core",
            _actor("reporter", crew.reporter, mailbox=reporter.MAILBOX),
            _actor("metrics", crew.metrics, isolate=lasting.metrics_position.isolate),
            _actor("health", crew.health, isolate=lasting.health_position.isolate),
            *(
                _actor(f"pinger-{name}", functools.partial(crew.pinger, name))
                for name in self.settings.apis
            ),
            _actor("alerts", crew.alerts),
        )

    def _senders(self) -> SupervisorSpec:
        return _one_for_one(
            "senders",
            *(
                _actor(name, functools.partial(self.crew.sender, name), mailbox=SENDER)
                for name in self.lasting.channels
            ),
        )

    def _feed(self, name: str, place: Position, rush: Rush) -> ChildSpec:
        return _actor(name, functools.partial(self.crew.feed, place, rush), mailbox=FEED)

    def _watch(self) -> list[SupervisorSpec]:
        """The dead-man's switch, last: it beats only once everything before it runs."""
        if self.settings.deadman.url is None:
            return []
        return [_one_for_one("watch", _actor("deadman", self.crew.deadman))]


def _actor(name: str, start: Callable[[], Any], **options: Any) -> ChildSpec:
    return ChildSpec(id=name, name=name, start=start, backoff=BACKOFF, **options)


def _one_for_one(id_: str, *children: ChildSpec) -> SupervisorSpec:
    return SupervisorSpec(
        id=id_, intensity=ACTOR_INTENSITY, period_s=ACTOR_PERIOD_S, children=children
    )

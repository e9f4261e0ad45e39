"""What outlives every incarnation: made once, and handed to whoever lives in the tree."""

from __future__ import annotations

import functools
import socket

from actors.alerts.actor import Left
from actors.alerts.handover import Handover
from actors.health import actor as health
from actors.health.signs import Signs
from actors.hub import Hub
from actors.ingest import Ingest
from actors.keeper import Untold, Unwritten
from actors.metrics import replay
from actors.metrics.horizon import Horizon
from actors.place import Position
from actors.rush import Rush
from config.settings import Settings
from runtime.clock import Clock
from runtime.store import Store
from sidewatch import bots, channels
from sidewatch.policy import own_triggers

DATABASE = "sidewatch.db"


class Lasting:
    """The store, the sockets, the readers' places, and what a crash must not take along."""

    def __init__(
        self, settings: Settings, sockets: list[socket.socket], clock: Clock, store: Store
    ) -> None:
        self.settings = settings
        self.sockets = sockets
        self.clock = clock
        self.started = clock.now()
        self.store = store
        self.hub = Hub(clock, settings.server.dashboards_max)
        self.left = Left()
        self.unwritten = Unwritten()
        self.untold = Untold()
        self.signs = Signs()
        self.metrics_position = Position(reader=replay.READER, streams=replay.STREAMS)
        self.health_position = Position(
            reader=health.READER, streams=health.STREAMS, together_max=1
        )
        self.rush = Rush(clock)
        self.horizon = Horizon(settings.metrics.retention_days, settings.metrics.zone)
        self.ingest = Ingest(store, clock, self.signs.note, self.rush, self.horizon)
        self.ledger_options = functools.partial(bots.ledger_options, settings)
        self.own_triggers = own_triggers(settings)
        self.channels = channels.builders(settings)
        self.handovers = {name: Handover() for name in self.channels}
        self.channel_troubles = dict.fromkeys(self.channels, "")

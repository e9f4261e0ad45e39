"""The broadcaster: turns what actors tell into messages for every browser."""

from __future__ import annotations

import msgspec

from actors.hub import Hub
from actors.messages import AlertChanged, HealthUpdate, MetricsUpdate
from runtime.actor import Actor

STATUS_EVERY_S = 2.0


class _Status(msgspec.Struct, frozen=True):
    pass


def coalesces(message: object) -> object:
    """Key of the broadcaster's mailbox: the latest health replaces an older one.

    An update of figures holds only what changed, so each is its own; alerts are never dropped.
    """
    return type(message) if isinstance(message, HealthUpdate) else id(message)


class Broadcaster(Actor[MetricsUpdate | HealthUpdate | AlertChanged | _Status]):
    """Feeds the hub, which outlives it."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def started(self) -> None:
        """Publish the actor tree now and then, which also proves that we live."""
        self.ctx.every(STATUS_EVERY_S, _Status(), first_s=0.0)

    async def receive(self, message: MetricsUpdate | HealthUpdate | AlertChanged | _Status) -> None:
        """Publish one message."""
        if isinstance(message, MetricsUpdate):
            self._hub.metrics(message)
        elif isinstance(message, HealthUpdate):
            self._hub.health(message.health)
        elif isinstance(message, AlertChanged):
            self._hub.alert(message.alert, new=message.new)
        elif self._hub.clients:
            self._hub.supervisor(self.ctx.system.status())

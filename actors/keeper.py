"""The store's place in the tree: it notices when a disk fails writes, and when it works again.

The database's thread serves everyone; this actor tells alerts, which then send from memory.
"""

from __future__ import annotations

import msgspec

from actors.alerts.triggers import Internal
from runtime.actor import Actor
from runtime.ref import Ref
from runtime.store import Store

LOOK_EVERY_S = 5.0
PROBE_KEY = "probe"


class _Look(msgspec.Struct, frozen=True):
    pass


class StoreActor(Actor[_Look]):
    """Probes the disk while writes fail, so that a recovery is noticed without traffic."""

    def __init__(self, store: Store, alerts: Ref[Internal]) -> None:
        self._store = store
        self._alerts = alerts
        self._failing = False

    async def started(self) -> None:
        """Look now and then; fail to start where the store cannot be read."""
        await self._store.read(lambda tx: tx.journal.head())
        self.ctx.every(LOOK_EVERY_S, _Look())

    async def receive(self, _message: _Look) -> None:
        """Write a probe while the last write has failed; a failure is no crash."""
        if self._store.stats().last_error:
            stamp = self.ctx.clock.now().isoformat().encode()
            await self._store.try_write(lambda tx: tx.state.put(PROBE_KEY, stamp))
        error = self._store.stats().last_error
        if bool(error) != self._failing:
            self._failing = bool(error)
            await self._alerts.tell(
                Internal(
                    trigger="storage",
                    subject="disk",
                    severity="critical",
                    title="Sidewatch cannot write to its disk",
                    text=error or "Writes succeed again.",
                    holds=self._failing,
                )
            )

"""The reporter: tells alerts of Sidewatch's own faults, and waits where alerts has no room.

Whoever finds a fault leaves it here without waiting. Of one trigger and subject only the latest
waits, and there are fewer of them than its mailbox holds: none is dropped.
"""

from __future__ import annotations

from actors.alerts.triggers import Internal
from runtime.actor import Actor
from runtime.mailbox import MailboxPolicy
from runtime.ref import Ref


def _whose(fault: Internal) -> object:
    return fault.trigger, fault.subject


MAILBOX = MailboxPolicy(when_full="coalesce", key=_whose)


class Reporter(Actor[Internal]):
    """Passes faults on in order."""

    def __init__(self, alerts: Ref[Internal]) -> None:
        self._alerts = alerts

    async def receive(self, fault: Internal) -> None:
        """Tell alerts; this may wait."""
        await self._alerts.tell(fault)

"""Trouble: that a channel is down or refuses is told once, and that it delivers again, once."""

from __future__ import annotations

from actors.alerts.triggers import Internal
from actors.senders.channel import SendError
from runtime.ref import Ref

AFTER_PROBES = 4  # failures in a row before the other channels hear of it
WAIT = "Its alerts wait, and are"
AGAIN = "It delivers again."
PARKED = "parked until a test of it passes (sidewatch alerts test)"


class Trouble:
    """What one life of a sender has told alerts about its channel."""

    def __init__(self, name: str, alerts: Ref[Internal]) -> None:
        self._name = name
        self._alerts = alerts
        self._told: bool | None = None  # None: an earlier life may have told of trouble
        self._parked = False  # something that it refused

    async def failed(self, error: SendError, probes: int) -> None:
        """Tell of a refusal, or of an outage that lasts."""
        self._parked |= error.permanent
        if self._told or not (error.permanent or probes >= AFTER_PROBES):
            return
        self._told = True
        what = "refuses messages" if error.permanent else "is down"
        becomes = f"What it refuses is {PARKED}, and" if error.permanent else WAIT
        await self._alerts.tell(
            Internal(
                trigger="channel",
                subject=self._name,
                severity="critical",
                title=f"Channel {self._name} {what}",
                text=f"{error.reason}. {becomes} shown on the page.",
            )
        )

    async def over(self, *, revived: bool = False) -> None:
        """Tell that the channel delivers; `revived`: also what it had refused is tried again."""
        self._parked &= not revived
        if self._told is False:
            return
        self._told = False
        await self._alerts.tell(
            Internal(
                trigger="channel",
                subject=self._name,
                severity="critical",
                title=f"Channel {self._name}",
                text=f"It delivers again. What it refused is {PARKED}." if self._parked else AGAIN,
                holds=False,
            )
        )

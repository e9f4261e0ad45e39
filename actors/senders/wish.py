"""Wish: a provider's Retry-After outlives the sender's life, so that a restart asks no earlier.

It is kept by the wall clock: one that was set back adds at most as much again.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from runtime.store import Tx

PREFIX = "wish/"


class Wish(Struct, frozen=True):
    """Not before `until` (unix seconds), which was `wait_s` seconds away."""

    until: float
    wait_s: float

    def left_s(self, now: float) -> float:
        """Return how many seconds are left at an instant in unix seconds."""
        return min(max(self.until - now, 0.0), self.wait_s)


_wish = msgspec.json.Decoder(Wish)


def get(tx: Tx, channel: str) -> Wish | None:
    """Return what a channel's provider has asked for, None where that is nothing."""
    data = tx.state.get(PREFIX + channel)
    return _wish.decode(data) if data else None


def put(tx: Tx, channel: str, wish: Wish | None) -> None:
    """Keep it, or that there is none."""
    data = b"" if wish is None else msgspec.json.encode(wish)
    if data != (tx.state.get(PREFIX + channel) or b""):
        tx.state.put(PREFIX + channel, data)

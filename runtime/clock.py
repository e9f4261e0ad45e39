"""The clock: the one way that code here learns the time, so that a test can own it.

Durations are taken from `monotonic()`, which never goes back; `now()` is a stamp for people.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import anyio


class Clock(Protocol):
    """What an actor may ask about time."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary origin; never decreases."""
        ...

    def now(self) -> datetime:
        """The wall clock, timezone-aware UTC; may jump."""
        ...


class SystemClock:
    """The machine's own clocks."""

    monotonic = staticmethod(time.monotonic)

    def now(self) -> datetime:
        """Read the wall clock."""
        return datetime.now(UTC)


class LoopClock:
    """The event loop's time, so that a virtual loop turns the wall clock too.

    `jump(seconds)` moves the wall clock alone, as NTP or an operator would.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._origin: float | None = None
        self._jumped_s = 0.0

    def monotonic(self) -> float:
        """Read the loop's time, seconds."""
        now = anyio.current_time()
        if self._origin is None:
            self._origin = now
        return now

    def now(self) -> datetime:
        """Return the start plus what has passed on the loop."""
        now = self.monotonic()
        assert self._origin is not None
        return self._start + timedelta(seconds=now - self._origin + self._jumped_s)

    def jump(self, seconds: float) -> None:
        """Move the wall clock; negative goes back."""
        self.monotonic()
        self._jumped_s += seconds

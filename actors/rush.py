"""Rush: while many events come in, they are acknowledged first and carried on afterwards.

The wait is bounded: after `LAG_MAX_S` figures and alerts get their share again. A few events are
carried on without any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.clock import Clock

QUIET_S = 0.005
LAG_MAX_S = 0.25
FEW = 64  # events: a millisecond's work


class Rush:
    """Counts who is at the door; one for a process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._inside = 0
        self._over_at = 0.0
        self._behind_since: float | None = None

    @contextmanager
    def arrival(self) -> Iterator[None]:
        """Be at the door: from the first byte of a body to its answer."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._over_at = self._clock.monotonic() + QUIET_S

    def wait_s(self, behind: int) -> float:
        """Return how long to wait before carrying on, with that many events to carry."""
        now = self._clock.monotonic()
        if self._behind_since is None:
            self._behind_since = now
        if behind <= FEW or now >= self._behind_since + LAG_MAX_S:
            return 0.0
        return QUIET_S if self._inside else max(0.0, self._over_at - now)

    def caught_up(self) -> None:
        """Note that nothing is left to carry."""
        self._behind_since = None

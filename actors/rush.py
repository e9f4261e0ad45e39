"""Rush: while many events come in, they are acknowledged first and carried on afterwards.

The wait is bounded: after `LAG_MAX_S` those behind get a share of the loop again, until they have
caught up. A few events are carried on without any wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from runtime.clock import Clock

QUIET_S = 0.005
LAG_MAX_S = 0.25
SHARE_S = 0.004
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

    async def give_way(self, behind: int) -> None:
        """Wait before a turn of carrying on, with that many events left to carry."""
        while (wait_s := self.wait_s(behind)) > 0:  # noqa: ASYNC110
            await anyio.sleep(wait_s)  # each arrival moves the end on
        if behind > FEW and self._inside:
            await anyio.sleep(SHARE_S)

    def wait_s(self, behind: int) -> float:
        """Return how long it takes until the rush may be over, 0 where it has held up enough."""
        now = self._clock.monotonic()
        if self._behind_since is None:
            self._behind_since = now
        if behind <= FEW or now >= self._behind_since + LAG_MAX_S:
            return 0.0
        return QUIET_S if self._inside else max(0.0, self._over_at - now)

    def caught_up(self) -> None:
        """Note that nothing is left to carry."""
        self._behind_since = None

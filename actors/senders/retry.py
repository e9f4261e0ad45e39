"""Retry schedule: a channel that is down is probed often at first, then ever more calmly.

Probes follow failures by 0.5, 1, 2 and 4 s, then by at most 4 s in the first minute, 15 s until
minute 10, then at most 30 s: half of the minute in which all is to be delivered on its return.
Jitter only lengthens a delay, by at most a tenth, so that a provider's Retry-After is never
undercut.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

FIRST_PROBES_S = (0.5, 1.0, 2.0, 4.0)
# (while the outage is younger than this many seconds, delay in seconds). 3.4 s never exceeds 4 s
# with jitter, and the median wait after a recovery is 1.8 s.
CADENCE_S = ((60.0, 3.4), (600.0, 15.0))
SLOWEST_S = 27.0
JITTER = 0.1


class BreakerState(Struct, frozen=True):
    """One channel's breaker: closed while `down_since` is None.

    `probes` counts the delays handed out in this outage.
    """

    down_since: datetime | None = None
    probes: int = 0
    last_error: str = ""


def after_failure(
    state: BreakerState,
    now: datetime,
    retry_after_s: float | None,
    jitter: float,
    *,
    error: str = "",
) -> tuple[BreakerState, float]:
    """Give the state after a failed attempt, and the delay in seconds until the next one.

    `jitter` is a random number from 0 to 1. A Retry-After of at least 0.5 s replaces the first
    four delays, even when it is shorter; afterwards the longer of the two counts, so that a
    provider that always asks for 1 s is not asked for ever.
    """
    down_since = state.down_since or now
    delay_s = _scheduled_s(state.probes, (now - down_since).total_seconds())
    if retry_after_s is not None:
        early = state.probes < len(FIRST_PROBES_S) and retry_after_s >= FIRST_PROBES_S[0]
        delay_s = retry_after_s if early else max(delay_s, retry_after_s)
    down = BreakerState(down_since=down_since, probes=state.probes + 1, last_error=error)
    return down, delay_s * (1 + JITTER * jitter)


def after_success(state: BreakerState) -> BreakerState:
    """Give the state after a delivery: closed, and the outage forgotten."""
    return state if state == BreakerState() else BreakerState()


def _scheduled_s(probes: int, outage_s: float) -> float:
    if probes < len(FIRST_PROBES_S):
        return FIRST_PROBES_S[probes]
    for younger_than_s, delay_s in CADENCE_S:
        if outage_s < younger_than_s:
            return delay_s
    return SLOWEST_S

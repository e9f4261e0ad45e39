"""The hourly limit, decided purely: what goes now, and what is held back for a digest.

Info and warnings: 10 an hour. Criticals pass it; above 30 an hour they are held for at most a
minute and combined. Nothing is dropped: what is held is told in a digest that counts it.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from actors.messages import Severity

HOUR_S = 3_600.0
CRITICALS_PER_HOUR = 30
COMBINE_AFTER_S = 59.0  # looked at each second: a minute is never exceeded


class LimitState(Struct, frozen=True):
    """Unix seconds of what was sent within the last hour, and since when something is held."""

    sent: tuple[float, ...] = ()
    criticals: tuple[float, ...] = ()
    holding_since: float | None = None
    held: int = 0
    held_critical: bool = False


def admit(
    state: LimitState, severity: Severity, now: float, hourly_limit: int
) -> tuple[LimitState, bool]:
    """Return the state after one message, and whether it goes now (else it is held)."""
    state = _recent(state, now)
    if severity == "critical":
        if len(state.criticals) < CRITICALS_PER_HOUR:
            return replace(state, criticals=(*state.criticals, now)), True
    elif len(state.sent) < hourly_limit:
        return replace(state, sent=(*state.sent, now)), True
    return hold(state, now, critical=severity == "critical"), False


def hold(state: LimitState, now: float, *, messages: int = 1, critical: bool = False) -> LimitState:
    """Return the state with more held; quiet hours hold what the limit would let go."""
    return replace(
        state,
        held=state.held + messages,
        holding_since=now if state.holding_since is None else state.holding_since,
        held_critical=state.held_critical or critical,
    )


def digest_due(state: LimitState, now: float, hourly_limit: int, *, quiet: bool = False) -> bool:
    """Say whether what is held may be told: there is room again, or a critical has waited.

    While it is quiet, only a critical may.
    """
    if state.holding_since is None:
        return False
    if state.held_critical:
        return now - state.holding_since >= COMBINE_AFTER_S or now < state.holding_since
    return not quiet and len(_recent(state, now).sent) < hourly_limit


def digested(
    state: LimitState, now: float, *, told: int, more: bool = False, left: int = 0
) -> LimitState:
    """Return the state after a digest of `told`, which counts as one message unless it is empty.

    `more` says that it did not hold everything: the rest stays due. `left` are those that wait for
    the end of a quiet time.
    """
    state = _recent(state, now)
    sent = (*state.sent, now) if told else state.sent
    if more:
        return replace(state, sent=sent, held=max(0, state.held - told))
    if left:
        return replace(state, sent=sent, held=left, held_critical=False)
    return LimitState(sent, state.criticals)


def _recent(state: LimitState, now: float) -> LimitState:
    """Forget what is an hour old, and what a clock that went back has put into the future."""
    return replace(
        state,
        sent=tuple(at for at in state.sent if now - HOUR_S < at <= now),
        criticals=tuple(at for at in state.criticals if now - HOUR_S < at <= now),
    )

"""Debounce, decided purely: which finding becomes a message, and which is only counted.

The first edge goes at once, then identical state is quiet for `debounce_s` by the monotonic clock.
A worse band, a higher severity and every kill-switch or breaker transition pass. What is
suppressed is counted, and told with the next message; a state that merely still holds is nothing
to count. What only happens is rolled up when its quiet time ends. Three cycles within 10 minutes
are told once as flapping, then quiet until 10 minutes have passed without a change.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from actors.alerts.escalation import Chase
from actors.alerts.triggers import Finding
from actors.messages import Severity

RANK: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}
FLAPS = 3
FLAP_WINDOW_S = 600.0
CYCLES_KEPT = 8

UNCOUNTED: dict[str, Any] = {
    "suppressed": 0,
    "worst": None,
    "worst_said": "",
    "counted_since": 0.0,
}

Action = Literal["none", "fire", "repeat", "suppress", "resolve"]


class TriggerState(Struct, frozen=True):
    """What is remembered of one key. Instants are monotonic seconds of this process.

    `alert` is the open alert's id, empty when none is open; `told_band` the worst band told of it.
    `event` is the alert that told what only happens, until a quiet time has passed without more.
    `peak` is the worst figure since it holds, `ended` the last alert that was resolved.
    `worst` is the worst figure among the suppressed, and `worst_said` how its finding put it;
    they are counted `counted_since` then. `chase` is how far an unacknowledged critical has come.
    """

    alert: str = ""
    told_band: int = 0
    told_rank: int = 0
    quiet_until: float = float("-inf")
    suppressed: int = 0
    worst: float | None = None
    worst_said: str = ""
    counted_since: float = 0.0
    cycles: tuple[float, ...] = ()
    flapping: bool = False
    holds: bool = False
    acknowledged: bool = False
    chase: Chase | None = None
    event: str = ""
    peak: float | None = None
    ended: str = ""


class Decision(Struct, frozen=True):
    """What to do about a finding, and what to remember.

    `fresh` says of a message that it tells something new, which nothing has counted.
    """

    action: Action
    state: TriggerState
    flapping: bool = False
    fresh: bool = False


def decide(state: TriggerState, finding: Finding, now: float, debounce_s: float) -> Decision:
    """Decide about one finding. `now` is monotonic seconds."""
    if finding.once:
        return _happened(state, finding, now, debounce_s)
    if finding.band == 0:
        return _clears(state, finding, now)
    if not state.alert:
        return _begins(state, finding, now, debounce_s)
    return _goes_on(state, finding, now, debounce_s)


def _happened(state: TriggerState, finding: Finding, now: float, debounce_s: float) -> Decision:
    rank = RANK[finding.severity]
    if now < state.quiet_until and rank <= state.told_rank:
        return Decision("suppress", _counted(state, finding, now))
    told = TriggerState(quiet_until=now + debounce_s, told_rank=rank)
    return Decision("fire", told, fresh=True)


def rolled_up(state: TriggerState, now: float, debounce_s: float) -> Decision:
    """Decide about what only happens as time passes: tell what was suppressed, else forget it."""
    if not state.event or now < state.quiet_until:
        return Decision("none", state)
    if not state.suppressed:
        return Decision("none", replace(state, event=""))
    return Decision("repeat", replace(state, quiet_until=now + debounce_s, **UNCOUNTED))


def unsilenced(state: TriggerState, finding: Finding, now: float, debounce_s: float) -> Decision:
    """Decide about an alert of which a silence kept something, now that none covers it any more."""
    if not state.holds or state.acknowledged or state.flapping:
        return Decision("none", state)
    return Decision("repeat", _told(state, finding, now, debounce_s))


def _begins(state: TriggerState, finding: Finding, now: float, debounce_s: float) -> Decision:
    fresh, cycles = _is_fresh(state, finding), _recent(state, now)
    flapping = len(cycles) >= FLAPS and not finding.transition
    if now >= state.quiet_until or is_worse(state, finding) or flapping or finding.transition:
        told = _told(state, finding, now, debounce_s)
        told = replace(told, cycles=cycles, flapping=flapping, acknowledged=False, ended="")
        return Decision("fire", told, flapping=flapping, fresh=fresh)
    return _held_back(state, finding, now, fresh=fresh)


def _goes_on(state: TriggerState, finding: Finding, now: float, debounce_s: float) -> Decision:
    worse = is_worse(state, finding)
    if finding.transition and not worse:
        return Decision("none", replace(state, holds=True))  # a switch still on is no event
    fresh = _is_fresh(state, finding)
    due = now >= state.quiet_until and not state.acknowledged and not state.flapping
    if worse or due:
        return Decision("repeat", _told(state, finding, now, debounce_s), fresh=fresh)
    return _held_back(state, finding, now, fresh=fresh)


def _held_back(state: TriggerState, finding: Finding, now: float, *, fresh: bool) -> Decision:
    if not fresh:
        return Decision("none", state)
    counted = replace(_counted(state, finding, now), peak=_peak(state, finding), holds=True)
    return Decision("suppress", counted)


def is_worse(state: TriggerState, finding: Finding) -> bool:
    """Whether a finding is in a worse band, or more severe, than what was told."""
    return finding.band > state.told_band or RANK[finding.severity] > state.told_rank


def _is_fresh(state: TriggerState, finding: Finding) -> bool:
    """Say whether a finding is something new: it begins to hold, its figure is worse, or again."""
    if not state.holds or finding.again:
        return True
    value, peak = finding.value, state.peak
    return value is not None and peak is not None and value > peak and not finding.steady


def _peak(state: TriggerState, finding: Finding) -> float | None:
    """Return the worst figure since it holds; None where it has none."""
    if not state.holds or state.peak is None or finding.value is None:
        return finding.value
    return max(state.peak, finding.value)


def _clears(state: TriggerState, finding: Finding, now: float) -> Decision:
    if not state.holds:
        return Decision("none", state)
    cleared = replace(state, holds=False, cycles=(*_recent(state, now), now)[-CYCLES_KEPT:])
    if not state.alert or (state.flapping and not finding.transition):
        return Decision("none", cleared)  # its edge was only counted, or it will be back soon
    return Decision("resolve", _forgotten(cleared))


def settled(state: TriggerState, now: float) -> Decision:
    """Decide about a flapping key as time passes: over once 10 minutes brought no change."""
    if not state.flapping or _recent(state, now):
        return Decision("none", state)
    calm = replace(state, flapping=False, cycles=())
    return Decision("none", calm) if state.holds else Decision("resolve", _forgotten(calm))


def _forgotten(state: TriggerState) -> TriggerState:
    """Return a resolved key's memory: what fires again after a resolved message goes at once."""
    return replace(
        state,
        alert="",
        ended=state.alert,
        told_band=0,
        told_rank=0,
        quiet_until=float("-inf"),
        **UNCOUNTED,
        acknowledged=False,
        chase=None,
        peak=None,
    )


def _told(state: TriggerState, finding: Finding, now: float, debounce_s: float) -> TriggerState:
    return replace(
        state,
        told_band=max(state.told_band, finding.band),
        told_rank=max(state.told_rank, RANK[finding.severity]),
        quiet_until=now + debounce_s,
        **UNCOUNTED,
        peak=_peak(state, finding),
        holds=True,
    )


def _recent(state: TriggerState, now: float) -> tuple[float, ...]:
    return tuple(at for at in state.cycles if at > now - FLAP_WINDOW_S)


def _counted(state: TriggerState, finding: Finding, now: float) -> TriggerState:
    worst, said = state.worst, state.worst_said
    if finding.value is not None and (worst is None or finding.value > worst):
        worst, said = finding.value, finding.title
    since = state.counted_since if state.suppressed else now
    return replace(
        state,
        suppressed=state.suppressed + 1,
        worst=worst,
        worst_said=said,
        counted_since=since,
    )

"""The status tree: what runs, what fell, what waits. Taking it never raises and never waits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from runtime.child import Child
from runtime.spec import ChildSpec
from runtime.supervisor import Supervisor
from runtime.watch import stack

if TYPE_CHECKING:
    from runtime.slot import Slot
    from runtime.system import System


class ActorStatus(msgspec.Struct, frozen=True, tag_field="kind", tag="actor"):
    """One actor. `restarts` are those within the supervisor's window; ages are in seconds.

    `accepted == handled + quarantined + dead_lettered + mailbox` at every instant.
    """

    id: str
    name: str
    state: str
    incarnation: int
    restarts: int
    restarts_total: int
    last_error: str
    last_error_at: datetime | None
    mailbox: int
    mailbox_high: int
    mailbox_capacity: int
    in_hand: str
    in_hand_age_s: float
    accepted: int
    handled: int
    crashed: int
    quarantined: int
    dead_lettered: int
    handling_s: float
    handling: list[int]
    stack: list[str]
    since: datetime | None


class SupervisorStatus(msgspec.Struct, frozen=True, tag_field="kind", tag="supervisor"):
    """One supervisor and what is below it."""

    id: str
    name: str
    strategy: str
    state: str
    restarts: int
    restarts_total: int
    intensity: int
    period_s: float
    children: list[ActorStatus | SupervisorStatus]


class SystemStatus(msgspec.Struct, frozen=True):
    """The whole tree. `blocked` names the actor that blocks the event loop, if one does."""

    at: datetime
    root: SupervisorStatus | None
    quarantine: int
    dead_letters: int
    zombies: int
    blocked: str


def system_status(system: System) -> SystemStatus:
    """Take the tree as it stands now."""
    root = system.root
    return SystemStatus(
        at=system.clock.now(),
        root=_supervisor(root, system.clock.monotonic()) if root is not None else None,
        quarantine=system.quarantine_count,
        dead_letters=system.dead_letter_count,
        zombies=system.zombie_count,
        blocked=system.blocked,
    )


def _supervisor(place: Supervisor | Child, now: float) -> SupervisorStatus:
    """Describe a supervisor: the root, or the child that has one running, or had."""
    spec = place.spec
    assert not isinstance(spec, ChildSpec)
    child = place if isinstance(place, Child) else None
    runner = place.runner if isinstance(place, Child) else place
    children = runner.children.values() if isinstance(runner, Supervisor) else ()
    return SupervisorStatus(
        id=spec.id,
        name=place.name,
        strategy=spec.strategy,
        state=runner.state if isinstance(runner, Supervisor) else place.state,
        restarts=child.recent_restarts(now) if child is not None else 0,
        restarts_total=child.restarts_total if child is not None else 0,
        intensity=spec.intensity,
        period_s=spec.period_s,
        children=[
            _supervisor(entry, now) if entry.slot is None else _actor(entry, entry.slot, now)
            for entry in children
        ],
    )


def _actor(child: Child, slot: Slot, now: float) -> ActorStatus:
    life = slot.incarnation
    busy = life is not None and life.busy
    state = slot.state
    if child.state in ("restarting", "stopping", "stopped"):
        state = child.state
    return ActorStatus(
        id=child.id,
        name=slot.name,
        state=state,
        incarnation=slot.number,
        restarts=child.recent_restarts(now),
        restarts_total=child.restarts_total,
        last_error=slot.last_error,
        last_error_at=slot.last_error_at,
        mailbox=len(slot.box.queue),
        mailbox_high=slot.box.high,
        mailbox_capacity=slot.box.policy.capacity,
        in_hand=_in_hand(slot) if busy else "",
        in_hand_age_s=max(0.0, now - life.since) if busy and life is not None else 0.0,
        accepted=slot.box.accepted,
        handled=slot.handled,
        crashed=slot.crashed,
        quarantined=slot.quarantined,
        dead_lettered=slot.dead_lettered,
        handling_s=slot.handling_s,
        handling=slot.handling,
        stack=stack(life.coroutine) if state == "stuck" and life is not None else [],
        since=life.started_at if life is not None else None,
    )


def _in_hand(slot: Slot) -> str:
    """Name the type alone: a message may hold what a status page should not."""
    if not slot.box.queue:
        return ""
    item = slot.box.queue[0]
    return type(getattr(item, "message", item)).__name__

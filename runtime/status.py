"""The status tree: what runs, what fell, what waits. Taking it never raises and never waits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from runtime.child import Child
from runtime.supervisor import Supervisor
from runtime.watch import stack

if TYPE_CHECKING:
    from runtime.incarnation import Incarnation
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
    now = system.clock.monotonic()
    root = system.root
    return SystemStatus(
        at=system.clock.now(),
        root=_supervisor(system, root, root.spec.id, now) if root is not None else None,
        quarantine=system.quarantine_count,
        dead_letters=system.dead_letter_count,
        zombies=system.zombie_count,
        blocked=system.blocked,
    )


def _supervisor(
    system: System, supervisor: Supervisor, id_: str, now: float, child: Child | None = None
) -> SupervisorStatus:
    state = "running" if supervisor.ready else "starting"
    if supervisor.exit is not None:
        state = "stopped"
    elif supervisor.stop_requested:
        state = "stopping"
    return SupervisorStatus(
        id=id_,
        name=supervisor.name,
        strategy=supervisor.spec.strategy,
        state=state,
        restarts=child.recent_restarts(now) if child is not None else 0,
        restarts_total=child.restarts_total if child is not None else 0,
        intensity=supervisor.spec.intensity,
        period_s=supervisor.spec.period_s,
        children=[_child(system, entry, now) for entry in supervisor.children.values()],
    )


def _child(system: System, child: Child, now: float) -> ActorStatus | SupervisorStatus:
    if child.slot is not None:
        return _actor(child, child.slot, now)
    if isinstance(child.runner, Supervisor):
        return _supervisor(system, child.runner, child.id, now, child)
    spec = child.spec
    return SupervisorStatus(
        id=child.id,
        name=child.name,
        strategy=getattr(spec, "strategy", "one_for_one"),
        state=child.state,
        restarts=child.recent_restarts(now),
        restarts_total=child.restarts_total,
        intensity=getattr(spec, "intensity", 0),
        period_s=getattr(spec, "period_s", 0.0),
        children=[],
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
        stack=_stack(life) if state == "stuck" else [],
        since=life.started_at if life is not None else None,
    )


def _stack(life: Incarnation | None) -> list[str]:
    return stack(life.coroutine) if life is not None else []


def _in_hand(slot: Slot) -> str:
    """Name the type alone: a message may hold what a status page should not."""
    if not slot.box.queue:
        return ""
    item = slot.box.queue[0]
    return type(getattr(item, "message", item)).__name__

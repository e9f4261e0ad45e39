"""Administration of a supervisor at run time: OTP's calls, with OTP's answers.

Each call is an event in the supervisor's queue, so it works in the middle of a restart loop. A
call to a supervisor that does not exist fails at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.child import Child
from runtime.mailbox import Ask
from runtime.ref import Ref
from runtime.spec import AnySpec, ChildSpec, DynamicSpec, check_significant

if TYPE_CHECKING:
    from runtime.supervisor import Supervisor
    from runtime.system import System


class AdminError(Exception):
    """A call that cannot be done.

    `code`: already_started, already_present, not_found, running, restarting, invalid, children_max.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class Counts(NamedTuple):
    """OTP's counts."""

    specs: int
    active: int
    supervisors: int
    workers: int


class Started(NamedTuple):
    """A started child; `ref` is None when it declined. `info` is what the actor left there."""

    id: str
    ref: Ref[Any] | None
    info: object


class SupervisorRef:
    """The address of a supervisor: it stays valid over its restarts."""

    def __init__(self, system: System, name: str) -> None:
        self._system = system
        self.name = name

    async def start_child(self, spec: AnySpec | None = None, *args: Any) -> Started:
        """Start a child: from a specification, or from the template with these arguments."""
        return await self._call(lambda sup: _start_child(sup, spec, args))  # type: ignore[no-any-return]

    async def terminate_child(self, child_id: str) -> None:
        """Stop a child; its specification stays. Repeated is fine.

        Of a dynamic supervisor's or a temporary child nothing stays.
        """
        await self._call(lambda sup: _terminate_child(sup, child_id))

    async def restart_child(self, child_id: str) -> Started:
        """Start a stopped child again."""
        return await self._call(lambda sup: _restart_child(sup, child_id))  # type: ignore[no-any-return]

    async def delete_child(self, child_id: str) -> None:
        """Delete a stopped child's specification."""
        await self._call(lambda sup: _delete_child(sup, child_id))

    async def which_children(self) -> list[tuple[str, str]]:
        """Return (id, state) in start order."""
        return await self._call(_which_children)  # type: ignore[no-any-return]

    async def count_children(self) -> Counts:
        """Return the counts."""
        return await self._call(_count_children)  # type: ignore[no-any-return]

    async def get_childspec(self, child_id: str) -> AnySpec:
        """Return the full specification."""
        return await self._call(lambda sup: _get_childspec(sup, child_id))  # type: ignore[no-any-return]

    def kill(self) -> None:
        """Cancel the supervisor by force, as a fault test does; its parent decides what then."""
        self._live().kill()

    def _live(self) -> Supervisor:
        supervisor = self._system.supervisors.get(self.name)
        if supervisor is None or supervisor.exit is not None:
            raise self._system.gone(self.name)
        return supervisor

    async def _call(self, call: Callable[[Supervisor], Awaitable[Any]]) -> Any:
        supervisor = self._live()
        reply = Ask(None)
        supervisor.post(supervisor._answer, lambda: call(supervisor), reply)  # noqa: SLF001
        await reply.done.wait()
        if reply.error is not None:
            raise reply.error
        return reply.value


def _find(supervisor: Supervisor, child_id: str) -> Child:
    child = supervisor.children.get(child_id)
    if child is None:
        raise AdminError("not_found", f"{supervisor.name} has no child {child_id!r}")
    return child


def _started(child: Child) -> Started:
    actor = getattr(child.runner, "actor", None)
    ref = child.slot.ref if child.slot is not None and child.runner is not None else None
    return Started(child.id, ref, getattr(actor, "info", None))


async def _start_child(
    supervisor: Supervisor, spec: AnySpec | None, args: tuple[Any, ...]
) -> Started:
    if isinstance(supervisor.spec, DynamicSpec):
        if spec is not None:
            args = (spec, *args)
        if len(supervisor.children) >= supervisor.spec.children_max:
            raise AdminError("children_max", f"{supervisor.name} has {len(supervisor.children)}")
        supervisor.created += 1
        spec = supervisor.spec.template
        child_id = f"{spec.id}-{supervisor.created}"
    elif not isinstance(spec, AnySpec):
        raise AdminError("invalid", f"{supervisor.name}: {spec!r} is no specification")
    elif spec.id in supervisor.children:
        child = supervisor.children[spec.id]
        code = "already_present" if child.state == "stopped" else "already_started"
        raise AdminError(code, f"{supervisor.name} has a child {spec.id!r}")
    else:
        check_significant(spec, supervisor.spec.auto_shutdown)
        child_id = spec.id
    if isinstance(spec, ChildSpec):
        args = (*spec.args, *args)
    return _started(await _add(supervisor, spec, child_id, args))


async def _add(
    supervisor: Supervisor, spec: AnySpec, child_id: str, args: tuple[Any, ...]
) -> Child:
    """Start a new child; where it fails, keep nothing."""
    path = supervisor.path_of(child_id)
    try:
        supervisor.system.reserve(spec, path)
    except ValueError:
        supervisor.system.release(path, "it did not start")
        raise
    child = supervisor.children[child_id] = Child(supervisor, spec, child_id, args)
    error = await supervisor.start_one(child)
    declined = child.runner is None and error is None
    if error is not None or (declined and supervisor.forgets(spec)):
        supervisor.remove(child)
    if error is not None:
        raise error
    return child


async def _terminate_child(supervisor: Supervisor, child_id: str) -> None:
    if child_id not in supervisor.children and _was_here(supervisor, child_id):
        return
    child = _find(supervisor, child_id)
    await supervisor.stop_one(child, gone=True)
    if isinstance(supervisor.spec, DynamicSpec) and child.id in supervisor.children:
        supervisor.remove(child)


def _was_here(supervisor: Supervisor, child_id: str) -> bool:
    """Say whether a dynamic supervisor has given out this id."""
    if not isinstance(supervisor.spec, DynamicSpec):
        return False
    prefix, _, number = child_id.rpartition("-")
    given = number.isascii() and number.isdigit() and 1 <= int(number) <= supervisor.created
    return given and prefix == supervisor.spec.template.id


async def _restart_child(supervisor: Supervisor, child_id: str) -> Started:
    child = _stopped(supervisor, child_id)
    error = await supervisor.start_one(child)
    if error is not None:
        raise error
    return _started(child)


async def _delete_child(supervisor: Supervisor, child_id: str) -> None:
    supervisor.remove(_stopped(supervisor, child_id))


def _stopped(supervisor: Supervisor, child_id: str) -> Child:
    """Find a child that is stopped, of a supervisor that keeps such children."""
    if isinstance(supervisor.spec, DynamicSpec):
        raise AdminError("invalid", f"{supervisor.name} is dynamic: its children have no place")
    child = _find(supervisor, child_id)
    if child.state != "stopped":
        code = "restarting" if child.state == "restarting" else "running"
        raise AdminError(code, f"{child.name} is {child.state}")
    return child


async def _which_children(supervisor: Supervisor) -> list[tuple[str, str]]:
    return [(child.id, child.state) for child in supervisor.children.values()]


async def _count_children(supervisor: Supervisor) -> Counts:
    children = supervisor.children.values()
    workers = sum(isinstance(child.spec, ChildSpec) for child in children)
    specs = 1 if isinstance(supervisor.spec, DynamicSpec) else len(children)
    active = sum(child.runner is not None for child in children)
    return Counts(specs, active, len(children) - workers, workers)


async def _get_childspec(supervisor: Supervisor, child_id: str) -> AnySpec:
    if isinstance(supervisor.spec, DynamicSpec) and child_id == supervisor.spec.template.id:
        return supervisor.spec.template
    child = _find(supervisor, child_id)
    if not isinstance(supervisor.spec, DynamicSpec):
        return child.spec
    return replace(supervisor.spec.template, id=child.id, args=child.args)

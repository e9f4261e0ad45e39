"""The supervisor: one loop over an event queue, so that no restart runs inside another call.

Exits, admin calls and backoff timers are events, handled one at a time; a crash is data and no
exception crosses the task group. The semantics are OTP's; docs/runtime.md lists the departures.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio

from runtime.child import Child
from runtime.restart import Exit, Intensity, describe, expected, restarts
from runtime.spec import ChildSpec, DynamicSpec
from runtime.timers import Agenda

if TYPE_CHECKING:
    from runtime.incarnation import Incarnation, Parent
    from runtime.spec import AnySpec, AnySupervisor, Shutdown
    from runtime.system import System

SHUTDOWN = Exit("shutdown")
EVENTS_PER_TURN = 256


class StartFailed(Exception):
    """A supervisor could not start: `child` (a path) failed, and the cause is chained."""

    def __init__(self, child: str, cause: BaseException | None) -> None:
        super().__init__(f"{child} failed to start: {describe(cause) if cause else 'killed'}")
        self.child = child
        self.__cause__ = cause


class Supervisor:
    """One life of a supervisor. Its children's slots live in the system and outlast it."""

    def __init__(self, system: System, spec: AnySupervisor, path: str, parent: Parent) -> None:
        self.system = system
        self.spec = spec
        self.path = path
        self.name = spec.name or path or spec.id
        self.parent = parent
        self.ready = False
        self.exit: Exit | None = None
        self.stop_requested = False
        self.children: dict[str, Child] = {}
        self.intensity = Intensity(spec.intensity, spec.period_s)
        self.created = 0
        self.scope = anyio.CancelScope()
        self._ending: Exit | None = None
        self._agenda: Agenda[tuple[list[Child], object]] = Agenda()
        self._events: deque[tuple[Callable[..., Awaitable[None]], tuple[Any, ...]]] = deque()
        self._bell = anyio.Event()
        system.supervisors[self.name] = self

    # ------------------------------------------------------------ asked from outside

    @property
    def state(self) -> str:
        """One word for people."""
        if self.exit is not None:
            return "stopped"
        if self.stop_requested:
            return "stopping"
        return "running" if self.ready else "starting"

    def request_stop(self, grace: Shutdown) -> None:
        """Ask it to stop its children in reverse order, and end. The asker watches the grace."""
        self.stop_requested = True
        if grace == "brutal_kill":
            self.kill()
        self._bell.set()

    def kill(self) -> None:
        """Cancel it by force, even while it stops; its children go along."""
        self.scope.cancel()
        for child in self.children.values():
            child.kill()

    def post(self, handler: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Put an event into the queue."""
        self._events.append((handler, args))
        self._bell.set()

    def path_of(self, child_id: str) -> str:
        """Return the path of a child."""
        return f"{self.path}/{child_id}" if self.path else child_id

    def nested(self, child: Child) -> Supervisor:
        """Build a supervisor below this one."""
        assert not isinstance(child.spec, ChildSpec)
        return Supervisor(self.system, child.spec, child.path, child)

    def wake(self) -> None:
        """Ring, because something that the loop may be waiting for has changed."""
        self._bell.set()

    # ------------------------------------------------------------ its life

    async def run(self) -> None:
        """Start the children, handle events until the end, stop the children."""
        exit_ = Exit("killed")
        try:
            try:
                with self.scope:
                    exit_ = await self._live()
            finally:
                await self._end_children(by_force=self.scope.cancel_called)
            if self.scope.cancel_called:
                exit_ = Exit("killed")
        finally:
            self._finish(exit_)

    async def _live(self) -> Exit:
        failure = None if self.stop_requested else await self._start_all()
        if failure is not None or self.stop_requested:
            return SHUTDOWN if failure is None else Exit("abnormal", failure)
        self.ready = True
        self.parent.on_ready()
        handled = 0
        while not self.stop_requested and self._ending is None:
            if self._agenda.next_at < math.inf:
                for restart in self._agenda.due(anyio.current_time()):
                    self.post(self._try_start, *restart)
            if not self._events:
                await self._hear(self._agenda.next_at)
                continue
            await self._handle_one()
            handled += 1
            if handled % EVENTS_PER_TURN == 0:
                await anyio.lowlevel.checkpoint()
        return self._ending or SHUTDOWN

    async def _hear(self, deadline: float) -> None:
        """Wait for the bell, at most until then. A scope costs more than the wait."""
        self._bell = anyio.Event()
        if deadline == math.inf:
            await self._bell.wait()
            return
        with anyio.CancelScope(deadline=deadline):
            await self._bell.wait()

    async def _start_all(self) -> StartFailed | None:
        for spec in self.spec.children:
            path = self.path_of(spec.id)
            error: BaseException | None
            try:
                args = spec.args if isinstance(spec, ChildSpec) else ()
                child = self.children[spec.id] = Child(self, spec, spec.id, args)
                error = await self.start_one(child)
            except ValueError as taken:  # deleted once, and its name given to another since
                error = taken
            if self.stop_requested:
                return None
            if error is not None:
                self.system.report("start_error", spec.name or path, error)
                return StartFailed(path, error)
        return None

    async def _handle_one(self) -> None:
        """Keep no name for the event in the loop that waits: it would keep a dead child alive."""
        handler, args = self._events.popleft()
        await handler(*args)

    async def _end_children(self, *, by_force: bool) -> None:
        with anyio.CancelScope(shield=True):
            children = list(reversed(self.children.values()))
            if isinstance(self.spec, DynamicSpec) and not by_force:
                for child in children:
                    child.request_stop()
            for child in children:
                if by_force:
                    child.kill()
                await self.stop_one(child)

    def _finish(self, exit_: Exit) -> None:
        while self._events:  # callers still waiting get an answer
            handler, args = self._events.popleft()
            if handler == self._answer:
                args[1].fail(self.system.gone(self.name))
        if self.system.supervisors.get(self.name) is self:
            del self.system.supervisors[self.name]
        keep = {spec.id for spec in self.spec.children}
        for child in self.children.values():
            if child.id not in keep:
                child.release("its supervisor ended")
        self.exit = exit_
        self.parent.on_exit(self, exit_)

    # ------------------------------------------------------------ starting and stopping a child

    async def start_one(self, child: Child) -> BaseException | None:
        """Start one child and wait until it is ready; return why it is not."""
        runner = child.spawn()
        await anyio.lowlevel.checkpoint()  # most have started by the next turn: no timer for them
        limit_s = child.spec.start_within_s if isinstance(child.spec, ChildSpec) else math.inf
        deadline = anyio.current_time() + limit_s
        while not runner.ready and runner.exit is None and not self.stop_requested:
            await self._hear(deadline)
            if anyio.current_time() >= deadline:
                break
        if runner.ready:
            child.running()
            self.system.report("started", child.name, None)
            return None
        if runner.exit is None:
            await self.stop_one(child)
            if self.stop_requested:
                return self.system.gone(self.name)
            return TimeoutError(f"not started within {limit_s} s")
        child.runner = None
        child.state = "stopped"
        if runner.exit.ending == "ignored":
            return None
        return runner.exit.error or RuntimeError(f"ended while starting: {runner.exit}")

    async def stop_one(self, child: Child, *, gone: bool = False) -> None:
        """Stop one child, wait for its end, report a bad one. `gone` drops a temporary child."""
        runner = child.runner
        if runner is not None:
            if runner.exit is None:
                child.state = "stopping"
                if not runner.stop_requested:
                    runner.request_stop(child.spec.shutdown)
                if not await self._ended(child, runner):
                    self.system.report("zombie", child.name, None)
            exit_ = runner.exit
            if exit_ is not None and not expected(child.spec.restart, child.spec.shutdown, exit_):
                self.system.report("shutdown_error", child.name, exit_.error or exit_)
        child.runner = None  # not before: it shows in the status, and dies with this supervisor
        child.state = "stopped"
        if gone and child.spec.restart == "temporary":
            self.remove(child)

    async def _ended(self, child: Child, runner: Incarnation | Supervisor) -> bool:
        """Wait for the end, by force after the grace; false when force does not help either."""
        if await self._ends_within(runner, child.grace_s()):
            return True
        runner.kill()
        return await self._ends_within(runner, self.system.zombie_after_s)

    async def _ends_within(self, runner: Incarnation | Supervisor, limit_s: float) -> bool:
        deadline = anyio.current_time() + limit_s
        while runner.exit is None:
            await self._hear(deadline)
            if runner.exit is None and anyio.current_time() >= deadline:
                return False
        return True

    def forgets(self, spec: AnySpec) -> bool:
        """Say whether a child that has ended leaves nothing behind."""
        return spec.restart == "temporary" or isinstance(self.spec, DynamicSpec)

    def remove(self, child: Child) -> None:
        """Drop a child that has ended, with its specification and slot."""
        del self.children[child.id]
        child.release("its supervisor removed it")

    # ------------------------------------------------------------ exits and restarts

    def exited(self, child: Child, runner: Incarnation | Supervisor, exit_: Exit) -> None:
        """Take note that a child ended; called from its own task."""
        if child.runner is runner and runner.ready:
            self.post(self._on_exit, child, runner, exit_)
        else:
            self.wake()

    async def _on_exit(self, child: Child, runner: Any, exit_: Exit) -> None:
        if child.runner is not runner:
            return  # stopped in the meantime by a group's restart or an admin call
        child.runner = None
        if exit_.ending in ("abnormal", "killed"):
            self.system.report("child_terminated", child.name, exit_.error or exit_)
        if restarts(child.spec.restart, exit_.ending):
            await self._restart(child, counts=not exit_.redelivers)
            return
        child.state = "stopped"
        if self.forgets(child.spec):
            self.remove(child)
        if child.spec.significant:
            self._significant_ended()

    def _significant_ended(self) -> None:
        rule = self.spec.auto_shutdown
        others = any(c.spec.significant and c.state != "stopped" for c in self.children.values())
        if rule == "any_significant" or (rule == "all_significant" and not others):
            self.system.report("auto_shutdown", self.name, None)
            self._ending = SHUTDOWN

    async def _restart(self, child: Child, *, counts: bool = True) -> None:
        now = self.system.clock.monotonic()
        if counts and self.intensity.exceeded(now):
            self.system.report("gave_up", self.name, None)
            child.state = "stopped"
            self._ending = SHUTDOWN
            return
        child.state = "restarting"
        child.note_restart(now)
        group = self._group(child)
        token = object()
        for member in reversed(group):
            if member is not child:
                await self.stop_one(member, gone=True)
            member.state = "restarting"
            member.restart_token = token
        delay_s = child.backoff_s(now, self.system.random.random())
        if delay_s:
            self._agenda.add(anyio.current_time() + delay_s, (group, token))
        else:
            self.post(self._try_start, group, token)

    def _group(self, child: Child) -> list[Child]:
        """Return what restarts together with this child, in start order."""
        if self.spec.strategy == "one_for_one":
            return [child]
        every = list(self.children.values())
        return every if self.spec.strategy == "one_for_all" else every[every.index(child) :]

    async def _try_start(self, group: list[Child], token: object) -> None:
        for member in group:
            stale = member.restart_token is not token or member.state != "restarting"
            if stale or self.children.get(member.id) is not member:
                continue  # terminated, deleted, or taken along by a wider restart since
            error = await self.start_one(member)
            if self.stop_requested:
                return
            if error is not None:
                self.system.report("start_error", member.name, error)
                await self._restart(member)
                return

    # ------------------------------------------------------------ admin calls

    async def _answer(self, call: Callable[..., Awaitable[Any]], reply: Any) -> None:
        try:
            reply.answer(await call())
        except Exception as error:  # noqa: BLE001 - the caller's error, not the supervisor's
            reply.fail(error)
        except BaseException:
            reply.fail(self.system.gone(self.name))
            raise

    def __repr__(self) -> str:
        recent = self.intensity.recent(self.system.clock.monotonic())
        restarts = f"restarts={recent}/{self.spec.intensity}"
        return f"<Supervisor {self.name} {self.state.upper()} {restarts}>"

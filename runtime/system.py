"""A system: one tree of supervised actors, its names, timers, dead letters and quarantine."""

from __future__ import annotations

import logging
import math
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from datetime import datetime
from traceback import format_exception
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import msgspec

from runtime.admin import SupervisorRef
from runtime.clock import Clock, SystemClock
from runtime.incarnation import Stuck
from runtime.ref import NoSuchActor, Ref
from runtime.restart import SHOWN_CHARS_MAX, Exit, describe, encodable, shown
from runtime.slot import Slot
from runtime.spec import DynamicSpec, SupervisorSpec
from runtime.status import SystemStatus, system_status
from runtime.supervisor import StartFailed, Supervisor
from runtime.timers import Timers
from runtime.watch import LoopWatch

if TYPE_CHECKING:
    from runtime.spec import AnySpec, ChildSpec

KEPT_MAX = 1_000  # dead letters and quarantined messages kept for ops to read
LOOK_APART_S = 0.1  # a stuck message is reported at most this late


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that will never be handled. `message` is its bounded repr."""

    at: datetime
    actor: str
    reason: str
    message: str


class Quarantined(msgspec.Struct, frozen=True):
    """A message that crashed its actor too often, with the last traceback."""

    at: datetime
    actor: str
    message: str
    crashes: int
    traceback: str


class Reported(msgspec.Struct, frozen=True):
    """Something that a supervisor has to say.

    `kind`: started, start_error, child_terminated, shutdown_error, stopping_failed, gave_up,
    auto_shutdown, zombie, stuck, blocked, quarantined, dead_letter. `detail` is bounded.
    """

    kind: str
    name: str
    detail: str


class System:
    """Runs a tree: `async with System(spec) as system`. Leaving the block stops it.

    A `stop()` while it starts ends that start, and the block is entered with the tree ended.

    `report` is called with each `Reported`, `on_quarantine` with the record of each quarantined
    message and the message itself; neither may block, and what they raise is only logged.
    `blocked_after_s` starts the thread that watches the event loop.
    Raises StartFailed where a child of the tree does not start.
    """

    def __init__(
        self,
        root: SupervisorSpec | DynamicSpec,
        *,
        clock: Clock | None = None,
        seed: int | None = None,
        report: Callable[[Reported], None] | None = None,
        on_quarantine: Callable[[Quarantined, Any], None] | None = None,
        blocked_after_s: float | None = None,
        zombie_after_s: float = 5.0,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.random = random.Random(seed)  # noqa: S311 - jitter, not a secret
        self.timers = Timers()
        self.zombie_after_s = zombie_after_s
        self.supervisors: dict[str, Supervisor] = {}
        self.root: Supervisor | None = None
        self.dead_letters: deque[DeadLetter] = deque(maxlen=KEPT_MAX)
        self.quarantined: deque[Quarantined] = deque(maxlen=KEPT_MAX)
        self.dead_letter_count = 0
        self.quarantine_count = 0
        self.zombie_count = 0
        self.stop_asked = False
        self.at_stop: set[Callable[[], None]] = set()
        self._spec = root
        self._report = report
        self._on_quarantine = on_quarantine
        self._slots: dict[str, Slot] = {}
        self._names: dict[str, Slot] = {}
        self._supervisor_paths: dict[str, str] = {}
        self._changed = anyio.Event()
        self._watch: LoopWatch | None = None
        self._blocked_after_s = blocked_after_s
        self._shortest_stuck_s = math.inf
        self._look = anyio.Event()

    # ------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        self._context = copy_context()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._changed = anyio.Event()
        try:
            self.reserve(self._spec, "")
            self.root = Supervisor(self, self._spec, "", self)
            self.spawn(self.timers.run)
            self.spawn(self._look_around)
            if self.stop_asked:
                self.root.request_stop("infinity")
            self.spawn(self.root.run)
            while not self.root.ready and self.root.exit is None:
                await self._changed.wait()
            self._need_started(self.root)
        except BaseException:
            await self._leave()
            raise
        return self

    def _need_started(self, root: Supervisor) -> None:
        if root.exit is not None and not self.stop_asked:
            raise root.exit.error or StartFailed(self._spec.id, None)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.stop()
        finally:
            await self._leave()

    async def _leave(self) -> None:
        if self._watch is not None:
            self._watch.stop()
        self._tasks.cancel_scope.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:  # cancelled itself, too
            for path in list(self._slots):
                self.release(path, "the system ended")

    async def wait(self) -> Exit:
        """Wait until the root supervisor ends, by request or because it gave up."""
        assert self.root is not None
        while self.root.exit is None:
            await self._changed.wait()
        return self.root.exit

    async def stop(self) -> None:
        """Stop every actor in reverse order, each within its grace.

        What is in `at_stop` is called first: a wait in an actor's hand may so cut itself short.
        """
        self.stop_asked = True
        for hurry in list(self.at_stop):
            hurry()
        if self.root is not None:
            self.root.request_stop("infinity")
            await self.wait()

    def on_ready(self) -> None:
        """Take note that the root has started."""
        self._announce()

    def on_exit(self, runner: Supervisor, exit_: Exit) -> None:  # noqa: ARG002 - a Parent's
        """Take note that the root has ended."""
        self._announce()

    def _announce(self) -> None:
        """Wake all who wait for a change; the next ones wait for the next."""
        self._changed.set()
        self._changed = anyio.Event()

    # ------------------------------------------------------------ asked by everyone

    def ref(self, name: str) -> Ref[Any]:
        """Return the address of a registered actor. Raises NoSuchActor."""
        slot = self._names.get(name)
        if slot is None:
            raise self.gone(name)
        return slot.ref

    def supervisor(self, name: str) -> SupervisorRef:
        """Return a supervisor's administration calls; by its name, or its path."""
        return SupervisorRef(self, name)

    def status(self) -> SystemStatus:
        """Take the status tree."""
        return system_status(self)

    @property
    def blocked(self) -> str:
        """Who blocks the event loop, as the watching thread last saw it."""
        return self._watch.blocked if self._watch is not None else ""

    # ------------------------------------------------------------ asked by the runtime

    def spawn(self, func: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        """Run a task in the context of whoever entered the system: a teller's stays its own."""
        self._context.copy().run(self._tasks.start_soon, func, *args)

    def reserve(self, spec: AnySpec, path: str) -> None:
        """Make every name of a tree resolve before anything starts: messages to it wait.

        Raises ValueError where a name is taken.
        """
        if not isinstance(spec, SupervisorSpec | DynamicSpec):
            self.slot(spec, path)
            return
        name = spec.name or path or spec.id
        if self._supervisor_paths.setdefault(name, path) != path:
            raise ValueError(f"{path}: the name {name!r} is taken")
        for child in spec.children:
            self.reserve(child, f"{path}/{child.id}" if path else child.id)

    def slot(self, spec: ChildSpec, path: str) -> Slot:
        """Return the slot of that path, kept from an earlier life or new."""
        slot = self._slots.get(path)
        if slot is None:
            slot = Slot(self, spec, path)
            if slot.name in self._names:
                raise ValueError(f"{path}: the name {slot.name!r} is taken")
            self._slots[path] = self._names[slot.name] = slot
            if spec.stuck_after_s < self._shortest_stuck_s:
                self._shortest_stuck_s = spec.stuck_after_s
                self._look.set()
        return slot

    def release(self, path: str, reason: str) -> None:
        """Give up the slots at and below a path; what waits there becomes dead letters."""
        if path in self._slots:
            self._release_slot(path, reason)
            return
        for other in [other for other in self._slots if other.startswith(path + "/")]:
            self._release_slot(other, reason)
        for name, other in list(self._supervisor_paths.items()):
            if other == path or other.startswith(path + "/"):
                del self._supervisor_paths[name]

    def _release_slot(self, path: str, reason: str) -> None:
        slot = self._slots.pop(path)
        del self._names[slot.name]
        slot.close(reason)

    def gone(self, name: str) -> NoSuchActor:
        """Return the error for a name that does not resolve."""
        return NoSuchActor(f"there is no {name!r}")

    def report(self, kind: str, name: str, error: object) -> None:
        """Tell the application; never raises."""
        if kind == "zombie":
            self.zombie_count += 1
        if self._report is not None:
            detail = describe(error) if isinstance(error, BaseException) else str(error or "")
            self._tell(self._report, Reported(kind, name, detail[:SHOWN_CHARS_MAX]))

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except Exception:  # the application's fault must not take the tree along
            logging.getLogger(__name__).exception("a callback of the application failed")

    def dead_letter(self, actor: str, message: Any, reason: str) -> None:
        """Keep a message that will never be handled, for ops to read."""
        self.dead_letter_count += 1
        self.dead_letters.append(DeadLetter(self.clock.now(), actor, reason, shown(message)))
        self.report("dead_letter", actor, reason)

    def quarantine(self, actor: str, message: Any, crashes: int, error: BaseException) -> None:
        """Keep a poison message with its traceback, and hand it to the application."""
        self.quarantine_count += 1
        trace = encodable("".join(format_exception(error))[-4 * SHOWN_CHARS_MAX :])
        kept = Quarantined(self.clock.now(), actor, shown(message), crashes, trace)
        self.quarantined.append(kept)
        if self._on_quarantine is not None:
            self._tell(self._on_quarantine, kept, message)
        self.report("quarantined", actor, error)

    # ------------------------------------------------------------ looking around

    async def _look_around(self) -> None:
        """Beat for the loop's watch, and find a stuck message when it becomes one."""
        period_s = math.inf
        if self._blocked_after_s is not None:
            self._watch = LoopWatch(self._blocked_after_s, self._loop_blocked)
            self._watch.start()
            period_s = self._blocked_after_s / 2
        while True:
            if self._watch is not None:
                self._watch.beat()
            self._look = anyio.Event()
            with anyio.move_on_after(min(period_s, self._find_stuck())):
                await self._look.wait()

    def _loop_blocked(self, who: str, seconds: float) -> None:
        self.report("blocked", who, f"the event loop has not turned for {seconds:.1f} s")

    def _find_stuck(self) -> float:
        """Report what is stuck; return the seconds until something else may be."""
        now = self.clock.monotonic()
        wait_s = math.inf
        for slot in list(self._slots.values()):
            limit_s = slot.spec.stuck_after_s
            life = slot.incarnation
            if life is None or not life.busy or life.reported_stuck:
                wait_s = min(wait_s, limit_s)
                continue
            age_s = now - life.since
            if age_s < limit_s:
                wait_s = min(wait_s, limit_s - age_s)
                continue
            wait_s = min(wait_s, limit_s)
            life.reported_stuck = True
            stuck = Stuck(f"a message is in hand for {age_s:.1f} s")
            self.report("stuck", slot.name, stuck)
            if slot.spec.kill_stuck:
                life.fail(stuck)
        return max(wait_s, LOOK_APART_S)

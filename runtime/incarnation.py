"""One life of an actor: built, started, fed from the slot's mailbox, stopped, reported.

It has a task only while it has something to do: at an empty mailbox it sleeps, and whoever puts a
message in wakes it. A crash is data: it ends as an `Exit`, and no exception but cancellation
leaves `run`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from runtime.actor import Actor, Context, Down, Ignore, Stop
from runtime.linked import Linked, StrayCancellation, cancelled_from_outside
from runtime.mailbox import OWN, Ask, Cell, DeathNotice
from runtime.ref import Declined, Ref
from runtime.restart import Exit
from runtime.slot import HANDLING_BUCKETS_S
from runtime.timers import Timer
from runtime.watch import current_coroutine

if TYPE_CHECKING:
    from datetime import datetime

    from runtime.slot import Slot
    from runtime.spec import Shutdown
    from runtime.system import System

KILLED = Exit("killed")
SHUTDOWN = Exit("shutdown")
TIMERS_TIDIED = 64  # from here on, dead timers are dropped when a new one is set
CHECKPOINT_EVERY = 128  # messages: a busy actor lets its siblings run this often
LINGERS = 2  # turns of the loop at an empty mailbox before it sleeps: who was answered asks again
TURN_S = 0.002  # or after this long, where they are no quick ones
QUICK_S = HANDLING_BUCKETS_S[0]


class Stuck(Exception):
    """A message was in hand for longer than `stuck_after_s`, and the child asks to be killed."""


class Parent(Protocol):
    """Who is told of a life's turns; neither call may wait."""

    def on_ready(self) -> None:
        """It has started."""

    def on_exit(self, runner: Any, exit_: Exit) -> None:
        """It has ended; called once, from its own task."""


@dataclass(slots=True, eq=False, repr=False)
class Incarnation:
    """One life."""

    slot: Slot
    args: tuple[Any, ...]
    parent: Parent
    system: System = field(init=False)
    number: int = field(init=False)
    started_at: datetime = field(init=False)
    actor: Actor[Any] | None = None
    ready: bool = False
    exit: Exit | None = None
    busy: bool = False
    fenced: bool = False  # a zombie: what it still does is no longer the slot's business
    since: float = 0.0
    reported_stuck: bool = False
    stop_requested: bool = False
    coroutine: Any = None
    _scope: anyio.CancelScope | None = None
    _close_scope: anyio.CancelScope | None = None
    _deadline: float = math.inf
    _cut: bool = False
    _killed: bool = False
    _failure: BaseException | None = None
    _linked: Linked | None = None
    _timers: list[Timer] | None = None

    def __post_init__(self) -> None:
        slot = self.slot
        if slot.incarnation is not None:
            slot.incarnation.fenced = True
        slot.incarnation = self
        slot.number += 1
        self.number = slot.number
        self.system = slot.system
        self.started_at = self.system.clock.now()

    # ------------------------------------------------------------ asked from outside

    def wake(self) -> None:
        """Go on in a task, where it sleeps."""
        if self._sleeps():
            self.slot.box.sleeper = None
            self.system.spawn(self.run)

    def request_stop(self, grace: Shutdown) -> None:
        """Ask it to end: the message in hand and `stopping()` share the grace."""
        self.stop_requested = True
        if grace == "brutal_kill":
            self.kill()
            return
        if grace != "infinity":
            self._deadline = anyio.current_time() + float(grace)
            if self._scope is not None:
                self._scope.deadline = self._deadline
        if not self.ready:
            self._cancel()
        if self._sleeps() and self._leaves_nothing():
            self.slot.box.sleeper = None
            self._finish(SHUTDOWN)
        self.wake()

    def kill(self) -> None:
        """Cancel by force, without `stopping()`."""
        self._killed = True
        self._cancel()
        if self._close_scope is not None:
            self._close_scope.cancel()

    def fail(self, error: BaseException) -> None:
        """Crash it from beside: a linked task failed, or its message is stuck."""
        if self._failure is None:
            self._failure = error
        self._cancel()

    def _sleeps(self) -> bool:
        return self.slot.box.sleeper is self

    def _leaves_nothing(self) -> bool:
        """Say whether its end takes no task: thousands then end without as many tasks at once."""
        actor, linked = self.actor, self._linked
        return actor is not None and linked is None and type(actor).stopping is Actor.stopping

    def _cancel(self) -> None:
        self._cut = True
        if self._scope is not None:
            self._scope.cancel()
        self.wake()

    # ------------------------------------------------------------ asked by the actor

    def timer(self, delay_s: float, message: Any, period_s: float | None) -> Timer:
        """Schedule a message to this incarnation."""
        if not 0 <= delay_s < math.inf or (period_s is not None and not 0 < period_s < math.inf):
            raise ValueError(f"timer: need finite positive seconds, got {delay_s}, {period_s}")
        timer = Timer(self, anyio.current_time() + delay_s, message, period_s)
        if self._timers is None:
            self._timers = []
        elif len(self._timers) >= TIMERS_TIDIED:
            self._timers = [t for t in self._timers if t.alive]
        self._timers.append(timer)
        self.system.timers.add(timer)
        return timer

    def link(self, func: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        """Start a task whose fate is this incarnation's."""
        if self._linked is None:
            self._linked = Linked(self.fail)
        self.system.spawn(self._linked.add(func, args))

    def watch(self, ref: Ref[Any]) -> None:
        """Ask for `Down`; at once when that actor does not run."""
        other = ref._slot  # noqa: SLF001 - the runtime's own
        if other.incarnation is None:
            self.slot.box.force(DeathNotice(Down(other.name, "not running")))
        elif other.monitors is None:
            other.monitors = {self.slot: self}
        else:
            other.monitors[self.slot] = self

    # ------------------------------------------------------------ its life

    async def run(self) -> None:
        """Do what there is to do, then sleep; or end, and report how."""
        exit_: Exit | None = KILLED
        self.coroutine = current_coroutine()
        try:
            try:
                exit_ = await self._turn()
            finally:
                if exit_ is not None:
                    exit_ = await self._close(exit_)
        finally:
            self.coroutine = None
            if exit_ is None:
                self.slot.box.sleeper = self
            else:
                self._finish(exit_)

    async def _turn(self) -> Exit | None:
        if self._cut:  # while it slept, or before it began
            return self._cancelled()
        try:
            with anyio.CancelScope(deadline=self._deadline) as self._scope:
                exit_ = await self._live()
                if exit_ is not None or not self._cut:
                    return exit_
        except anyio.get_cancelled_exc_class():
            if cancelled_from_outside():
                raise
            return self._crashed(StrayCancellation("in the actor's own code"))
        except Exception as error:  # noqa: BLE001 - what a group held beside a cancellation
            self.system.report("stopping_failed", self.slot.name, error)
        finally:
            self._scope = None
        return self._cancelled()

    def _cancelled(self) -> Exit:
        if self._failure is None or self._killed:
            self._killed = True
            return KILLED
        if isinstance(self._failure, Stuck):
            return self._crashed(self._failure)
        self.slot.failed(self._failure)
        return Exit("abnormal", self._failure)

    async def _live(self) -> Exit | None:
        try:
            if self.actor is None:
                await self._start()
        except Ignore:
            return Exit("ignored")
        except Exception as error:  # noqa: BLE001 - a failed start is data for the supervisor
            self.slot.failed(error)
            return Exit("abnormal", error)
        try:
            return await self._receive_all()
        except Stop as stop:
            return self._stopped_itself(stop)
        except Exception as error:  # noqa: BLE001 - a crash is data for the supervisor
            return self._crashed(error)

    async def _start(self) -> None:
        actor = self.slot.spec.start(*self.args)
        if not isinstance(actor, Actor):
            raise TypeError(f"start gave {type(actor).__name__}, which is no Actor")
        actor.ctx = Context(self)
        await actor.started()
        self.actor = actor
        self.ready = True
        self.parent.on_ready()

    async def _receive_all(self) -> Exit | None:
        """Handle until the mailbox is empty, then return None; or until it is to end."""
        box = self.slot.box
        idle = LINGERS
        while not (self.stop_requested or self.fenced):
            if box.queue:
                await self._receive_some(min(len(box.queue), CHECKPOINT_EVERY))
                idle = 0
            elif idle < LINGERS:
                idle += 1
            else:
                return None
            await anyio.lowlevel.checkpoint()
        return SHUTDOWN

    async def _receive_some(self, count: int) -> None:
        slot, actor = self.slot, self.actor
        box = slot.box
        queue = box.queue
        monotonic = self.system.clock.monotonic
        again = slot.attempts > 0
        self.busy = box.in_hand = True
        first = began = self.since = monotonic()
        assert actor is not None
        try:
            for _ in range(count):
                item = queue[0]
                try:
                    if box.special:
                        await self._receive_special(actor, item)
                    else:
                        await actor.receive(item)
                except Declined as refusal:
                    if type(item) is Ask:
                        item.fail(refusal)
                if self.fenced:
                    return
                now = monotonic()
                seconds = now - began
                began = self.since = now
                if box.special or again or seconds > QUICK_S:
                    slot.acknowledge(seconds)
                    box.in_hand, again = True, False
                    if now - first > TURN_S:
                        break
                else:  # the same, inlined: its calls cost half a message
                    slot.handled += 1
                    queue.popleft()
                if self.stop_requested:
                    break
            self.busy = box.in_hand = self.reported_stuck = False
        finally:
            slot.handling_s += began - first

    async def _receive_special(self, actor: Actor[Any], item: Any) -> None:
        kind = type(item)
        if kind is Ask:
            item.answer(await actor.receive(item.message))
        elif kind is Cell:
            await actor.receive(self.slot.box.head())
        elif kind is DeathNotice:
            await actor.down(item.down)
        elif kind is Timer:
            item.waiting = False
            if item.alive and item.incarnation is self:
                item.alive = item.period_s is not None
                await actor.receive(item.message)
        else:
            await actor.receive(item)

    def _stopped_itself(self, stop: Stop) -> Exit:
        if self.busy and not self.fenced:
            item = self.slot.box.queue[0]
            if type(item) is Ask:
                item.answer(None)
            self.slot.acknowledge(0.0)
        return Exit(stop.ending)

    def _crashed(self, error: Exception) -> Exit:
        slot = self.slot
        slot.failed(error)
        if not self.busy or self.fenced:
            return Exit("abnormal", error)
        if type(slot.box.queue[0]) in OWN:
            slot.acknowledge(0.0)  # a tick belongs to this life; the next one sets its own
            return Exit("abnormal", error)
        again = slot.attempts > 0
        slot.crashed_on_head(error)
        return Exit("abnormal", error, redelivers=again)

    # ------------------------------------------------------------ its end

    async def _close(self, exit_: Exit) -> Exit:
        if self.actor is not None and not self._killed:
            error = await self._tidy(self.actor)
            if error is not None:  # it must not stop a restart
                self.system.report("stopping_failed", self.slot.name, error)
            if exit_.ending == "shutdown":
                if error is not None:
                    exit_ = Exit("abnormal", error)
                elif self._close_scope is not None and self._close_scope.cancelled_caught:
                    exit_ = KILLED
        if self._linked is not None and not await self._linked.end(self.system.zombie_after_s):
            self.system.report("zombie", self.slot.name, None)
        return exit_

    async def _tidy(self, actor: Actor[Any]) -> Exception | None:
        if type(actor).stopping is Actor.stopping:
            return None  # a scope costs more than the rest of an end
        deadline = self._deadline
        shutdown = self.slot.spec.shutdown
        if deadline == math.inf and shutdown != "infinity":
            grace_s = 0.0 if shutdown == "brutal_kill" else shutdown
            deadline = anyio.current_time() + grace_s
        try:
            with anyio.CancelScope(shield=True, deadline=deadline) as self._close_scope:
                await actor.stopping()
        except Exception as error:  # noqa: BLE001 - for the report
            return error
        except anyio.get_cancelled_exc_class():
            return StrayCancellation("in stopping")
        return None

    def _finish(self, exit_: Exit) -> None:
        slot = self.slot
        self.exit = exit_
        self.busy = False
        self.actor = None
        for timer in self._timers or ():
            timer.alive = False
        if slot.incarnation is self:
            slot.incarnation = None
            monitors, slot.monitors = slot.monitors, None
            for watcher, incarnation in (monitors or {}).items():
                if watcher.incarnation is incarnation:
                    watcher.box.force(DeathNotice(Down(slot.name, str(exit_))))
        self.parent.on_exit(self, exit_)

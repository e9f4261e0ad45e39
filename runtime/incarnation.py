"""One life of an actor: built, started, fed from the slot's mailbox, stopped, reported.

A crash is data: it ends as an `Exit`, and no exception but cancellation leaves `run`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio

from runtime.actor import Actor, Context, Down, Ignore, Stop
from runtime.linked import Linked, StrayCancellation, cancelled_from_outside
from runtime.mailbox import FIRST_BUCKET_S, Ask, Cell
from runtime.ref import Declined, Ref
from runtime.restart import Exit
from runtime.timers import Timer
from runtime.watch import current_coroutine

if TYPE_CHECKING:
    from runtime.slot import Slot
    from runtime.spec import Shutdown
    from runtime.system import System

KILLED = Exit("killed")
TIMERS_TIDIED = 64  # from here on, dead timers are dropped when a new one is set
CHECKPOINT_EVERY = 128  # messages: a busy actor lets its siblings run this often


class Stuck(Exception):
    """A message was in hand for longer than `stuck_after_s`, and the child asks to be killed."""


class Incarnation:
    """One life. `on_ready` and `on_exit` are called once each, without waiting."""

    __slots__ = (
        "_close_scope",
        "_deadline",
        "_failure",
        "_killed",
        "_linked",
        "_timers",
        "actor",
        "args",
        "busy",
        "coroutine",
        "exit",
        "fenced",
        "number",
        "on_exit",
        "on_ready",
        "ready",
        "reported_stuck",
        "scope",
        "since",
        "slot",
        "started_at",
        "stop_requested",
        "system",
    )

    def __init__(
        self,
        slot: Slot,
        args: tuple[Any, ...],
        on_ready: Callable[[], None],
        on_exit: Callable[[Incarnation, Exit], None],
    ) -> None:
        slot.number += 1
        if slot.incarnation is not None:
            slot.incarnation.fenced = True
        slot.incarnation = self
        self.slot = slot
        self.system: System = slot.system
        self.number = slot.number
        self.args = args
        self.on_ready = on_ready
        self.on_exit = on_exit
        self.actor: Actor[Any] | None = None
        self.ready = False
        self.exit: Exit | None = None
        self.busy = False
        self.fenced: bool = False  # a zombie: what it still does is no longer the slot's business
        self.since = 0.0
        self.reported_stuck = False
        self.stop_requested = False
        self.started_at = self.system.clock.now()
        self.scope = anyio.CancelScope()
        self.coroutine: Any = None
        self._close_scope: anyio.CancelScope | None = None
        self._deadline = math.inf
        self._failure: BaseException | None = None
        self._killed = False
        self._linked: Linked | None = None
        self._timers: list[Timer] | None = None

    # ------------------------------------------------------------ asked from outside

    def request_stop(self, grace: Shutdown) -> None:
        """Ask it to end: the message in hand and `stopping()` share the grace."""
        self.stop_requested = True
        if grace == "brutal_kill":
            self.kill()
            return
        if grace != "infinity":
            self._deadline = anyio.current_time() + float(grace)
            self.scope.deadline = self._deadline
        if not self.ready:
            self.scope.cancel()
        self.slot.box.poke()

    def kill(self) -> None:
        """Cancel by force, without `stopping()`."""
        self._killed = True
        self.scope.cancel()
        if self._close_scope is not None:
            self._close_scope.cancel()

    def fail(self, error: BaseException) -> None:
        """Crash it from beside: a linked task failed, or its message is stuck."""
        if self._failure is None:
            self._failure = error
        self.scope.cancel()

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
            self.slot.box.force(Down(other.name, "not running"))
        else:
            other.monitors[self.slot] = self

    # ------------------------------------------------------------ its life

    async def run(self) -> None:
        """Live, then report how it ended."""
        exit_ = KILLED
        self.coroutine = current_coroutine()
        try:
            try:
                exit_ = await self._live_in_scope()
            finally:
                exit_ = await self._close(exit_)
        finally:
            self._finish(exit_)

    async def _live_in_scope(self) -> Exit:
        try:
            with self.scope:
                return await self._live()
        except anyio.get_cancelled_exc_class():
            if cancelled_from_outside():
                raise
            return self._crashed(StrayCancellation("in the actor's own code"))
        except Exception as error:  # noqa: BLE001 - what a group held beside a cancellation
            self.system.report("stopping_failed", self.slot.name, error)
        return self._cancelled()

    def _cancelled(self) -> Exit:
        if self._failure is None or self._killed:
            self._killed = True
            return KILLED
        if isinstance(self._failure, Stuck):
            return self._crashed(self._failure)
        self.slot.failed(self._failure)
        return Exit("abnormal", self._failure)

    async def _live(self) -> Exit:
        try:
            actor = self.slot.spec.start(*self.args)
            actor.ctx = Context(self)
            await actor.started()
        except Ignore:
            return Exit("ignored")
        except Exception as error:  # noqa: BLE001 - a failed start is data for the supervisor
            self.slot.failed(error)
            return Exit("abnormal", error)
        self.actor = actor
        self.ready = True
        self.on_ready()
        try:
            await self._receive_all(actor)
        except Stop as stop:
            return self._stopped_itself(stop)
        except Exception as error:  # noqa: BLE001 - a crash is data for the supervisor
            return self._crashed(error)
        return Exit("shutdown")

    async def _receive_all(self, actor: Actor[Any]) -> None:
        slot = self.slot
        box = slot.box
        queue = box.queue
        monotonic = self.system.clock.monotonic
        while not self.stop_requested:
            if not queue:
                await box.wait()
                continue
            budget = CHECKPOINT_EVERY
            began = self.since = monotonic()
            self.busy = True
            while queue and budget and not self.stop_requested:
                item = queue[0]
                if len(queue) > box.high:  # noqa: PLR1730 - the call costs a tenth of a message
                    box.high = len(queue)
                box.in_hand = True
                try:
                    if type(item) in SPECIAL:
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
                if seconds <= FIRST_BUCKET_S and not (box.forced or box.putters or slot.attempts):
                    # The common case of `_acknowledge`, inlined: its calls cost half a message.
                    slot.handled += 1
                    slot.handling[0] += 1
                    slot.handling_s += seconds
                    queue.popleft()
                    box.in_hand = False
                else:
                    self._acknowledge(seconds)
                began = self.since = now
                budget -= 1
            self.busy = self.reported_stuck = False
            await anyio.lowlevel.checkpoint()

    async def _receive_special(self, actor: Actor[Any], item: Any) -> None:
        kind = type(item)
        if kind is Cell:
            await actor.receive(self.slot.box.head())
        elif kind is Down:
            await actor.down(item)
        elif kind is Timer:
            item.waiting = False
            if item.alive and item.incarnation is self:
                item.alive = item.period_s is not None
                await actor.receive(item.message)
        else:
            item.answer(await actor.receive(item.message))

    def _acknowledge(self, seconds: float) -> None:
        slot = self.slot
        slot.attempts = 0
        slot.count(seconds)  # before it makes room: whoever comes in may be reported
        slot.box.ack()

    def _stopped_itself(self, stop: Stop) -> Exit:
        if self.busy and not self.fenced:
            item = self.slot.box.queue[0]
            if type(item) is Ask:
                item.answer(None)
            self._acknowledge(0.0)
        return Exit(stop.ending)

    def _crashed(self, error: Exception) -> Exit:
        slot = self.slot
        slot.failed(error)
        if not self.busy or self.fenced:
            return Exit("abnormal", error)
        if type(slot.box.queue[0]) in (Timer, Down):
            self._acknowledge(0.0)  # a tick belongs to this life; the next one sets its own
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
            monitors, slot.monitors = slot.monitors, {}
            for watcher, incarnation in monitors.items():
                if watcher.incarnation is incarnation:
                    watcher.box.force(Down(slot.name, str(exit_)))
        self.on_exit(self, exit_)


SPECIAL = frozenset({Ask, Cell, Down, Timer})

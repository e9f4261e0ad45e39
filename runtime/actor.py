"""What an actor is: a class that handles one message at a time, rebuilt after each crash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.incarnation import Incarnation
    from runtime.ref import Ref
    from runtime.system import System
    from runtime.timers import Timer

M = TypeVar("M")


class Ignore(Exception):
    """Raised in `started`: this child declines to run, which is no failure."""


class Stop(Exception):
    """Raised in `receive`: the message is done and the actor ends by its own will."""

    def __init__(self, ending: Literal["normal", "shutdown"] = "normal") -> None:
        super().__init__(ending)
        self.ending: Literal["normal", "shutdown"] = ending


class DeathPact(Exception):
    """A monitored actor ended and nobody handled it."""


class Down(msgspec.Struct, frozen=True):
    """To a monitor: that actor's incarnation ended. `reason` is a bounded line."""

    name: str
    reason: str


class Actor(Generic[M]):
    """Base of all actors. State set up in `started` dies with the incarnation.

    Its methods may run in different tasks, one at a time: a sleeping actor has none.
    """

    ctx: Context
    info: object = None  # handed to whoever called `start_child`

    async def started(self) -> None:
        """Prepare. An exception is a failed start; `Ignore` declines."""

    async def receive(self, message: M, /) -> Any:
        """Handle one message; what is returned answers an ask. An exception is a crash."""
        raise NotImplementedError

    async def down(self, message: Down) -> None:
        """A monitored actor ended. Unhandled, that is a failure here too."""
        raise DeathPact(f"{message.name} ended: {message.reason}")

    async def stopping(self) -> None:
        """Clean up, within the child's grace. Also after a crash; an exception is only logged."""


class Context:
    """What an actor may do, beside handling messages."""

    __slots__ = ("_incarnation",)

    def __init__(self, incarnation: Incarnation) -> None:
        self._incarnation = incarnation

    @property
    def name(self) -> str:
        """The registered name."""
        return self._incarnation.slot.name

    @property
    def ref(self) -> Ref[Any]:
        """This actor's own address."""
        return self._incarnation.slot.ref

    @property
    def clock(self) -> Clock:
        """The system's clock."""
        return self._incarnation.system.clock

    @property
    def system(self) -> System:
        """The system that runs this actor."""
        return self._incarnation.system

    @property
    def incarnation(self) -> int:
        """From 1, one more with each restart."""
        return self._incarnation.number

    @property
    def waiting(self) -> int:
        """How many messages wait behind the one in hand."""
        box = self._incarnation.slot.box
        return len(box) - box.in_hand

    @property
    def redelivered(self) -> bool:
        """Whether the message in hand crashed an earlier incarnation."""
        return self._incarnation.slot.attempts > 0

    def after(self, delay_s: float, message: Any) -> Timer:
        """Send this actor a message once; the timer dies with the incarnation."""
        return self._incarnation.timer(delay_s, message, None)

    def every(self, period_s: float, message: Any, *, first_s: float | None = None) -> Timer:
        """Send this actor a message periodically; a tick not yet handled is not repeated."""
        first_s = period_s if first_s is None else first_s
        return self._incarnation.timer(first_s, message, period_s)

    def task(self, func: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Run a linked task: it ends with the incarnation, and its failure is a crash."""
        self._incarnation.link(func, args)

    def monitor(self, ref: Ref[Any]) -> None:
        """Get `Down` once when that actor's present incarnation ends."""
        self._incarnation.watch(ref)

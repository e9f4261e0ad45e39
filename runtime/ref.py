"""A ref is an actor's address: it stays the same over restarts, and never hangs its user.

`tell` returns once the message is in the mailbox; it has no checkpoint unless the mailbox is full.
Messages to an actor that is gone for good become dead letters, they raise nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

from runtime.mailbox import UNANSWERED, Ask

if TYPE_CHECKING:
    from runtime.slot import Slot

M_contra = TypeVar("M_contra", contravariant=True)


class MailboxFull(Exception):
    """The mailbox is full and its policy refuses."""


class NoSuchActor(Exception):
    """There is no actor of that name, or not any more."""


class AskTimeout(Exception):
    """No answer within the deadline; the message may still be handled."""


class AskFailed(Exception):
    """The actor crashed on this message until it went to quarantine; the cause is chained."""


class Declined(Exception):
    """An actor's answer to an ask that it refuses; no crash."""


class Ref(Generic[M_contra]):
    """The address of an actor that takes messages of type M_contra."""

    __slots__ = ("_box", "_slot")

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._box = slot.box

    @property
    def name(self) -> str:
        """The registered name."""
        return self._slot.name

    async def tell(self, message: M_contra) -> None:
        """Put a message into the mailbox. Raises MailboxFull where the policy refuses."""
        box = self._box
        depth = len(box.queue)
        if depth < box.direct:
            box.queue.append(message)
            box.accepted += 1
            if depth >= box.high:
                box.high = depth + 1
            if box.sleeper is not None:
                box.sleeper.wake()
        elif not await box.put(message):
            raise self._full()

    def offer(self, message: M_contra) -> bool:
        """Put without waiting; false when there is no room."""
        return self._box.offer(message)

    def post(self, message: M_contra) -> None:
        """Put without waiting; what finds no room is a dead letter, counted and reported."""
        if not self._box.offer(message):
            self._box.turn_away(message, "no room")

    async def ask(self, message: M_contra, *, timeout_s: float = 5.0) -> Any:
        """Put a message and wait for what `receive` returns for it, over restarts.

        Raises AskTimeout, AskFailed, NoSuchActor, MailboxFull, or Declined as the actor raised it.
        """
        ask = Ask(message, anyio.current_time() + timeout_s)
        try:
            with_room = self._box.offer(ask)
            if not with_room:
                with anyio.move_on_after(timeout_s):
                    if not await self._box.put(ask):
                        raise self._full()
                    with_room = True
            if with_room:
                if timeout_s < math.inf:
                    self._slot.system.timers.add(ask)
                await ask.done.wait()
        finally:
            ask.alive = False
        if ask.error is not None:
            raise ask.error
        if ask.value is UNANSWERED:
            raise AskTimeout(f"{self.name}: no answer within {timeout_s} s")
        value, ask.value = ask.value, None
        return value

    def _full(self) -> MailboxFull:
        return MailboxFull(f"{self.name}: mailbox is full ({self._box.policy.capacity})")

    def __repr__(self) -> str:
        slot = self._slot
        return (
            f"<Actor {slot.name} {slot.state.upper()} restarts={max(0, slot.number - 1)}"
            f" mailbox={len(self._box)}/{self._box.policy.capacity}>"
        )

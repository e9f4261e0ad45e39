"""The mailbox: a bounded queue that keeps a message until it has been handled.

One receiver peeks at the head, handles it, then acknowledges: a crash leaves the message at the
head, and whoever restarts the receiver finds it first. Putting on the fast path has no
checkpoint; the receiver yields instead. `in == handled + quarantined + dead-lettered + pending`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal

import anyio

from runtime.actor import Down
from runtime.timers import Timer

OWN = (Timer, Down)  # the runtime's: bounded in number, over the capacity, never dropped
FIRST_BUCKET_S = 0.0001  # most messages take less: the first bucket of the handling time
WhenFull = Literal["wait", "refuse", "drop_oldest", "coalesce"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxPolicy:
    """What a mailbox holds, and what it does when full.

    `wait`: a teller waits. `refuse`: it gets `MailboxFull`. `drop_oldest`: the oldest message that
    is not in hand goes to the dead letters. `coalesce`: a message takes the place of the waiting
    one with the same `key`; with a new key it waits. Types in `never_drop` are never the victim.
    """

    capacity: int = 1024
    when_full: WhenFull = "wait"
    key: Callable[[Any], Hashable] | None = None
    never_drop: tuple[type, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.capacity, int) or self.capacity < 1:
            raise ValueError(f"mailbox capacity: need an int >= 1, got {self.capacity!r}")
        if self.when_full not in ("wait", "refuse", "drop_oldest", "coalesce"):
            raise ValueError(f"mailbox when_full: unknown policy {self.when_full!r}")
        if (self.when_full == "coalesce") != (self.key is not None):
            raise ValueError("mailbox key: needed by coalesce, and by coalesce alone")


class Cell:
    """A place in a coalescing mailbox; `message` is replaced while it waits."""

    __slots__ = ("key", "message")

    def __init__(self, key: Hashable, message: Any) -> None:
        self.key = key
        self.message = message


class Ask:
    """A message whose sender waits for the answer."""

    __slots__ = ("done", "error", "message", "value")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.done = anyio.Event()
        self.value: Any = None
        self.error: BaseException | None = None

    def answer(self, value: Any) -> None:
        """Give the answer; the asker wakes."""
        self.value = value
        self.done.set()

    def fail(self, error: BaseException) -> None:
        """Give an error instead; the asker raises it."""
        self.error = error
        self.done.set()


class Turn:
    """A teller that waits for room; whoever makes room puts its message in."""

    __slots__ = ("item", "over")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.over = anyio.Event()


def content(item: Any) -> Any:
    """Return the message itself, without the cell or the question around it."""
    return item.message if type(item) in (Ask, Cell) else item


Dropped = Callable[[Any, str], None]


class Mailbox:
    """A slot's queue. `on_dead(item, reason)` gets what will never be handled."""

    __slots__ = (
        "_cells",
        "accepted",
        "capacity",
        "closed",
        "forced",
        "high",
        "in_hand",
        "on_dead",
        "policy",
        "putters",
        "queue",
        "receiver",
    )

    def __init__(self, policy: MailboxPolicy, on_dead: Dropped) -> None:
        self.policy = policy
        self.queue: deque[Any] = deque()
        self.capacity = policy.capacity if policy.when_full != "coalesce" else 0
        self.accepted = 0
        self.high = 0
        self.closed = False
        self.forced = 0
        self.in_hand = False
        self.on_dead = on_dead
        self._cells: dict[Hashable, Cell] = {}
        self.putters: deque[Turn] = deque()
        self.receiver: anyio.Event | None = None

    def __len__(self) -> int:
        return len(self.queue)

    def offer(self, item: Any) -> bool:
        """Put without waiting; false when there is no room for it."""
        if self.closed:
            self._turn_away(item)
            return True
        if self.putters and not self._urgent(item):
            return self._coalesces(item)
        return self._admit(item)

    async def put(self, item: Any) -> bool:
        """Put, waiting for room in turn; false when the policy refuses."""
        if self.offer(item):
            return True
        if self.policy.when_full == "refuse":
            return False
        turn = Turn(item)
        self.putters.append(turn)
        try:
            await turn.over.wait()
        except BaseException:
            if not turn.over.is_set():  # cancelled in that very moment, it has been put
                self.putters.remove(turn)
            raise
        return True

    def force(self, item: Any) -> None:
        """Put over the capacity: for the runtime's own."""
        if self.closed:
            self._turn_away(item)
        else:
            self.forced += 1
            self._append(item)

    def head(self) -> Any:
        """Take the head in hand without removing it; the queue must not be empty."""
        self.in_hand = True
        item = self.queue[0]
        if type(item) is Cell:
            if self._cells.get(item.key) is item:
                del self._cells[item.key]
            return item.message
        return item

    def ack(self) -> None:
        """Remove the message in hand."""
        item = self.queue.popleft()
        self.in_hand = False
        if self.forced and type(item) in OWN:
            self.forced -= 1
        while self.putters and self._admit(self.putters[0].item):
            self.putters.popleft().over.set()

    async def wait(self) -> None:
        """Wait until there is a message, or `poke`."""
        self.receiver = anyio.Event()
        try:
            await self.receiver.wait()
        finally:
            self.receiver = None

    def poke(self) -> None:
        """Wake the receiver."""
        if self.receiver is not None:
            self.receiver.set()

    def close(self, reason: str) -> None:
        """Hand everything to the dead letters; later puts go there at once."""
        self.closed = True
        self.capacity = 0
        self.in_hand = False
        self._cells.clear()
        while self.queue:
            item = self.queue.popleft()
            self.on_dead(item.message if type(item) is Cell else item, reason)
        while self.putters:
            turn = self.putters.popleft()
            self._turn_away(turn.item)
            turn.over.set()

    def _turn_away(self, item: Any) -> None:
        self.accepted += 1
        self.on_dead(item, "no such actor")

    def _append(self, item: Any) -> None:
        self.queue.append(item)
        self.accepted += 1
        if self.receiver is not None:
            self.receiver.set()

    def _admit(self, item: Any) -> bool:
        policy = self.policy
        if self._coalesces(item):
            return True
        if len(self.queue) - self.forced < policy.capacity:
            if policy.key is not None and type(item) is not Ask:
                cell = Cell(policy.key(item), item)
                self._cells[cell.key] = cell
                self._append(cell)
            else:
                self._append(item)
            return True
        return self._drop_for(item)

    def _coalesces(self, item: Any) -> bool:
        key = self.policy.key
        if key is None or type(item) is Ask:
            return False
        cell = self._cells.get(key(item))
        if cell is None or isinstance(cell.message, self.policy.never_drop):
            return False
        cell.message = item
        return True

    def _drop_for(self, item: Any) -> bool:
        if self.policy.when_full != "drop_oldest" and not self._urgent(item):
            return False
        for place in range(1 if self.in_hand else 0, len(self.queue)):
            victim = self.queue[place]
            if type(victim) in OWN or self._urgent(victim):
                continue
            del self.queue[place]
            if type(victim) is Cell:
                self._cells.pop(victim.key, None)
                victim = victim.message
            self.on_dead(victim, "dropped: mailbox full")
            return self._admit(item)
        return False

    def _urgent(self, item: Any) -> bool:
        return isinstance(content(item), self.policy.never_drop)

"""The mailbox: a bounded queue that keeps a message until it has been handled.

One receiver peeks at the head, handles it, then acknowledges: a crash leaves the message at the
head, and whoever restarts the receiver finds it first. Putting on the fast path has no
checkpoint; the receiver yields instead. `in == handled + quarantined + dead-lettered + pending`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import anyio

from runtime.actor import Down
from runtime.timers import Timer

if TYPE_CHECKING:
    from runtime.incarnation import Incarnation

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


@dataclass(slots=True, eq=False)
class Cell:
    """A place in a coalescing mailbox; `message` is replaced while it waits."""

    key: Hashable
    message: Any


UNANSWERED = object()


@dataclass(slots=True, eq=False)
class Ask:
    """A message whose sender waits for the answer; `alive` until it has one, or leaves."""

    message: Any
    due: float = 0.0
    alive: bool = True
    value: Any = UNANSWERED
    error: BaseException | None = None
    done: anyio.Event = field(default_factory=anyio.Event)

    def answer(self, value: Any) -> None:
        """Give the answer; the asker wakes, if it still waits.

        The timers keep the question until its deadline, so that it must not keep anything itself.
        """
        self.message = None
        if self.alive:
            self.value = value
            self.done.set()

    def fail(self, error: BaseException) -> None:
        """Give an error instead; the asker raises it."""
        self.error = error
        self.done.set()

    def fire(self) -> None:
        """Give up, at the deadline."""
        self.done.set()


@dataclass(slots=True, eq=False)
class Turn:
    """A teller that waits for room; whoever makes room puts its message in."""

    item: Any
    over: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True, eq=False)
class DeathNotice:
    """What a monitor gets; `Down` itself may be told like any other message."""

    down: Down


OWN = (Timer, DeathNotice)  # the runtime's: bounded in number, over the capacity, never dropped
SPECIAL = frozenset({Ask, Cell, *OWN})


def content(item: Any) -> Any:
    """Return the message itself, without the cell or the question around it."""
    return item.message if type(item) in (Ask, Cell) else item


NOTHING: deque[Any] = deque(maxlen=0)  # the queue of each mailbox that never had a message


@dataclass(slots=True, eq=False, repr=False)
class Mailbox:
    """A slot's queue. `on_dead(item, reason)` gets what will never be handled.

    A tell goes straight in below the depth `direct`, which is 0 where there is anything to decide.
    `special` counts what keeps the receiver from its short way: questions, cells, ticks and notices
    in the queue, and tellers that wait. Parts that most mailboxes never need are made when needed.
    """

    policy: MailboxPolicy
    on_dead: Callable[[Any, str], None]
    queue: deque[Any] = field(init=False)
    direct: int = 0
    accepted: int = 0
    high: int = 0
    forced: int = 0
    special: int = 0
    closed: bool = False
    in_hand: bool = False
    sleeper: Incarnation | None = None  # who has gone to sleep at an empty queue
    putters: deque[Turn] | None = None
    _cells: dict[Hashable, Cell] = field(init=False)

    def __post_init__(self) -> None:
        self.queue = NOTHING
        if self.policy.key is not None:
            self._cells = {}

    def __len__(self) -> int:
        return len(self.queue)

    def offer(self, item: Any) -> bool:
        """Put without waiting; false when there is no room for it."""
        if len(self.queue) < self.direct:
            self._append(item)
            return True
        if self.closed:
            self.turn_away(item)
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
        self._queue_up(turn)
        try:
            await turn.over.wait()
        except BaseException:
            if not turn.over.is_set():  # cancelled in that very moment, it has been put
                self._leave(turn)
            raise
        return True

    def force(self, item: Any) -> None:
        """Put over the capacity: for the runtime's own."""
        if self.closed:
            self.turn_away(item)
        else:
            self.forced += 1
            self._append(item)

    def turn_away(self, item: Any, reason: str = "no such actor") -> None:
        """Count a message in, and hand it to the dead letters."""
        self.accepted += 1
        self.on_dead(item, reason)

    def head(self) -> Any:
        """Return the message in hand without its cell: what comes with its key waits behind it."""
        item = self.queue[0]
        return self._emptied(item) if type(item) is Cell else content(item)

    def ack(self) -> None:
        """Remove the message in hand."""
        self._remove(0)
        self.in_hand = False
        while self.putters and self._admit(self.putters[0].item):
            turn = self.putters[0]
            self._leave(turn)
            turn.over.set()

    def keep(self, rest: Any) -> None:
        """Put what is left of the message in hand in its place."""
        self._remove(0)
        self.in_hand = False
        self.accepted += 1
        self.queue.appendleft(rest)

    def close(self, reason: str) -> None:
        """Hand everything to the dead letters; later puts go there at once."""
        self.closed = True
        self.direct = 0
        self.in_hand = False
        while self.queue:
            self.on_dead(self._remove(0), reason)
        while self.putters:
            turn = self.putters[0]
            self._leave(turn)
            self.turn_away(turn.item)
            turn.over.set()

    def _queue_up(self, turn: Turn) -> None:
        if self.putters is None:
            self.putters = deque()
        self.putters.append(turn)
        self.special += 1
        self.direct = 0

    def _leave(self, turn: Turn) -> None:
        assert self.putters is not None
        self.putters.remove(turn)
        self.special -= 1
        if not self.putters:
            self._open()

    def _open(self) -> None:
        """Let tells go straight in, where nothing is to be decided."""
        if not self.closed and self.policy.key is None:
            self.direct = self.policy.capacity

    def _append(self, item: Any) -> None:
        if self.queue is NOTHING:
            self.queue = deque()
            self._open()
        self.queue.append(item)
        self.accepted += 1
        if len(self.queue) > self.high:  # noqa: PLR1730 - the call costs more than the rest
            self.high = len(self.queue)
        if type(item) in SPECIAL:
            self.special += 1
        if self.sleeper is not None:
            self.sleeper.wake()

    def _remove(self, place: int) -> Any:
        """Remove what waits in a place, and return it without its cell."""
        item = self.queue[place]
        del self.queue[place]
        kind = type(item)
        if kind in SPECIAL:
            self.special -= 1
            if kind in OWN:
                self.forced -= 1
            elif kind is Cell:
                return self._emptied(item)
        return item

    def _emptied(self, cell: Cell) -> Any:
        """Return a cell's message; from now on its key waits anew."""
        if self._cells.get(cell.key) is cell:
            del self._cells[cell.key]
        return cell.message

    def _admit(self, item: Any) -> bool:
        policy = self.policy
        if self._coalesces(item):
            return True
        if len(self.queue) - self.forced < policy.capacity:
            if policy.key is not None and type(item) is not Ask:
                cell = self._cells[policy.key(item)] = Cell(policy.key(item), item)
                item = cell
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
            if type(victim) not in OWN and not self._urgent(victim):
                self.on_dead(self._remove(place), "dropped: mailbox full")
                return self._admit(item)
        return False

    def _urgent(self, item: Any) -> bool:
        return isinstance(content(item), self.policy.never_drop)

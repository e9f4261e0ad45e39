"""Timers: one task for a whole system, so that an idle actor costs no task of its own."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import anyio

if TYPE_CHECKING:
    from runtime.incarnation import Incarnation

T = TypeVar("T")
CANCELLED_KEPT = 1_000  # below this many, cancelled timers leave the heap when they are due


@dataclass(slots=True, eq=False)
class Timer:
    """A message to come. At most one of a timer's messages waits in the mailbox at a time."""

    incarnation: Incarnation
    due: float
    message: Any
    period_s: float | None
    alive: bool = True
    waiting: bool = False

    def cancel(self) -> None:
        """Send nothing more, not even what waits in the mailbox."""
        self.alive = False

    def fire(self) -> None:
        """Send the message, unless the last one still waits; set the next."""
        if not self.waiting:
            self.waiting = True
            self.incarnation.slot.box.force(self)
        if self.period_s is None:
            return
        missed = max(0, math.floor((anyio.current_time() - self.due) / self.period_s))
        self.due += self.period_s * (1 + missed)  # no drift, and no burst after a stall
        self.incarnation.system.timers.add(self)


class Due(Protocol):
    """What fires at `due` (the loop's seconds) while it is `alive`."""

    due: float
    alive: bool

    def fire(self) -> None:
        """Do it; called once for each time it is added."""


class Timers:
    """The heap of all that is due at a time in a system: timers, and the deadlines of asks."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due]] = []
        self._order = count()
        self._bell = anyio.Event()

    def add(self, timer: Due) -> None:
        """Schedule; the earliest rings the bell."""
        heapq.heappush(self._heap, (timer.due, next(self._order), timer))
        if self._heap[0][2] is timer:
            self._bell.set()
        if len(self._heap) > CANCELLED_KEPT and next(self._order) % 256 == 0:
            self._heap = [entry for entry in self._heap if entry[2].alive]
            heapq.heapify(self._heap)

    async def run(self) -> None:
        """Fire timers until cancelled."""
        while True:
            while self._heap and not self._heap[0][2].alive:
                heapq.heappop(self._heap)
            self._bell = anyio.Event()
            wait_s = self._heap[0][0] - anyio.current_time() if self._heap else math.inf
            if wait_s > 0:
                with anyio.move_on_after(wait_s):
                    await self._bell.wait()
            else:
                heapq.heappop(self._heap)[2].fire()
                await anyio.lowlevel.checkpoint()


class Agenda(Generic[T]):
    """What is to be done later, soonest first; times are the caller's."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, T]] = []
        self._order = count()

    @property
    def next_at(self) -> float:
        """When the first entry is due; infinity when there is none."""
        return self._entries[0][0] if self._entries else math.inf

    def add(self, at: float, what: T) -> None:
        """Put something down for that time."""
        heapq.heappush(self._entries, (at, next(self._order), what))

    def due(self, now: float) -> list[T]:
        """Take what is due by now, in order."""
        taken = []
        while self._entries and self._entries[0][0] <= now:
            taken.append(heapq.heappop(self._entries)[2])
        return taken

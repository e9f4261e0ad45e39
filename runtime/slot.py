"""The slot: a child's lasting identity. Incarnations come and go; name, mailbox, counts stay."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.mailbox import OWN, Ask, Mailbox, content
from runtime.ref import AskFailed, NoSuchActor, Ref
from runtime.restart import describe

if TYPE_CHECKING:
    from datetime import datetime

    from runtime.incarnation import Incarnation
    from runtime.spec import ChildSpec
    from runtime.system import System

HANDLING_BUCKETS_S = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)


@dataclass(slots=True, eq=False, repr=False)
class Slot:
    """What outlives an incarnation."""

    system: System
    spec: ChildSpec
    path: str
    box: Mailbox = field(init=False)
    ref: Ref[Any] = field(init=False)
    incarnation: Incarnation | None = None
    number: int = 0
    attempts: int = 0
    handled: int = 0
    crashed: int = 0
    quarantined: int = 0
    dead_lettered: int = 0
    handling_s: float = 0.0
    last_error: str = ""
    last_error_at: datetime | None = None
    monitors: dict[Slot, Incarnation] | None = None
    _slow: list[int] | None = None

    def __post_init__(self) -> None:
        self.box = Mailbox(self.spec.mailbox, self.dead)
        self.ref = Ref(self)

    @property
    def name(self) -> str:
        """The registered name."""
        return self.spec.name or self.path

    @property
    def handling(self) -> list[int]:
        """How many messages took how long, by HANDLING_BUCKETS_S and above."""
        slow = self._slow or [0] * len(HANDLING_BUCKETS_S)
        return [self.handled - sum(slow), *slow]

    @property
    def state(self) -> str:
        """One word for people: what the present incarnation does."""
        life = self.incarnation
        if life is None:
            return "stopped" if not self.box.closed else "gone"
        if not life.ready:
            return "starting"
        if life.stop_requested:
            return "stopping"
        stuck_s = self.spec.stuck_after_s
        if life.busy and self.system.clock.monotonic() - life.since >= stuck_s:
            return "stuck"
        return "running"

    def dead(self, item: Any, reason: str) -> None:
        """Count one message that will never be handled, and tell whoever asked."""
        if type(item) in OWN:
            self.handled += 1  # it was for a life that has ended: nobody's loss
            return
        self.dead_lettered += 1
        message = content(item)
        if type(item) is Ask:
            item.fail(NoSuchActor(f"{self.name}: {reason}"))
        self.system.dead_letter(self.name, message, reason)

    def acknowledge(self, seconds: float) -> None:
        """Count the message in hand as handled, and let it go."""
        self.attempts = 0
        self.handled += 1  # before it makes room: whoever comes in may be reported
        if seconds > HANDLING_BUCKETS_S[0]:
            if self._slow is None:
                self._slow = [0] * len(HANDLING_BUCKETS_S)
            self._slow[bisect_left(HANDLING_BUCKETS_S, seconds) - 1] += 1
        self.box.ack()

    def failed(self, error: BaseException) -> None:
        """Remember the last error for the status."""
        self.crashed += 1
        self.last_error = describe(error)
        self.last_error_at = self.system.clock.now()

    def crashed_on_head(self, error: BaseException) -> None:
        """Count a crash on the message in hand; one too many puts it in quarantine."""
        self.attempts += 1
        if self.attempts < self.spec.max_crashes:
            return
        item = self.box.queue[0]
        message, rest = content(item), None
        if self.spec.isolate is not None and type(item) is not Ask:
            message, rest = self.spec.isolate(message)
        self.quarantined += 1
        if rest is None:
            self.box.ack()
        else:
            self.box.keep(rest)
        self.system.quarantine(self.name, message, self.attempts, error)
        self.attempts = 0
        if type(item) is Ask:
            failure = AskFailed(f"{self.name} gave up on this message")
            failure.__cause__ = error
            item.fail(failure)

    def close(self, reason: str) -> None:
        """End this identity: what waits goes to the dead letters."""
        self.attempts = 0
        if self.incarnation is not None:
            self.incarnation.fenced = True
        self.box.close(reason)

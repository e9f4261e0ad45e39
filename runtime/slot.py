"""The slot: a child's lasting identity. Incarnations come and go; name, mailbox, counts stay."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from runtime.mailbox import FIRST_BUCKET_S, OWN, Ask, Mailbox, content
from runtime.ref import AskFailed, NoSuchActor, Ref
from runtime.restart import describe

if TYPE_CHECKING:
    from datetime import datetime

    from runtime.incarnation import Incarnation
    from runtime.spec import ChildSpec
    from runtime.system import System

HANDLING_BUCKETS_S = (FIRST_BUCKET_S, 0.001, 0.01, 0.1, 1.0, 10.0)


class Slot:
    """What outlives an incarnation."""

    __slots__ = (
        "attempts",
        "box",
        "crashed",
        "dead_lettered",
        "handled",
        "handling",
        "handling_s",
        "incarnation",
        "last_error",
        "last_error_at",
        "monitors",
        "name",
        "number",
        "path",
        "quarantined",
        "ref",
        "spec",
        "system",
    )

    def __init__(self, system: System, spec: ChildSpec, path: str) -> None:
        self.system = system
        self.spec = spec
        self.path = path
        self.name = spec.name or path
        self.box = Mailbox(spec.mailbox, self.dead)
        self.ref: Ref[Any] = Ref(self)
        self.incarnation: Incarnation | None = None
        self.number = 0
        self.attempts = 0
        self.handled = 0
        self.crashed = 0
        self.quarantined = 0
        self.dead_lettered = 0
        self.handling = [0] * (len(HANDLING_BUCKETS_S) + 1)
        self.handling_s = 0.0
        self.last_error = ""
        self.last_error_at: datetime | None = None
        self.monitors: dict[Slot, Incarnation] = {}

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

    def count(self, seconds: float) -> None:
        """Count one handled message and how long it took."""
        self.handled += 1
        self.handling[bisect_left(HANDLING_BUCKETS_S, seconds)] += 1
        self.handling_s += seconds

    def failed(self, error: BaseException) -> None:
        """Remember the last error for the status."""
        self.crashed += 1
        self.last_error = describe(error)
        self.last_error_at = self.system.clock.now()

    def crashed_on_head(self, error: BaseException) -> bool:
        """Count a crash on the message in hand; true when it now is in quarantine."""
        self.attempts += 1
        if self.attempts < self.spec.max_crashes:
            return False
        item = self.box.queue[0]
        message = content(item)
        self.quarantined += 1
        self.box.ack()
        self.system.quarantine(self.name, message, self.attempts, error)
        self.attempts = 0
        if type(item) is Ask:
            failure = AskFailed(f"{self.name} gave up on this message")
            failure.__cause__ = error
            item.fail(failure)
        return True

    def close(self, reason: str) -> None:
        """End this identity: what waits goes to the dead letters."""
        self.attempts = 0
        if self.incarnation is not None:
            self.incarnation.fenced = True
        self.box.close(reason)

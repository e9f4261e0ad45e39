"""A child as its supervisor sees it: specification, slot, and the life that runs now, if any."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from runtime.incarnation import Incarnation
from runtime.restart import Exit
from runtime.slot import Slot
from runtime.spec import ChildSpec

if TYPE_CHECKING:
    from runtime.spec import AnySpec
    from runtime.supervisor import Supervisor

ChildState = Literal["starting", "running", "stopping", "stopped", "restarting"]


@dataclass(slots=True, eq=False, repr=False)
class Child:
    """One entry of a supervisor. A worker's slot is adopted from an earlier life, if there was.

    A dynamic supervisor's child has the template for its `spec`, and its own `id` and `args`.
    """

    supervisor: Supervisor
    spec: AnySpec
    id: str
    args: tuple[Any, ...] = ()
    path: str = field(init=False)
    slot: Slot | None = None
    runner: Incarnation | Supervisor | None = None
    state: ChildState = "starting"
    attempt: int = 0
    restart_token: object = None
    restarts_total: int = 0
    _lived_since: float = math.inf
    _restarted_at: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self.path = self.supervisor.path_of(self.id)
        if isinstance(self.spec, ChildSpec):
            self.slot = self.supervisor.system.slot(self.spec, self.path)

    @property
    def name(self) -> str:
        """The registered name."""
        return self.spec.name or self.path

    def spawn(self) -> Incarnation | Supervisor:
        """Begin a new life in its own task."""
        self.state = "starting"
        if self.slot is not None:
            self.runner = Incarnation(self.slot, self.args, self)
        else:
            self.runner = self.supervisor.nested(self)
        self.supervisor.system.spawn(self.runner.run)
        return self.runner

    def on_ready(self) -> None:
        """Tell the supervisor, which waits for it."""
        self.supervisor.wake()

    def on_exit(self, runner: Incarnation | Supervisor, exit_: Exit) -> None:
        """Tell the supervisor that a life has ended; called from that life's task."""
        self.supervisor.exited(self, runner, exit_)

    def running(self) -> None:
        """Note that it is ready."""
        self.state = "running"
        self._lived_since = self.supervisor.system.clock.monotonic()

    def note_restart(self, now: float) -> None:
        """Count a restart, for the status."""
        self.restarts_total += 1
        self._restarted_at = (*self._recent(now), now)[-1_000:]

    def recent_restarts(self, now: float) -> int:
        """Return this child's restarts within its supervisor's window."""
        return len(self._recent(now))

    def _recent(self, now: float) -> list[float]:
        since = now - self.supervisor.spec.period_s
        return [at for at in self._restarted_at if at >= since]

    def backoff_s(self, now: float, random: float) -> float:
        """Return the delay before the next start, and count the attempt."""
        backoff = self.spec.backoff
        if backoff is not None and now - self._lived_since >= backoff.reset_after_s:
            self.attempt = 0
        self._lived_since = math.inf  # a start that fails is no life, however late
        delay_s = 0.0 if backoff is None else backoff.delay_s(self.attempt, random)
        self.attempt += 1
        return delay_s

    def grace_s(self) -> float:
        """Return the seconds that a stop may take before it is by force."""
        shutdown = self.spec.shutdown
        if shutdown == "brutal_kill":
            return 0.0
        return math.inf if shutdown == "infinity" else float(shutdown)

    def request_stop(self) -> None:
        """Ask it to end without waiting."""
        if self.runner is not None and self.runner.exit is None:
            self.runner.request_stop(self.spec.shutdown)

    def kill(self) -> None:
        """Cancel it by force."""
        if self.runner is not None and self.runner.exit is None:
            self.runner.stop_requested = True
            self.runner.kill()

    def release(self, reason: str) -> None:
        """Give the slots below this child back: what waits there becomes dead letters."""
        self.supervisor.system.release(self.path, reason)

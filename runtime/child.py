"""A child as its supervisor sees it: specification, slot, and the life that runs now, if any."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from runtime.incarnation import Incarnation
from runtime.restart import Exit
from runtime.slot import Slot
from runtime.spec import ChildSpec

if TYPE_CHECKING:
    from runtime.spec import AnySpec
    from runtime.supervisor import Supervisor

ChildState = Literal["starting", "running", "stopping", "stopped", "restarting"]


class Child:
    """One entry of a supervisor. A worker's slot is adopted from an earlier life, if there was."""

    __slots__ = (
        "_lived_since",
        "_restarted_at",
        "attempt",
        "id",
        "path",
        "restart_token",
        "restarts_total",
        "runner",
        "slot",
        "spec",
        "state",
        "supervisor",
        "zombies",
    )

    def __init__(self, supervisor: Supervisor, spec: AnySpec) -> None:
        self.supervisor = supervisor
        self.spec = spec
        self.id = spec.id
        self.path = f"{supervisor.path}/{spec.id}" if supervisor.path else spec.id
        self.slot: Slot | None = None
        if isinstance(spec, ChildSpec):
            self.slot = supervisor.system.slot(spec, self.path)
        self.runner: Incarnation | Supervisor | None = None
        self.state: ChildState = "starting"
        self.attempt = 0
        self.restart_token: object = None
        self.restarts_total = 0
        self.zombies = 0
        self._lived_since = math.inf
        self._restarted_at: list[float] = []

    @property
    def name(self) -> str:
        """The registered name."""
        return self.spec.name or self.path

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return self.runner is not None and self.state in ("running", "starting", "stopping")

    def spawn(self) -> Incarnation | Supervisor:
        """Begin a new life in its own task."""
        supervisor = self.supervisor
        self.state = "starting"

        def on_exit(runner: Incarnation | Supervisor, exit_: Exit) -> None:
            supervisor.exited(self, runner, exit_)

        runner: Incarnation | Supervisor
        if self.slot is not None:
            assert isinstance(self.spec, ChildSpec)
            runner = Incarnation(self.slot, self.spec.args, supervisor.wake, on_exit)
        else:
            assert not isinstance(self.spec, ChildSpec)
            runner = supervisor.nested(self.spec, self.path, on_exit)
        self.runner = runner
        supervisor.system.spawn(runner.run)
        return runner

    def running(self) -> None:
        """Note that it is ready."""
        self.state = "running"
        self._lived_since = self.supervisor.system.clock.monotonic()

    def note_restart(self, now: float) -> None:
        """Count a restart, for the status."""
        self.restarts_total += 1
        self._restarted_at = [*self._recent(now), now][-1_000:]

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

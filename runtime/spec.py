"""Child and supervisor specifications, checked before anything starts.

Unknown options are refused by the constructors themselves (OTP ignores them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from runtime.mailbox import MailboxPolicy
from runtime.restart import Backoff, Restart

if TYPE_CHECKING:
    from runtime.actor import Actor

Shutdown = float | Literal["infinity", "brutal_kill"]
Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]


class SpecError(ValueError):
    """A specification that cannot work. `code` names the rule, as in OTP."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def _need(ok: object, code: str, message: str) -> None:
    if not ok:
        raise SpecError(code, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    """What every child has, worker or supervisor. `name` registers a short name."""

    id: str
    restart: Restart = "permanent"
    significant: bool = False
    backoff: Backoff | None = None
    name: str | None = None

    def _check(self, shutdown: Shutdown) -> None:
        id_ = self.id
        _need(isinstance(id_, str) and id_ != "", "missing_id", "a child needs an id")
        _need("/" not in id_, "bad_id", f"{id_!r}: '/' separates the names of a path")
        known = self.restart in ("permanent", "transient", "temporary")
        _need(known, "bad_restart", f"{id_}: restart is {self.restart!r}")
        graced = type(shutdown) in (int, float) and float(shutdown) >= 0
        shuts = shutdown in ("infinity", "brutal_kill") or graced
        _need(shuts, "bad_shutdown", f"{id_}: shutdown is {shutdown!r}")
        ends = not (self.significant and self.restart == "permanent")
        never = f"{id_}: a permanent child never ends, so it cannot be significant"
        _need(ends, "bad_combination", never)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec(_Spec):
    """One worker: `start` builds the actor anew for each incarnation.

    `shutdown` is the grace in seconds for the message in hand and `stopping()` together. A message
    that crashes the actor `max_crashes` times goes to quarantine; of one that holds several things
    `isolate` returns what goes there, and what is left and handled next (None: nothing). A message
    in hand for `stuck_after_s` is reported, and with `kill_stuck` counts as a crash.
    `start_within_s` bounds `started()`. `name` registers a short name for `System.ref`.
    """

    start: Callable[..., Actor[Any]]
    args: tuple[Any, ...] = ()
    shutdown: Shutdown = 5.0
    mailbox: MailboxPolicy = field(default_factory=MailboxPolicy)
    max_crashes: int = 3
    isolate: Callable[[Any], tuple[Any, Any]] | None = None
    stuck_after_s: float = 30.0
    kill_stuck: bool = False
    start_within_s: float = 30.0

    def __post_init__(self) -> None:
        self._check(self.shutdown)
        _need(callable(self.start), "bad_start", f"{self.id}: start must be callable")
        _need(self.max_crashes >= 1, "bad_max_crashes", f"{self.id}: need max_crashes >= 1")
        _need(self.stuck_after_s > 0, "bad_stuck_after", f"{self.id}: need stuck_after_s > 0")
        _need(self.start_within_s > 0, "bad_start_within", f"{self.id}: need start_within_s > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Supervises(_Spec):
    """What both kinds of supervisor have."""

    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: AutoShutdown = "never"
    shutdown: Shutdown = "infinity"

    def _check_supervisor(self) -> None:
        self._check(self.shutdown)
        whole = type(self.intensity) is int and self.intensity >= 0
        _need(whole, "bad_intensity", f"{self.id}: {self.intensity!r}")
        finite = isinstance(self.period_s, (int, float)) and 0 < self.period_s < math.inf
        _need(finite, "bad_period", f"{self.id}: {self.period_s!r}")
        known = self.auto_shutdown in ("never", "any_significant", "all_significant")
        _need(known, "bad_auto_shutdown", f"{self.id}: {self.auto_shutdown!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSpec(_Supervises):
    """A supervisor: more than `intensity` restarts within `period_s` make it give up."""

    children: Sequence[ChildSpec | SupervisorSpec | DynamicSpec] = ()
    strategy: Strategy = "one_for_one"

    def __post_init__(self) -> None:
        self._check_supervisor()
        known = self.strategy in ("one_for_one", "one_for_all", "rest_for_one")
        _need(known, "bad_strategy", f"{self.id}: strategy is {self.strategy!r}")
        seen: set[str] = set()
        for child in self.children:
            known = isinstance(child, AnySpec)
            _need(known, "bad_child", f"{self.id}: {child!r} is no specification")
            _need(child.id not in seen, "duplicate_child", f"{self.id}: two children {child.id!r}")
            seen.add(child.id)
            check_significant(child, self.auto_shutdown)


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicSpec(_Supervises):
    """A supervisor whose children all come from one template, each with its own arguments.

    At most `children_max` at once; they stop together rather than one by one.
    """

    template: ChildSpec
    children_max: int = 100_000
    strategy: ClassVar[Strategy] = "one_for_one"  # its children have nothing to do with one another
    children: ClassVar[tuple[ChildSpec, ...]] = ()  # it starts empty

    def __post_init__(self) -> None:
        self._check_supervisor()
        one = isinstance(self.template, ChildSpec)
        needs = f"{self.id}: a dynamic supervisor needs exactly one template"
        _need(one, "bad_start_spec", needs)
        check_significant(self.template, self.auto_shutdown)


AnySupervisor = SupervisorSpec | DynamicSpec
AnySpec = ChildSpec | AnySupervisor


def check_significant(child: AnySpec, auto_shutdown: AutoShutdown) -> None:
    """Refuse a significant child under a supervisor that never shuts down by itself."""
    means = not (child.significant and auto_shutdown == "never")
    nothing = f"{child.id}: significant means nothing where auto_shutdown is never"
    _need(means, "bad_combination", nothing)

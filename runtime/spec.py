"""Child and supervisor specifications, checked before anything starts.

Unknown options are refused by the constructors themselves (OTP ignores them).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

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


def _need(ok: bool, code: str, message: str) -> None:  # noqa: FBT001
    if not ok:
        raise SpecError(code, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """One worker: `start` builds the actor anew for each incarnation.

    `shutdown` is the grace in seconds for the message in hand and `stopping()` together. A message
    that crashes the actor `max_crashes` times goes to quarantine; of one that holds several things
    `isolate` returns what goes there, and what is left and handled next (None: nothing). A message
    in hand for `stuck_after_s` is reported, and with `kill_stuck` counts as a crash.
    `start_within_s` bounds `started()`. `name` registers a short name for `System.ref`.
    """

    id: str
    start: Callable[..., Actor[Any]]
    args: tuple[Any, ...] = ()
    restart: Restart = "permanent"
    shutdown: Shutdown = 5.0
    significant: bool = False
    mailbox: MailboxPolicy = field(default_factory=MailboxPolicy)
    max_crashes: int = 3
    isolate: Callable[[Any], tuple[Any, Any]] | None = None
    stuck_after_s: float = 30.0
    kill_stuck: bool = False
    start_within_s: float = 30.0
    backoff: Backoff | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        _need(isinstance(self.id, str) and self.id != "", "missing_id", "a child needs an id")
        _need("/" not in self.id, "bad_id", f"{self.id!r}: '/' separates the names of a path")
        _need(callable(self.start), "bad_start", f"{self.id}: start must be callable")
        _check_common(self.id, self.restart, self.shutdown, significant=self.significant)
        _need(self.max_crashes >= 1, "bad_max_crashes", f"{self.id}: need max_crashes >= 1")
        _need(self.stuck_after_s > 0, "bad_stuck_after", f"{self.id}: need stuck_after_s > 0")
        _need(self.start_within_s > 0, "bad_start_within", f"{self.id}: need start_within_s > 0")


def _check_common(child: str, restart: str, shutdown: Shutdown, *, significant: bool) -> None:
    _need(
        restart in ("permanent", "transient", "temporary"),
        "bad_restart",
        f"{child}: restart is {restart!r}",
    )
    graced = isinstance(shutdown, (int, float)) and not isinstance(shutdown, bool) and shutdown >= 0
    _need(
        shutdown in ("infinity", "brutal_kill") or graced,
        "bad_shutdown",
        f"{child}: shutdown is {shutdown!r}",
    )
    _need(
        not (significant and restart == "permanent"),
        "bad_combination",
        f"{child}: a permanent child never ends, so it cannot be significant",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSpec:
    """A supervisor: more than `intensity` restarts within `period_s` make it give up."""

    id: str
    children: Sequence[ChildSpec | SupervisorSpec | DynamicSpec] = ()
    strategy: Strategy = "one_for_one"
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: AutoShutdown = "never"
    restart: Restart = "permanent"
    shutdown: Shutdown = "infinity"
    significant: bool = False
    backoff: Backoff | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        _check_supervisor(self)
        _need(
            self.strategy in ("one_for_one", "one_for_all", "rest_for_one"),
            "bad_strategy",
            f"{self.id}: strategy is {self.strategy!r}",
        )
        seen: set[str] = set()
        for child in self.children:
            _need(
                isinstance(child, (ChildSpec, SupervisorSpec, DynamicSpec)),
                "bad_child",
                f"{self.id}: {child!r} is no specification",
            )
            _need(child.id not in seen, "duplicate_child", f"{self.id}: two children {child.id!r}")
            seen.add(child.id)
            check_significant(child, self.auto_shutdown)


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicSpec:
    """A supervisor whose children all come from one template, each with its own arguments.

    At most `children_max` at once; they stop together rather than one by one.
    """

    id: str
    template: ChildSpec
    children_max: int = 100_000
    intensity: int = 1
    period_s: float = 5.0
    auto_shutdown: AutoShutdown = "never"
    restart: Restart = "permanent"
    shutdown: Shutdown = "infinity"
    significant: bool = False
    backoff: Backoff | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        _check_supervisor(self)
        _need(
            isinstance(self.template, ChildSpec),
            "bad_start_spec",
            f"{self.id}: a dynamic supervisor needs exactly one template",
        )
        check_significant(self.template, self.auto_shutdown)

    @property
    def strategy(self) -> Strategy:
        """Dynamic children have nothing to do with one another."""
        return "one_for_one"

    @property
    def children(self) -> tuple[ChildSpec, ...]:
        """A dynamic supervisor starts empty."""
        return ()


AnySpec = ChildSpec | SupervisorSpec | DynamicSpec


def check_significant(child: AnySpec, auto_shutdown: AutoShutdown) -> None:
    """Refuse a significant child under a supervisor that never shuts down by itself."""
    _need(
        not (child.significant and auto_shutdown == "never"),
        "bad_combination",
        f"{child.id}: significant means nothing where auto_shutdown is never",
    )


def _check_supervisor(spec: SupervisorSpec | DynamicSpec) -> None:
    _need(isinstance(spec.id, str) and spec.id != "", "missing_id", "a supervisor needs an id")
    _need("/" not in spec.id, "bad_id", f"{spec.id!r}: '/' separates the names of a path")
    whole = isinstance(spec.intensity, int) and not isinstance(spec.intensity, bool)
    _need(whole and spec.intensity >= 0, "bad_intensity", f"{spec.id}: {spec.intensity!r}")
    _need(
        isinstance(spec.period_s, (int, float)) and 0 < spec.period_s < math.inf,
        "bad_period",
        f"{spec.id}: {spec.period_s!r}",
    )
    _need(
        spec.auto_shutdown in ("never", "any_significant", "all_significant"),
        "bad_auto_shutdown",
        f"{spec.id}: {spec.auto_shutdown!r}",
    )
    _check_common(spec.id, spec.restart, spec.shutdown, significant=spec.significant)

"""Restart policy, decided purely: who restarts, how soon, and when a supervisor gives up.

The rules are OTP's `supervisor`, on an exact monotonic clock instead of whole seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

SHOWN_CHARS_MAX = 2_000  # of a message or an error, for people
Restart = Literal["permanent", "transient", "temporary"]
Ending = Literal["normal", "shutdown", "abnormal", "killed", "ignored"]


@dataclass(frozen=True, slots=True)
class Exit:
    """How an incarnation ended.

    `normal`: it asked to stop; `shutdown`: it was asked to; `abnormal`: an exception; `killed`:
    cancelled by force; `ignored`: it declined to start. `redelivers` is true where the same
    message had crashed it before: such a crash was counted once already.
    """

    ending: Ending
    error: BaseException | None = None
    redelivers: bool = False

    def __str__(self) -> str:
        return self.ending if self.error is None else f"{self.ending}: {describe(self.error)}"


def describe(error: BaseException) -> str:
    """Return one bounded, printable line for an error."""
    text = shown(error, str)
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return "".join(c if c.isprintable() else " " for c in text[:500])


def shown(thing: object, show: Callable[[Any], str] = repr) -> str:
    """Return a bounded text for what the application made, which may fail even at that."""
    try:
        return encodable(show(thing)[:SHOWN_CHARS_MAX])
    except Exception as error:  # noqa: BLE001 - it must not take the tree along
        return f"<{type(thing).__name__}: its text fails with {type(error).__name__}>"


def encodable(text: str) -> str:
    """Return the text with half characters written out: whoever sends it on must not fail."""
    return text.encode(errors="backslashreplace").decode()


def restarts(policy: Restart, ending: Ending) -> bool:
    """Say whether a child with this policy is started again after this ending."""
    if policy == "permanent":
        return ending != "ignored"
    return policy == "transient" and ending in ("abnormal", "killed")


def expected(policy: Restart, shutdown: object, exit_: Exit) -> bool:
    """Say whether a child that was asked to stop has ended as it should."""
    if exit_.ending == "killed":
        return shutdown == "brutal_kill"
    if exit_.ending == "normal":
        return policy != "permanent"
    return exit_.ending in ("shutdown", "ignored")


class Intensity:
    """A sliding window of restarts, shared by a supervisor's children.

    More than `limit` restarts within `period_s` exceed it; one exactly `period_s` old still counts.
    """

    def __init__(self, limit: int, period_s: float) -> None:
        self.limit = limit
        self.period_s = period_s
        self._at: deque[float] = deque(maxlen=limit + 1)

    def exceeded(self, now: float) -> bool:
        """Count one restart at `now` (monotonic seconds); true when that is one too many."""
        self._at.append(now)
        return self.recent(now) > self.limit

    def recent(self, now: float) -> int:
        """Return the number of restarts within the window."""
        while self._at and self._at[0] < now - self.period_s:
            self._at.popleft()
        return len(self._at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delay before restart n (from 0): min(max_s, min_s * factor**n) * (1 + jitter * random).

    The count starts again once an incarnation has lived `reset_after_s`.
    """

    min_s: float = 0.1
    max_s: float = 30.0
    factor: float = 2.0
    jitter: float = 0.1
    reset_after_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.min_s <= self.max_s:
            raise ValueError(f"backoff: need 0 < min_s <= max_s, got {self.min_s}, {self.max_s}")
        if self.factor < 1 or not 0 <= self.jitter <= 1 or self.reset_after_s < 0:
            raise ValueError("backoff: need factor >= 1, 0 <= jitter <= 1, reset_after_s >= 0")

    def delay_s(self, attempt: int, random: float) -> float:
        """Return seconds to wait; `random` is uniform in 0..1."""
        doubled = self.min_s * self.factor ** min(attempt, 64)
        return min(self.max_s, doubled) * (1 + self.jitter * random)

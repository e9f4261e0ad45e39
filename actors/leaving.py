"""Leaving: what waits for somebody outside holds a stop up for its grace, and no longer.

A stop ends one actor after the other; without this each hanging channel would add its own wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from runtime.system import System


class Left(Exception):
    """The system stops, and what was waited for has not come."""


@contextmanager
def brief(system: System, limit_s: float, grace_s: float) -> Iterator[None]:
    """Bound a wait by `limit_s`, and by `grace_s` from when the system is to stop.

    Raises TimeoutError, or Left where the stop was the reason.
    """
    with anyio.CancelScope(deadline=anyio.current_time() + limit_s) as scope:

        def hurry() -> None:
            scope.deadline = min(scope.deadline, anyio.current_time() + grace_s)

        if system.stop_asked:
            hurry()
        system.at_stop.add(hurry)
        try:
            yield
        finally:
            system.at_stop.discard(hurry)
    if scope.cancelled_caught:
        raise Left if system.stop_asked else TimeoutError

"""Linked tasks: helpers of one incarnation. They end with it, and their failure is its crash."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio


class StrayCancellation(Exception):
    """Code raised a cancellation that nobody had asked for, as a cancelled future does."""


def cancelled_from_outside() -> bool:
    """Say whether the running task is being cancelled by a scope around it."""
    return anyio.current_effective_deadline() == -math.inf


class Linked:
    """The tasks of one incarnation. `on_failure` gets the error of one that fails."""

    __slots__ = ("_done", "_on_failure", "_scopes")

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._on_failure = on_failure
        self._scopes: set[anyio.CancelScope] = set()
        self._done = anyio.Event()

    def add(self, func: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
        """Return the coroutine function that runs it, already on the list."""
        scope = anyio.CancelScope()
        self._scopes.add(scope)

        async def run_linked() -> None:
            try:
                with scope:
                    await func(*args)
            except Exception as error:  # noqa: BLE001 - a crash is data for the supervisor
                self._on_failure(error)
            except anyio.get_cancelled_exc_class():
                if cancelled_from_outside():
                    raise
                self._on_failure(StrayCancellation("in a linked task"))
            finally:
                self._scopes.discard(scope)
                self._done.set()

        return run_linked

    async def end(self, within_s: float) -> bool:
        """Cancel all; false when one refuses for that long."""
        for scope in self._scopes:
            scope.cancel()
        with anyio.move_on_after(within_s, shield=True):
            while self._scopes:
                self._done = anyio.Event()
                await self._done.wait()
        return not self._scopes

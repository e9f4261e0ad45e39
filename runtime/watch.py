"""Watching for what an event loop cannot see of itself: where a task waits, who blocks the loop."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

STACK_FRAMES_MAX = 32


def current_coroutine() -> Any:
    """Return the running task's coroutine, on either backend."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task is not None:
        return task.get_coro()
    import trio  # noqa: PLC0415 - an optional backend

    return trio.lowlevel.current_task().coro


def stack(coroutine: Any) -> list[str]:
    """Return where a suspended coroutine waits, outermost first: `file:line function`."""
    lines: list[str] = []
    while coroutine is not None and len(lines) < STACK_FRAMES_MAX:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        lines.append(_line(frame))
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return lines


def _line(frame: FrameType) -> str:
    name = frame.f_code.co_filename.rsplit("/", 2)
    return f"{'/'.join(name[-2:])}:{frame.f_lineno} {frame.f_code.co_qualname}"


class LoopWatch:
    """A thread that notices a loop that stopped turning, and names the actor that holds it.

    The loop calls `beat()` periodically; without a beat for `blocked_after_s` the thread calls
    `on_blocked(actor, seconds)` once for each block. It cannot end the block: nothing in a process
    can safely interrupt Python code.
    """

    def __init__(self, blocked_after_s: float, on_blocked: Callable[[str, float], None]) -> None:
        self.blocked_after_s = blocked_after_s
        self._on_blocked = on_blocked
        self._beat = time.monotonic()
        self._loop_thread = threading.get_ident()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop-watch", daemon=True)
        self.blocked = ""

    def start(self) -> None:
        """Begin watching; call it on the loop's thread."""
        self._loop_thread = threading.get_ident()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join(timeout=2)

    def beat(self) -> None:
        """Say that the loop turns."""
        self._beat = time.monotonic()
        self.blocked = ""

    def _run(self) -> None:
        while not self._end.wait(self.blocked_after_s / 4):
            late_s = time.monotonic() - self._beat
            if late_s > self.blocked_after_s and not self.blocked:
                self.blocked = self._who()
                self._on_blocked(self.blocked, late_s)

    def _who(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the only way
        innermost = _line(frame) if frame is not None else "unknown"
        while frame is not None:
            owner = frame.f_locals.get("self")
            if frame.f_code.co_qualname == "Incarnation._receive_all" and owner is not None:
                return f"{owner.slot.name} ({innermost})"
            frame = frame.f_back
        return innermost

"""Virtual time for asyncio: a loop whose clock jumps to the next timer when nothing else runs."""

from __future__ import annotations

import asyncio
import selectors

DEADLOCK_S = 20.0  # real seconds without any timer or event: the test waits for nothing


class _JumpSelector(selectors.DefaultSelector):
    loop: AutojumpLoop

    def select(self, timeout=None):
        if timeout is not None and timeout <= 0:
            return super().select(0)
        ready = super().select(0 if timeout is not None else DEADLOCK_S)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("deadlock: no timer, no event, nothing to wait for")
        self.loop.virtual_s += timeout
        return []


class AutojumpLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; it must not wait for threads or sockets."""

    def __init__(self):
        selector = _JumpSelector()
        selector.loop = self
        self.virtual_s = 0.0
        super().__init__(selector)

    def time(self):
        return self.virtual_s

"""Serve: run the tree until a signal or until it gives up, and leave whatever refuses to end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import structlog
from msgspec.structs import replace

from actors.messages import Wake
from config import secret
from config.settings import Settings
from runtime.clock import SystemClock
from runtime.store import OpenReport, Store
from sidewatch import loss
from sidewatch.door import address, open_sockets
from sidewatch.lasting import DATABASE
from sidewatch.tree import Tree
from web import server

ENDED = 0
GAVE_UP = 1
CLOSE_S = 1.0  # a disk that hangs holds nothing up: all that was acknowledged is on it

log = structlog.get_logger()
Announce = Callable[[str, Settings], None]


async def serve(settings: Settings, announce: Announce) -> int:
    """Run until SIGTERM or SIGINT (0), or until the tree gives up (1). A start is cut short, too.

    Draws the secrets that are missing, once the data directory is this process's alone: a start
    that is refused draws none. Announces the address, and the settings with their secrets.
    """
    sockets = open_sockets(settings)
    try:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            run = _Run(settings, sockets, announce)
            return await _beside(lambda: run.heed(signals), run.through)
    finally:
        server.close(sockets)


async def _beside(
    watcher: Callable[[], Coroutine[Any, Any, None]], work: Callable[[], Awaitable[int]]
) -> int:
    """Work with a watcher beside it. An error of the work stays the error that it is."""
    done: int | Exception = GAVE_UP
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watcher)
        try:
            done = await work()
        except Exception as error:  # noqa: BLE001 - raised behind the group, which would wrap it
            done = error
        tasks.cancel_scope.cancel()
    if isinstance(done, Exception):
        raise done
    return done


class _Run:
    """One run, which a signal ends wherever it is: opening, starting, or serving."""

    def __init__(
        self, settings: Settings, sockets: list[socket.socket], announce: Announce
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._announce = announce
        self._opening = anyio.CancelScope()
        self._tree: Tree | None = None
        self._signalled = False

    async def heed(self, signals: Any) -> None:
        """Wait for the first signal, and end the run."""
        async for _ in signals:
            break
        self._signalled = True
        self._opening.cancel()
        if self._tree is not None:
            await self._tree.system.stop()

    async def through(self) -> int:
        """Open the store, run the tree to its end, close; returns the exit code."""
        storage = self._settings.storage
        secret.look(storage.data_dir, self._settings.auth)  # what it refuses makes no database
        store = Store(storage.data_dir / DATABASE, SystemClock())
        report = None
        with self._opening:
            report = await store.open()
        if report is None:
            return ENDED
        try:
            return ENDED if self._signalled else await self._run(store, report)
        finally:
            await _close(store)

    async def _run(self, store: Store, report: OpenReport) -> int:
        auth = secret.ensure(self._settings.storage.data_dir, self._settings.auth)
        settings = replace(self._settings, auth=auth)
        tree = self._tree = Tree(settings, self._sockets, store=store)
        tree.lasting.untold = loss.untold(settings.storage.data_dir, report, tree.clock.now())
        async with tree.system:
            if not self._signalled:
                tree.ref("store").post(Wake())  # whoever it is to tell runs now
                self._announce(address(settings, self._sockets), settings)
            await tree.system.wait()
            await tree.system.stop()
            code = ENDED if self._signalled else GAVE_UP
            if tree.system.zombie_count:
                await _leave_zombies(tree, code)
            return code


async def _close(store: Store) -> None:
    with anyio.move_on_after(CLOSE_S, shield=True) as scope:
        await store.close()
    if scope.cancelled_caught:
        log.warning("leaving a disk that does not answer")


async def _leave_zombies(tree: Tree, code: int) -> None:
    """End the process although a task refuses to: everything of ours is stopped and on disk.

    Hypercorn waits, beyond any cancellation, for a client that has stopped reading.
    """
    await _close(tree.store)
    server.close(tree.sockets)
    log.warning("leaving a task that refuses to end", zombies=tree.system.zombie_count)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

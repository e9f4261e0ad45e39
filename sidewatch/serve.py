"""Serve: run the tree until a signal or until it gives up, and leave whatever refuses to end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import anyio
import structlog

from config.settings import Settings
from sidewatch.door import address, open_sockets
from sidewatch.tree import Tree
from web import server

log = structlog.get_logger()


async def serve(settings: Settings, announce: Callable[[str], None]) -> int:
    """Run until SIGTERM or SIGINT (0), or until the tree gives up (1). Announces the address."""
    sockets = open_sockets(settings)
    try:
        tree = Tree(settings, sockets)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            report = await tree.store.open()
            try:
                async with tree.system:
                    tree.opened(report)
                    announce(address(settings, sockets))
                    return await _until_end(tree, signals)
            finally:
                await tree.store.close()
    finally:
        server.close(sockets)


async def _until_end(tree: Tree, signals: Any) -> int:
    code = 1

    async def on_signal() -> None:
        nonlocal code
        async for _ in signals:
            code = 0
            break
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(on_signal)
        await tree.system.wait()
        tasks.cancel_scope.cancel()
    await tree.system.stop()
    if tree.system.zombie_count:
        await _leave_zombies(tree, code)
    return code


async def _leave_zombies(tree: Tree, code: int) -> None:
    """End the process although a task refuses to: everything of ours is stopped and on disk.

    Hypercorn waits, beyond any cancellation, for a client that has stopped reading.
    """
    await tree.store.close()
    server.close(tree.sockets)
    log.warning("leaving a task that refuses to end", zombies=tree.system.zombie_count)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

"""Serve: run the tree until a signal or until it gives up, and leave whatever refuses to end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import anyio
import structlog
from msgspec.structs import replace

from actors.alerts.triggers import Internal
from config import secret
from config.settings import Settings
from runtime.store import OpenReport
from sidewatch import mark
from sidewatch.door import address, open_sockets
from sidewatch.tree import Tree
from web import server

log = structlog.get_logger()


async def serve(settings: Settings, announce: Callable[[str, Settings], None]) -> int:
    """Run until SIGTERM or SIGINT (0), or until the tree gives up (1).

    Draws the secrets that are missing, once the sockets are open: a start that is refused leaves
    nothing behind. Announces the address, and the settings with their secrets.
    """
    sockets = open_sockets(settings)
    try:
        auth = secret.ensure(settings.storage.data_dir, settings.auth)
        settings = replace(settings, auth=auth)
        tree = Tree(settings, sockets)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            report = await tree.store.open()
            try:
                async with tree.system:
                    tree.reports.opened(report)
                    _look_for_loss(tree, report)
                    announce(address(settings, sockets), settings)
                    return await _until_end(tree, signals)
            finally:
                await tree.store.close()
    finally:
        server.close(sockets)


def _look_for_loss(tree: Tree, report: OpenReport) -> None:
    """Tell of a database that was here and is gone: nobody else can know that there was one."""
    folder, now = tree.settings.storage.data_dir, tree.clock.now()
    before = mark.created(folder)
    if before and report.fresh and not report.set_aside:
        log.error("the database is gone", folder=str(folder), created=before)
        tree.reports.fault(
            Internal(
                trigger="storage",
                subject="database",
                severity="critical",
                title="Sidewatch: the database is gone",
                text=(
                    f"The one created on {before} is no longer in {folder}:"
                    " history and waiting alerts start anew."
                ),
                once=True,
            )
        )
    if report.fresh or not before:
        mark.write(folder, now)


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

"""Start: logs, event loop, address and login link; what goes wrong is one line that names why."""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

import anyio
import click
import structlog

from config.settings import Settings, SettingsError
from runtime.store import StoreError
from runtime.supervisor import StartFailed
from sidewatch.serve import serve
from web.server import AddressError

CANNOT_START = 2
GAVE_UP = 1
LINGER_S = 0.1


def configure_logs(settings: Settings) -> None:
    """Write logs to stderr: JSON lines for machines, text for a terminal."""
    wanted = settings.logging.format
    as_json = wanted == "json" or (wanted == "auto" and not sys.stderr.isatty())
    renderer: structlog.types.Processor = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    if as_json:
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.logging.level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)


def leave(code: int) -> NoReturn:
    """End the process, also where a thread still waits for somebody outside.

    A thread that is just ending gets a moment, so that the interpreter ends in order.
    """
    ends = time.monotonic() + LINGER_S
    main = threading.main_thread()
    others = [t for t in threading.enumerate() if t is not main and not t.daemon]
    for thread in others:
        thread.join(max(0.0, ends - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the interpreter would wait for it; everything of ours is on disk
    sys.exit(code)


def start(settings: Settings, once_serving: Callable[[str, Settings], None] | None = None) -> int:
    """Run until a signal; returns the exit code.

    `once_serving` gets the address, and the settings with every secret.
    """
    os.umask(0o077)
    configure_logs(settings)

    def announce(address: str, complete: Settings) -> None:
        token = complete.auth.read_token
        if token is not None:
            click.echo(f"Open {address}/#login={token.reveal()}", err=True)
        click.echo(address)
        sys.stdout.flush()
        if once_serving is not None:
            once_serving(address, complete)

    try:
        return anyio.run(
            functools.partial(serve, settings, announce), backend=settings.server.backend
        )
    except (AddressError, SettingsError) as error:
        click.echo(f"sidewatch: {error}", err=True)
    except StoreError as error:
        click.echo(f"sidewatch: storage.data_dir: {error}", err=True)
    except StartFailed as error:
        click.echo(f"sidewatch: {error}", err=True)
        return GAVE_UP
    return CANNOT_START

"""The doctor: looks at everything that a start depends on, and says what is wrong."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import click
import httpx

from config.settings import Settings
from sidewatch.operator import base_url
from web.app import STATIC

TIMEOUT_S = 3.0


def examine(settings: Settings, url: str | None) -> int:
    """Print each finding; returns 1 when one is bad."""
    bad = 0
    for good, text in _findings(settings, url):
        click.secho(f"{'ok  ' if good else 'BAD '} {text}", fg=None if good else "red")
        bad += not good
    return 1 if bad else 0


def _findings(settings: Settings, url: str | None) -> Iterator[tuple[bool, str]]:
    folder = settings.storage.data_dir
    writable = os.access(folder, os.W_OK)
    yield writable, f"storage.data_dir: {folder} is {'' if writable else 'not '}writable"
    private = not folder.stat().st_mode & 0o077
    who = "no other user" if private else "every user"
    yield private, f"storage.data_dir: {who} may look into {folder}"
    built = (STATIC / "index.html").is_file()
    yield built, f"the dashboard is {'' if built else 'not '}built"
    channels = settings.channels
    yield bool(channels), f"channels: {', '.join(channels) or 'none is switched on'}"
    if settings.email.enabled:
        yield _reachable(settings.email.smtp_host, settings.email.smtp_port)
    running = base_url(settings, url)
    try:
        answer = httpx.get(f"{running}/livez", timeout=TIMEOUT_S)
        yield answer.status_code == httpx.codes.OK, f"Sidewatch serves at {running}"
    except httpx.HTTPError as error:
        yield False, f"nothing serves at {running}: {type(error).__name__}"


def _reachable(host: str, port: int) -> tuple[bool, str]:
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S):
            return True, f"email: {host}:{port} accepts connections"
    except OSError as error:
        return False, f"email: {host}:{port}: {error}"

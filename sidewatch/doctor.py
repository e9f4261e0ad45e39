"""The doctor: looks at everything that a start depends on, and says what is wrong.

A running Sidewatch is asked which channels it has: its settings may be others than this shell's.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click
import httpx

from config import secret
from config.settings import Auth, Settings, SettingsError
from sidewatch import mark
from sidewatch.demo import data_dir as demo_dir
from sidewatch.lasting import DATABASE
from sidewatch.operator import base_url
from web.app import STATIC

TIMEOUT_S = 3.0
COLOURS = {"ok": None, "note": "yellow", "BAD": "red"}


class Finding(NamedTuple):
    """What was looked at; a note is no fault."""

    state: Literal["ok", "note", "BAD"]
    text: str


def examine(settings: Settings, url: str | None) -> int:
    """Print each finding; returns 1 when one is bad."""
    bad = 0
    for state, text in _findings(settings, url):
        click.secho(f"{state:4} {text}", fg=COLOURS[state])
        bad += state == "BAD"
    return 1 if bad else 0


def _findings(settings: Settings, url: str | None) -> Iterator[Finding]:
    yield from _storage(settings.storage.data_dir)
    built = (STATIC / "index.html").is_file()
    yield _judged(built, f"the dashboard is {'' if built else 'not '}built")
    if settings.email.enabled:
        yield _reachable(settings.email.smtp_host, settings.email.smtp_port)
    running = base_url(settings, url)
    try:
        alive = httpx.get(f"{running}/livez", timeout=TIMEOUT_S).is_success
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield Finding("BAD", f"nothing serves at {running}: {type(error).__name__}")
        yield _channels(settings.channels)
        return
    yield _judged(alive, f"Sidewatch {'serves' if alive else 'is not what serves'} at {running}")
    if alive:
        yield from _running(settings, running)


def _judged(good: object, text: str) -> Finding:
    return Finding("ok" if good else "BAD", text)


def _storage(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding("note", f"storage.data_dir: {folder} is not there: `sidewatch run` makes it")
        return
    writable = os.access(folder, os.W_OK)
    yield _judged(writable, f"storage.data_dir: {folder} is {'' if writable else 'not '}writable")
    private = not folder.stat().st_mode & 0o077
    who = "no other user" if private else "every user"
    yield _judged(private, f"storage.data_dir: {who} may look into {folder}")
    before = mark.created(folder)
    if before and not (folder / DATABASE).exists():
        yield Finding("BAD", f"storage.data_dir: the database created on {before} is gone")


def _channels(names: list[str], whose: str = "channels") -> Finding:
    none = "none is switched on: no alert leaves this machine"
    return _judged(names, f"{whose}: {', '.join(names) or none}")


def _running(settings: Settings, running: str) -> Iterator[Finding]:
    """Ask the running one for its channels; the demo has a data directory of its own."""
    own, demo = settings.storage.data_dir, demo_dir(os.environ)
    for folder, auth in ((own, settings.auth), (demo, _drawn(demo))):
        names = _running_channels(running, auth)
        if names is None:
            continue
        if folder != own:
            yield Finding("note", f"it is the demo: SIDEWATCH_DATA_DIR={folder} speaks to it")
        yield _channels(names, "channels of the running Sidewatch")
        return
    yield Finding("note", f"it takes no token of {own}: it runs on another data directory")
    yield Finding("note", f"channels of these settings: {', '.join(settings.channels) or 'none'}")


def _drawn(folder: Path) -> Auth:
    with suppress(SettingsError):
        return secret.look(folder, Auth())
    return Auth()


def _running_channels(running: str, auth: Auth) -> list[str] | None:
    """Return the running one's channels; None where it does not take our token."""
    if auth.operate_token is None:
        return None
    headers = {"Authorization": f"Bearer {auth.operate_token.reveal()}"}
    try:
        answer = httpx.get(f"{running}/api/v1/supervisor", headers=headers, timeout=TIMEOUT_S)
        parts: list[dict[str, Any]] = answer.json()["root"]["children"]
        return [
            child["id"] for part in parts if part["id"] == "senders" for child in part["children"]
        ]
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None


def _reachable(host: str, port: int) -> Finding:
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S):
            return Finding("ok", f"email: {host}:{port} accepts connections")
    except OSError as error:
        return Finding("BAD", f"email: {host}:{port}: {error}")

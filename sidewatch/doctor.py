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
from config.names import printable
from config.settings import Auth, Secret, Settings, SettingsError, strays
from runtime.store import examine as trouble_of
from sidewatch import mark
from sidewatch.channels import template_files
from sidewatch.demo import data_dir as demo_dir
from sidewatch.lasting import DATABASE
from sidewatch.near import is_near
from sidewatch.operator import base_url
from web.app import STATIC

TIMEOUT_S = 3.0
SHOWN_MAX = 200  # characters of what the running one says
REFUSED = (401, 403)
CAUSES = {
    429: ": too many wrong logins or requests from here, try again in a minute",
    503: ": it is starting, stopping or overloaded",
}
START = "`sidewatch run` starts one, --url names another"
SWITCH = "docs/quickstart.md says how"
GIVE_ONE = "SIDEWATCH_OPERATE_TOKEN gives one, and its channels can be asked for"
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
    yield Finding("ok", "settings are good")  # or this had not begun
    yield from (Finding("note", line) for line in strays(os.environ))
    yield from (Finding("ok", line) for line in template_files(settings))
    yield from _storage(settings.storage.data_dir)
    built = (STATIC / "index.html").is_file()
    yield _judged(built, f"the dashboard is {'' if built else 'not '}built")
    if settings.email.enabled:
        yield _reachable(settings.email.smtp_host, settings.email.smtp_port)
    running = base_url(settings, url)
    trouble = _livez(running)
    if trouble:
        yield Finding("BAD", trouble)
        yield _channels(settings.channels)
        return
    yield Finding("ok", f"Sidewatch serves at {running}")
    yield from _running(settings, running, url)


def _livez(running: str) -> str:
    """Return why nothing is known to serve there, empty where something does."""
    try:
        answer = httpx.get(f"{running}/livez", timeout=TIMEOUT_S, trust_env=not is_near(running))
    except (httpx.ReadTimeout, httpx.WriteTimeout):
        return f"{running} gives no answer within {TIMEOUT_S:g} s"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"nothing serves at {running}: {type(error).__name__}; {START}"
    return "" if answer.is_success else f"{running}/livez: {_status(answer)}"


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
    wrong = trouble_of(folder / DATABASE)
    if wrong:
        yield Finding("BAD", f"storage.data_dir: {wrong}")


def _channels(names: list[str], whose: str = "channels") -> Finding:
    none = f"none is switched on: no alert leaves this machine; {SWITCH}"
    return _judged(names, f"{whose}: {', '.join(names) or none}")


def _status(answer: httpx.Response) -> str:
    return f"HTTP {answer.status_code}{CAUSES.get(answer.status_code, '')}"


def _running(settings: Settings, running: str, url: str | None) -> Iterator[Finding]:
    """Ask the running one for its channels; the demo has a data directory of its own.

    What a data directory keeps goes to this machine alone, as at another `url` may serve who will;
    a token that the settings themselves give goes there, too.
    """
    own, demo = settings.storage.data_dir, demo_dir(os.environ)
    offers = [(own, settings.auth), (demo, _drawn(demo))]
    if not is_near(running):
        if url is not None and settings.auth.operate_token in (None, _drawn(own).operate_token):
            yield Finding("note", f"no stored token is sent to {running}: {GIVE_ONE}")
            return
        offers = offers[:1]
    for folder, auth in offers:
        if auth.operate_token is None:
            continue
        names, trouble = _running_channels(running, auth.operate_token)
        if trouble:
            yield Finding("BAD", f"{running} was asked for its channels: {trouble}")
            return
        if names is None:
            continue
        yield from _ready(running, auth.operate_token)
        if folder != own:
            yield Finding("note", f"it is the demo: SIDEWATCH_DATA_DIR={folder} speaks to it")
        yield _channels(names, "channels of the running Sidewatch")
        return
    yield Finding("note", f"it takes no token of {own}: it runs on another data directory")
    yield Finding("note", f"channels of these settings: {', '.join(settings.channels) or 'none'}")


def _ready(running: str, token: Secret) -> Iterator[Finding]:
    """Ask the running one whether it is ready, and what it remarks."""
    try:
        answer = _asked(running, "/readyz", token)
        told = answer.json()
        failing, remarks = [*told["failing"]], [*told["remarks"]]
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        yield Finding("BAD", f"{running}/readyz: {type(error).__name__}")
        return
    for reason in failing:
        yield Finding("BAD", f"it is not ready: {printable(str(reason), SHOWN_MAX)}")
    if not failing:
        yield _judged(answer.is_success, "it is ready: it takes events, and its disk writes")
    for remark in remarks:
        yield Finding("note", f"it remarks: {printable(str(remark), SHOWN_MAX)}")


def _asked(running: str, path: str, token: Secret) -> httpx.Response:
    return httpx.get(
        f"{running}{path}",
        headers={"Authorization": f"Bearer {token.reveal()}"},
        timeout=TIMEOUT_S,
        trust_env=not is_near(running),
    )


def _drawn(folder: Path) -> Auth:
    with suppress(SettingsError):
        return secret.look(folder, Auth())
    return Auth()


def _running_channels(running: str, token: Secret) -> tuple[list[str] | None, str]:
    """Return the running one's channels, None where it does not take the token; or what failed."""
    try:
        answer = _asked(running, "/api/v1/supervisor", token)
    except httpx.TimeoutException:
        return None, f"no answer within {TIMEOUT_S:g} s"
    except httpx.HTTPError as error:
        return None, type(error).__name__
    if answer.status_code in REFUSED:
        return None, ""
    if not answer.is_success:
        return None, _status(answer)
    try:
        parts: list[dict[str, Any]] = answer.json()["root"]["children"]
        found = [
            child["id"] for part in parts if part["id"] == "senders" for child in part["children"]
        ]
    except (ValueError, LookupError, TypeError):
        return None, "the answer is not Sidewatch's: is it Sidewatch that serves there?"
    return found, ""


def _reachable(host: str, port: int) -> Finding:
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_S):
            return Finding("ok", f"email: {host}:{port} accepts connections")
    except OSError as error:
        return Finding("BAD", f"email: {host}:{port}: {error}")

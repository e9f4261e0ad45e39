"""Arguments that mean something: each is refused with its own name before a command begins.

Nothing is imported before an argument needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datetime import tzinfo

SHOWN = 100


def address(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    """Return the address of a running Sidewatch; raises BadParameter where it can be none."""
    if url is None or _is_address(url):
        return url
    raise click.BadParameter(f"{url[:SHOWN]!r} is not an address such as http://127.0.0.1:5173")


def _is_address(url: str) -> bool:
    from urllib.parse import urlsplit  # noqa: PLC0415

    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = url.isprintable() and not any(sign in url for sign in " ?#")
    return whole and plain


def zone(_context: click.Context, _option: click.Parameter, name: str | None) -> tzinfo | None:
    """Return a time zone by its IANA name; raises BadParameter where there is none."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    try:
        return None if name is None else ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise click.BadParameter(f"no such zone: {name!r:.{SHOWN}}") from error

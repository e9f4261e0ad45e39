"""Near: a Sidewatch on this machine is asked directly, and its token passes no proxy."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

import httpx


def is_near(url: str) -> bool:
    """Whether a URL leads to this machine's loopback, whatever the environment's proxies are."""
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        return False
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False

"""What a good value is: pure rules that stand in the annotations of `config.sections`.

A rule answers None for a good value, else why it is refused ("must be >= 0"). None of them
looks at a clock, a file or a network; `zone` alone reads the installed time zone names.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from msgspec import Struct

URL_CHARS_MAX = 2_048
HOST_CHARS_MAX = 253
EMAIL_CHARS_MAX = 254
PORT_MAX = 65_535
MONEY_MAX = Decimal("1e15")
MONEY_MIN = Decimal("1e-8")
SOCKET_PATH_BYTES_MAX = 107  # sun_path of Linux, less its final NUL

_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
# Of local use, though not every Python's table says so.
_LOCAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "64:ff9b:1::/48", "fec0::/10")))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_CURRENCY = re.compile(r"[A-Za-z0-9.]{1,16}")
_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z][A-Za-z0-9_]{3,31}")


class Rule(Struct, frozen=True):
    """`reason(value)` is None for a good value; `shows` allows the error to quote a bad one.

    `lines` lets a text have several lines.
    """

    reason: Callable[[Any], str | None]
    shows: bool = True
    lines: bool = False


def rule(holds: Callable[[Any], bool], what: str, *, shows: bool = True) -> Rule:
    """Build the rule "must be `what`"."""
    return Rule(lambda value: None if holds(value) else f"must be {what}", shows)


def at_least(low: float) -> Rule:
    """Demand value >= low."""
    return rule(lambda value: value >= low, f">= {low}")


def at_most(high: float) -> Rule:
    """Demand value <= high."""
    return rule(lambda value: value <= high, f"<= {high}")


def above(low: float) -> Rule:
    """Demand value > low."""
    return rule(lambda value: value > low, f"> {low}")


def items_at_most(count: int) -> Rule:
    """Demand no more than `count` items in a list."""
    return Rule(lambda value: None if len(value) <= count else f"must have at most {count} items")


def chars_at_most(count: int) -> Rule:
    """Demand a text of no more than `count` characters."""
    return Rule(lambda value: None if len(value) <= count else f"must have at most {count} chars")


def is_name(text: str) -> bool:
    """Whether `text` can name a bot or an API; the same pattern as `actors.messages.BotName`."""
    return _NAME.fullmatch(text) is not None


def is_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 literal, without brackets or a zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_host(text: str) -> bool:
    """Whether `text` is an IP literal or an ASCII host name (an underscore is tolerated)."""
    if is_address(text):
        return True
    if len(text) > HOST_CHARS_MAX or _HOST.fullmatch(text) is None:
        return False
    # "127.1" and "1.2.3.4.5" are no names: resolvers read them as addresses, each its own way.
    return not text.rstrip(".").rpartition(".")[2].isdigit()


def is_loopback(host: str) -> bool:
    """Whether a listener or a connection on `host` stays on this machine."""
    if host.lower() == "localhost":
        return True
    return is_address(host) and ipaddress.ip_address(host).is_loopback


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open Internet, also what is wrapped into IPv6.

    IPv4 inside of IPv6 (mapped, 6to4, Teredo, NAT64) is judged as that IPv4 address, too.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return not any(ip in network for network in _LOCAL) and all(
        one.is_global and not one.is_multicast for one in (ip, *_inside(ip))
    )


def _inside(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    inside = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if any(ip in network for network in _NAT64):
        inside.append(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
    return [one for one in inside if one is not None]


def is_host_port(text: str) -> bool:
    """Whether `text` could be a Host header: a host with or without a port."""
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        return False
    host, port = match[1], match[2]
    plain = is_address(host[1:-1]) and ":" in host if host[0] == "[" else is_host(host)
    return plain and (port is None or 0 < int(port) <= PORT_MAX)


def is_url(text: str) -> bool:
    """Whether `text` is an http or https URL with a host, without user name or fragment."""
    if len(text) > URL_CHARS_MAX or not text.isascii() or " " in text or "\\" in text:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.fragment:
        return False
    if "%" in parts.netloc:  # an IPv6 zone: clients differ in how they read it
        return False
    return is_host(parts.hostname or "") and port != 0


def is_base(text: str) -> bool:
    """Whether `text` is a URL to which a path can be added."""
    return is_url(text) and "?" not in text and "#" not in text


def is_email(text: str) -> bool:
    """Whether `text` is a plausible bare address (`name@host`); only a delivery proves more."""
    local, _, host = text.rpartition("@")
    if len(text) > EMAIL_CHARS_MAX or _LOCAL_PART.fullmatch(local) is None:
        return False
    dots = local.startswith(".") or local.endswith(".") or ".." in local
    return not dots and is_host(host)


def is_money(amount: Decimal) -> bool:
    """Whether `amount` is above zero and small enough, in size and digits, to reckon with."""
    if not MONEY_MIN <= amount <= MONEY_MAX:
        return False
    _, digits, exponent = amount.as_tuple()
    return len(digits) <= 34 and isinstance(exponent, int) and exponent >= -18  # noqa: PLR2004


def is_zone(text: str) -> bool:
    """Whether `text` is a zone of the IANA database, in its own spelling."""
    return text == "UTC" or text in available_timezones()


LINES = Rule(lambda _text: None, lines=True)
HOST = rule(is_host, "an IP address or a host name")
HOST_PORT = rule(is_host_port, "a host or host:port")
URL = rule(
    is_url, "an http:// or https:// URL with a host and no user name or IPv6 zone (%)", shows=False
)
BASE = rule(
    is_base,
    "an http:// or https:// URL with a host and no user, query or IPv6 zone (%)",
    shows=False,
)
EMAIL = rule(is_email, "an e-mail address such as name@example.com")
MONEY = rule(is_money, "an amount from 0.00000001 to 1e15")
ZONE = rule(is_zone, "an IANA time zone such as Europe/Berlin")
CURRENCY = rule(
    lambda text: _CURRENCY.fullmatch(text) is not None, "1 to 16 letters or digits such as USD"
)
NAME = rule(is_name, "a name: 1 to 64 of A-Z a-z 0-9 _ . -")
CHAT = rule(lambda text: _CHAT.fullmatch(text) is not None, "a chat's number or an @name")
SOCKET = rule(
    lambda text: text.startswith("/") and len(text.encode()) <= SOCKET_PATH_BYTES_MAX,
    f"an absolute path of at most {SOCKET_PATH_BYTES_MAX} bytes",
)


def or_empty(other: Rule) -> Rule:
    """Let the empty text pass, which stands for "none"."""
    return Rule(lambda value: None if value == "" else other.reason(value), other.shows)

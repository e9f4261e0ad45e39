"""The guard: every check that stands before a route, pure, in one order, cheapest first.

Headers (400, 431), Host (421), Origin (403), rate (429), size (413), auth (401). A fixed list of
hosts stops DNS rebinding; comparing Origin with Host would not.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

Scope = Literal["read", "ingest", "operate"]
WINDOW_S = 300
NONCE = re.compile(r"^[A-Za-z0-9_-]{16,64}$")
NONCES_MAX = 10_000
SIGNATURES_MAX = 4
HEADER_BYTES_MAX = 16_384
ADDRESSES_MAX = 1_000
HOST_PREFIX = 64
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOGIN_HEADER = "X-Sidewatch"


class Refusal(Exception):
    """A request that goes no further: an HTTP status and one line that says why."""

    def __init__(self, status: int, error: str, retry_after_s: float | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.retry_after_s = retry_after_s


def check_headers(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse headers that are too long in all, and a body whose end two headers tell.

    A proxy that believes the other one of them would see another request in it.
    """
    names, size = set(), 0
    for name, value in headers:
        names.add(name.lower())
        size += len(name) + len(value)
    if size > HEADER_BYTES_MAX:
        raise Refusal(431, f"the headers are larger than {HEADER_BYTES_MAX} bytes")
    if names >= {b"content-length", b"transfer-encoding"}:
        raise Refusal(400, "Content-Length and Transfer-Encoding: one of them, not both")


def check_host(host: str, allowed: frozenset[str]) -> None:
    """Refuse a Host that is not on the list, with or without its port."""
    host = host.lower()
    if host not in allowed and host.rsplit(":", 1)[0] not in allowed:
        raise Refusal(421, f"Host {host[:100]!r} is not served here: see server.allowed_hosts")


def check_origin(origin: str | None, site: str | None, allowed: frozenset[str]) -> None:
    """Refuse a browser's request from another page. Programs send neither header."""
    if origin is not None and origin.lower() not in allowed:
        raise Refusal(403, f"Origin {origin[:100]!r} may not do this")
    if site is not None and site not in ("same-origin", "none"):
        raise Refusal(403, f"Sec-Fetch-Site {site[:20]!r} may not do this")


def whole_s(wait_s: float) -> int:
    """Return a wait in whole seconds, never too short."""
    return max(1, math.ceil(wait_s))


def check_query(given: Iterable[tuple[str, str]], known: Sequence[str]) -> None:
    """Refuse a query with a parameter that nobody reads, that stands twice, or that is empty."""
    seen = set()
    for name, value in given:
        if name not in known:
            hint = f"known are {', '.join(known)}" if known else "none is known here"
            raise Refusal(400, f"unknown parameter {name[:40]!r}: {hint}")
        if name in seen:
            raise Refusal(400, f"{name}: given twice")
        if not value:
            raise Refusal(422, f"{name}: is empty; leave it out, or give it a value")
        seen.add(name)


class Rate:
    """At most `count` in any `window_s` seconds."""

    def __init__(self, count: int, window_s: float) -> None:
        self._count = count
        self._window_s = window_s
        self._at: list[float] = []

    def take(self, now: float) -> None:
        """Count one at `now` (monotonic seconds); raises Refusal 429 when that is too many."""
        self.check(now)
        self.add(now)

    def check(self, now: float) -> None:
        """Raise Refusal 429 when one more would be too many."""
        self._at = [at for at in self._at if at > now - self._window_s]
        if len(self._at) >= self._count:
            wait_s = self._at[0] + self._window_s - now
            raise Refusal(
                429,
                f"too many: {self._count} in {self._window_s:.0f} s;"
                f" try again in {whole_s(wait_s)} s",
                wait_s,
            )

    def add(self, now: float) -> None:
        """Count one."""
        self._at.append(now)


class Failures:
    """At most `count` failures of one address in any `window_s` seconds; others are not held up.

    The table is bounded: the address whose last failure is the oldest makes room.
    """

    def __init__(self, count: int, window_s: float, addresses_max: int = ADDRESSES_MAX) -> None:
        self._count = count
        self._window_s = window_s
        self._addresses_max = addresses_max
        self._of: dict[str, Rate] = {}

    def check(self, who: str, now: float) -> None:
        """Raise Refusal 429 for an address that has failed too often."""
        if (rate := self._of.get(who)) is not None:
            rate.check(now)

    def add(self, who: str, now: float) -> None:
        """Count one failure."""
        rate = self._of.pop(who, None) or Rate(self._count, self._window_s)
        if len(self._of) >= self._addresses_max:
            del self._of[next(iter(self._of))]
        self._of[who] = rate
        rate.add(now)


def address(peer: str, forwarded: str | None) -> str:
    """Return who a request comes from: an address, or for IPv6 the network that one host has.

    `forwarded` is X-Forwarded-For as a trusted proxy sends it; its last entry is the proxy's own.
    """
    named = (forwarded or "").rpartition(",")[2].strip()
    for text in (named, peer):
        with contextlib.suppress(ValueError):
            found = ipaddress.ip_address(text.partition("%")[0])
            if isinstance(found, ipaddress.IPv4Address):
                return str(found)
            net = ipaddress.ip_network((found, HOST_PREFIX), strict=False)
            return str(found.ipv4_mapped or net)
    return peer


def bearer(authorization: str | None) -> str | None:
    """Return the token of an Authorization header."""
    if authorization is None:
        return None
    kind, _, token = authorization.partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def scope_of(token: str, tokens: Mapping[Scope, str]) -> Scope | None:
    """Return whose token this is; every comparison takes constant time."""
    found: Scope | None = None
    for scope, known in tokens.items():
        if hmac.compare_digest(token.encode(), known.encode()):
            found = scope
    return found


def permits(scope: Scope | None, needed: Scope) -> bool:
    """Say whether a scope is enough; operate may read, too."""
    return scope == needed or (needed == "read" and scope == "operate")


# ---------------------------------------------------------------- signed requests


def sign(key: bytes, method: str, path: str, timestamp: int, nonce: str, body: bytes) -> str:  # noqa: PLR0917
    """Return the signature, lower hex. `path` is raw, with its query."""
    digest = hashlib.sha256(body).hexdigest()
    signed = "\n".join(("v1", method, path, str(timestamp), nonce, digest))
    return hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()


class Headers(Protocol):
    """Request headers, as any web framework has them."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header's value, or the default."""
        ...


class Signed(Struct, frozen=True):
    """What a signed request claims."""

    signatures: tuple[str, ...]
    timestamp: int
    nonce: str


def claim(headers: Headers) -> Signed:
    """Read the headers of a signed request; raises Refusal 401 naming the one that is wrong."""
    given = headers.get("X-HMAC-Signature", "").split()
    signatures = tuple(part[3:] for part in given if part.startswith("v1="))[:SIGNATURES_MAX]
    if not signatures:
        raise Refusal(401, "X-HMAC-Signature: missing, or not v1=<hex>")
    stamp = headers.get("X-HMAC-Timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", stamp):
        raise Refusal(401, "X-HMAC-Timestamp: missing, or not unix seconds")
    nonce = headers.get("X-HMAC-Nonce", "")
    if not NONCE.fullmatch(nonce):
        raise Refusal(401, "X-HMAC-Nonce: missing, or not 16 to 64 of A-Z a-z 0-9 _ -")
    return Signed(signatures, int(stamp), nonce)


class Nonces:
    """The nonces seen within the window. One is kept only after its signature is good."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._seen: dict[str, float] = {}

    def check_time(self, signed: Signed, now: float) -> None:
        """Refuse a timestamp outside the window, or from before this process started."""
        if abs(now - signed.timestamp) > WINDOW_S:
            raise Refusal(401, f"X-HMAC-Timestamp: more than {WINDOW_S} s from this clock")
        if signed.timestamp < int(self._started):
            raise Refusal(401, "X-HMAC-Timestamp: from before this process started")

    def check_unused(self, nonce: str, now: float) -> None:
        """Refuse a replay."""
        if self._seen.get(nonce, -math.inf) > now - 2 * WINDOW_S:
            raise Refusal(401, "X-HMAC-Nonce: used before")

    def use(self, nonce: str, now: float) -> None:
        """Use a nonce up; raises Refusal 401 for a replay, 429 when too many are fresh."""
        self._seen = {n: at for n, at in self._seen.items() if at > now - 2 * WINDOW_S}
        self.check_unused(nonce, now)
        if len(self._seen) >= NONCES_MAX:
            raise Refusal(429, "too many signed requests")
        self._seen[nonce] = now


def verify(signed: Signed, keys: Iterable[bytes], *, method: str, path: str, body: bytes) -> None:
    """Refuse a request that none of the keys has signed."""
    good = False
    for key in keys:
        wanted = sign(key, method, path, signed.timestamp, signed.nonce, body)
        for signature in signed.signatures:
            good |= hmac.compare_digest(wanted.encode(), signature.encode())
    if not good:
        raise Refusal(401, "X-HMAC-Signature: does not match this request")

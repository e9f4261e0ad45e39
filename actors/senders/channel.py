"""Channel: one attempt to hand a notice to a provider ends in a receipt or one clear error.

An attempt has a deadline of 10 s, connecting 3 s. No error, log line or traceback of an attempt
carries the secret of its address (a Slack webhook's URL, a Telegram bot's token).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from ssl import SSLCertVerificationError, TLSVersion
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit
from urllib.request import getproxies

import anyio
import httpx
from msgspec import Struct

from actors.messages import Notice
from actors.senders.direct import Direct, target

ATTEMPT_S = 10.0
CONNECT_S = 3.0
SECRET_CHARS_MIN = 8  # of a value in a query: what is shorter is a format or a flag
ANSWER_BYTES_MAX = 65_536  # Discord repeats the message, perhaps as \\uXXXX
RETRY_AFTER_S_MAX = 86_400.0
REASON_CHARS_MAX = 300

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_HEADERS = {
    "user-agent": "Sidewatch",
    "accept": "*/*",
    "accept-encoding": "identity",
    "content-type": "application/json",
}
_TIMEOUT = httpx.Timeout(ATTEMPT_S, connect=CONNECT_S)
_SECONDS = re.compile(r"\d{1,20}(\.\d{1,9})?")


class SendError(Exception):
    """A notice was not accepted. `reason` is one line and already redacted.

    `permanent` means that the same message would be refused again; `retry_after_s` is the
    provider's own wish, in seconds; `unsent` that no connection was made at all.
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool,
        retry_after_s: float | None = None,
        unsent: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.unsent = unsent


class Receipt(Struct, frozen=True):
    """The provider accepted the notice. `detail` is its answer, such as "200 ok"."""

    detail: str


def sent_as(notice: Notice) -> str:
    """Return what a provider knows a message by: another id once it tells more than before.

    Else who drops an id that has come before would never hear the rest.
    """
    more = notice.latest.removeprefix(f"{notice.alert_id}.")
    return f"{notice.id}-{more}" if more else notice.id


class Channel(Protocol):
    """Where notices go. `rate_s` is the least time in seconds from the last message to the next."""

    name: str
    rate_s: float

    async def send(self, notice: Notice) -> Receipt:
        """Make one attempt within 10 s; raises SendError."""
        ...

    async def close(self) -> None:
        """Give connections back; the channel is not used again."""
        ...


@runtime_checkable
class Recalls(Protocol):
    """A channel that has learnt what a restart must not forget: `kept`, "" for nothing.

    The sender stores `kept` with the attempt that changed it, and gives it back to `recall`.
    """

    kept: str

    def recall(self, kept: str) -> None:
        """Take back what an earlier life kept, unless the settings have changed since."""
        ...


@runtime_checkable
class Incidents(Protocol):
    """A channel that keeps an incident for each alert, which each message is about.

    It is told of acknowledgements, and nothing of several alerts in one message.
    """

    incidents: bool


@runtime_checkable
class Prepares(Protocol):
    """A channel that can make a message before it may go out."""

    def prepare(self, notice: Notice) -> None:
        """Make what `send` of this very notice sends; that works without, too."""
        ...


class Answer(Struct, frozen=True):
    """An HTTP answer: status, at most 64 KiB of body, and Retry-After in seconds if given."""

    status: int
    body: str
    retry_after_s: float | None


@contextmanager
def deadline(limit_s: float = ATTEMPT_S) -> Iterator[None]:
    """Bound a whole attempt, resends included; raises a transient SendError when it is over."""
    with anyio.move_on_after(limit_s) as scope:
        yield
    if scope.cancelled_caught:
        raise SendError(f"no answer within {limit_s:g} s", permanent=False)


def redact(text: str, *secrets: str) -> str:
    """One printable line of at most 300 characters in which no secret is left."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    line = _CONTROL.sub(" ", text).strip()[:REASON_CHARS_MAX]
    return "".join(char if char.isprintable() else "\ufffd" for char in line)


def url_secrets(url: str) -> tuple[str, ...]:
    """List what gives a secret address away, longest first: the whole, and each of its parts.

    These are its path and last segment, its query and each value in it, its user and password.
    """
    parts, raw = httpx.URL(url), urlsplit(url)
    secrets = {parts.path, parts.query.decode("ascii"), raw.path, raw.query}
    secrets |= {path.rpartition("/")[2] for path in (parts.path, raw.path)}
    secrets |= {parts.userinfo.decode("ascii"), parts.password, raw.password or ""}
    values = (value for _, value in parts.params.multi_items())
    secrets |= {value for value in values if len(value) >= SECRET_CHARS_MIN}
    found = {url, str(parts)} | {part for part in secrets if len(part) > 1}
    return tuple(sorted(found, key=len, reverse=True))


def is_http_url(url: str) -> bool:
    """Whether `url` can be posted to at all."""
    try:
        parts, parsed = urlsplit(url), httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError):
        return False
    host = parts.hostname or ""
    return parts.scheme in {"http", "https"} and bool(host and parsed.host) and "%" not in host


class _Client(httpx.AsyncClient):
    """A client over one kept connection, for those who want more of httpx than a post."""

    def __init__(self, direct: Direct) -> None:
        super().__init__(transport=direct, timeout=_TIMEOUT, follow_redirects=False)
        self.direct = direct


def http_client() -> httpx.AsyncClient:
    """Make a client for one provider: TLS 1.2 or newer, verified, no redirects, two connections.

    Where the environment names a proxy, httpx's own transport goes through it.
    """
    tls = httpx.create_ssl_context()
    tls.minimum_version = TLSVersion.TLSv1_2
    if not getproxies():
        return _Client(Direct(tls))
    return httpx.AsyncClient(
        verify=tls,
        timeout=_TIMEOUT,
        limits=httpx.Limits(max_connections=2, max_keepalive_connections=1),
        follow_redirects=False,
    )


async def post_json(
    client: httpx.AsyncClient,
    url: str | httpx.URL,
    payload: bytes,
    *,
    secrets: tuple[str, ...],
    headers: Mapping[str, str] | None = None,
    hostname: str | None = None,
) -> Answer:
    """POST a JSON body and read the answer; network trouble raises a transient SendError.

    `hostname` is what the certificate must name where `url` has an address in its place.
    """
    try:
        response = await _posted(client, url, payload, headers or {}, hostname)
        try:
            return Answer(
                status=response.status_code,
                body=await _read(response),
                retry_after_s=retry_after(response.headers),
            )
        finally:
            await response.aclose()
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        reason = redact(_network(error), str(url), *secrets)
        failure = SendError(reason, permanent=False, unsent=unsent)
    # Raised outside the handler: chained to httpx's error, a traceback would show the URL.
    raise failure


async def _posted(
    client: httpx.AsyncClient,
    url: str | httpx.URL,
    payload: bytes,
    headers: Mapping[str, str],
    hostname: str | None,
) -> httpx.Response:
    """Post as the client would, without its rounds of redirects, cookies and logging."""
    if isinstance(client, _Client):
        where = target(url, hostname)
        named = {"host": where.authority, **_HEADERS, **headers}
        raw = [(name.encode(), value.encode()) for name, value in named.items()]
        return await client.direct.post(where, raw, payload, connect_s=CONNECT_S, read_s=ATTEMPT_S)
    extensions: dict[str, object] = {"timeout": _TIMEOUT.as_dict()}
    if hostname is not None:
        extensions["sni_hostname"] = hostname
    # Built by hand: the client would merge its own defaults in, each time anew.
    request = httpx.Request(
        "POST", url, content=payload, headers={**_HEADERS, **headers}, extensions=extensions
    )
    return await client.send(request, stream=True, follow_redirects=False)


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that Retry-After asks for (RFC 9110, 10.2.3), 0 to 86,400; None if unreadable.

    A date counts from the answer's own Date, so that the two clocks need not agree.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return bounded_wait_s(float(value))
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
    return bounded_wait_s(wait.total_seconds())


def bounded_wait_s(wish_s: float) -> float:
    """Bring what a provider asks for into 0 to 86,400 s."""
    return min(max(wish_s, 0.0), RETRY_AFTER_S_MAX)


async def _read(response: httpx.Response) -> str:
    if response.headers.get("content-encoding", "identity") != "identity":
        return ""  # not asked for, and a small body may unpack to a huge one
    body = b""
    # Read to the end (for at most the attempt's 10 s): httpx's generators dislike being left.
    async for chunk in response.aiter_bytes():
        body += chunk[: ANSWER_BYTES_MAX - len(body)]
    return body.decode("utf-8", "replace").strip()


def _network(error: Exception) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_S:g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {ATTEMPT_S:g} s"
    if isinstance(error, httpx.InvalidURL):
        return "the address is not a URL"
    certificate = certificate_fault(error)
    return certificate or f"{type(error).__name__}: {error}"


def certificate_fault(error: BaseException | None) -> str:
    """Say what is wrong with the server's certificate; empty if that is not the cause."""
    for _ in range(10):
        if error is None:
            break
        if isinstance(error, SSLCertVerificationError):
            return f"certificate refused: {error.verify_message}"
        error = error.__cause__ or error.__context__
    return ""


class _HideAddresses(logging.Filter):
    """httpx logs each request's full URL at level INFO; leave only its host."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                f"{part.scheme}://{part.host}/***" if isinstance(part, httpx.URL) else part
                for part in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_HideAddresses())

"""Direct: one kept connection to a provider, and a request on it that goes out at once.

What stands between a client of httpx and its socket (a request's URL, headers and stream, a pool
for many tasks, a trace of each step) takes longer than everything else that an alert goes through.
This is HTTP/1.1 for one request at a time: the request as the bytes it is, its answer read by h11;
errors are httpx's own. A proxy is not its business.
"""

from __future__ import annotations

import math
import select
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple, NoReturn

import anyio
import h11
import httpx
from anyio.abc import ByteStream, SocketAttribute

KEPT_S = 30.0
READ_BYTES = 65_536
HEAD_BYTES_MAX = 65_536
BODY_BYTES_MAX = 1_048_576  # a longer answer is cut, and its connection closed

_LOST = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)


class _Place(NamedTuple):
    """What a connection leads to. `name` is what its certificate has to say; "" without TLS."""

    host: str
    port: int
    name: str


class Target(NamedTuple):
    """Where a request goes, ready for its first line and its host header."""

    place: _Place
    path: bytes
    authority: str


Headers = Sequence[tuple[bytes, bytes]]


@lru_cache(maxsize=32)
def target(url: str | httpx.URL, hostname: str | None = None) -> Target:
    """Where a URL leads; `hostname` is what the certificate has to say instead of its host.

    The last ones are kept, as a channel sends to the same URL all day. Raises httpx.InvalidURL.
    """
    url = httpx.URL(url)
    secure = url.scheme == "https"
    name = hostname or url.host
    place = _Place(url.host, url.port or (443 if secure else 80), name if secure else "")
    return Target(place, url.raw_path, url.netloc.decode("ascii"))


class _Link(NamedTuple):
    """A connection. `until` is the loop's second from which it is no longer used."""

    place: _Place
    stream: ByteStream
    socket: socket.socket
    state: h11.Connection
    until: float


class Direct(httpx.AsyncBaseTransport):
    """Sends requests one by one; of several at once all but one close their connection."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._kept: _Link | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request whose body is known, and read the whole answer."""
        wait_s = request.extensions.get("timeout", {})
        name = request.extensions.get("sni_hostname")
        place = target(request.url, None if name is None else str(name)).place
        data = _written(request.method, request.url.raw_path, request.headers.raw, request.content)
        connect_s, read_s = wait_s.get("connect") or math.inf, wait_s.get("read") or math.inf
        return await self._exchange(place, request.method, data, connect_s, read_s)

    async def post(
        self, where: Target, headers: Headers, body: bytes, *, connect_s: float, read_s: float
    ) -> httpx.Response:
        """Post a body, and read the whole answer. `headers` are all but the body's length."""
        head = [*headers, (b"content-length", b"%d" % len(body))]
        data = _written("POST", where.path, head, body)
        return await self._exchange(where.place, "POST", data, connect_s, read_s)

    async def _exchange(
        self, place: _Place, method: str, data: bytes, connect_s: float, read_s: float
    ) -> httpx.Response:
        link = await self._link(place, connect_s)
        done = False
        try:
            with anyio.fail_after(read_s):
                # One piece: the first byte does not wait for the last.
                with suppress(*_LOST):  # who refuses a request early has already answered
                    await link.stream.send(data)
                answer, body = await _get(link, method)
            done = True
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time") from None
        except h11.ProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        except _LOST as error:
            raise httpx.ReadError("the connection broke before the answer") from error
        finally:
            if not done or not self._keep(link):
                await anyio.aclose_forcefully(link.stream)
        return httpx.Response(answer.status_code, headers=answer.headers.raw_items(), stream=body)

    async def aclose(self) -> None:
        """Close the connection that is kept."""
        link, self._kept = self._kept, None
        if link is not None:
            await anyio.aclose_forcefully(link.stream)

    async def _link(self, place: _Place, wait_s: float) -> _Link:
        kept, self._kept = self._kept, None
        if kept is not None and kept.place == place and _alive(kept):
            return kept
        if kept is not None:
            await anyio.aclose_forcefully(kept.stream)
        stream = await self._connect(place, wait_s)
        raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610
        return _Link(place, stream, raw, _fresh(), math.inf)

    async def _connect(self, place: _Place, wait_s: float) -> ByteStream:
        try:
            with anyio.fail_after(wait_s):
                if not place.name:
                    return await anyio.connect_tcp(place.host, place.port)
                return await anyio.connect_tcp(
                    place.host,
                    place.port,
                    tls=True,
                    ssl_context=self._tls,
                    tls_hostname=place.name,
                    tls_standard_compatible=False,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except (*_LOST, anyio.EndOfStream) as error:
            _fail(error)

    def _keep(self, link: _Link) -> bool:
        """Keep a connection for the next request, where both sides are through with this one."""
        state = link.state
        over = state.our_state is state.their_state is h11.DONE
        if self._kept is not None or not over or state.trailing_data[0]:
            return False  # what was said unasked must not answer the next request
        state.start_next_cycle()
        self._kept = link._replace(until=anyio.current_time() + KEPT_S)
        return True


class _Body(httpx.AsyncByteStream):
    """The answer's body as it came: whoever reads it decides whether to unpack it."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


def _fail(error: BaseException) -> NoReturn:
    if isinstance(error, OSError) and isinstance(error.__cause__, BaseException):
        error = error.__cause__  # anyio's own words hide what became of each address
    raise httpx.ConnectError(str(error) or "connection lost") from error


def _fresh() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)


def _alive(link: _Link) -> bool:
    """Say whether a kept connection can be used: the other side has neither closed nor spoken."""
    if anyio.current_time() >= link.until:
        return False
    poll = select.poll()
    try:
        poll.register(link.socket, select.POLLIN)
    except ValueError:  # the loop has closed the socket behind our back: it has no number any more
        return False
    return not poll.poll(0)


def _written(method: str, path: bytes, headers: Headers, body: bytes) -> bytes:
    """Write a request; raises httpx.LocalProtocolError where a header would be more than one."""
    lines = [b"%b %b HTTP/1.1" % (method.encode(), path)]
    lines += [b"%b: %b" % header for header in headers]
    head = b"\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise httpx.LocalProtocolError("a header holds a line break")
    return b"%b\r\n\r\n%b" % (head, body)


@lru_cache(maxsize=8)
def _asked(method: str) -> h11.Request:
    return h11.Request(method=method, target="/", headers=[("host", "it.is.out.already")])


async def _get(link: _Link, method: str) -> tuple[h11.Response, _Body]:
    # The reader needs to know that something of this method was asked, and all of it said.
    link.state.send(_asked(method))
    link.state.send(h11.EndOfMessage())
    answer: h11.Response | None = None
    parts: list[bytes] = []
    size = 0
    while True:
        event = link.state.next_event()
        if event is h11.NEED_DATA:
            data = await _some(link.stream)
            if not data and link.state.their_state is h11.SEND_RESPONSE:
                raise h11.RemoteProtocolError("the server closed the connection without an answer")
            link.state.receive_data(data)
        elif isinstance(event, h11.Response):
            answer = event
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
            size += len(event.data)
        if answer is not None and (isinstance(event, h11.EndOfMessage) or size > BODY_BYTES_MAX):
            return answer, _Body(parts)


async def _some(stream: ByteStream) -> bytes:
    try:
        return await stream.receive(READ_BYTES)
    except anyio.EndOfStream:
        return b""

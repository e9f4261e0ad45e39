"""Direct: one kept connection to a provider, and a request on it that goes out at once.

What stands between a client of httpx and its socket (a pool for many tasks, a trace of each step)
takes longer than everything else that an alert goes through. This is HTTP/1.1 by h11, for one
request at a time; errors are httpx's own. A proxy is not its business.
"""

from __future__ import annotations

import math
import select
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
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


class _Link(NamedTuple):
    """A connection. `until` is the loop's second from which it is no longer used."""

    place: _Place
    stream: ByteStream
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
        link = await self._link(_place(request), wait_s.get("connect") or math.inf)
        done = False
        try:
            with anyio.fail_after(wait_s.get("read") or math.inf):
                await _put(link, request)
                answer, body = await _get(link)
            done = True
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        except h11.ProtocolError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error
        except _LOST as error:
            raise httpx.ReadError(str(error), request=request) from error
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
        return _Link(place, stream, _fresh(), math.inf)

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


def _place(request: httpx.Request) -> _Place:
    url = request.url
    secure = url.scheme == "https"
    name = str(request.extensions.get("sni_hostname") or url.host) if secure else ""
    return _Place(url.host, url.port or (443 if secure else 80), name)


def _fresh() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)


def _alive(link: _Link) -> bool:
    """Say whether a kept connection can be used: the other side has neither closed nor spoken."""
    if anyio.current_time() >= link.until:
        return False
    poll = select.poll()
    try:
        poll.register(link.stream.extra(SocketAttribute.raw_socket), select.POLLIN)  # noqa: S610
    except ValueError:  # the loop has closed the socket behind our back: it has no number any more
        return False
    return not poll.poll(0)


async def _put(link: _Link, request: httpx.Request) -> None:
    """Write the request as one piece: its first byte does not wait for its last."""
    head = h11.Request(
        method=request.method, target=request.url.raw_path, headers=request.headers.raw
    )
    events = (head, h11.Data(data=request.content), h11.EndOfMessage())
    data = b"".join(link.state.send(event) or b"" for event in events)
    with suppress(*_LOST):  # who refuses a request early has already answered
        await link.stream.send(data)


async def _get(link: _Link) -> tuple[h11.Response, _Body]:
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

"""A provider on loopback: a real HTTP/1.1 server that misbehaves as it is told.

A fake answers what its script says first, then what `down` says, then as the provider would.
"""

from __future__ import annotations

import ssl
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

import anyio
from anyio.abc import SocketAttribute
from anyio.from_thread import start_blocking_portal
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener

HEAD_BYTES_MAX = 16_384
BODY_BYTES_MAX = 1_048_576


@dataclass(frozen=True)
class Status:
    """Answer with this status and the provider's own words for it."""

    code: int


@dataclass(frozen=True)
class Body:
    """Answer with exactly this."""

    code: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RateLimit:
    """Answer 429 in the provider's own way."""

    seconds: int


@dataclass(frozen=True)
class Hang:
    """Take the request and never answer."""


@dataclass(frozen=True)
class Drop:
    """Take the request and close the connection."""


Misbehaviour = Status | Body | RateLimit | Hang | Drop


@dataclass(frozen=True)
class Request:
    """What the client sent; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class FakeProvider:
    """Serve on 127.0.0.1 while entered with `async with`; a `port` of 0 picks a free one.

    `messages` are the decoded payloads that were accepted, `arrivals` the monotonic instants of
    all requests. Attributes may be read and set from other threads. With `tls` set before it is
    entered it serves over TLS.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.port = port
        self.requests = 0
        self.arrivals: list[float] = []
        self.messages: list[dict] = []
        self.script: list[Misbehaviour] = []
        self.down: Misbehaviour | None = None
        self.changed = threading.Condition()
        self.tls: ssl.SSLContext | None = None

    async def __aenter__(self):
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        self.port = listener.extra(SocketAttribute.local_port)
        self._listener = listener if self.tls is None else _over(self.tls, listener)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._listener.serve, self._converse)
        return self

    async def __aexit__(self, *exc_info) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)
        await self._listener.aclose()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def respond(self, request: Request) -> Body:
        """Answer as the provider does; `accept` what it takes."""
        raise NotImplementedError

    def words(self, code: int) -> Body:
        """Answer a bare status as the provider does."""
        raise NotImplementedError

    def rate_limited(self, seconds: int) -> Body:
        """Answer 429 as the provider does."""
        raise NotImplementedError

    def accept(self, message: dict) -> None:
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def wait_for_messages(self, count: int, timeout_s: float) -> list[dict]:
        """Block the calling thread (not the fake's) until `count` messages were accepted."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.messages) >= count, timeout_s):
                raise AssertionError(
                    f"{len(self.messages)} of {count} messages within {timeout_s} s, "
                    f"{self.requests} requests"
                )
            return list(self.messages)

    async def _converse(self, stream) -> None:
        gone = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError)
        async with stream:
            with suppress(*gone, anyio.ClosedResourceError):
                reader = BufferedByteReceiveStream(stream)
                while True:
                    request = await _read(reader)
                    answer = await self._answer(request)
                    if answer is None:
                        return
                    await stream.send(_encoded(answer))

    async def _answer(self, request: Request) -> Body | None:
        with self.changed:
            self.requests += 1
            self.arrivals.append(time.monotonic())
            misbehaviour = self.script.pop(0) if self.script else self.down
            self.changed.notify_all()
        match misbehaviour:
            case None:
                return self.respond(request)
            case Status(code):
                return self.words(code)
            case RateLimit(seconds):
                return self.rate_limited(seconds)
            case Hang():
                await anyio.sleep_forever()
            case Drop():
                return None
        return misbehaviour


class ThreadedFake:
    """A fake on an event loop and thread of its own, for tests of whole processes.

    `with ThreadedFake(FakeSlack) as fake:` gives the fake itself, already listening.
    """

    def __init__(self, factory, **options) -> None:
        self._factory = factory
        self._options = options

    def __enter__(self):
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio"))
            fake = self._factory(**self._options)
            stack.enter_context(portal.wrap_async_context_manager(fake))
            self._stack = stack.pop_all()
        return fake

    def __exit__(self, *exc_info) -> None:
        self._stack.__exit__(*exc_info)


def _over(tls: ssl.SSLContext, listener):
    return TLSListener(listener, tls, standard_compatible=False)


async def _read(reader: BufferedByteReceiveStream) -> Request:
    head = await reader.receive_until(b"\r\n\r\n", HEAD_BYTES_MAX)
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    length = min(int(headers.get("content-length", "0")), BODY_BYTES_MAX)
    body = await reader.receive_exactly(length) if length else b""
    return Request(method=method, path=path, headers=headers, body=body)


def _encoded(answer: Body) -> bytes:
    body = answer.text.encode()
    headers = {"date": formatdate(usegmt=True), "content-length": str(len(body)), **answer.headers}
    head = [
        f"HTTP/1.1 {answer.code} {HTTPStatus(answer.code).phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body

"""The server: Hypercorn inside our tree, on sockets that we open and close ourselves.

Sockets are opened before anything else, so a port in use stops the start; port 0 is any free one.
On stop every WebSocket handler is woken first, and Hypercorn has a hard deadline: a client that
stopped reading holds nothing up.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from hypercorn.config import Config
from quart import Quart

from actors.hub import Hub
from runtime.actor import Actor
from web import frames
from web.guard import HEADER_BYTES_MAX

BACKLOG = 256
STUCK_CLIENT_MS = 10_000
MESSAGE_BYTES_MAX = 4_096  # of a browser's message; it only ever says where to resume
STOP_S = 1.0
FULL = b'{"error": "too many requests at once: see server.connections_max"}'


class AddressError(OSError):
    """Sidewatch cannot listen where the settings say; the text names the setting."""


def listen(host: str, port: int) -> socket.socket:
    """Open the TCP socket. Raises AddressError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited: a vanished client is cut off
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_CLIENT_MS)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise AddressError(
            f"server.host, server.port: cannot listen on {host}:{port}: {error.strerror}"
        ) from error
    return sock


def listen_unix(path: str) -> socket.socket:
    """Open the Unix socket with mode 0600, replacing a stale one. Raises AddressError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH110, PTH116
            _refuse_live(path)
            os.unlink(path)  # noqa: PTH108
        before = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise AddressError(f"server.unix_socket: cannot listen on {path}: {error}") from error
    return sock


def _refuse_live(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(path) == 0:
            raise OSError("another process serves it")


def bounded(app: Quart, connections_max: int) -> Callable[..., Awaitable[None]]:
    """Wrap an application so that it serves a bounded number of requests at once, then says 503."""
    busy = 0

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        nonlocal busy
        if scope["type"] == "http" and busy >= connections_max:
            headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": FULL})
            return
        busy += 1
        try:
            await app(scope, receive, send)
        finally:
            busy -= 1

    return serve


class ServerActor(Actor[None]):
    """Runs Hypercorn for one incarnation; the sockets outlive it."""

    def __init__(
        self,
        app: Callable[[], Quart],
        sockets: list[socket.socket],
        hub: Hub,
        *,
        backend: str,
        connections_max: int,
    ) -> None:
        self._app = app
        self._sockets = sockets
        self._hub = hub
        self._backend = backend
        self._connections_max = connections_max
        self._stop = anyio.Event()
        self._ended = anyio.Event()

    async def started(self) -> None:
        """Serve, as a task of this actor: its failure is a crash."""
        await anyio.lowlevel.checkpoint()
        self.ctx.task(self._serve)

    async def _serve(self) -> None:
        frames.install()
        config = Config()
        # Hypercorn closes what it is given: each life gets copies.
        config.bind = [f"fd://{os.dup(sock.fileno())}" for sock in self._sockets]
        config.include_server_header = False
        config.accesslog = None
        config.errorlog = None
        config.keep_alive_max_requests = 1_000_000
        config.h11_max_incomplete_size = HEADER_BYTES_MAX
        config.websocket_max_message_size = MESSAGE_BYTES_MAX
        config.websocket_ping_interval = 20.0
        config.read_timeout = 60
        config.graceful_timeout = STOP_S / 2
        config.shutdown_timeout = STOP_S / 2
        serve: Any
        if self._backend == "trio":
            from hypercorn.trio import serve  # noqa: PLC0415 - an optional extra
        else:
            from hypercorn.asyncio import serve  # noqa: PLC0415
        try:
            await serve(
                bounded(self._app(), self._connections_max),
                config,
                shutdown_trigger=self._stop.wait,
                mode="asgi",
            )
        finally:
            self._ended.set()
        if not self._stop.is_set():
            raise RuntimeError("the HTTP server ended by itself")

    async def stopping(self) -> None:
        """Close every WebSocket, then stop serving, within a hard deadline."""
        self._hub.close()
        with anyio.move_on_after(STOP_S / 4):
            await self._hub.drained()
        self._stop.set()
        with anyio.move_on_after(STOP_S / 2):
            await self._ended.wait()
        cut_off(self._sockets)
        with anyio.move_on_after(STOP_S / 2):
            await self._ended.wait()


def cut_off(sockets: list[socket.socket]) -> None:
    """End every connection that came in on these sockets and is still open.

    Hypercorn waits, beyond cancellation, until a client has read what was sent to it; one that
    has stopped reading would hold the process up. Where there is no /dev/fd, it does.
    """
    places = {_place(sock) for sock in sockets}
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it reports each cut as an error
    with contextlib.suppress(OSError):
        for name in os.listdir("/dev/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                _cut(int(name), places)


def _cut(number: int, places: set[object]) -> None:
    if not stat.S_ISSOCK(os.fstat(number).st_mode):
        return
    with socket.socket(fileno=os.dup(number)) as sock:
        if _place(sock) in places and sock.getpeername() is not None:
            sock.shutdown(socket.SHUT_RDWR)


def _place(sock: socket.socket) -> object:
    """Return the port, or the path: a socket bound to every address accepts on one of them."""
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else name


def close(sockets: list[socket.socket]) -> None:
    """Close the sockets, and remove the Unix socket's file."""
    for sock in sockets:
        if sock.family == socket.AF_UNIX:
            with contextlib.suppress(OSError):
                os.unlink(sock.getsockname())  # noqa: PTH108
        sock.close()

"""The demo's exchange: it answers a ping, and 503 while the scenario has it down.

Sidewatch pings it as it would a real one, so that the page shows an API with its latency.
"""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self

PATH = "/api/v3/ping"
IDLE_S = 60.0


class Exchange:
    """Serves on a listening socket from a thread of its own: `with Exchange(sock) as exchange`.

    `up` is set by whoever plays the scenario. The socket is the exchange's to close.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.up = True
        self._server = ThreadingHTTPServer(
            listening.getsockname()[:2], self._handler(), bind_and_activate=False
        )
        self._server.socket.close()
        self._server.socket = listening
        self._thread = Thread(target=self._server.serve_forever, name="exchange", daemon=True)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        exchange = self

        class Ping(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = IDLE_S

            def do_GET(self) -> None:
                known = self.path == PATH
                self.send_response(404 if not known else 200 if exchange.up else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Stay quiet: the demo's terminal is for alerts."""

        return Ping

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""A webhook that only takes the time: the instant of each request's first byte, and its body.

It answers "ok" at once (Slack's own word, and good enough for any other), one thread for each
connection, so that what is measured is the sender.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import NamedTuple, Self

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok"


class Arrival(NamedTuple):
    """One request: unix seconds of its first byte, and its body."""

    at: float
    body: str


class Receiver:
    """Listens on a free port of loopback while entered; `arrivals` grows as requests come."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.changed = threading.Condition()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/B0/bench"

    def wait_for(self, count: int, timeout_s: float = 30.0) -> None:
        """Block until `count` requests have come."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.arrivals) >= count, timeout_s):
                raise RuntimeError(f"{len(self.arrivals)} of {count} after {timeout_s} s")

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(link,), daemon=True).start()

    def _converse(self, link: socket.socket) -> None:
        held = b""
        with link:
            while True:
                try:
                    data = link.recv(65_536)
                except OSError:
                    return
                at = time.time()
                if not data:
                    return
                held += data
                while b"\r\n\r\n" not in held or len(held) < _length(held):
                    held += link.recv(65_536)
                link.sendall(ANSWER)
                body = held[held.index(b"\r\n\r\n") + 4 :].decode()
                held = b""
                with self.changed:
                    self.arrivals.append(Arrival(at, body))
                    self.changed.notify_all()


def _length(request: bytes) -> int:
    """The whole request's length, by its Content-Length."""
    head, _, _ = request.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(head) + 4 + int(line.partition(b":")[2])
    return len(head) + 4

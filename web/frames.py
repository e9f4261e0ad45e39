"""Frames: a WebSocket that the server ends is told why, also where Hypercorn alone knows.

Hypercorn 0.18 closes on a message that is too large without a reason, and drops a connection whose
bytes are no WebSocket's (text that is no UTF-8) without a close frame. This module alone leans on
its insides; where they are others, `install` leaves everything as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypercorn.protocol import h11
from hypercorn.protocol.events import Data, Event, StreamClosed
from hypercorn.protocol.ws_stream import WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection
from wsproto.events import Event as Frame
from wsproto.frame_protocol import CloseReason

REASON_CHARS_MAX = 100


class TellingStream(WSStream):
    """A WebSocket of Hypercorn's that closes with a code and a reason."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._send_on = self.send
        self.send = self._tell_first
        self._last_words = b""

    async def _send_wsproto_event(self, event: Frame) -> None:
        too_big = isinstance(event, CloseConnection) and event.code == CloseReason.MESSAGE_TOO_BIG
        if too_big:
            reason = f"too large: a message has at most {self.buffer.max_length} bytes"
            event = CloseConnection(code=CloseReason.MESSAGE_TOO_BIG, reason=reason)
        await super()._send_wsproto_event(event)

    async def _accept(self, message: Any) -> None:
        await super()._accept(message)
        connection: Any = self.connection
        events = connection.events
        connection.events = lambda: self._noted(events())

    def _noted(self, events: Iterator[Frame]) -> Iterator[Frame]:
        """Pass events on, and word a close for bytes that could not be read."""
        for event in events:
            # A peer's own close leaves the connection closing: here it was the parser that gave up.
            if isinstance(event, CloseConnection) and self.connection.state is ConnectionState.OPEN:
                reason = f"unreadable: {event.reason or 'not a WebSocket frame'}"
                close = CloseConnection(code=event.code, reason=reason[:REASON_CHARS_MAX])
                self._last_words = self.connection.send(close)
            yield event

    async def _tell_first(self, event: Event) -> None:
        if isinstance(event, StreamClosed) and self._last_words:
            words, self._last_words = self._last_words, b""
            await self._send_on(Data(stream_id=self.stream_id, data=words))
        await self._send_on(event)


def install() -> None:
    """Let Hypercorn use it for every WebSocket from now on."""
    inside = ("_accept", "_send_wsproto_event", "_handle_events")
    module: Any = h11
    if getattr(module, "WSStream", None) is WSStream and all(hasattr(WSStream, n) for n in inside):
        module.WSStream = TellingStream

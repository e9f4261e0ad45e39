"""The live WebSocket: a snapshot, then what changes, to each browser at its own pace.

Figures coalesce, alerts never drop. The page acknowledges figures, so that a slow one holds two at
most in flight. On stop every handler wakes and closes with 1001; a client that talks nonsense is
told what was wrong with it: 1003 for a binary message, 1007 for no JSON, 1008 for what is no
message; `web.frames` adds 1007 for no UTF-8 and 1009 for too much.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import anyio
import msgspec
from msgspec import Meta, Struct
from quart import Blueprint, websocket

from actors.alerts import outbox
from actors.health.actor import HealthQuery
from actors.hub import Client, TooSlow
from actors.metrics.queries import MetricsQuery, SeriesQuery
from runtime.ref import AskFailed, AskTimeout, MailboxFull, NoSuchActor
from runtime.store import StoreError
from web.app import Door
from web.guard import Refusal
from web.services import Services

GOING_AWAY = 1001
NOT_TEXT = 1003
NOT_JSON = 1007
NOT_A_MESSAGE = 1008
TRY_LATER = 1013
REASON_BYTES_MAX = 123  # RFC 6455, 5.5: a control frame holds 125
SNAPSHOT_ALERTS = 50
SNAPSHOT_POINTS = 500
ASK_S = 5.0


class ClientMessage(Struct, frozen=True):
    """What a page may say: resume after a seq, or acknowledge figures."""

    type: Literal["resume", "ack"]
    seq: Annotated[int, Meta(ge=0)] = 0


class Nonsense(Exception):
    """What a client sent is no message: a close code, and a reason that says why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def read(data: str | bytes) -> ClientMessage:
    """Decode what a page said. Raises Nonsense."""
    if isinstance(data, bytes):
        raise Nonsense(NOT_TEXT, "binary: messages are JSON text")
    try:
        return msgspec.json.decode(data, type=ClientMessage)
    except msgspec.ValidationError as error:
        raise Nonsense(NOT_A_MESSAGE, str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Nonsense(NOT_JSON, f"not JSON: {error}") from error


class Ending:
    """How a connection is to be closed once its client's wait has ended."""

    def __init__(self) -> None:
        self.code = GOING_AWAY
        self.reason = "closing: come back, nothing is lost"

    def because(self, nonsense: Nonsense) -> None:
        """Close with what was wrong, in as many bytes as a close frame holds."""
        self.code = nonsense.code
        self.reason = nonsense.reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")


def live(door: Door, services: Services) -> Blueprint:
    """The route of the live WebSocket."""
    routes = Blueprint("live", __name__)

    @routes.websocket("/api/v1/live")
    async def connect() -> Any:
        try:
            door.check(websocket, unsafe=True)
            door.need(websocket, "read")
        except Refusal as refusal:
            return {"error": refusal.error}, refusal.status
        client = services.hub.join()
        if client is None:
            await websocket.accept()
            await websocket.close(TRY_LATER, "too many dashboards: see server.dashboards_max")
            return None
        try:
            await websocket.accept()
            await _serve(services, client)
        finally:
            services.hub.leave(client)
        return None

    return routes


async def _serve(services: Services, client: Client) -> None:
    ending = Ending()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_listen, services, client, ending)
            try:
                await _send_snapshot(services)
                await _send(client)
            except TooSlow:
                await websocket.close(ending.code, ending.reason)
            except (AskTimeout, AskFailed, NoSuchActor, MailboxFull):
                await websocket.close(TRY_LATER, "not ready: come back")
            except StoreError:
                await websocket.close(TRY_LATER, "the storage cannot be read: come back")
            tasks.cancel_scope.cancel()
    finally:
        client.close()


async def _send_snapshot(services: Services) -> None:
    metrics = await services.metrics.ask(MetricsQuery(), timeout_s=ASK_S)
    points = max(50, SNAPSHOT_POINTS // max(1, len(metrics.bots)))
    series = await services.metrics.ask(SeriesQuery(points), timeout_s=ASK_S)
    health = await services.health.ask(HealthQuery(), timeout_s=ASK_S)
    alerts = await services.store.read(lambda tx: outbox.history(tx, SNAPSHOT_ALERTS))
    frame = services.hub.frame(
        "snapshot",
        metrics=metrics,
        health=health,
        alerts=alerts,
        supervisor=services.status(),
        series=series,
    )
    await websocket.send(frame.data.decode())


async def _send(client: Client) -> None:
    while True:
        frame = await client.next()
        await websocket.send(frame.data.decode())
        # After the peer has left, send returns without a checkpoint: this loop must have its own.
        await anyio.lowlevel.checkpoint()


async def _listen(services: Services, client: Client, ending: Ending) -> None:
    while True:
        try:
            message = read(await websocket.receive())
        except Nonsense as nonsense:
            ending.because(nonsense)
            client.close()
            return
        if message.type == "resume":
            services.hub.replay(client, message.seq)
        elif message.type == "ack":
            client.acknowledge()

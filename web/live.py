"""The live WebSocket: a snapshot, then what changes, to each browser at its own pace.

Figures coalesce, alerts never drop. The page acknowledges figures, so that a slow one holds two at
most in flight. On stop every handler wakes and closes with 1001.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
from msgspec import Struct
from quart import Blueprint, websocket

from actors.alerts import outbox
from actors.health.actor import HealthQuery
from actors.hub import Client, TooSlow
from actors.metrics.actor import MetricsQuery, SeriesQuery
from runtime.ref import AskFailed, AskTimeout, NoSuchActor
from web.app import Door
from web.guard import Refusal
from web.services import Services

GOING_AWAY = 1001
TRY_LATER = 1013
POLICY = 1008
SNAPSHOT_ALERTS = 50
SNAPSHOT_POINTS = 500
ASK_S = 5.0


class ClientMessage(Struct, frozen=True):
    """What a page may say: resume after a seq, or acknowledge figures."""

    type: str
    seq: int = 0


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
            await websocket.close(TRY_LATER, "too many dashboards")
            return None
        try:
            await websocket.accept()
            await _serve(services, client)
        finally:
            services.hub.leave(client)
        return None

    return routes


async def _serve(services: Services, client: Client) -> None:
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_listen, services, client)
            try:
                await _send_snapshot(services)
                await _send(client)
            except TooSlow:
                await websocket.close(GOING_AWAY, "closing: come back, nothing is lost")
            except (AskTimeout, AskFailed, NoSuchActor):
                await websocket.close(TRY_LATER, "not ready: come back")
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


async def _listen(services: Services, client: Client) -> None:
    while True:
        data = await websocket.receive()
        try:
            message = msgspec.json.decode(data, type=ClientMessage)
        except (msgspec.MsgspecError, RecursionError):
            client.close()
            return
        if message.type == "resume":
            services.hub.replay(client, message.seq)
        elif message.type == "ack":
            client.acknowledge()

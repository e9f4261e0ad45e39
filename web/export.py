"""Trades as a file: streamed at constant memory, to whoever may read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import anyio
from quart import Blueprint, Response, request

from actors.metrics.export import Wanted, trades_csv
from web.api import span
from web.app import Door, scoped
from web.services import Services

AT_ONCE_MAX = 4  # each reads the whole journal, in turn with whoever writes
STREAM_S = 3_600.0  # a slow reader may take its time, but not for ever


def exporting(door: Door, services: Services) -> Blueprint:
    """Routes that answer with a file."""
    routes = Blueprint("exporting", __name__)
    turns = anyio.Semaphore(AT_ONCE_MAX)

    @routes.get("/api/v1/trades.csv")
    @scoped(door, "read")
    async def get_trades() -> Response:
        wanted = Wanted(request.args.get("bot", ""), *span())
        pieces = _in_turn(turns, trades_csv(services.store, wanted))
        response = Response(pieces, content_type="text/csv; charset=utf-8")
        response.timeout = STREAM_S
        response.headers["Content-Disposition"] = 'attachment; filename="trades.csv"'
        return response

    return routes


async def _in_turn(
    turns: anyio.Semaphore, pieces: AsyncGenerator[bytes, None]
) -> AsyncIterator[bytes]:
    async with turns, aclosing(pieces):
        async for piece in pieces:
            yield piece

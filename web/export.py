"""Trades as a file: streamed at constant memory, to whoever may read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import anyio
from quart import Blueprint, Response, request

from actors.bounds import BOTS_MAX
from actors.metrics.export import Wanted, trades_csv
from actors.metrics.queries import MetricsQuery
from web.api import ASK_S, span
from web.app import Door, scoped
from web.guard import Refusal
from web.services import Services

READING_MAX = 4  # each reads the whole journal, in turn with whoever writes
OPEN_MAX = 32  # a slow reader holds no turn, but what is corrected stays in memory for it
RETRY_S = 10.0
STREAM_S = 3_600.0  # a slow reader may take its time, but not for ever


def exporting(door: Door, services: Services) -> Blueprint:
    """Routes that answer with a file."""
    routes = Blueprint("exporting", __name__)
    exports = Exports(READING_MAX, OPEN_MAX)

    @routes.get("/api/v1/trades.csv")
    @scoped(door, "read")
    async def get_trades() -> Response:
        wanted = Wanted(request.args.get("bot", ""), *span())
        await _known(services, wanted.bot)
        if exports.full:
            raise Refusal(503, f"{OPEN_MAX} exports are under way already", RETRY_S)
        pieces = exports.stream(trades_csv(services.store, wanted, services.studies.place))
        response = Response(pieces, content_type="text/csv; charset=utf-8")
        response.timeout = STREAM_S
        response.headers["Content-Disposition"] = 'attachment; filename="trades.csv"'
        return response

    return routes


async def _known(services: Services, bot: str) -> None:
    """Refuse a bot that nothing is known of; one too many to have figures may have trades."""
    if not bot:
        return
    figures = await services.metrics.ask(MetricsQuery(bot), timeout_s=ASK_S)
    if bot not in figures.bots:
        every = await services.metrics.ask(MetricsQuery(""), timeout_s=ASK_S)
        if len(every.bots) < BOTS_MAX:
            raise Refusal(404, f"bot: nothing known of {bot[:64]!r}")


class Exports:
    """Lets so many exports read at once, and so many be open."""

    def __init__(self, reading: int, open_: int) -> None:
        self._turns = anyio.Semaphore(reading)
        self._most = open_
        self._open = 0

    @property
    def full(self) -> bool:
        """Whether no other may begin."""
        return self._open >= self._most

    async def stream(self, pieces: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
        """Give the pieces; each is read in a turn, and sent outside of it."""
        self._open += 1
        try:
            async with aclosing(pieces):
                while True:
                    async with self._turns:
                        piece = await anext(pieces, None)
                    if piece is None:
                        return
                    yield piece
        finally:
            self._open -= 1

"""Trades as CSV, page by page out of the journal, so that a million cost no more memory than one.

Each trade comes once, as its highest revision has it, in the order of its arrival; the corrected
ones alone are remembered meanwhile, a hundred bytes or two each. The columns are
those that `sidewatch import` reads. No text is taken for a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from decimal import Decimal

import msgspec
from anyio.lowlevel import checkpoint

from actors import codec
from actors.cell import shielded
from actors.messages import Trade
from actors.metrics.replay import READER
from actors.metrics.timeline import Id, canonical_id
from actors.place import Position
from runtime.store import Row, Store

PAGE_ROWS = 500
STREAMS = ("trade",)
COLUMNS = (
    "bot",
    "id",
    "symbol",
    "side",
    "quantity",
    "opened_at",
    "closed_at",
    "pnl",
    "fee",
    "currency",
    "revision",
    "risk",
)

Revisions = dict[tuple[str, Id], int]


class Wanted(msgspec.Struct, frozen=True):
    """Which trades: of one bot (empty: of all), closed from `first` on and before `last`."""

    bot: str = ""
    first: datetime | None = None
    last: datetime | None = None

    def takes(self, trade: Trade) -> bool:
        """Say whether a trade is wanted."""
        closed = trade.closed_at
        assert closed is not None  # `actors.codec` completes every trade
        if self.bot and trade.bot != self.bot:
            return False
        if self.first is not None and closed < self.first:
            return False
        return self.last is None or closed < self.last


async def trades_csv(
    store: Store, wanted: Wanted, place: Position | None = None
) -> AsyncGenerator[bytes, None]:
    """Return the header and the wanted trades in pieces. Raises StoreError.

    What is journaled while it reads is not part of it, nor what came too late to count: `place` is
    that of the live figures, and knows what is not on disk yet.
    """
    place = place or Position(reader=READER, streams=STREAMS)
    head, left_out = store.head(), await place.refused(store)
    corrected = await _corrected(store, wanted, head, left_out)
    yield ",".join(COLUMNS).encode() + b"\r\n"
    async for trades in _pages(store, head, left_out):
        piece = _piece([trade for trade in trades if _stands(trade, wanted, corrected)])
        if piece:
            yield piece


async def _corrected(store: Store, wanted: Wanted, head: int, left_out: set[int]) -> Revisions:
    """Return the highest revision of each corrected trade: the few that a row may not stand for."""
    highest: Revisions = {}
    async for trades in _pages(store, head, left_out):
        for trade in trades:
            if trade.revision and (not wanted.bot or trade.bot == wanted.bot):
                key = (trade.bot, canonical_id(trade.id))
                highest[key] = max(highest.get(key, 0), trade.revision)
    return highest


def _stands(trade: Trade, wanted: Wanted, corrected: Revisions) -> bool:
    known = corrected.get((trade.bot, canonical_id(trade.id)), 0)
    return trade.revision == known and wanted.takes(trade)


async def _pages(store: Store, head: int, left_out: set[int]) -> AsyncIterator[list[Trade]]:
    after = 0
    while after < head and (rows := await _read(store, after)):
        taken = [row for row in rows if row.seq <= head and row.seq not in left_out]
        events = [codec.known(row.data) for row in taken]
        yield [event for event in events if isinstance(event, Trade)]
        after = rows[-1].seq
        await checkpoint()


async def _read(store: Store, after: int) -> list[Row]:
    return await store.read(lambda tx: tx.journal.read(after, PAGE_ROWS, STREAMS))


def _piece(trades: list[Trade]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_cell(getattr(trade, name)) for name in COLUMNS] for trade in trades)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str):
        return shielded(value)
    return "" if value is None else value

"""A study answers what live figures do not keep, off the loop's hot path.

It works on copies: of the live ledgers' columns, or for an instant in the past of those that the
journal gives. All work on them is done in a worker thread, so that events, alerts and pages go on
meanwhile, one study at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from actors.messages import Family, MetricsUpdate
from actors.metrics.as_of import as_of
from actors.metrics.details import OF_RECORD, WANTED, Details, details, record, study
from actors.metrics.families import family
from actors.metrics.ledger import Ledger
from actors.metrics.ledgers import EVENTS_MAX, LATEST, Ledgers, part, shared
from actors.metrics.options import LedgerOptions
from actors.metrics.queries import History, HistoryQuery, SheetsQuery
from actors.metrics.sheet import NEEDED, Sheet, merged
from actors.place import Position
from runtime.store import Store

T = TypeVar("T")
Sheets = dict[str, Sheet]
Of = tuple[dict[str, T], dict[str, T]]  # of each bot, and of each currency's portfolio

READING_MAX = 8  # the one being worked on among them
COPYING_MAX = 64


class StudiesBusy(Exception):
    """Enough questions are asked already."""


class Turns:
    """Lets those who ask go one at a time; at most so many are there at once."""

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self._turn = anyio.Lock()
        self._there = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn and take it. Raises StudiesBusy."""
        if self._there >= self._most:
            raise StudiesBusy(f"{self._most} questions of {self._what} are asked already")
        self._there += 1
        try:
            async with self._turn:
                yield
        finally:
            self._there -= 1


class Studies:
    """Works out what is asked for. `live` asks the metrics actor, `place` is its place.

    As of now a question is about the live ledgers (at most 64 ask at once), as of an instant, or
    where something of them is compacted, about the journal (at most 8).
    """

    def __init__(
        self,
        store: Store,
        options: Callable[[str], LedgerOptions],
        live: Callable[[SheetsQuery], Awaitable[Sheets]],
        place: Position | None = None,
    ) -> None:
        self._store, self.options, self._live, self.place = store, options, live, place
        self._reading = Turns(READING_MAX, "the journal")
        self._copying = Turns(COPYING_MAX, "the ledgers")

    async def figures(
        self, bot: str, at: datetime, definitions: Iterable[str] = ()
    ) -> tuple[MetricsUpdate, Of[dict[str, Family]]]:
        """The figures of one bot, or of all (""), as of an instant, and the families named.

        The journal is read once for both. Raises TooLarge, StudiesBusy.
        """
        async with self._reading.one():
            ledgers = await self._as_of(bot, at)
            work = partial(_figures, ledgers, bot, at, tuple(definitions))
            return await anyio.to_thread.run_sync(work)

    async def details(self, bot: str, at: datetime | None, now: datetime) -> Of[Details]:
        """The details of one bot, or of all ("") and each currency, as of `at` or now.

        Raises TooLarge, StudiesBusy.
        """
        async with self._sheets(SheetsQuery(WANTED, bot), at) as sheets:
            work = partial(_details, sheets, at or now, alone=bool(bot))
            return await anyio.to_thread.run_sync(work)

    async def families(
        self, definitions: Iterable[str], bot: str, at: datetime | None, now: datetime
    ) -> Of[dict[str, Family]]:
        """The families of one bot, or of all ("") and each currency, as of `at` or now.

        Raises TooLarge, StudiesBusy.
        """
        async with self._sheets(SheetsQuery(OF_RECORD, bot), at) as sheets:
            work = partial(_families, sheets, at or now, tuple(definitions), alone=bool(bot))
            return await anyio.to_thread.run_sync(work)

    async def curves(self, currency: str, query: HistoryQuery) -> dict[str, History]:
        """A part of the chart of one currency's portfolio, or of all ("").

        Raises TooLarge, StudiesBusy.
        """
        async with self._copying.one():
            sheets = await self._live(SheetsQuery(NEEDED, currency=currency))
            return await anyio.to_thread.run_sync(curves, sheets, query)

    @asynccontextmanager
    async def _sheets(self, query: SheetsQuery, at: datetime | None) -> AsyncIterator[Sheets]:
        if at is None:
            async with self._copying.one():
                sheets = await self._live(query)
                if not any(sheet.base.entries for sheet in sheets.values()):
                    yield sheets
                    return
        async with self._reading.one():
            ledgers = await self._as_of(query.bot, at or LATEST)
            yield await anyio.to_thread.run_sync(Ledgers.sheets, ledgers, query)

    async def _as_of(self, bot: str, at: datetime) -> Ledgers:
        return await as_of(self._store, self.options, bot, at, EVENTS_MAX, place=self.place)


def curves(sheets: Sheets, query: HistoryQuery) -> dict[str, History]:
    """A part of the chart of each currency's portfolio; of many with fewer points each."""
    whole = {currency: _whole(members) for currency, members in _members(sheets).items()}
    query = shared(query, len(whole))
    return {currency: part(Ledger.of(sheet), query) for currency, sheet in whole.items()}


def _details(sheets: Sheets, now: datetime, *, alone: bool) -> Of[Details]:
    return _of_all(sheets, lambda sheet: details(study(sheet, now), now), alone=alone)


def _figures(
    ledgers: Ledgers, bot: str, at: datetime, definitions: tuple[str, ...]
) -> tuple[MetricsUpdate, Of[dict[str, Family]]]:
    update = ledgers.update(at)
    if not definitions:
        return update, ({}, {})
    sheets = ledgers.sheets(SheetsQuery(OF_RECORD, bot))
    return update, _families(sheets, at, definitions, alone=bool(bot))


def _families(
    sheets: Sheets, now: datetime, definitions: tuple[str, ...], *, alone: bool
) -> Of[dict[str, Family]]:
    def of(sheet: Sheet) -> dict[str, Family]:
        columns = record(study(sheet, now))
        return {definition: family(definition, columns) for definition in definitions}

    return _of_all(sheets, of, alone=alone)


def _of_all(sheets: Sheets, of: Callable[[Sheet], T], *, alone: bool) -> Of[T]:
    """What each bot gives and, where not one was asked for `alone`, each currency's portfolio."""
    bots = {bot: of(sheet) for bot, sheet in sheets.items()}
    if alone:
        return bots, {}
    return bots, {
        currency: bots[next(iter(members))] if len(members) == 1 else of(_whole(members))
        for currency, members in _members(sheets).items()
    }


def _members(sheets: Sheets) -> dict[str, Sheets]:
    """The bots of each currency, as the live portfolios have them."""
    members: dict[str, Sheets] = {}
    for bot, sheet in sorted(sheets.items()):
        members.setdefault(sheet.options.currency, {})[bot] = sheet
    return dict(sorted(members.items()))


def _whole(members: Sheets) -> Sheet:
    sheets = list(members.values())
    return merged(sheets, sheets[0].options)

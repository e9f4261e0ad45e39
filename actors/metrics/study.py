"""A study answers what the live ledgers do not keep, from the journal, off the loop's hot path.

One study at a time reads the journal page by page; decoding and computing happen in a worker
thread, so that events, alerts and pages go on meanwhile. A million trades take about 9 s of CPU.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

import anyio
import anyio.to_thread

from actors import codec
from actors.messages import Equity, Family, Flow, MetricsUpdate, Trade
from actors.metrics.as_of import as_of
from actors.metrics.details import Details, account, details, portfolio, record
from actors.metrics.families import family
from actors.metrics.history import History as Events
from actors.metrics.ledger import Ledger
from actors.metrics.ledgers import BOTS_MAX, EVENTS_MAX, part
from actors.metrics.options import LedgerOptions
from actors.metrics.queries import History, HistoryQuery, SheetsQuery, TooLarge
from actors.metrics.replay import READER, STREAMS
from actors.metrics.sheet import NEEDED, Sheet, merged
from actors.place import poisoned
from runtime.store import Row, Store

PAGE_ROWS = 2_000
WAITING_MAX = 8
COPIES_MAX = 64


class StudiesBusy(Exception):
    """Enough questions wait already."""


class Study:
    """The histories of the bots that were asked for, as they stood at an instant."""

    def __init__(
        self, options: Callable[[str], LedgerOptions], bot: str, at: datetime | None
    ) -> None:
        self._options, self._bot, self._at = options, bot, at
        self.of: dict[str, Events] = {}

    def take(self, rows: Iterable[Row], left_out: set[int]) -> None:
        """Take in a page of the journal. Raises TooLarge."""
        for row in rows:
            event = codec.known(row.data)
            if not isinstance(event, Trade | Equity | Flow):
                continue
            if row.seq not in left_out and self._wanted(event):
                history = self.of.get(event.bot)
                if history is None:
                    if len(self.of) >= BOTS_MAX:
                        continue  # the live figures leave it out, too
                    history = self.of[event.bot] = Events(self._options(event.bot))
                history.take(event)
        if sum(map(len, self.of.values())) > EVENTS_MAX:
            raise TooLarge(f"bot: more than {EVENTS_MAX:,} events: ask for one")

    def families(self, definitions: Iterable[str], now: datetime) -> dict[str, dict[str, Family]]:
        """Each bot's figures by other definitions: bot -> definition -> figures."""
        found: dict[str, dict[str, Family]] = {}
        for bot, history in sorted(self.of.items()):
            columns = record(account(history, now))
            found[bot] = {definition: family(definition, columns) for definition in definitions}
        return found

    def details(self, now: datetime) -> tuple[dict[str, Details], dict[str, Details]]:
        """Each bot's account in detail, and each currency's, all bots as if one account."""
        bots = {
            bot: details(account(history, now), now) for bot, history in sorted(self.of.items())
        }
        if self._bot:
            return bots, {}
        members: dict[str, list[str]] = {}
        for bot, found in bots.items():
            members.setdefault(found.currency, []).append(bot)
        return bots, {
            currency: bots[names[0]]
            if len(names) == 1
            else details(portfolio([self.of[name] for name in names], now), now)
            for currency, names in sorted(members.items())
        }

    def _wanted(self, event: Trade | Equity | Flow) -> bool:
        if self._bot and event.bot != self._bot:
            return False
        at = (event.closed_at or event.at) if isinstance(event, Trade) else event.at
        return self._at is None or (at is not None and at <= self._at)


def curves(sheets: Iterable[Sheet], query: HistoryQuery) -> dict[str, History]:
    """A part of each currency's chart, all its sheets as one account."""
    members: dict[str, list[Sheet]] = {}
    for sheet in sheets:
        members.setdefault(sheet.options.currency, []).append(sheet)
    return {
        currency: part(Ledger.of(merged(of, of[0].options)), query)
        for currency, of in sorted(members.items())
    }


class Turns:
    """Lets those who ask go one at a time; at most so many wait."""

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self._turn = anyio.Lock()
        self._there = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn and take it. Raises StudiesBusy."""
        if self._there >= self._most:
            raise StudiesBusy(f"{self._most} questions wait for {self._what} already")
        self._there += 1
        try:
            async with self._turn:
                yield
        finally:
            self._there -= 1


class Studies:
    """Works out what is asked for, one question at a time; at most 8 wait for the journal.

    `live` asks the metrics actor.
    """

    def __init__(
        self,
        store: Store,
        options: Callable[[str], LedgerOptions],
        live: Callable[[SheetsQuery], Awaitable[dict[str, Sheet]]],
    ) -> None:
        self._store, self.options, self._live = store, options, live
        self._journal = Turns(WAITING_MAX, "the journal")
        self._copies = Turns(COPIES_MAX, "the portfolios")

    async def curves(self, currency: str, query: HistoryQuery) -> dict[str, History]:
        """A part of the chart of one currency's portfolio, or of all ("").

        Raises TooLarge, StudiesBusy.
        """
        async with self._copies.one():
            sheets = await self._live(SheetsQuery(NEEDED, currency=currency))
            return await anyio.to_thread.run_sync(curves, sheets.values(), query)

    async def families(
        self, definitions: Iterable[str], bot: str, at: datetime | None, now: datetime
    ) -> dict[str, dict[str, Family]]:
        """The families of one bot, or of all (""), as of `at` or now.

        Raises TooLarge, StudiesBusy.
        """
        async with self._journal.one():
            study = await self._read(bot, at)
            return await anyio.to_thread.run_sync(study.families, definitions, at or now)

    async def figures(self, bot: str, at: datetime) -> MetricsUpdate:
        """The figures of one bot, or of all (""), as of an instant. Raises StudiesBusy."""
        async with self._journal.one():
            return await as_of(self._store, self.options, bot, at)

    async def details(
        self, bot: str, at: datetime | None, now: datetime
    ) -> tuple[dict[str, Details], dict[str, Details]]:
        """The details of one bot, or of all ("") and each currency, as of `at` or now.

        Raises TooLarge, StudiesBusy.
        """
        async with self._journal.one():
            study = await self._read(bot, at)
            return await anyio.to_thread.run_sync(study.details, at or now)

    async def _read(self, bot: str, at: datetime | None) -> Study:
        """Read what is journaled now; what comes meanwhile is not part of it."""
        study = Study(self.options, bot, at)
        head = self._store.head()
        left_out = await poisoned(self._store, READER)
        after = 0
        while after < head and (rows := await self._page(after)):
            after = rows[-1].seq
            taken = [row for row in rows if row.seq <= head] if after > head else rows
            await anyio.to_thread.run_sync(study.take, taken, left_out)
        return study

    async def _page(self, after: int) -> list[Row]:
        return await self._store.read(lambda tx: tx.journal.read(after, PAGE_ROWS, STREAMS))

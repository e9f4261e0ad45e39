"""Replay: ledgers from the journal, a bounded piece at a time, while the next one is read.

A long one is worked through in a worker thread: to give a million trades their places takes 0.3 s.
Only a piece that is read as one row is read ahead: for each row the interpreter changes over to the
store's thread, and a busy event loop takes 5 ms to give way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

import anyio.to_thread
from anyio.lowlevel import checkpoint

from actors.metrics.bulk import Loader
from actors.metrics.ledgers import Ledgers
from runtime.store import Run, Store, Tx

READER: Final = "metrics"  # its cursor, and what is left out for it
PIECE_ROWS: Final = 8_192
ASIDE_FROM: Final = 20_000  # events; fewer are taken in sooner than a thread wakes
STREAMS: Final = ("trade", "equity", "flow")


Work = Callable[..., Awaitable[Any]]


async def here(work: Callable[..., Any], *given: Any) -> Any:
    """Do some work at once."""
    return work(*given)


async def aside(work: Callable[..., Any], *given: Any) -> Any:
    """Do some work in a worker thread; nobody else may touch what it changes meanwhile.

    Cancelled, it leaves the thread to its end: nobody gets to see what that changes.
    """
    return await anyio.to_thread.run_sync(work, *given, abandon_on_cancel=True)


def worker(until: int) -> Work:
    """Where to take in what a journal has up to a seq."""
    return aside if until > ASIDE_FROM else here


async def rebuild(
    store: Store, ledgers: Ledgers, left_out: set[int], *, after: int, until: int, now: datetime
) -> None:
    """Replay, and then work out the figures as of `now`, so that those asked for next cost little.

    Raises StoreError.
    """
    work = worker(until)
    await replay(store, ledgers.loader(), left_out, after=after, until=until, work=work)
    await work(ledgers.update, now)


async def replay(
    store: Store,
    loader: Loader,
    left_out: set[int],
    *,
    after: int = 0,
    until: int,
    work: Work = here,
) -> None:
    """Take in the events with seqs after `after` and up to `until`, but those left out.

    `work` says where a piece is taken in. Raises StoreError.
    """
    ahead = store.begin(partial(_joined, after))
    while after < until:
        joined = await ahead()
        # All streams: SQLite would sort what it finds of some of them, for each piece
        runs = [joined] if joined is not None else await store.read(partial(_runs, after))
        if not runs:
            break
        after = runs[-1].last
        ahead = store.begin(partial(_joined, after))
        own = [run for run in runs if run.stream in STREAMS]
        await work(loader.take, own, left_out, until)
        await checkpoint()
    await ahead()
    await work(loader.finish)


def _joined(after: int, tx: Tx) -> Run | None:
    return tx.journal.joined(after, PIECE_ROWS)


def _runs(after: int, tx: Tx) -> list[Run]:
    return tx.journal.runs(after, PIECE_ROWS)

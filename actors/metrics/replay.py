"""Replay: ledgers from the journal, a bounded piece at a time, while the next one is read.

Only a piece that is read as one row is read ahead: for each row the interpreter changes over to the
store's thread, and a busy event loop takes 5 ms to give way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from anyio.lowlevel import checkpoint

from actors.metrics.bulk import Loader
from runtime.store import Run, Store, Tx

READER: Final = "metrics"  # its cursor, and what is left out for it
PIECE_ROWS: Final = 8_192
STREAMS: Final = ("trade", "equity", "flow")


Work = Callable[..., Awaitable[None]]


async def here(work: Callable[..., None], *given: Any) -> None:
    """Do some work at once."""
    work(*given)


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

"""Replay: ledgers from the journal, a bounded piece at a time.

Reading ahead meanwhile would be slower: the interpreter changes over to the store's thread for
each row, and a busy event loop takes 5 ms to give way.
"""

from __future__ import annotations

from typing import Final

from anyio.lowlevel import checkpoint

from actors.metrics.bulk import Loader
from runtime.store import Store

READER: Final = "metrics"  # its cursor, and what is left out for it
PIECE_ROWS: Final = 8_192
STREAMS: Final = ("trade", "equity", "flow")


async def replay(
    store: Store, loader: Loader, left_out: set[int], *, after: int = 0, until: int
) -> None:
    """Take in the events with seqs after `after` and up to `until`, but those left out.

    Raises StoreError.
    """
    while after < until:
        # All streams: SQLite would sort what it finds of some of them, for each piece
        runs = await store.read(lambda tx, after=after: tx.journal.runs(after, PIECE_ROWS))  # type: ignore[misc]
        if not runs:
            break
        loader.take([run for run in runs if run.stream in STREAMS], left_out, until)
        after = runs[-1].last
        await checkpoint()
    loader.finish()

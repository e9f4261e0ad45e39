"""As of an instant: the ledgers as they stood then, worked out from the journal alone.

Pages are decoded in a worker thread, so that events, alerts and pages go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from actors.metrics.ledgers import Ledgers, bounded
from actors.metrics.options import LedgerOptions
from actors.metrics.replay import READER, STREAMS, aside, replay
from actors.metrics.wanted import Wanted
from actors.place import Position
from runtime.store import Store


async def as_of(
    store: Store,
    options: Callable[[str], LedgerOptions],
    bot: str,
    at: datetime,
    most: int | None = None,
    *,
    place: Position | None = None,
) -> Ledgers:
    """The ledgers of one bot, or of all (""), of what had happened by `at` as it is known now.

    A correction counts whenever it came; where one has moved a trade beyond `at`, the journal is
    read once more without it. What is journaled meanwhile is not part of it, nor what the live
    figures leave out: `place` is theirs, and knows what is not on disk yet. Raises TooLarge beyond
    `most` events, StoreError.
    """
    place = place or Position(reader=READER, streams=STREAMS)
    left_out, until = await place.leaves_out(store), store.head()

    async def read(wanted: Wanted) -> Ledgers:
        ledgers = Ledgers(options)

        async def within(work: Callable[..., Any], *given: Any) -> None:
            await aside(work, *given)
            if most is not None:
                bounded(ledgers.of.values(), most, bot)

        await replay(store, ledgers.loader(wanted), left_out, until=until, work=within)
        return ledgers

    wanted = Wanted(bot, at)
    ledgers = await read(wanted)
    moved = await aside(wanted.moved, ledgers.of)
    return await read(Wanted(bot, at, moved)) if moved else ledgers

"""As of an instant: the ledgers as they stood then, worked out from the journal alone.

Pages are decoded in a worker thread, so that events, alerts and pages go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from actors.metrics.bulk import Wanted
from actors.metrics.ledgers import Ledgers, bounded
from actors.metrics.options import LedgerOptions
from actors.metrics.replay import READER, STREAMS, aside, replay
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
    """The ledgers of one bot, or of all (""), as if nothing later than `at` had arrived.

    What is journaled while it reads is not part of it, nor what the live figures leave out: `place`
    is theirs, and knows what is not on disk yet. Raises TooLarge beyond `most` events,
    StoreError.
    """
    ledgers = Ledgers(options)
    loader = ledgers.loader(Wanted(bot, at))
    place = place or Position(reader=READER, streams=STREAMS)
    left_out = await place.leaves_out(store)

    async def within(work: Callable[..., Any], *given: Any) -> None:
        await aside(work, *given)
        if most is not None:
            bounded(ledgers.of.values(), most, bot)

    await replay(store, loader, left_out, until=store.head(), work=within)
    return ledgers

"""As of an instant: the figures as they stood then, worked out from the journal alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from actors.messages import MetricsUpdate
from actors.metrics.bulk import Wanted
from actors.metrics.ledgers import Ledgers
from actors.metrics.options import LedgerOptions
from actors.metrics.replay import READER, replay
from actors.place import poisoned
from runtime.store import Store


async def as_of(
    store: Store, options: Callable[[str], LedgerOptions], bot: str, at: datetime
) -> MetricsUpdate:
    """Return the figures as they stood at an instant, as if nothing later had arrived."""
    ledgers = Ledgers(options)
    loader = ledgers.loader(Wanted(bot, at))
    await replay(store, loader, await poisoned(store, READER), until=store.head())
    return ledgers.update(at)

"""What of a journal is wanted: what a bot had done by an instant, as it is known now.

A trade that a correction has moved beyond the instant had not closed by then. That is known only
once the whole journal was seen, so such trades are named for another reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from actors import codec
from actors.messages import Equity, Flow, Trade
from actors.metrics.identities import Id, canonical_id
from actors.metrics.ledger import Ledger
from actors.metrics.summary import TRADE

Key = tuple[str, Id]  # a bot and a canonical id


class Wanted:
    """Which events: of a bot (empty: of all), that happened up to an instant, but those `moved`."""

    def __init__(self, bot: str, at: datetime, moved: frozenset[Key] = frozenset()) -> None:
        self.bot, self.at, self._moved = bot, at, moved
        self._sooner: dict[Key, int] = {}  # the highest revision of corrections up to the instant
        self._later: dict[tuple[str, Id, str | None], int] = {}  # and beyond, by currency

    def has(self, event: Trade | Equity | Flow) -> bool:
        """Say whether an event is wanted."""
        if self.bot not in ("", event.bot):
            return False
        within = codec.happened(event) <= self.at
        if isinstance(event, Trade):
            if event.revision:
                self.note(event.bot, event.id, event.revision, event.currency, within=within)
            return within and self.stays(event.bot, event.id)
        return within

    def note(
        self, bot: str, given: Id, revision: int, currency: str | None, *, within: bool
    ) -> None:
        """Take note of a correction, which closes a trade up to the instant or beyond."""
        identity = canonical_id(given)
        if within:
            known = self._sooner.get((bot, identity), 0)
            self._sooner[bot, identity] = max(known, revision)
        else:
            known = self._later.get((bot, identity, currency), 0)
            self._later[bot, identity, currency] = max(known, revision)

    @property
    def leaves_out(self) -> bool:
        """Whether there is a trade that does not stay."""
        return bool(self._moved)

    def stays(self, bot: str, given: Id) -> bool:
        """Say whether a trade is none of those that were moved beyond the instant."""
        return (bot, canonical_id(given)) not in self._moved

    def moved(self, ledgers: Mapping[str, Ledger]) -> frozenset[Key]:
        """The trades in these ledgers that a correction closes beyond the instant."""
        found = set()
        for (bot, identity, currency), revision in self._later.items():
            ledger = ledgers.get(bot)
            if ledger is None or currency not in (None, ledger.options.currency):
                continue
            later = revision > self._sooner.get((bot, identity), 0)
            if later and _knows(ledger, identity):
                found.add((bot, identity))
        return frozenset(found)


def _knows(ledger: Ledger, identity: Id) -> bool:
    timeline = ledger.timeline  # first: only now the index knows of what was staged
    candidates = ledger.index.candidates(identity)
    return any(timeline.find(when, TRADE, identity) is not None for when in candidates)

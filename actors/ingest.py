"""The door: validate, journal, then acknowledge. What is accepted is on disk.

Nothing is processed here: the answer waits for one fsync and for nobody else. Duplicates are
counted, not refused; bad items are kept in the stream `rejected` in the same transaction, and after
it a duplicate that says something else than the first of its id.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import groupby

import msgspec
from anyio.lowlevel import checkpoint

from actors import codec, repeat
from actors.codec import Bad, BadBatch
from actors.messages import Equity, Event, Flow, Heartbeat, Seen, Trade
from actors.metrics.horizon import Horizon, refusal
from actors.rush import Rush
from actors.sources import freqtrade
from runtime.clock import Clock
from runtime.store import Entry, Store, Tx

REJECTED_RAW_BYTES_MAX = 4_096
REJECTED_PER_BATCH_MAX = 100
REJECTED_KEPT = 10_000
TRIM_EVERY = 1_000
EVENT_STREAMS = (
    "trade",
    "equity",
    "flow",
    "positions",
    "position_rejected",
    "kill_switch",
    "circuit_breaker",
    "api_error",
)


class Rejected(msgspec.Struct, frozen=True):
    """One item of a batch that was refused, or ignored, and why."""

    index: int
    error: str


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a batch, after the fsync.

    `conflicts` are those of the duplicates that say something else than the first of their id.
    """

    accepted: int
    duplicates: int
    rejected: list[Rejected]
    conflicts: list[Rejected] = []


class RejectedEvent(msgspec.Struct, frozen=True):
    """A refused item as ops read it; `raw` is cut."""

    at: datetime
    source: str
    index: int
    error: str
    raw: str


class Ingest:
    """The service that the web's routes call; for whole batches from within `rush.arrival()`.

    `seen` gets each sign of life, without waiting. What happened before the `horizon` is refused.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        seen: Callable[[Seen], None],
        rush: Rush | None = None,
        horizon: Horizon | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._seen = seen
        self.horizon = horizon or Horizon()
        self.rush = rush or Rush(clock)
        self._rejected_since_trim = 0

    async def events(self, raw: bytes, content_type: str) -> Accepted:
        """Take a request body of native events.

        Raises BadBatch where the body cannot be read at all, StoreError where it is not on disk.
        """
        good: list[tuple[int, Event]] = []
        bad: list[Bad] = []
        try:
            for piece in codec.read_pieces(raw, content_type, self._clock.now()):
                good += piece[0]
                bad += piece[1]
                await checkpoint()
        except BadBatch as error:
            await self._journal([], [Bad(0, str(error), raw)], "native")
            raise
        return await self._journal(good, bad, "native")

    async def freqtrade(self, bot: str, body: bytes, content_type: str) -> Accepted:
        """Take one freqtrade webhook. Raises BadBatch, StoreError."""
        now = self._clock.now()
        try:
            translated = freqtrade.translate(bot, freqtrade.parse(body, content_type), now)
            events = [codec.checked(codec.validated(event), now) for event in translated]
        except ValueError as error:
            await self._journal([], [Bad(0, str(error), body)], f"freqtrade:{bot}")
            raise BadBatch(str(error)) from error
        return await self._journal(list(enumerate(events)), [], f"freqtrade:{bot}", regular=False)

    async def _journal(
        self, good: list[tuple[int, Event]], bad: list[Bad], source: str, *, regular: bool = True
    ) -> Accepted:
        stamp = self._clock.now().timestamp()
        if self.horizon.since is not None:
            late = await self._late(good, self.horizon.since)
            good = [item for item in good if item[0] not in late]
            bad = sorted([*bad, *late.values()], key=lambda item: item.index)
        events = [event for _, event in good]
        runs = [
            (places, codec.stream(run[0]), stamp, codec.encode_lines(run), codec.keys(run))
            for places, run in _runs(events)
            if not isinstance(run[0], Heartbeat)
        ]
        kept = self._rejected(bad, source)

        def append(tx: Tx) -> tuple[list[int], bytes]:
            repeated, known = [], []
            for places, stream, at, lines, keys in runs:
                for place in tx.journal.append_run(stream, at, lines, keys):
                    repeated.append(places[place])
                    known.append(keys[place] or "")
            self._keep(tx, kept)
            earlier = tx.journal.earlier(known, repeat.EARLIER_BYTES_MAX) if known else b""
            return repeated, earlier

        repeated, earlier = await self._store.write(append) if runs or kept else ([], b"")
        self._tell_seen(events, regular=regular)
        conflicts = await self._conflicts([good[place] for place in repeated], earlier, source)
        rejected = [Rejected(item.index, item.error) for item in bad]
        return Accepted(len(events) - len(repeated), len(repeated), rejected, conflicts)

    async def _late(self, good: list[tuple[int, Event]], since: datetime) -> dict[int, Bad]:
        """Return what figures are no longer open for, by its index; not what was said before."""
        late = [
            (index, event)
            for index, event in good
            if isinstance(event, Trade | Equity | Flow) and codec.happened(event) < since
        ]
        keys = [key for _, event in late if (key := codec.key(event)) is not None]
        known = await self._store.read(lambda tx: tx.journal.known(keys)) if keys else set()
        return {
            index: Bad(index, _refusal(event, since), codec.encode(event))
            for index, event in late
            if codec.key(event) not in known
        }

    async def _conflicts(
        self, repeated: list[tuple[int, Event]], earlier: bytes, source: str
    ) -> list[Rejected]:
        """Return the repeats that say something else; they are kept beside what was refused."""
        found: list[tuple[int, str]] = []
        for piece in repeat.conflicts(repeated, earlier):
            found += piece
            await checkpoint()
        found.sort()
        if found:
            events, kept_of = dict(repeated), found[:REJECTED_PER_BATCH_MAX]
            bad = [Bad(index, error, codec.encode(events[index])) for index, error in kept_of]
            kept = self._rejected(bad, source)
            await self._store.write(lambda tx: self._keep(tx, kept))
        return [Rejected(index, error) for index, error in found]

    def _keep(self, tx: Tx, kept: list[Entry]) -> None:
        tx.journal.append(kept)
        self._rejected_since_trim += len(kept)
        if self._rejected_since_trim >= TRIM_EVERY:
            self._rejected_since_trim = 0
            tx.journal.trim("rejected", REJECTED_KEPT)

    def _tell_seen(self, events: list[Event], *, regular: bool) -> None:
        now = self._clock.now()
        states = {}
        if Heartbeat in set(map(type, events)):
            states = {event.bot: event.state for event in events if isinstance(event, Heartbeat)}
        for bot in {event.bot for event in events}:
            if bot in states:
                self._seen(Seen(bot, now, states[bot], regular))
            else:
                self._seen(Seen(bot, now, regular=False))

    def _rejected(self, bad: list[Bad], source: str) -> list[Entry]:
        now = self._clock.now()
        entries = []
        for item in bad[:REJECTED_PER_BATCH_MAX]:
            raw = item.raw[:REJECTED_RAW_BYTES_MAX].decode("utf-8", "backslashreplace")
            event = RejectedEvent(now, source, item.index, item.error, raw)
            entries.append(Entry("rejected", msgspec.json.encode(event), now.timestamp()))
        return entries


def _refusal(event: Trade | Equity | Flow, since: datetime) -> str:
    field = "closed_at" if isinstance(event, Trade) else "at"
    what = f"{codec.stream(event)} {getattr(event, 'id', '')}".rstrip()
    return refusal(field, what, codec.happened(event), since)


def _runs(events: list[Event]) -> list[tuple[range, list[Event]]]:
    """Return the events in order, in runs of one type, each with its places."""
    if len(set(map(type, events))) <= 1:
        return [(range(len(events)), events)] if events else []
    found, first = [], 0
    for _, some in groupby(events, type):
        run = list(some)
        found.append((range(first, first + len(run)), run))
        first += len(run)
    return found

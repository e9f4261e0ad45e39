"""The feed: carries journaled events, in order, to whoever builds state from them.

It wakes on each commit and reads on from where the slowest reader stands. The journal is the
truth; a reader skips what it has had, and is told what came before, so that it sees a gap.
"""

from __future__ import annotations

import msgspec

from actors import codec
from actors.messages import Recorded, Wake
from actors.place import Position
from runtime.actor import Actor
from runtime.ref import Ref
from runtime.store import Row, Store

READ_ROWS_MAX = 1_000


class Feed(Actor[Wake]):
    """Tells each journaled event to the readers that want its stream."""

    def __init__(self, store: Store, readers: list[tuple[Position, Ref[Recorded]]]) -> None:
        self._store = store
        self._readers = readers
        self.undecodable = 0

    async def started(self) -> None:
        """Catch up with what was journaled before."""
        await self.ctx.ref.tell(Wake())

    async def receive(self, _message: Wake) -> None:
        """Read what is new and hand it on, a bounded piece at a time."""
        while await self._hand_on_some():
            pass

    async def _hand_on_some(self) -> bool:
        places = [place for place, _ in self._readers if place.told is not None]
        after = min((place.told or 0 for place in places), default=self._store.head())
        if after >= self._store.head():
            return False
        rows = await self._store.read(lambda tx: tx.journal.read(after, READ_ROWS_MAX))
        for row in rows:
            await self._hand_on(row)
        return len(rows) == READ_ROWS_MAX

    async def _hand_on(self, row: Row) -> None:
        for place, ref in self._readers:
            if place.told is None or place.told >= row.seq:
                continue
            if row.stream in place.streams:
                await self._tell(place, ref, row)
            place.told = row.seq

    async def _tell(self, place: Position, ref: Ref[Recorded], row: Row) -> None:
        try:
            event = codec.decode(row.data)
        except msgspec.MsgspecError:
            self.undecodable += 1  # journaled by a version with other types; it stays there
            return
        await ref.tell(Recorded(row.seq, event, place.last_told))
        place.last_told = row.seq

"""A feed: carries journaled events, in order, to who builds state from them.

It wakes on each commit and reads on from where the slowest reader stands, a bounded piece at a
time; while more events come in, those go first (`actors.rush`). The journal is the
truth; a reader skips what it has had, and is told what came before, so that it sees a gap.
"""

from __future__ import annotations

import msgspec
from anyio.lowlevel import checkpoint

from actors import codec
from actors.messages import Recorded, RecordedRun, Wake
from actors.place import Position, last_of
from actors.rush import Rush
from runtime.actor import Actor
from runtime.ref import Ref
from runtime.store import Run, Store

READ_EVENTS_MAX = 1_000
TURN = 4  # messages, after which a rush at the door comes first again


class Feed(Actor[Wake]):
    """Tells journaled events to the readers that want their stream."""

    def __init__(
        self,
        store: Store,
        rush: Rush,
        readers: list[tuple[Position, Ref[Recorded | RecordedRun]]],
    ) -> None:
        self._store = store
        self._rush = rush
        self._readers = readers
        self._streams = sorted({stream for place, _ in readers for stream in place.streams})
        self.undecodable = 0

    async def started(self) -> None:
        """Catch up with what was journaled before."""
        await self.ctx.ref.tell(Wake())

    async def receive(self, _message: Wake) -> None:
        """Read some of what is new and hand it on, once the rush at the door allows it."""
        after = self._slowest()
        if after >= self._store.head():
            self._rush.caught_up()
            return
        await self._rush.give_way(self._store.head() - after)
        await self._hand_on_some(after)
        await self.ctx.ref.tell(Wake())

    def _slowest(self) -> int:
        """Return up to where the slowest reader that has rebuilt its state was told."""
        told = [place.told for place, _ in self._readers if place.told is not None]
        return min(told, default=self._store.head())

    async def _hand_on_some(self, after: int) -> None:
        head, limit, streams = self._store.head(), READ_EVENTS_MAX, self._streams
        runs = await self._store.read(lambda tx: tx.journal.runs(after, limit, streams))
        for run in runs:
            for place, ref in self._readers:
                if place.told is not None and place.told < run.last:
                    if run.stream in place.streams:
                        await self._tell(place, ref, run)
                    place.told = run.last
        if sum(run.n for run in runs) < limit:  # what else there is up to the head is for others
            for place, _ in self._readers:
                if place.told is not None:
                    place.told = max(place.told, head)

    async def _tell(self, place: Position, ref: Ref[Recorded | RecordedRun], run: Run) -> None:
        """Tell a run in pieces, and let the reader have its turn after each."""
        assert place.told is not None
        lines = run.lines()
        pieces = 0
        while place.told < run.last:
            if pieces and pieces % TURN == 0:
                await self._rush.give_way(self._store.head() - place.told)
            start = max(0, place.told - run.seq + 1)
            piece = lines[start : start + place.together_max]
            for message in self._messages(run.seq + start, piece, place.last_told, run.at):
                place.sent = last_of(message)
                await ref.tell(message)
            place.told = place.last_told = run.seq + start + len(piece) - 1
            pieces += 1
            await checkpoint()

    def _messages(
        self, seq: int, lines: list[bytes], after: int, arrived: float
    ) -> list[Recorded | RecordedRun]:
        try:
            events = codec.decode_lines(b"\n".join(lines))
        except msgspec.MsgspecError:
            if len(lines) == 1:
                self.undecodable += 1  # journaled by a version with other types; it stays there
                return []
            found: list[Recorded | RecordedRun] = []
            for place, line in enumerate(lines):
                before = found[-1].seq if found else after
                found += self._messages(seq + place, [line], before, arrived)
            return found
        if len(events) == 1:
            return [Recorded(seq, events[0], after, arrived)]
        return [RecordedRun(seq, events, after, arrived)]

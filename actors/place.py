"""A reader's place in the journal: where its rebuild ends and what is new begins, over restarts.

Alerts keeps each reader's cursor in the transaction of what it decided; a message in quarantine is
kept beside it. So a new life, or a new process, tells alerts nothing twice and leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from actors.messages import Recorded
from runtime.store import Store, Tx

POISONED_MAX = 100_000


@dataclass(slots=True, kw_only=True)
class Position:
    """How far a reader has come. It lives outside the reader, over the reader's incarnations.

    `told`: the feed's place, None until the reader has rebuilt its state once. `handled`: the
    last seq in the reader's state. `poisoned`: seqs in quarantine, which a rebuild leaves out.
    """

    reader: str
    streams: Sequence[str]
    told: int | None = None
    handled: int | None = None
    last_told: int = 0
    poisoned: set[int] = field(default_factory=set)

    async def find(self, store: Store) -> int:
        """Return up to which seq the reader's state is to be rebuilt.

        The first life of a process reads it, and what is poisoned, from the store.
        """
        if self.handled is not None:
            return self.handled
        cursor, poisoned = await store.read(lambda tx: _kept(tx, self.reader))
        self.poisoned |= poisoned
        return cursor

    def begin(self, seq: int) -> None:
        """Take the first place: the reader's state holds everything up to `seq`."""
        if self.handled is None:
            self.told = self.handled = self.last_told = seq

    def is_new(self, message: Recorded) -> bool:
        """Say whether the reader still needs a message."""
        if message.seq in self.poisoned:
            return False
        return self.handled is None or message.seq > self.handled

    def poison(self, seq: int) -> None:
        """Pass over a message that went to quarantine."""
        self.poisoned.add(seq)
        self.handled = max(self.handled or 0, seq)


def cursor_key(reader: str) -> str:
    """Return the state key of how far alerts has considered a reader's events."""
    return f"cursor/{reader}"


def poison_key(reader: str, seq: int | str = "") -> str:
    """Return the state key of one seq in quarantine; without a seq, what they all begin with."""
    return f"poison/{reader}/{seq}"


async def poisoned(store: Store, reader: str) -> set[int]:
    """Return the seqs that a reader's rebuild leaves out."""
    return await store.read(lambda tx: _poisoned(tx, reader))


def _kept(tx: Tx, reader: str) -> tuple[int, set[int]]:
    saved = tx.state.get(cursor_key(reader))
    return int(saved) if saved else 0, _poisoned(tx, reader)


def _poisoned(tx: Tx, reader: str) -> set[int]:
    prefix = poison_key(reader)
    return {int(key.removeprefix(prefix)) for key, _ in tx.state.scan(prefix, POISONED_MAX)}

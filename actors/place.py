"""A reader's place in the journal: where its rebuild ends and what is new begins, over restarts.

Alerts keeps each reader's cursor in the transaction of what it decided; a message in quarantine is
kept beside it. So a new life, or a new process, tells alerts nothing twice and leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from actors.messages import Event, Recorded, RecordedRun
from runtime.store import Store, Tx

PAGE_SEQS = 10_000
UNKEPT_MAX = 10_000  # seqs that wait for the disk; a reader waits with them then
TOGETHER_MAX = 64  # events of one message
TOGETHER_MIN = 8
TOGETHER_S = 0.001  # how long one message is to hold the loop


@dataclass(slots=True, kw_only=True)
class Position:
    """How far a reader has come. It lives outside the reader, over the reader's incarnations.

    `together_max`: how many events it takes at once. `told`: the feed's place, None until the
    reader has rebuilt its state once. `sent`: the last seq that was put into its mailbox.
    `handled`: the last seq in the reader's state, or passed over. `poisoned`:
    seqs in quarantine, or that came too late to count, which a rebuild leaves out. `unkept`: those
    that are not on disk yet; alerts must not pass them, and `held_back` is the bot and the seq that
    they hear of once they are.
    """

    reader: str
    streams: Sequence[str]
    together_max: int = TOGETHER_MAX
    told: int | None = None
    handled: int | None = None
    last_told: int = 0
    sent: int = 0
    poisoned: set[int] = field(default_factory=set)
    unkept: set[int] = field(default_factory=set)
    held_back: tuple[str, int] | None = None
    untold: dict[str, int] = field(default_factory=dict)  # bot: seq of a history alerts wait for

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
            self.told = self.handled = self.last_told = self.sent = seq

    def behind(self, head: int) -> int:
        """Return how many entries up to the journal's head the reader may still have to read."""
        read = self.handled or 0
        if read >= self.sent and self.told is not None:  # what it was not told is not for it
            read = max(read, self.told)
        return max(0, head - read)

    def news(self, message: Recorded | RecordedRun) -> Iterator[tuple[int, Event]]:
        """Return what the reader still needs of a message, each event with its seq."""
        events = [message.event] if isinstance(message, Recorded) else message.events
        for seq, event in enumerate(events, message.seq):
            if (self.handled is None or seq > self.handled) and seq not in self.poisoned:
                yield seq, event

    def had(self, message: Recorded | RecordedRun) -> None:
        """Note that a message is handled to its end, whatever of it was passed over."""
        self.handled = max(self.handled or 0, last_of(message))

    def took(self, events: int, seconds: float) -> None:
        """Note how long a message took: the next ones hold as many events as fit their time.

        In order an event costs some 15 us, out of order it may be 100.
        """
        if events >= TOGETHER_MIN and seconds > 0:
            fitting = int(events * TOGETHER_S / seconds)
            self.together_max = min(TOGETHER_MAX, max(TOGETHER_MIN, fitting))

    def isolate(self, message: object) -> tuple[object, RecordedRun | None]:
        """Return which event of a message crashed the reader, and what is left behind it."""
        if not isinstance(message, RecordedRun):
            return message, None
        for seq, event in self.news(message):
            rest = message.events[seq - message.seq + 1 :]
            left = RecordedRun(seq + 1, rest, seq, message.arrived) if rest else None
            return Recorded(seq, event, message.after, message.arrived), left
        return message, None

    def leave_out(self, seq: int) -> None:
        """Let every rebuild leave out an event that came too late to count, once it is kept."""
        self.poisoned.add(seq)
        self.unkept.add(seq)

    async def keep(self, store: Store) -> bool:
        """Write down what is left out, all in one; whether the disk took it."""
        waiting = sorted(self.unkept)
        if waiting and not await store.try_write(lambda tx: _leave_out(tx, self.reader, waiting)):
            return False
        self.unkept.difference_update(waiting)
        return True

    def passes(self, bot: str, seq: int) -> int:
        """Return which seq alerts may hear of: 0, the clock's, while something is not kept."""
        if not seq or not self.unkept:
            return seq
        if self.held_back is None or seq > self.held_back[1]:
            self.held_back = (bot, seq)
        return 0

    async def leaves_out(self, store: Store) -> set[int]:
        """Return the seqs that any rebuild leaves out, on disk or not yet."""
        return self.poisoned | await poisoned(store, self.reader)

    async def refused(self, store: Store) -> set[int]:
        """Return the seqs of events that came too late to count, on disk or not yet."""
        waiting = set(self.unkept)  # before the disk is asked: what moves there is found twice
        return waiting | await settled(store, self.reader)

    def poison(self, seq: int) -> None:
        """Pass over a message that went to quarantine."""
        self.poisoned.add(seq)
        self.handled = max(self.handled or 0, seq)


def last_of(message: Recorded | RecordedRun) -> int:
    """Return the seq of a message's last event."""
    more = len(message.events) - 1 if isinstance(message, RecordedRun) else 0
    return message.seq + more


def cursor_key(reader: str) -> str:
    """Return the state key of how far alerts has considered a reader's events."""
    return f"cursor/{reader}"


def poison_key(reader: str, seq: int | str = "") -> str:
    """Return the state key of one seq in quarantine; without a seq, what they all begin with."""
    return f"poison/{reader}/{seq}"


def settled_key(reader: str, seq: int | str = "") -> str:
    """Return the state key of one seq that came too late; without a seq, what they begin with."""
    return f"settled/{reader}/{seq}"


async def settled(store: Store, reader: str) -> set[int]:
    """Return the seqs of events that came too late to count."""
    return await store.read(lambda tx: _seqs(tx, settled_key(reader)))


async def poisoned(store: Store, reader: str) -> set[int]:
    """Return the seqs that a reader's rebuild leaves out."""
    return await store.read(lambda tx: _poisoned(tx, reader))


def _leave_out(tx: Tx, reader: str, seqs: Sequence[int]) -> None:
    for seq in seqs:
        tx.state.put(settled_key(reader, seq), b"")


def _kept(tx: Tx, reader: str) -> tuple[int, set[int]]:
    saved = tx.state.get(cursor_key(reader))
    return int(saved) if saved else 0, _poisoned(tx, reader)


def _poisoned(tx: Tx, reader: str) -> set[int]:
    return _seqs(tx, poison_key(reader)) | _seqs(tx, settled_key(reader))


def _seqs(tx: Tx, prefix: str) -> set[int]:
    """All seqs below a prefix: one that was forgotten would count after all."""
    seqs, before = set[int](), None
    while page := [key for key, _ in tx.state.scan(prefix, PAGE_SEQS, before=before, newest=True)]:
        seqs.update(int(key.removeprefix(prefix)) for key in page)
        before = page[-1]
    return seqs

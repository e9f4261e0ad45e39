"""Handover: an alert's own transaction claims for a channel that is idle, and gives it the work.

So a channel that waits for nothing needs no turn at the store before it sends; and while the disk
still works at the transaction, it prepares what it will send. The table stays the queue: what is
given and never fetched (a crash, a kill) is claimed work in it, and is taken back as such. One for
each channel; it outlives the incarnations of both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum

from runtime.store import Job, Tx


class _State(Enum):
    SHUT = "shut"  # the sender claims for itself
    OPEN = "open"  # it would claim at once: a transaction may do so in its place
    TAKEN = "taken"  # a transaction is about to
    GIVEN = "given"  # the job waits to be fetched


class Handover:
    """One channel's. `life` is the sender's, so that nothing reaches a later one."""

    def __init__(self) -> None:
        self._state = _State.SHUT
        self._job: Job | None = None
        self._life = 0
        self._prepare: Callable[[Job], None] | None = None
        self._doubt = False

    def __repr__(self) -> str:
        return f"<Handover {self._state.value}{' in doubt' if self._doubt else ''}>"

    # ------------------------------------------------------------ the sender's side

    def begin(self, prepare: Callable[[Job], None] | None = None) -> None:
        """Begin a life of the sender, or end it: whatever was given to it stays in the table.

        `prepare` is called with work that is likely to be given in a moment.
        """
        self._life += 1
        self._prepare = prepare
        self._state, self._job = _State.SHUT, None

    @property
    def taken(self) -> bool:
        """Whether a transaction is about to claim; its end wakes the sender."""
        return self._state is _State.TAKEN

    def open(self) -> None:
        """Let transactions claim: nothing waits that is due, and a message may go at once."""
        if self._state is _State.SHUT:
            self._state = _State.OPEN

    def shut(self) -> None:
        """Let them claim no more; what is under way comes nevertheless."""
        if self._state is _State.OPEN:
            self._state = _State.SHUT

    def fetch(self) -> Job | None:
        """Shut, and return what was given."""
        job, self._job = self._job, None
        self._state = _State.SHUT
        return job

    def clear_doubt(self) -> bool:
        """Say whether the table may hold claimed work that nobody was given, and forget it."""
        doubt, self._doubt = self._doubt, False
        return doubt

    # ------------------------------------------------------------ the transaction's side

    def take(self) -> int | None:
        """Begin to claim in the sender's place; returns the ticket, None where it is not open."""
        if self._state is not _State.OPEN:
            return None
        self._state = _State.TAKEN
        return self._life

    def foresee(self, ticket: int, job: Job) -> None:
        """Have the sender prepare for what it is given once that is committed."""
        if ticket == self._life and self._prepare is not None:
            self._prepare(job)

    def give(self, ticket: int, job: Job | None) -> None:
        """Give what was claimed; nothing was where `job` is None."""
        if ticket != self._life:
            self._doubt = self._doubt or job is not None
        elif job is None:
            self._state = _State.OPEN
        else:
            self._state, self._job = _State.GIVEN, job

    def leave(self, ticket: int) -> None:
        """Give up, not knowing whether something was claimed."""
        self._doubt = True
        if ticket == self._life:
            self._state = _State.SHUT


class Claims:
    """What one transaction claims, for those of its channels that are idle as it begins.

    `jobs` are what it has claimed, by channel.
    """

    def __init__(self, handovers: Mapping[str, Handover], channels: Iterable[str]) -> None:
        self._tickets: dict[str, tuple[Handover, int]] = {}
        self.jobs: dict[str, Job] = {}
        for channel in channels:
            handover = handovers.get(channel)
            ticket = handover.take() if handover is not None else None
            if handover is not None and ticket is not None:
                self._tickets[channel] = handover, ticket

    def claim(self, tx: Tx, now: float) -> None:
        """Claim the most urgent work of each of those channels, once all is queued."""
        for channel in self._tickets:
            claimed = tx.queue.claim(channel, now)
            if claimed:
                self.jobs[channel] = claimed[0]

    def foresee(self) -> None:
        """Tell the senders what they are given once it is committed."""
        for channel, (handover, ticket) in self._tickets.items():
            if channel in self.jobs:
                handover.foresee(ticket, self.jobs[channel])

    def give(self) -> None:
        """Hand over what was claimed: it is committed."""
        for channel, (handover, ticket) in self._tickets.items():
            handover.give(ticket, self.jobs.get(channel))

    def leave(self) -> None:
        """Leave it to the senders to look: the transaction failed, or its end is unknown."""
        for handover, ticket in self._tickets.values():
            handover.leave(ticket)

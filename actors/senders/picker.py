"""Picker: which of a channel's waiting work one message takes.

The most urgent and oldest first; several together where more waits than the channel takes soon.
Everything happens in the transaction that it is given; `picked` says that it was committed.
"""

from __future__ import annotations

from collections.abc import Container

from actors.alerts import again
from actors.senders.rollup import NAMED_MAX, Pace, together
from runtime.store import Job, Tx

JUMP_S = 0.5
WAITING_MAX = 100_000
SETTINGS = "channel-settings/"


class Picker:
    """One channel's, for one life of its sender.

    `unmarked`: work may be in flight that nobody has: it could not be marked, or was never given.
    `one_by_one`: several in one message were refused, or the channel keeps `incidents`.
    """

    def __init__(self, name: str, fingerprint: bytes, *, incidents: bool) -> None:
        self._name = name
        self._fingerprint = fingerprint
        self._incidents = incidents
        self.one_by_one = incidents
        self.unmarked = False
        self._taken_over = False
        self._pace = Pace()
        self._wall_s = float("inf")  # the wall clock less the monotonic one: it falls in a jump

    def knows_settings(self, tx: Tx) -> bool:
        """Say whether the channel's last life had the same settings."""
        return tx.state.get(SETTINGS + self._name) == self._fingerprint

    def pick(
        self, tx: Tx, now: float, tick: float, rate_s: float, out: Container[str], *, down: bool
    ) -> tuple[list[Job], float | None]:
        """Return what was claimed for one message, or when the next job is due (unix seconds).

        `now` is unix, `tick` monotonic seconds, `rate_s` the least time between two messages;
        `out` are the ids of messages that went out and are not marked. `down`: one probe goes now.
        """
        if not self._taken_over:
            self._take_over(tx, now)
        if self.unmarked:
            again.put_back(tx, self._name, now)
        wall_s = now - tick
        if wall_s < self._wall_s - JUMP_S:  # else a clock set back by an hour delays by an hour
            tx.queue.put_back_in_time(self._name, now)
        self._wall_s = wall_s
        if down:
            tx.queue.hasten(self._name, now, 1)
            self._pace.over()
        if down or self.one_by_one:
            rate_s = 0.0
        waiting = tx.queue.waits(self._name, WAITING_MAX) if rate_s else 1
        least = self._pace.least(waiting, tick, rate_s)
        if least == 1:
            jobs = tx.queue.claim(self._name, now)
        else:
            limit = max(least, NAMED_MAX)
            jobs = tx.queue.claim(self._name, now, limit, lambda due: together(due, out, least))
        return jobs, None if jobs else tx.queue.next_due(self._name)

    def picked(self, jobs: list[Job], due: float | None) -> None:
        """Note that this is committed, as `pick` returned it."""
        self.unmarked, self._taken_over = False, True
        if not jobs:
            self._pace.over()
            if due is None:  # nothing waits of what was refused together
                self.one_by_one = self._incidents

    def _take_over(self, tx: Tx, now: float) -> None:
        """Take back what an earlier life had claimed.

        Under new settings, what was refused under the old ones is tried again.
        """
        again.put_back(tx, self._name, now)
        known = tx.state.get(SETTINGS + self._name)
        if known != self._fingerprint:
            tx.state.put(SETTINGS + self._name, self._fingerprint)
            if known is not None:
                again.revive(tx, self._name, now)

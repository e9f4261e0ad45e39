"""The horizon of retention: what happened before it is settled, and can be compacted.

It is a local midnight, so that settled days are whole ones, and never moves back.
"""

from __future__ import annotations

from datetime import datetime

from actors.metrics.days import Calendar
from actors.metrics.money import micros, moment


class Horizon:
    """`at` in microseconds since 1970 and as the instant `since` (None: nothing is settled).

    It lies so many `days` back, 0: nowhere. The door judged every event after the seq `let_in` by
    it, those before perhaps by an earlier one; None: not known, as a request may be past it.
    """

    def __init__(self, days: int = 0, zone: str = "UTC") -> None:
        self._days = days
        self._calendar = Calendar(zone)
        self.at = 0
        self.since: datetime | None = None
        self.let_in: int | None = None

    def __repr__(self) -> str:
        return f"<Horizon since={self.since}>"

    def move(self, now: datetime) -> bool:
        """Follow the clock; whether it moved."""
        if not self._days:
            return False
        calendar = self._calendar
        return self.reach(calendar.start_of(calendar.day_of(micros(now)) - self._days))

    def reach(self, at: int) -> bool:
        """Settle at least what happened before an instant; whether that is more than before."""
        if at <= self.at:
            return False
        self.at, self.since, self.let_in = at, moment(at), None
        return True

    def begin(self, head: int) -> None:
        """The door is still closed: it will judge all that comes after the journal's head."""
        self.let_in = head

    def judged(self, seq: int) -> bool:
        """Whether the door judged the event of this seq by `at`."""
        return self.let_in is not None and seq > self.let_in


class Patience:
    """The door refuses at once; ledgers follow when they have all that it let in before.

    That is with the first event that it judged, or when its turn has come without one. A process
    that starts may have events before it that were accepted long ago.
    """

    def __init__(self, horizon: Horizon) -> None:
        self._horizon = horizon
        self._told = False

    def over(self, head: int, told: int) -> bool:
        """Whether ledgers may follow, asked at each turn of their mailbox.

        `head` is the journal's, `told` up to where events were put into the mailbox.
        """
        let_in = self._horizon.let_in
        if let_in is None:  # the turn before, a request may have passed the door already
            self._horizon.let_in = head
            return False
        if not self._told:  # what was told is handled by the next turn
            self._told = told >= let_in
            return False
        return True


def refusal(field: str, what: str, when: datetime, since: datetime, verb: str = "is") -> str:
    """Why an event is refused that happened before the horizon, or corrects one that did."""
    return (
        f"{field}: {what} of {when.isoformat()} {verb} settled: metrics.retention_days keeps open"
        f" only what happened from {since.isoformat()} on"
    )

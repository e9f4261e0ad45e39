"""Calendar days of one IANA zone as intervals of instants that never overlap or run backwards.

A day lasts from the first instant of its local date to the first of the next, so 23 or 25 hours at
a change of summer time. Days have consecutive numbers: of all days the proleptic ordinal
(`date.toordinal`). Where only weekdays are days of their own, a Saturday and a Sunday are part of
the Monday that follows, five days are a week, and so numbers differ by the days there are between.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from actors.metrics.arrays import Ints
from actors.metrics.money import micros

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DAY = date.max.toordinal()
_NEVER = 2**62
EPOCH_DAY = _EPOCH.toordinal()
_DAY = 86_400_000_000
WEEK: Final = 7
WEEKDAYS: Final = 5


Ordinals = TypeVar("Ordinals", int, Ints)


class Calendar:
    """Days of one zone. Raises ValueError naming `zone` when it is no IANA zone."""

    def __init__(self, zone: str, *, weekdays: bool = False) -> None:
        try:
            self._zone = ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"zone: {zone!r} is not an IANA time zone") from None
        self._utc = zone == "UTC"
        self.weekdays = weekdays
        self._week = WEEKDAYS if weekdays else WEEK
        self._day = 0
        self._start = self._end = 0

    def start_of(self, day: int) -> int:
        """Microseconds since 1970 at which the day begins."""
        if not self.weekdays:
            return self._midnight(day)
        weekend = WEEK - WEEKDAYS if day == self.monday(day) else 0
        return self._midnight(self.ordinal(day) - weekend)

    def day_of(self, when: int) -> int:
        """The number of the day that holds the instant `when` (microseconds since 1970)."""
        if not self._start <= when < self._end:
            self._locate(when)
        return self._day

    def end_of_day(self, when: int) -> int:
        """Microseconds since 1970 at which the day of `when` ends."""
        self.day_of(when)
        return self._end

    def week_of(self, day: int) -> int:
        """The number of the ISO week (Monday to Sunday) of a day; ordinal 1 was a Monday."""
        return (day - 1) // self._week

    def monday(self, day: int) -> int:
        """The first day of the week of a day."""
        return day - (day - 1) % self._week

    def ordinal(self, day: Ordinals) -> Ordinals:
        """The ordinal of the date that a day is called by, or those of an array of days."""
        if not self.weekdays:
            return day
        return (day - 1) // WEEKDAYS * WEEK + (day - 1) % WEEKDAYS + 1

    def between(self, first: int, last: int) -> int:
        """How many dates there are from that of one day to that of another, both included."""
        return self.ordinal(last) - self.ordinal(first) + 1

    def _midnight(self, ordinal: int) -> int:
        if ordinal >= _LAST_DAY:
            return _NEVER
        midnight = datetime.fromordinal(max(ordinal, 2)).replace(tzinfo=self._zone)
        # fold=0: the first of two midnights, and for a midnight that the clocks skip the
        # instant of the change itself
        return micros(midnight)

    def _locate(self, when: int) -> None:
        day, start, end = self._date_of(when)
        if self.weekdays:
            week, place = divmod(day - 1, WEEK)
            day = week * WEEKDAYS + min(place, WEEKDAYS) + 1
            start, end = self.start_of(day), self.start_of(day + 1)
        self._day, self._start, self._end = day, start, end

    def _date_of(self, when: int) -> tuple[int, int, int]:
        """The ordinal of the local date of an instant, where it begins, and where it ends."""
        if self._utc:
            days = when // _DAY
            return days + EPOCH_DAY, days * _DAY, (days + 1) * _DAY
        local = (_EPOCH + timedelta(microseconds=when)).astimezone(self._zone)
        day = local.toordinal()
        start, end = self._midnight(day), self._midnight(day + 1)
        # St John's put its clocks back at 00:01, into the day before: that day is over by then
        while end <= when:
            day, start, end = day + 1, end, self._midnight(day + 2)
        return day, start, end

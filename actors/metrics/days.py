"""Calendar days of one IANA zone as intervals of instants that never overlap or run backwards.

A day is numbered by its proleptic ordinal (`date.toordinal`) and lasts from the first instant of
its local date to the first of the next, so 23 or 25 hours at a change of summer time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from actors.metrics.money import micros

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DAY = date.max.toordinal()
_NEVER = 2**62
EPOCH_DAY = _EPOCH.toordinal()
_DAY = 86_400_000_000


def week_of(day: int) -> int:
    """The number of the ISO week (Monday to Sunday) of a day; ordinal 1 was a Monday."""
    return (day - 1) // 7


class Calendar:
    """Days of one zone. Raises ValueError naming `zone` when it is no IANA zone."""

    def __init__(self, zone: str) -> None:
        try:
            self._zone = ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"zone: {zone!r} is not an IANA time zone") from None
        self._utc = zone == "UTC"
        self._day = 0
        self._start = self._end = 0

    def start_of(self, day: int) -> int:
        """Microseconds since 1970 at which the day begins."""
        if day >= _LAST_DAY:
            return _NEVER
        midnight = datetime.fromordinal(max(day, 2)).replace(tzinfo=self._zone)
        # fold=0: the first of two midnights, and for a midnight that the clocks skip the
        # instant of the change itself
        return micros(midnight)

    def day_of(self, when: int) -> int:
        """The number of the day that holds the instant `when` (microseconds since 1970)."""
        if not self._start <= when < self._end:
            self._locate(when)
        return self._day

    def end_of_day(self, when: int) -> int:
        """Microseconds since 1970 at which the day of `when` ends."""
        self.day_of(when)
        return self._end

    def _locate(self, when: int) -> None:
        if self._utc:
            days = when // _DAY
            self._day, self._start, self._end = days + EPOCH_DAY, days * _DAY, (days + 1) * _DAY
            return
        local = (_EPOCH + timedelta(microseconds=when)).astimezone(self._zone)
        day = local.toordinal()
        start, end = self.start_of(day), self.start_of(day + 1)
        # St John's put its clocks back at 00:01, into the day before: that day is over by then
        while end <= when:
            day, start, end = day + 1, end, self.start_of(day + 2)
        self._day, self._start, self._end = day, start, end

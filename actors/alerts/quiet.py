"""Quiet hours, decided purely: when what is not critical waits for a digest.

The clock on the wall of a zone decides, so over a change to or from summer time a quiet hour that
the clock shows twice is quiet twice, and one that it skips does not exist.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from msgspec import Struct


class Hours(Struct, frozen=True):
    """From `start` to before `end`, on the next day where `end` is earlier.

    `days` are those on which they begin, 0 is Monday; none: every day.
    """

    start: time
    end: time
    zone: str = "UTC"
    days: frozenset[int] = frozenset()


def is_quiet(hours: Hours | None, now: datetime) -> bool:
    """Say whether an aware instant lies in the quiet hours."""
    if hours is None:
        return False
    local = now.astimezone(_zone(hours.zone))
    at, day = local.time().replace(fold=0), local.date()
    if hours.start < hours.end:
        within = hours.start <= at < hours.end
    else:
        within = at >= hours.start or at < hours.end
        if at < hours.end:
            day -= timedelta(days=1)  # it began yesterday
    return within and (not hours.days or day.weekday() in hours.days)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)

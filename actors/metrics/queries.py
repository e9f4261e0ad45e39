"""What may be asked of the metrics actor, and the answers that are its own."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from msgspec import Struct

from actors.messages import EquityPoint
from runtime.ref import Declined


class MetricsQuery(Struct, frozen=True):
    """Ask for the figures now; answered with a MetricsUpdate. `bot` empty means all."""

    bot: str = ""


class SeriesQuery(Struct, frozen=True):
    """Ask for the chart of each bot; answered with a list of EquitySeries."""

    points: int = 500


class SheetsQuery(Struct, frozen=True):
    """Ask for copies of columns, of one bot, of one currency's bots or (both empty) of all.

    Answered with {bot: Sheet}, the names in order. Declined as `TooLarge`. What is compacted stands
    in a sheet's `base` and in no column, so whoever needs every trade reads the journal then.
    """

    columns: tuple[str, ...]
    bot: str = ""
    currency: str = ""


class TooLarge(Declined):
    """More events than whoever asks may hold in memory."""


class HistoryQuery(Struct, frozen=True):
    """Ask for a part of the chart of a bot (empty: of all); answered with {bot: History}.

    From `first` to before `last` (None: all there is), at most `points` (>= 8) of the curve.
    """

    bot: str = ""
    first: datetime | None = None
    last: datetime | None = None
    points: int = 500


class DayPnl(Struct, frozen=True):
    """The P&L of one day in the bot's time zone."""

    day: date
    pnl: Decimal


class History(Struct, frozen=True):
    """Equity and drawdown, oldest first with the extremes kept; P&L of each day with an event."""

    points: list[EquityPoint]
    days: list[DayPnl]

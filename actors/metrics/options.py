"""How an account is measured: every choice that could have gone another way is an option."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from actors.metrics.days import Calendar
from actors.metrics.figures import CAGR_DAYS_MIN, CAPITAL_NOT_POSITIVE, NOT_POSITIVE, Basis, needs
from actors.metrics.money import SCALE, scaled
from actors.metrics.ratios import Terms

RISK_FREE_MAX = 10.0


class LedgerOptions(Struct, frozen=True):
    """How one account is measured.

    Without `currency_is_set` the first trade that names a currency decides it.
    `starting_equity` in `currency`, before the first event; None: unknown. `zone` (IANA) draws
    the day's boundary. `risk_free` is annual (0.04 is 4 %), for Sharpe only. `short_history_ratios`
    shows CAGR and Calmar below 30 days. `base` says what a day's P&L is a fraction of: equity at
    its open, or with "fixed" the capital put in. `calendar`: which days there are; of "weekdays"
    a weekend is part of its Monday. The rolling window is the last `rolling_trades` trades; its
    day ratios cover the days from the first of them to now, at most `rolling_days`.
    Raises ValueError naming the option that is out of range.
    """

    starting_equity: Decimal | None = None
    currency: str = "USD"
    currency_is_set: bool = True
    zone: str = "UTC"
    periods_per_year: int = 365
    risk_free: float = 0.0
    ddof: int = 1
    base: Literal["compounding", "fixed"] = "compounding"
    calendar: Literal["all", "weekdays"] = "all"
    rolling_trades: int = 100
    rolling_days: int = 90
    short_history_ratios: bool = False

    def __post_init__(self) -> None:
        for name in ("periods_per_year", "rolling_trades", "rolling_days"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: at least 1, not {getattr(self, name)}")
        if self.ddof not in (0, 1):
            raise ValueError(f"ddof: 0 or 1, not {self.ddof}")
        if self.base not in {"compounding", "fixed"}:
            raise ValueError(f"base: compounding or fixed, not {self.base!r}")
        if self.calendar not in {"all", "weekdays"}:
            raise ValueError(f"calendar: all or weekdays, not {self.calendar!r}")
        if not (math.isfinite(self.risk_free) and -1.0 < self.risk_free <= RISK_FREE_MAX):
            raise ValueError(f"risk_free: a fraction above -1, not {self.risk_free}")
        if self.starting_equity is not None:
            scaled(self.starting_equity, SCALE, "starting_equity")
        Calendar(self.zone)


def calendar_of(options: LedgerOptions) -> Calendar:
    """The days that returns are of."""
    return Calendar(options.zone, weekdays=options.calendar == "weekdays")


def basis_of(options: LedgerOptions) -> Basis:
    """How returns become yearly, and why there may be none."""
    return Basis(
        options.periods_per_year,
        options.risk_free,
        options.ddof,
        CAPITAL_NOT_POSITIVE if options.base == "fixed" else NOT_POSITIVE,
    )


def terms_of(options: LedgerOptions, scale: int) -> Terms:
    """The part of the options that a snapshot needs."""
    growth_days = 1 if options.short_history_ratios else CAGR_DAYS_MIN
    return Terms(
        options.currency,
        scale,
        basis_of(options),
        options.rolling_days,
        growth_days,
        needs(growth_days),
    )

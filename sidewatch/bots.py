"""One bot as the settings describe it, for each part that asks about bots as they appear."""

from __future__ import annotations

from actors.alerts.triggers import Limits
from actors.health.levels import Rules
from actors.metrics.ledger import LedgerOptions
from config.settings import Settings

PERIODS = {"all": 365, "weekdays": 261}  # days in a year


def ledger_options(settings: Settings, name: str) -> LedgerOptions:
    """Return how a bot's figures are reckoned."""
    bot, metrics = settings.bot(name), settings.metrics
    return LedgerOptions(
        starting_equity=bot.starting_equity,
        currency=bot.currency,
        currency_is_set=name in settings.bots or settings.currency != "USD",
        zone=metrics.zone,
        periods_per_year=metrics.periods_per_year or PERIODS[metrics.calendar],
        risk_free=metrics.risk_free,
        ddof=metrics.ddof,
        base=metrics.base,
        calendar=metrics.calendar,
        rolling_trades=metrics.rolling_trades,
        rolling_days=metrics.rolling_days,
        short_history_ratios=metrics.short_history_ratios,
    )


def limits(settings: Settings, name: str) -> Limits:
    """Return what a bot's figures are compared with."""
    known = settings.thresholds(name)
    return Limits(**{field: getattr(known, field) for field in Limits.__struct_fields__})


def rules(settings: Settings, name: str) -> Rules:
    """Return what a bot's health is judged by."""
    known = settings.thresholds(name)
    return Rules(
        silent_after_s=known.silent_after_s,
        api_errors_per_minute=known.api_errors_per_minute,
        positions_limit=settings.bot(name).max_positions,
    )

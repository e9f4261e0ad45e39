"""What each figure means: formula, unit, sample, source, and for which reasons there is none."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from actors.metrics.figures import CAPITAL_NOT_POSITIVE, NOT_POSITIVE
from actors.metrics.options import LedgerOptions


class Definition(Struct, frozen=True):
    """One figure. `undefined` names the reasons for which it may be None."""

    formula: str
    unit: str
    sample: str
    source: str = ""
    undefined: tuple[str, ...] = ()


_EQUITY: Final = ("no starting equity", NOT_POSITIVE)
_DAYS: Final = ("needs 2 days", *_EQUITY)
_TAIL: Final = ("needs 20 days", NOT_POSITIVE)
_MONTH: Final = ("needs 30 days", *_EQUITY)

DEFINITIONS: Final[dict[str, Definition]] = {
    "trades": Definition("closed trades, corrections counted once", "count", "trades"),
    "wins": Definition("trades with P&L > 0", "count", "trades"),
    "losses": Definition("trades with P&L < 0", "count", "trades"),
    "draws": Definition("trades with P&L = 0", "count", "trades"),
    "win_rate": Definition("wins / trades", "fraction", "trades", undefined=("no trades",)),
    "pnl_total": Definition("sum of net P&L", "currency", "trades"),
    "pnl_today": Definition("sum of net P&L of trades closed today", "currency", "trades"),
    "pnl_week": Definition("sum of net P&L since Monday", "currency", "trades"),
    "fees_total": Definition("sum of fees", "currency", "trades"),
    "equity": Definition(
        "last reported equity + what was realised and deposited since; without reports the"
        " starting equity + P&L + deposits",
        "currency",
        "events",
        undefined=_EQUITY[:1],
    ),
    "peak_equity": Definition(
        "highest equity, from the starting equity on, moved by deposits and withdrawals",
        "currency",
        "events",
        undefined=_EQUITY[:1],
    ),
    "drawdown": Definition("1 - equity / peak", "fraction", "events", undefined=_EQUITY),
    "drawdown_today": Definition(
        "1 - equity / peak since midnight", "fraction", "events", undefined=_EQUITY
    ),
    "drawdown_week": Definition(
        "1 - equity / peak since Monday", "fraction", "events", undefined=_EQUITY
    ),
    "max_drawdown": Definition("largest drawdown", "fraction", "events", undefined=_EQUITY),
    "max_drawdown_abs": Definition(
        "largest fall from a peak", "currency", "events", undefined=_EQUITY[:1]
    ),
    "sharpe": Definition(
        "mean(r - risk-free) / std(r) x sqrt(periods), r the returns of all calendar days",
        "ratio a year",
        "days",
        'Sharpe (1994), "The Sharpe Ratio"',
        (*_DAYS, "zero variance"),
    ),
    "sharpe_stderr": Definition(
        "sqrt((1 + SR^2 / 2 - skew SR + (kurtosis - 3) SR^2 / 4) / n x periods), SR of one day",
        "ratio a year",
        "days",
        'Mertens (2002), "Comments on variance of the IID estimator in Lo (2002)"',
        (*_DAYS, "zero variance"),
    ),
    "sortino": Definition(
        "mean(r) / sqrt(mean(min(r, 0)^2)) x sqrt(periods), over all days, target 0",
        "ratio a year",
        "days",
        "Sortino and Price (1994)",
        (*_DAYS, "no losing day"),
    ),
    "cagr": Definition(
        "product(1 + r)^(365 / days) - 1", "fraction a year", "days", undefined=_MONTH
    ),
    "calmar": Definition(
        "cagr / max_drawdown",
        "ratio",
        "days",
        'Young (1991), "Calmar Ratio: A Smoother Tool"',
        (*_MONTH, "no drawdown"),
    ),
    "profit_factor": Definition(
        "sum of wins / sum of losses", "ratio", "trades", undefined=("no trades", "no loss")
    ),
    "expectancy": Definition("mean P&L", "currency", "trades", undefined=("no trades",)),
    "sqn": Definition(
        "sqrt(n) x mean(P&L) / std(P&L), ddof 1, neither capped nor rounded",
        "ratio",
        "trades",
        "Tharp (1998), Trade Your Way to Financial Freedom",
        ("no trades", "needs 2 trades", "zero variance"),
    ),
    "avg_win": Definition("mean P&L of wins", "currency", "trades", undefined=("no win",)),
    "avg_loss": Definition("mean P&L of losses", "currency", "trades", undefined=("no loss",)),
    "streak": Definition(
        "wins (> 0) or losses (< 0) in a row; a draw neither extends nor breaks", "count", "trades"
    ),
    "longest_win_streak": Definition("most wins in a row", "count", "trades"),
    "longest_loss_streak": Definition("most losses in a row", "count", "trades"),
    "days": Definition(
        "calendar days from the first trade or reported equity, today included", "count", "days"
    ),
    "drawdown_current_s": Definition(
        "time since equity was last at its peak; 0 at the peak", "s", "events", undefined=_EQUITY
    ),
    "drawdown_longest_s": Definition(
        "longest time from a peak to its recovery, or to now", "s", "events", undefined=_EQUITY
    ),
    "exposure": Definition(
        "time with a trade open (closed ones only) / time since the first opening",
        "fraction",
        "trades",
        undefined=("no trades", "no time has passed"),
    ),
    "holding_mean_s": Definition(
        "mean time from opening to closing", "s", "trades", undefined=("no trades",)
    ),
    "best": Definition("the trade with the largest P&L", "currency", "trades"),
    "worst": Definition("the trade with the smallest P&L", "currency", "trades"),
    "r_multiples": Definition(
        "P&L / amount at stake (`risk`), of trades that told it",
        "ratio",
        "trades",
        "Tharp (1998), Trade Your Way to Financial Freedom",
        ("no trades", "no trade told its risk"),
    ),
    "value_at_risk": Definition(
        "minus the k-th smallest daily return, k = 5 % of the days rounded up; no interpolation",
        "fraction a day",
        "days",
        "Hyndman and Fan (1996), type 1",
        _TAIL,
    ),
    "expected_shortfall": Definition(
        "minus the mean of those k worst daily returns",
        "fraction a day",
        "days",
        "Acerbi and Tasche (2002)",
        _TAIL,
    ),
    "rolling": Definition(
        "the ratios over the last `rolling_trades` trades; those of days over the days since the"
        " first of them, at most `rolling_days`",
        "as each",
        "trades",
    ),
    "rolling_by_days": Definition(
        "the ratios over the last `rolling_days` calendar days, today included: of an account that"
        " began then with the equity of then",
        "as each",
        "days",
    ),
    "months": Definition(
        "product(1 + r) - 1 over the days of each month", "fraction", "days", undefined=_EQUITY
    ),
}

_OF_RETURNS: Final = (
    "sharpe",
    "sharpe_stderr",
    "sortino",
    "value_at_risk",
    "expected_shortfall",
    "months",
)


_OF_DAYS: Final = (
    *_OF_RETURNS,
    "cagr",
    "days",
    "pnl_today",
    "pnl_week",
    "drawdown_today",
    "drawdown_week",
    "rolling_by_days",
)


def explained(options: LedgerOptions) -> dict[str, Definition]:
    """The definitions, saying what of the options is not as by default."""
    found = dict(DEFINITIONS)
    if options.base == "fixed":
        for name in _OF_RETURNS:
            found[name] = _on_capital(found[name])
        found["months"] = replace(
            found["months"], formula="sum(r) over the days of each month (base: fixed)"
        )
        found["cagr"] = replace(
            found["cagr"], formula=f"{found['cagr'].formula}, r on equity, which compounds"
        )
    if options.calendar == "weekdays":
        for name in _OF_DAYS:
            found[name] = _on_weekdays(found[name])
        found["cagr"] = replace(
            found["cagr"],
            formula=f"{found['cagr'].formula}; its time: dates from the first day to the last",
        )
    return found


def _on_capital(one: Definition) -> Definition:
    reasons = [CAPITAL_NOT_POSITIVE if why == NOT_POSITIVE else why for why in one.undefined]
    return replace(
        one,
        formula=f"{one.formula}; r: P&L of the day / capital put in (base: fixed)",
        undefined=tuple(reasons),
    )


def _on_weekdays(one: Definition) -> Definition:
    formula = one.formula.replace("calendar days", "days")
    return replace(one, formula=f"{formula}; a weekend is part of its Monday (calendar: weekdays)")

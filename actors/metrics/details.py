"""What stands behind an account's figures: time, tails, groups, and how precise each ratio is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeVar

import numpy as np
from msgspec import Struct

from actors.metrics import figures, risk
from actors.metrics.breakdown import WEEKDAYS, Group, Month, groups, local_times, months
from actors.metrics.days import Calendar
from actors.metrics.families.record import Record
from actors.metrics.figures import Basis, Undefined
from actors.metrics.history import SIDES, Columns, History, Integers
from actors.metrics.merge import merge
from actors.metrics.money import micros, money, scaled
from actors.metrics.options import LedgerOptions
from actors.metrics.path import Days, Floats, Path, daily_returns, days_of, walk

HOURS = tuple(f"{hour:02}" for hour in range(24))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")


class Figures:
    """Collects, for figures that do not exist, the reason by name."""

    def __init__(self) -> None:
        self.undefined: dict[str, str] = {}

    def __call__(self, name: str, compute: Callable[[], T]) -> T | None:
        """The figure, or None and its reason under `name`."""
        try:
            return compute()
        except Undefined as reason:
            self.undefined[name] = str(reason)
            return None


class Extreme(Struct, frozen=True):
    """One trade that stands out."""

    pnl: Decimal
    symbol: str
    side: str
    closed_at: datetime


class RMultiples(Struct, frozen=True):
    """P&L / amount at stake, of the `trades` that told their `risk`."""

    trades: int
    mean: float
    best: float
    worst: float


class Precision(Struct, frozen=True):
    """How far a ratio can be trusted: its sample, and its standard error where one is known."""

    sample: int
    of: Literal["trades", "days"]
    stderr: float | None = None


class Details(Struct, frozen=True):
    """An account in detail, of one bot or of one currency; definitions in docs/metrics.md.

    `*_s` are seconds, ratios fractions, money in `currency`. The open day and month count
    provisionally. `undefined` maps a field to why it is None.
    """

    at: datetime
    currency: str
    zone: str
    trades: int
    days: int
    drawdown_current_s: float | None
    drawdown_longest_s: float | None
    exposure: float | None
    holding_mean_s: float | None
    best: Extreme | None
    worst: Extreme | None
    r_multiples: RMultiples | None
    value_at_risk: float | None
    expected_shortfall: float | None
    precision: dict[str, Precision]
    by_symbol: list[Group]
    by_side: list[Group]
    by_hour: list[Group]
    by_weekday: list[Group]
    months: list[Month]
    undefined: dict[str, str]


class Account(Struct, frozen=True):
    """Events worked out as of `now` (microseconds): columns, which are trades, equity, days.

    `starting` is the first known equity in scaled units, None: there is none.
    """

    options: LedgerOptions
    currency: str
    columns: Columns
    rows: Integers
    path: Path
    days: Days
    starting: int | None
    now: int

    @property
    def pnl(self) -> Floats:
        """P&L of each trade."""
        return self.columns.floats(self.columns.amount[self.rows])


def account(history: History, now: datetime) -> Account:
    """Work out a bot's history."""
    columns, start = history.columns(), history.options.starting_equity
    starting = None if start is None else scaled(start, columns.scale, "starting_equity")
    return _worked_out(history.options, history.currency, columns, starting, now)


def portfolio(histories: Sequence[History], now: datetime) -> Account:
    """Work out the histories of one currency as if they were one account.

    The first one's options hold for the whole, as for the live portfolio.
    """
    first = histories[0]
    whole = merge([(one.columns(), one.options.starting_equity) for one in histories])
    return _worked_out(first.options, first.currency, whole.columns, whole.starting, now)


def _worked_out(
    options: LedgerOptions, currency: str, columns: Columns, starting: int | None, now: datetime
) -> Account:
    calendar, when = Calendar(options.zone), micros(now)
    day = days_of(columns.when, calendar, utc=options.zone == "UTC")
    path = walk(columns, day, starting)
    days = daily_returns(columns, path, calendar.day_of(when))
    if starting is None and len(path.before):
        starting = int(path.before[0])
    rows = np.flatnonzero(columns.trades)
    return Account(options, currency, columns, rows, path, days, starting, when)


def record(of: Account) -> Record:
    """The floats that families compute from."""
    columns, rows, path = of.columns, of.rows, of.path
    whole = 10**columns.scale
    before = np.full(len(columns.when), np.nan)
    before[path.known :] = columns.floats(path.before)
    return Record(
        opened=columns.opened[rows],
        closed=columns.when[rows],
        pnl=of.pnl,
        before=before[rows],
        days=of.days.returns,
        starting=None if of.starting is None else of.starting / whole,
        equity=int(path.after[-1]) / whole if len(path.after) else None,
    )


def details(of: Account, now: datetime) -> Details:
    """Every detail of one account."""
    figure = Figures()
    columns, rows, options = of.columns, of.rows, of.options
    closed, opened = columns.when[rows], columns.opened[rows]
    durations = figure("drawdown_current_s", lambda: _durations(of))
    if durations is None:
        figure.undefined["drawdown_longest_s"] = figure.undefined["drawdown_current_s"]
    hour, weekday = local_times(closed, options.zone)
    returns = of.days.returns
    return Details(
        at=now,
        currency=of.currency,
        zone=options.zone,
        trades=len(rows),
        days=len(returns),
        drawdown_current_s=None if durations is None else durations.current_s,
        drawdown_longest_s=None if durations is None else durations.longest_s,
        exposure=figure("exposure", lambda: risk.exposure(opened, closed, of.now)),
        holding_mean_s=figure("holding_mean_s", lambda: risk.holding(opened, closed)),
        best=figure("best", lambda: _extreme(of, best=True)),
        worst=figure("worst", lambda: _extreme(of, best=False)),
        r_multiples=figure("r_multiples", lambda: _r_multiples(of)),
        value_at_risk=figure("value_at_risk", lambda: risk.value_at_risk(returns)),
        expected_shortfall=figure("expected_shortfall", lambda: risk.expected_shortfall(returns)),
        precision=precision(
            of.pnl, returns, Basis(options.periods_per_year, options.risk_free, options.ddof)
        ),
        by_symbol=_groups(columns.symbols, columns.symbol[rows], of),
        by_side=_groups(SIDES, columns.side[rows], of),
        by_hour=_groups(HOURS, hour, of),
        by_weekday=_groups(WEEKDAYS, weekday, of),
        months=months(of.days),
        undefined=figure.undefined,
    )


def precision(pnl: Floats, returns: Floats, basis: Basis) -> dict[str, Precision]:
    """The sample and the standard error of each ratio; CAGR and Calmar have none of closed form."""
    trades, wins = len(pnl), int((pnl > 0).sum())
    of_days: dict[str, Callable[[], float]] = {
        "sharpe": lambda: figures.sharpe_stderr(returns, basis),
        "sortino": lambda: risk.sortino_stderr(returns, basis.periods),
    }
    of_trades: dict[str, Callable[[], float]] = {
        "win_rate": lambda: risk.win_rate_stderr(wins, trades),
        "profit_factor": lambda: risk.profit_factor_stderr(pnl),
        "expectancy": lambda: risk.expectancy_stderr(pnl),
        "sqn": lambda: risk.sqn_stderr(_sqn(pnl), trades),
    }
    figure = Figures()
    found = {
        name: Precision(len(returns), "days", figure(name, compute))
        for name, compute in of_days.items()
    }
    for name in ("cagr", "calmar", "value_at_risk", "expected_shortfall"):
        found[name] = Precision(len(returns), "days")
    for name, compute in of_trades.items():
        found[name] = Precision(trades, "trades", figure(name, compute))
    return found


def _sqn(pnl: Floats) -> float:
    if len(pnl) < 2 or pnl.min() == pnl.max():  # noqa: PLR2004
        raise Undefined(figures.ZERO_VARIANCE)
    return float(pnl.mean()) / float(pnl.std(ddof=1)) * math.sqrt(len(pnl))


def _durations(of: Account) -> risk.Drawdowns:
    path = of.path
    if of.starting is None:
        raise Undefined(figures.NO_STARTING_EQUITY)
    when = of.columns.when[path.known :]
    return risk.drawdown_durations(when, path.after, path.flows, of.starting, of.now)


def _extreme(of: Account, *, best: bool) -> Extreme:
    columns, rows = of.columns, of.rows
    if not len(rows):
        raise Undefined(figures.NO_TRADES)
    pnl = columns.amount[rows]
    row = int(rows[int(np.argmax(pnl)) if best else int(np.argmin(pnl))])
    return Extreme(
        pnl=money(int(columns.amount[row]), columns.scale),
        symbol=columns.symbols[int(columns.symbol[row])],
        side=SIDES[int(columns.side[row])],
        closed_at=_EPOCH + timedelta(microseconds=int(columns.when[row])),
    )


def _r_multiples(of: Account) -> RMultiples:
    if not len(of.rows):
        raise Undefined(figures.NO_TRADES)
    multiples = risk.r_multiples(of.pnl, of.columns.risk[of.rows])
    if not len(multiples):
        raise Undefined("no trade told its risk")
    return RMultiples(
        len(multiples), float(multiples.mean()), float(multiples.max()), float(multiples.min())
    )


def _groups(names: Sequence[str], place: Integers, of: Account) -> list[Group]:
    columns, rows = of.columns, of.rows
    return groups(names, place, columns.amount[rows], columns.fee[rows], columns.scale)

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
from actors.metrics.arrays import Floats, Ints
from actors.metrics.breakdown import WEEKDAYS, Group, Month, groups, local_times, months
from actors.metrics.families.record import Record
from actors.metrics.figures import Basis, Undefined
from actors.metrics.money import floats, micros, money
from actors.metrics.options import basis_of, calendar_of
from actors.metrics.recent import RecentDays, recent
from actors.metrics.sheet import Sheet
from actors.metrics.summary import TRADE
from actors.metrics.timeline import Columns
from actors.metrics.walk import Days, Walk, walk

OF_RECORD = ("when", "kind", "amount", "opened")
WANTED = (*OF_RECORD, "fee", "symbol", "risk", "ids")
SIDES = ("long", "short")
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
    """One trade that stands out; its id as text, as 7 and "7" are one id."""

    bot: str
    id: str
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
    rolling_by_days: RecentDays
    precision: dict[str, Precision]
    by_symbol: list[Group]
    by_side: list[Group]
    by_hour: list[Group]
    by_weekday: list[Group]
    months: list[Month]
    undefined: dict[str, str]


class Study(Struct, frozen=True):
    """An account worked out as of `now` (microseconds since 1970).

    `columns` has the trades alone, `rows` their places among all entries.
    """

    sheet: Sheet
    columns: Columns
    rows: Ints
    pnl: Floats
    walk: Walk
    now: int


def study(sheet: Sheet, now: datetime) -> Study:
    """Work out a sheet with the columns of `WANTED`, or for a record alone of `OF_RECORD`."""
    rows, when = np.flatnonzero(sheet.columns["kind"] == TRADE), micros(now)
    columns = sheet.columns
    if len(rows) < len(sheet):
        columns = {name: column[rows] for name, column in columns.items()}
    pnl = floats(columns["amount"], sheet.scale)
    return Study(sheet, columns, rows, pnl, walk(sheet, when), when)


def record(of: Study) -> Record:
    """The floats that families compute from."""
    way, scale = of.walk, of.sheet.scale
    before = np.full(len(of.sheet), np.nan)
    before[way.known :] = floats(way.before, scale)
    return Record(
        opened=of.columns["opened"],
        closed=of.columns["when"],
        pnl=of.pnl,
        before=before[of.rows],
        days=way.days.returns,
        starting=None if way.start is None else way.start / 10**scale,
        equity=int(way.after[-1]) / 10**scale if len(way.after) else None,
    )


def details(of: Study, now: datetime) -> Details:
    """Every detail of one account."""
    figure, options = Figures(), of.sheet.options
    closed, opened = of.columns["when"], of.columns["opened"]
    durations = figure("drawdown_current_s", lambda: _durations(of))
    if durations is None:
        figure.undefined["drawdown_longest_s"] = figure.undefined["drawdown_current_s"]
    hour, weekday = local_times(closed, options.zone)
    returns, basis = of.walk.days.measured, basis_of(options)
    return Details(
        at=now,
        currency=options.currency,
        zone=options.zone,
        trades=len(closed),
        days=len(returns),
        drawdown_current_s=None if durations is None else durations.current_s,
        drawdown_longest_s=None if durations is None else durations.longest_s,
        exposure=figure("exposure", lambda: risk.exposure(opened, closed, of.now)),
        holding_mean_s=figure("holding_mean_s", lambda: risk.holding(opened, closed)),
        best=figure("best", lambda: _extreme(of, best=True)),
        worst=figure("worst", lambda: _extreme(of, best=False)),
        r_multiples=figure("r_multiples", lambda: _r_multiples(of)),
        value_at_risk=figure("value_at_risk", lambda: risk.value_at_risk(returns, basis)),
        expected_shortfall=figure(
            "expected_shortfall", lambda: risk.expected_shortfall(returns, basis)
        ),
        rolling_by_days=recent(of.sheet, of.walk, figure.undefined),
        precision=precision(of.pnl, of.walk.days, basis),
        by_symbol=_by_symbol(of),
        by_side=_groups(SIDES, of.columns["symbol"] & 1, of),
        by_hour=_groups(HOURS, hour, of),
        by_weekday=_groups(WEEKDAYS, weekday, of),
        months=months(of.walk.days, calendar_of(options)),
        undefined=figure.undefined,
    )


def precision(pnl: Floats, days: Days, basis: Basis) -> dict[str, Precision]:
    """The sample and the standard error of each ratio; CAGR and Calmar have none of closed form.

    That of the Sharpe ratio is the live figures', to the bit.
    """
    trades, wins, returns = len(pnl), int((pnl > 0).sum()), days.measured
    of_days: dict[str, Callable[[], float]] = {
        "sharpe": lambda: figures.sharpe_stderr(days.measured_sums(), basis),
        "sortino": lambda: risk.sortino_stderr(returns, basis),
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


def _durations(of: Study) -> risk.Drawdowns:
    if of.walk.start is None:
        raise Undefined(figures.NO_STARTING_EQUITY)
    when = of.sheet.columns["when"][of.walk.known :]
    return risk.drawdown_durations(when, of.walk.at_peak, of.now)


def _extreme(of: Study, *, best: bool) -> Extreme:
    pnl = of.columns["amount"]
    if not len(pnl):
        raise Undefined(figures.NO_TRADES)
    place = int(np.argmax(pnl)) if best else int(np.argmin(pnl))
    symbol = int(of.columns["symbol"][place])
    bot, identity = of.sheet.source(int(of.rows[place]))
    return Extreme(
        bot=bot,
        id=identity,
        pnl=money(int(pnl[place]), of.sheet.scale),
        symbol=of.sheet.symbols[symbol >> 1],
        side=SIDES[symbol & 1],
        closed_at=_EPOCH + timedelta(microseconds=int(of.columns["when"][place])),
    )


def _r_multiples(of: Study) -> RMultiples:
    if not len(of.pnl):
        raise Undefined(figures.NO_TRADES)
    multiples = risk.r_multiples(of.pnl, of.columns["risk"])
    if not len(multiples):
        raise Undefined("no trade told its risk")
    return RMultiples(
        len(multiples), float(multiples.mean()), float(multiples.max()), float(multiples.min())
    )


def _by_symbol(of: Study) -> list[Group]:
    symbols = of.sheet.symbols
    order = sorted(range(len(symbols)), key=symbols.__getitem__)  # not that of arrival
    ranks = np.zeros(max(len(symbols), 1), np.int64)
    ranks[order] = np.arange(len(order))
    return _groups([symbols[place] for place in order], ranks[of.columns["symbol"] >> 1], of)


def _groups(names: Sequence[str], place: Ints, of: Study) -> list[Group]:
    return groups(names, place, of.columns["amount"], of.columns["fee"], of.sheet.scale)

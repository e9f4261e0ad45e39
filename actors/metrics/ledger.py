"""A ledger gives the same figures, to the bit, for the same events in any order of arrival.

Duplicates change nothing, a higher revision of a trade replaces it, and a late event counts where
it belongs. In order, an event costs O(1); out of order O(log n), and the next snapshot of all
figures O(days) more.
"""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import Any, NoReturn

from msgspec.structs import replace

from actors.messages import Equity, EquityPoint, Flow, Metrics, Risk, Trade
from actors.metrics import report
from actors.metrics.account import Account
from actors.metrics.base import Base
from actors.metrics.entries import LATER, Entries
from actors.metrics.horizon import refusal
from actors.metrics.identities import Id, Index, canonical_id
from actors.metrics.money import SCALE, micros, moment, money, scale_for, scaled
from actors.metrics.options import LedgerOptions, terms_of
from actors.metrics.ratios import Terms
from actors.metrics.sheet import Member, Sheet
from actors.metrics.summary import FLOW, MARK, TRADE, standing
from actors.metrics.timeline import Columns, Place, Row, Timeline

POINTS_MIN = 8
_UNTOLD = math.nan
LATEST = 7_258_118_400_000_000  # 2200-01-01 UTC, in microseconds

__all__ = ["Ledger", "LedgerOptions"]


class Settled(ValueError):
    """The event would change what is older than `metrics.retention_days` keeps open."""


class Ledger(Entries):
    """The trades, reported equities and flows of one bot in one currency."""

    def __init__(self, options: LedgerOptions) -> None:
        super().__init__(options)
        self.name = ""
        self.currency_is_known = False  # for whoever lets a trade name it
        self.quantity_scale = SCALE
        self.horizon = 0  # what happened before this instant is settled
        self._terms = (options, self.scale, terms_of(options, self.scale))  # as they were last
        self._revisions: dict[Id, int] = {}
        self._flows: set[Id] = set()
        self._symbols: dict[str, int] = {}

    @classmethod
    def begun(cls, options: LedgerOptions, start: int | None, scale: int) -> Ledger:
        """An empty ledger that begins with an equity in units of 10^-`scale`, None: unknown."""
        equity = None if start is None else money(start, scale)
        ledger = cls(replace(options, starting_equity=equity))
        ledger.refine_to(scale)
        return ledger

    @classmethod
    def of(cls, sheet: Sheet) -> Ledger:
        """A ledger of a sheet's entries: their figures and curves, but no ids, so none comes late.

        Of columns beside `sheet.NEEDED` only `fee` is taken, without it fees are 0.
        """
        ledger = cls.begun(sheet.options, sheet.opening, sheet.scale)
        ledger.adopt(sheet.timeline())
        ledger.count(sheet.tally(), sheet.fees())
        return ledger

    def __repr__(self) -> str:
        return f"<Ledger {self.name} {self.options.currency} entries={len(self.timeline)}>"

    def apply(self, event: Trade | Equity | Flow) -> bool:
        """Take in an event; False for a duplicate or an older revision, which change nothing.

        The first of two events with one id and revision stands. Raises ValueError naming the
        field for an amount that is not finite or absurd, an instant outside 1970 to 2199, or
        another currency than the ledger's, Settled where what is before `horizon` would become
        another; nothing has changed then.
        """
        if isinstance(event, Trade):
            taken = self._apply_trade(event)
        elif isinstance(event, Flow):
            taken = self._apply_flow(event)
        else:
            taken = self._apply_equity(event)
        if taken and not self.name:
            self.name = event.bot
        return taken

    def risk(self, now: datetime) -> Risk:
        """The figures that triggers need: O(1) after events in order, else O(log n)."""
        return report.risk(self._standing(), self.scale, now)

    def metrics(self, now: datetime) -> Metrics:
        """Every figure as of `now`: O(1) after events in order of one day, else O(days)."""
        return report.metrics(self.account(), self.terms(), now)

    def terms(self) -> Terms:
        """What a snapshot of this ledger needs beside its account; made anew where that changed."""
        options, scale, terms = self._terms
        if options is not self.options or scale != self.scale:
            terms = terms_of(self.options, self.scale)
            self._terms = self.options, self.scale, terms
        return terms

    def series(self, points: int = 500) -> list[EquityPoint]:
        """The equity curve, oldest first, at most `points` with the extremes kept.

        Empty while no equity is known. Raises ValueError below 8 points.
        """
        if points < POINTS_MIN:
            raise ValueError(f"points: at least {POINTS_MIN}, not {points}")
        start = self._start()
        self._chart.draw(self.timeline, start, 10**self.scale)
        unit, first = 10**self.scale, self.first
        if start is None or first is None:
            return self._chart.points(self.timeline, points, unit)
        opening = EquityPoint(first / 1e6, start.equity / unit, 0.0)
        return [opening, *self._chart.points(self.timeline, points - 1, unit)]

    def history(self, first: datetime, last: datetime, points: int = 500) -> list[EquityPoint]:
        """The equity curve from an instant to before another, extremes kept: any zoom.

        At most `points` events, oldest first, none while equity is unknown. Raises ValueError
        below 8 points.
        """
        if points < POINTS_MIN:
            raise ValueError(f"points: at least {POINTS_MIN}, not {points}")
        timeline = self.timeline
        self._chart.draw(timeline, self._start(), 10**self.scale)
        return self._chart.points(timeline, points, 10**self.scale, micros(first), micros(last))

    def daily_pnl(self, first: datetime, last: datetime) -> list[tuple[int, Decimal]]:
        """(day as `date.toordinal`, P&L) of the days with an entry that begin in [first, last).

        The day that holds `first` is among them.
        """
        timeline, calendar = self.timeline, self._calendar
        begins, ends = calendar.day_of(micros(first)), micros(last)
        start, _ = timeline.since(calendar.start_of(begins))
        sums = {day: pnl for day, pnl in timeline.base.days if day >= begins}
        for block in timeline.blocks[start:]:
            if calendar.start_of(calendar.day_of(block.when[0])) >= ends:
                break
            for day, pnl in block.daily_pnl(calendar):
                sums[day] = sums.get(day, 0) + pnl
        return [
            (calendar.ordinal(day), money(pnl, self.scale))
            for day, pnl in sums.items()
            if day >= begins and calendar.start_of(day) < ends
        ]

    def columns(self, *names: str) -> Columns:
        """Copies of columns of `block.COLUMNS`, in canonical order, of every entry there still is.

        `symbol` is twice the place in `symbols()`, plus 1 for a short; money is in 10^-`scale`,
        quantities are in 10^-`quantity_scale`; `id(reference)` of the timeline gives an id.
        """
        return {name: self.timeline.column(name) for name in names}

    def sheet(
        self, *names: str, base: Base | None = None, since: int = 0, until: int = LATEST
    ) -> Sheet:
        """Copies of columns with all that makes an account of them, from one instant to another.

        A `base` that is not the ledger's own must hold everything that is compacted here.
        """
        timeline, start = self.timeline, self._start()
        base = base or timeline.base.copy()
        first, last = timeline.since(max(base.cut, since)), timeline.since(until)
        before = standing(timeline.until(first), start)
        return Sheet(
            options=self.options,
            scale=self.scale,
            symbols=self.symbols(),
            opening=None if start is None else start.equity,
            start=None if before is None else before.equity,
            columns=timeline.columns(names, first, last),
            base=base,
            members=(Member(self.name, timeline.heap),),
        )

    def symbols(self) -> list[str]:
        """The symbols in the order of their numbers."""
        return list(self._symbols)

    def daily_returns(self) -> tuple[int | None, list[float]]:
        """The first day with a return (`date.toordinal`), and the returns from then on.

        The last one is that of the last entry's day, and provisional; NaN where equity was not
        positive.
        """
        account = self.account()
        if account.returns_from is None:
            return None, []
        return self._calendar.ordinal(account.returns_from), [
            *account.returns,
            account.day_return(),
        ]

    def ids(self) -> dict[str, Any]:
        """What is known of ids and symbols, beside the timeline and the index, as JSON."""
        return {
            "symbols": list(self._symbols),
            "revisions": list(self._revisions.items()),
            "flows": list(self._flows),
            "moved": list(self.index.moved.items()),
            "dead": self._dead,
            "day_end": self._day_end,
            "currency_is_known": self.currency_is_known,
        }

    def restore(
        self, packed: dict[str, Any], timeline: Timeline, index: Index, *, same: bool
    ) -> Account:
        """Take over what a snapshot holds; the account it returns is still to be filled.

        Without the `same` settings as it was taken under, the account follows from the entries.
        """
        self.name = packed["name"]
        self.currency_is_known = packed["currency_is_known"]
        self._timeline, self.index = timeline, index
        self.scale, self.quantity_scale = packed["scale"], packed["quantity_scale"]
        self._symbols = {symbol: number for number, symbol in enumerate(packed["symbols"])}
        self._revisions = dict(packed["revisions"])
        self._flows = set(packed["flows"])
        self._dead = packed["dead"]
        self.index.moved = dict(packed["moved"])
        self._day_end = packed["day_end"] if same else None
        self._account = self._opened()
        self._behind = self._stale = self._moved = not same and len(timeline) > 0
        self._since = LATER if same else 0
        self.horizon = timeline.base.cut
        return self._account

    def refine(self) -> None:
        """Make the unit as small as the starting equity needs it now."""
        if self.options.starting_equity is not None:
            self._units(self.options.starting_equity, "starting_equity")

    def _apply_trade(self, trade: Trade) -> bool:
        identity = canonical_id(trade.id)
        before = self._find(identity)
        if before is not None or (self._timeline.base.cut and self.past.has(identity)):
            return self._correct(trade, identity, before)
        when = _instant(trade.closed_at or trade.at, "closed_at")
        if when < self.horizon:
            self._refuse("closed_at", f"trade {trade.id}", when)
        pnl, fee, opened, quantity, symbol, risk = self._fields(trade)
        reference = self._timeline.heap.put(identity)
        self.index.put(identity, when)
        if trade.revision:
            self._revisions[identity] = trade.revision
        # No Row: a tuple of a class of its own takes twice as long to make and to take apart
        self._insert((when, TRADE, reference, pnl, fee, opened, quantity, symbol, risk))
        return True

    def _correct(self, trade: Trade, identity: Id, before: Place | None) -> bool:
        """Put a trade in the place of an older revision; None: that is compacted."""
        if trade.revision <= self._revisions.get(identity, 0):
            return False
        when = _instant(trade.closed_at or trade.at, "closed_at")
        if before is None or min(when, self.timeline.when(before)) < self.horizon:
            self._refuse("closed_at", f"trade {trade.id}", when, corrects=True)
        fields = self._fields(trade)
        reference = self.timeline.blocks[before[0]].ids[before[1]]
        self._remove(before)
        self.index.move(identity, when)
        self._revisions[identity] = trade.revision
        self._insert((when, TRADE, reference, *fields))
        return True

    def _fields(self, trade: Trade) -> tuple[int, int, int, int, int, float]:
        """Those of a row that no other trade has a say in, in its order from `amount` on."""
        if trade.currency is not None and trade.currency != self.options.currency:
            raise self._foreign(trade.currency)
        scale = self.scale
        pnl, fee = scaled(trade.pnl, scale, "pnl"), scaled(trade.fee, scale, "fee")
        if pnl is None or fee is None:
            pnl, fee = self._refined(trade)
        quantity = scaled(trade.quantity, self.quantity_scale, "quantity")
        if quantity is None:
            quantity = self._quantity(trade.quantity)
        symbol = 2 * self.symbol(trade.symbol) + (trade.side == "short")
        risk = _UNTOLD if trade.risk is None else float(trade.risk)
        return pnl, fee, micros(trade.opened_at), quantity, symbol, risk

    def _refined(self, trade: Trade) -> tuple[int, int]:
        """P&L and fee in a unit that is small enough for both."""
        self._units(trade.pnl, "pnl")
        fee = self._units(trade.fee, "fee")
        return self._units(trade.pnl, "pnl"), fee

    def _apply_flow(self, flow: Flow) -> bool:
        identity = canonical_id(flow.id)
        if identity in self._flows:
            return False
        when = self._open(_instant(flow.at, "at"), f"flow {flow.id}")
        amount = self._units(flow.amount, "amount")
        self._flows.add(identity)
        self._insert(Row(when, FLOW, self.timeline.heap.put(identity), amount))
        return True

    def _apply_equity(self, equity: Equity) -> bool:
        when = self._open(_instant(equity.at, "at"), "equity")
        amount = self._units(equity.equity, "equity")
        if self.timeline.find(when, MARK, 0, amount) is not None:
            return False
        self._insert(Row(when, MARK, 0, amount))
        return True

    def _foreign(self, currency: str) -> ValueError:
        says = f"currency: {currency} in a ledger of {self.options.currency}"
        if self.currency_is_known or not self.horizon:
            return ValueError(says)
        return Settled(f"{says}, which is settled: it has events of before metrics.retention_days")

    def _open(self, when: int, what: str) -> int:
        if when < self.horizon:
            self._refuse("at", what, when)
        return when

    def _refuse(self, field: str, what: str, when: int, *, corrects: bool = False) -> NoReturn:
        verb = "corrects what is" if corrects else "is"
        raise Settled(refusal(field, what, moment(when), moment(self.horizon), verb))

    def _quantity(self, quantity: Decimal) -> int:
        """The quantity in a unit that is small enough for it."""
        finer = scale_for(quantity)
        self.timeline.rescale(10 ** (finer - self.quantity_scale), ("quantity",))
        self.quantity_scale = finer
        return scaled(quantity, finer, "quantity") or 0

    def symbol(self, symbol: str) -> int:
        """The number of a symbol, the same as long as the ledger lives."""
        return self._symbols.setdefault(symbol, len(self._symbols))


def _instant(instant: datetime | None, field: str) -> int:
    if instant is None:
        raise ValueError(f"{field}: missing")
    when = micros(instant)
    if not 0 <= when < LATEST:
        raise ValueError(f"{field}: {instant.isoformat()} is outside 1970 to 2199")
    return when

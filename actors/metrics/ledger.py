"""A ledger gives the same figures, to the bit, for the same events in any order of arrival.

Duplicates change nothing, a higher revision of a trade replaces it, and a late event counts where
it belongs. In order, an event costs O(1); out of order O(log n), and the next snapshot of all
figures O(days) more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from actors.messages import Equity, EquityPoint, Flow, Metrics, Risk, Trade
from actors.metrics import report, restate
from actors.metrics.account import Account, open_account
from actors.metrics.days import Calendar
from actors.metrics.identities import Id, Index, Run, canonical_id
from actors.metrics.money import SCALE, micros, scale_for, scaled
from actors.metrics.options import LedgerOptions, terms
from actors.metrics.series import Chart
from actors.metrics.summary import FLOW, MARK, TRADE, Standing, opened
from actors.metrics.timeline import Columns, Place, Row, Timeline

POINTS_MIN = 8
LATEST = 7_258_118_400_000_000  # 2200-01-01 UTC, in microseconds

Flags = npt.NDArray[np.bool_]

__all__ = ["Ledger", "LedgerOptions"]


class Ledger:
    """The trades, reported equities and flows of one bot in one currency."""

    def __init__(self, options: LedgerOptions) -> None:
        self.options = options
        self.name = ""
        self.currency_is_known = False  # for whoever lets a trade name it
        self._timeline = Timeline()
        self._staged: list[Columns] = []
        self.scale = SCALE
        self.quantity_scale = SCALE
        self.rewrites = 0  # how often something other than the end of the timeline changed
        if options.starting_equity is not None:
            self.scale = scale_for(options.starting_equity)
        self.index = Index()
        self._revisions: dict[Id, int] = {}
        self._flows: set[Id] = set()
        self._symbols: dict[str, int] = {}
        self._calendar = Calendar(options.zone)
        self._day_end: int | None = None
        self._chart = Chart()
        self._account = self._opened()
        self._behind = False  # what triggers need is not what the timeline says
        self._moved = False  # and not by a shift of all levels alone
        self._shift = 0
        self._stale = False  # the other figures are not what the timeline says
        self._week = (0, 0)

    def __repr__(self) -> str:
        return f"<Ledger {self.name} {self.options.currency} entries={len(self.timeline)}>"

    def apply(self, event: Trade | Equity | Flow) -> bool:
        """Take in an event; False for a duplicate or an older revision, which change nothing.

        The first of two events with one id and revision stands. Raises ValueError naming the
        field for an amount that is not finite or absurd, an instant outside 1970 to 2199, or
        another currency than the ledger's; nothing has changed then.
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
        return report.metrics(self.account(), terms(self.options, self.scale), now)

    def account(self) -> Account:
        """The account as all entries leave it; to be read only."""
        account = self._standing()
        if self._stale:
            restate.history(account, self.timeline, self._start())
            self._stale = False
        return account

    def series(self, points: int = 500) -> list[EquityPoint]:
        """The equity curve, oldest first, at most `points` with the extremes kept.

        Empty while no equity is known. Raises ValueError below 8 points.
        """
        if points < POINTS_MIN:
            raise ValueError(f"points: at least {POINTS_MIN}, not {points}")
        start = self._start()
        self._chart.draw(self.timeline, start, 10**self.scale)
        if start is None or not len(self.timeline):
            return self._chart.points(self.timeline, points)
        first = self.timeline.blocks[0].when[0]
        opening = EquityPoint(first / 1e6, start.equity / 10**self.scale, 0.0)
        return [opening, *self._chart.points(self.timeline, points - 1)]

    def history(self, first: datetime, last: datetime, points: int = 500) -> list[EquityPoint]:
        """The equity curve from an instant to before another, extremes kept: any zoom.

        At most `points` events, oldest first, none while equity is unknown. Raises ValueError
        below 8 points.
        """
        if points < POINTS_MIN:
            raise ValueError(f"points: at least {POINTS_MIN}, not {points}")
        timeline = self.timeline
        self._chart.draw(timeline, self._start(), 10**self.scale)
        places = [timeline.index(timeline.since(micros(edge))) for edge in (first, last)]
        return self._chart.points(timeline, points, *places)

    def columns(self, *names: str) -> Columns:
        """Copies of columns of `block.COLUMNS`, in canonical order, of every kind of entry.

        `symbol` is twice the place in `symbols()`, plus 1 for a short; money is in 10^-`scale`,
        quantities are in 10^-`quantity_scale`; `id(reference)` of the timeline gives an id.
        """
        return {name: self.timeline.column(name) for name in names}

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
        return account.returns_from, [*account.returns, account.day_return()]

    @property
    def timeline(self) -> Timeline:
        """The entries, all of them in their places; to be read only."""
        if self._staged:
            self._settle()
        return self._timeline

    def turn(self, now: datetime) -> bool:
        """Whether a day began in the zone since the last call or event; False the first time."""
        return self._pass(micros(now))

    def _pass(self, when: int) -> bool:
        known = self._day_end
        if known is not None and when < known:
            return False
        self._day_end = self._calendar.end_of_day(when)
        return known is not None

    # ------------------------------------------------------------ snapshots

    def ids(self) -> dict[str, Any]:
        """What is known of ids and symbols, beside the timeline and the index, as JSON."""
        return {
            "symbols": list(self._symbols),
            "revisions": list(self._revisions.items()),
            "flows": list(self._flows),
            "moved": list(self.index.moved.items()),
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
        self.index.moved = dict(packed["moved"])
        self._day_end = packed["day_end"] if same else None
        self._account = self._opened()
        self._behind = self._stale = self._moved = not same and len(timeline) > 0
        return self._account

    def refine(self) -> None:
        """Make the unit as small as the starting equity needs it now."""
        if self.options.starting_equity is not None:
            self._units(self.options.starting_equity, "starting_equity")

    # -------------------------------------------------------- many at once

    def stage(
        self, bot: str, columns: Columns, ids: Sequence[Id] = (), encoded: Sequence[bytes] = ()
    ) -> None:
        """Take in trades of revision 0, with their `ids`, or reported equities, without.

        `encoded` are the ids as `identities.encode` gives them.

        `columns` has those of a block and `digest`, the digests of the ids. They get their places
        when something is asked for.
        """
        if ids:
            heap = self._timeline.heap
            if all(isinstance(one, str) for one in ids):
                columns["ids"] = heap.put_all(encoded)
            else:
                columns["ids"] = np.array([heap.put(one) for one in ids], np.int64)
        self._staged.append(columns)
        self.name = self.name or bot

    def _settle(self) -> None:
        staged, self._staged = self._staged, []
        fresh = {name: np.concatenate([part[name] for part in staged]) for name in staged[0]}
        trades = fresh["kind"] == TRADE
        order = np.argsort(fresh["digest"])
        order = order[trades[order]]
        known = self._known(fresh["ids"], fresh["digest"], order)
        if known:
            fresh = {name: np.delete(column, known) for name, column in fresh.items()}
            trades = fresh["kind"] == TRADE
            order = np.flatnonzero(trades)
            order = order[np.argsort(fresh["digest"][order])]
        if not len(trades):
            return
        if len(order):
            self.index.put_run(Run(fresh["digest"][order], fresh["when"][order]))
        first, last = int(fresh["when"].min()), int(fresh["when"].max())
        before = len(self._timeline)
        later = self._timeline.merge(fresh)
        self._pass(last)
        if later and 0 < len(trades) <= before and not (self._behind or self._stale):
            for when, kind, amount, fee in self._timeline.after(before):
                self._walk(when, kind, amount, fee)
            return
        self._account.tally.count_all(fresh["amount"][trades])
        self._account.fees += sum(fresh["fee"][trades].tolist())
        self._behind = self._stale = self._moved = True
        if not later:
            self.rewrites += 1
            self._chart.late(first)

    def _walk(self, when: int, kind: int, amount: int, fee: int) -> None:
        if kind == TRADE:
            self._account.trade(when, amount, fee)
        elif kind == MARK:
            self._account.mark(when, amount)
        else:
            self._account.flow(when, amount)

    def _known(
        self,
        ids: npt.NDArray[np.int64],
        digests: npt.NDArray[np.uint32],
        order: npt.NDArray[np.int64],
    ) -> list[int]:
        """Which of these trades are here already, or among the others before: the first stands.

        `order` has the trades' places by their digests.
        """
        get = self._timeline.heap.get
        ordered = digests[order]
        same = np.flatnonzero(ordered[1:] == ordered[:-1])
        found = {
            int(place)
            for place in order[self.index.seen(ordered)]
            if self._find(get(int(ids[place]))) is not None
        }
        alike: dict[Id, int] = {}
        for place in np.unique(np.concatenate((order[same], order[same + 1]))).tolist():
            if alike.setdefault(get(int(ids[place])), place) != place:
                found.add(place)
        return sorted(found)

    # ------------------------------------------------------------ taking in

    def _apply_trade(self, trade: Trade) -> bool:
        identity = canonical_id(trade.id)
        before = self._find(identity)
        if before is not None and trade.revision <= self._revisions.get(identity, 0):
            return False
        if trade.currency is not None and trade.currency != self.options.currency:
            raise ValueError(f"currency: {trade.currency} in a ledger of {self.options.currency}")
        when = _instant(trade.closed_at if trade.closed_at is not None else trade.at, "closed_at")
        pnl = self._units(trade.pnl, "pnl")
        scale = self.scale
        fee = self._units(trade.fee, "fee")
        pnl *= 10 ** (self.scale - scale)
        quantity = self._quantity(trade.quantity)
        if before is not None:
            reference = self.timeline.blocks[before[0]].ids[before[1]]
            self._remove(before)
            self.index.move(identity, when)
        else:
            reference = self.timeline.heap.put(identity)
            self.index.put(identity, when)
        if trade.revision:
            self._revisions[identity] = trade.revision
        symbol = 2 * self.symbol(trade.symbol) + (trade.side == "short")
        opened_at = micros(trade.opened_at)
        self._insert(Row(when, TRADE, reference, pnl, fee, opened_at, quantity, symbol))
        return True

    def _apply_flow(self, flow: Flow) -> bool:
        identity = canonical_id(flow.id)
        if identity in self._flows:
            return False
        when, amount = _instant(flow.at, "at"), self._units(flow.amount, "amount")
        self._flows.add(identity)
        self._insert(Row(when, FLOW, self.timeline.heap.put(identity), amount))
        return True

    def _apply_equity(self, equity: Equity) -> bool:
        when, amount = _instant(equity.at, "at"), self._units(equity.equity, "equity")
        if self.timeline.find(when, MARK, 0, amount) is not None:
            return False
        self._insert(Row(when, MARK, 0, amount))
        return True

    def _find(self, identity: Id) -> Place | None:
        for when in self.index.candidates(identity):
            place = self.timeline.find(when, TRADE, identity)
            if place is not None:
                return place
        return None

    def _insert(self, row: Row) -> None:
        late = self.timeline.insert(row) is not None
        self._pass(row.when)
        if late:
            self._changed(row, 1)
        elif self._behind:
            self._moved = True
            self._count(row, 1)
        else:
            self._walk(row.when, row.kind, row.amount, row.fee)

    def _remove(self, place: Place) -> None:
        self._changed(self.timeline.remove(place), -1)

    def _changed(self, row: Row, sign: int) -> None:
        """Something else than the end changed: sums at once, the rest when it is asked for."""
        self.rewrites += 1
        self._behind = self._stale = True
        self._chart.late(row.when)
        self._count(row, sign)
        if self.timeline.marks or self._start() is None or row.when >= self._week_start():
            self._moved = True
        self._shift += sign * row.amount

    def _count(self, row: Row, sign: int) -> None:
        if row.kind == TRADE:
            self._account.tally.count(row.amount, sign)
            self._account.fees += sign * row.fee

    def _week_start(self) -> int:
        day = self._account.day
        if self._week[0] != day:
            self._week = (day, self._calendar.start_of(day - (day - 1) % 7))
        return self._week[1]

    def _units(self, amount: Decimal, field: str) -> int:
        units = scaled(amount, self.scale, field)
        if units is not None:
            return units
        finer = scale_for(amount)
        factor = 10 ** (finer - self.scale)
        self.timeline.rescale(factor)
        self.scale = finer
        self.rewrites += 1
        self._chart.clear()
        if not len(self.timeline):
            self._account = self._opened()
        else:
            self._account.tally.multiply(factor)
            self._account.fees *= factor
            self._behind = self._stale = self._moved = True
        return scaled(amount, finer, field) or 0

    def _quantity(self, quantity: Decimal) -> int:
        units = scaled(quantity, self.quantity_scale, "quantity")
        if units is not None:
            return units
        finer = scale_for(quantity)
        self.timeline.rescale(10 ** (finer - self.quantity_scale), ("quantity",))
        self.quantity_scale = finer
        return scaled(quantity, finer, "quantity") or 0

    def symbol(self, symbol: str) -> int:
        """The number of a symbol, the same as long as the ledger lives."""
        return self._symbols.setdefault(symbol, len(self._symbols))

    # ------------------------------------------------------------- standing

    def _start(self) -> Standing | None:
        starting = self.options.starting_equity
        if starting is None:
            return None
        return opened(scaled(starting, self.scale, "starting_equity"))

    def _opened(self) -> Account:
        start = self._start()
        equity = None if start is None else start.equity
        return open_account(self._calendar, equity, self.options.rolling_trades)

    def _standing(self) -> Account:
        timeline = self.timeline
        if self._behind:
            if self._moved:
                restate.position(self._account, timeline, self._start())
            else:
                restate.shift(self._account, timeline, self._shift, self._start())
            self._behind = self._moved = False
        self._shift = 0
        return self._account


def _instant(instant: datetime | None, field: str) -> int:
    if instant is None:
        raise ValueError(f"{field}: missing")
    when = micros(instant)
    if not 0 <= when < LATEST:
        raise ValueError(f"{field}: {instant.isoformat()} is outside 1970 to 2199")
    return when

"""A ledger gives the same figures, to the bit, for the same events in any order of arrival.

Duplicates change nothing, a higher revision of a trade replaces it, and a late event counts where
it belongs. In order, an event costs O(1); out of order the walk resumes from the last checkpoint
before it (every 1,024 entries), so the cost is that of the entries after it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from actors.messages import Equity, EquityPoint, Flow, Metrics, Risk, Trade
from actors.metrics import report
from actors.metrics.account import Account, open_account
from actors.metrics.days import Calendar
from actors.metrics.money import SCALE, micros, scale_for, scaled
from actors.metrics.options import LedgerOptions, terms
from actors.metrics.series import Chart
from actors.metrics.timeline import FLOW, MARK, TRADE, Entry, Id, Timeline, canonical_id

CHECKPOINT_EVERY = 1_024
CLEAN = 2**62
POINTS_MIN = 8
LATEST = 7_258_118_400_000_000  # 2200-01-01 UTC, in microseconds

__all__ = ["Ledger", "LedgerOptions", "Portfolio", "portfolio"]


class Ledger:
    """The trades, reported equities and flows of one bot in one currency."""

    def __init__(self, options: LedgerOptions) -> None:
        self.options = options
        self.name = ""
        self.timeline = Timeline()
        self.scale = SCALE
        self._dirty = CLEAN
        self.rewrites = 0  # how often something other than the end of the timeline changed
        if options.starting_equity is not None:
            self.scale = scale_for(options.starting_equity)
        self._closed: dict[Id, int] = {}
        self._revisions: dict[Id, int] = {}
        self._flows: set[Id] = set()
        self._calendar = Calendar(options.zone)
        self._day_end: int | None = None
        self._begin()

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
        """The figures that triggers need: O(1) after events in order."""
        return report.risk(self._walked(), self.scale, now)

    def metrics(self, now: datetime) -> Metrics:
        """Every figure as of `now`: O(days + rolling trades) after events in order."""
        return report.metrics(self._walked(), terms(self.options, self.scale), now)

    def series(self, points: int = 500) -> list[EquityPoint]:
        """The equity curve, oldest first, at most `points` with the extremes kept.

        Empty while no equity is known. Raises ValueError below 8 points.
        """
        if points < POINTS_MIN:
            raise ValueError(f"points: at least {POINTS_MIN}, not {points}")
        self._walked()
        starting = self._starting()
        if starting is None or not len(self.timeline):
            return self._chart.points(self.timeline.when, points)
        first = EquityPoint(self.timeline.when[0] / 1e6, starting / 10**self.scale, 0.0)
        return [first, *self._chart.points(self.timeline.when, points - 1)]

    def turn(self, now: datetime) -> bool:
        """Whether a day began in the zone since the last call or event; False the first time."""
        return self._pass(micros(now))

    def _pass(self, when: int) -> bool:
        known = self._day_end
        if known is not None and when < known:
            return False
        self._day_end = self._calendar.end_of_day(when)
        return known is not None

    # ------------------------------------------------------------ taking in

    def _apply_trade(self, trade: Trade) -> bool:
        identity = canonical_id(trade.id)
        before = self._closed.get(identity)
        if before is not None and trade.revision <= self._revisions.get(identity, 0):
            return False
        if trade.currency is not None and trade.currency != self.options.currency:
            raise ValueError(f"currency: {trade.currency} in a ledger of {self.options.currency}")
        when = _instant(trade.closed_at if trade.closed_at is not None else trade.at, "closed_at")
        pnl = self._units(trade.pnl, "pnl")
        scale = self.scale
        fee = self._units(trade.fee, "fee")
        pnl *= 10 ** (self.scale - scale)
        if before is not None:
            place = self.timeline.find(Entry(before, TRADE, identity, 0))
            if place is None:
                raise AssertionError(f"trade {identity} is known but not in the timeline")
            self.timeline.remove(place)
            self._rewrite(place)
        if trade.revision:
            self._revisions[identity] = trade.revision
        self._closed[identity] = when
        self._insert(Entry(when, TRADE, identity, pnl, fee))
        return True

    def _apply_flow(self, flow: Flow) -> bool:
        identity = canonical_id(flow.id)
        if identity in self._flows:
            return False
        entry = Entry(_instant(flow.at, "at"), FLOW, identity, self._units(flow.amount, "amount"))
        self._flows.add(identity)
        self._insert(entry)
        return True

    def _apply_equity(self, equity: Equity) -> bool:
        entry = Entry(_instant(equity.at, "at"), MARK, 0, self._units(equity.equity, "equity"))
        if self.timeline.find(entry) is not None:
            return False
        self._insert(entry)
        return True

    def _insert(self, entry: Entry) -> None:
        end = len(self.timeline)
        place = self.timeline.insert(entry)
        if place < end:
            self._rewrite(place)
        self._pass(entry.when)

    def _rewrite(self, place: int) -> None:
        self.rewrites += 1
        self._dirty = min(self._dirty, place)

    def _units(self, amount: Decimal, field: str) -> int:
        units = scaled(amount, self.scale, field)
        if units is not None:
            return units
        finer = scale_for(amount)
        self.timeline.rescale(10 ** (finer - self.scale))
        self.scale = finer
        self.rewrites += 1
        self._begin()
        return scaled(amount, finer, field) or 0

    # -------------------------------------------------------------- walking

    def _starting(self) -> int | None:
        starting = self.options.starting_equity
        return None if starting is None else scaled(starting, self.scale, "starting_equity")

    def _begin(self) -> None:
        self._chart = Chart()
        options = self.options
        self._account = open_account(
            options.zone, self._starting(), options.rolling_trades, 10**self.scale, self._chart
        )
        self._walked_to = 0
        self._dirty = CLEAN
        self._checkpoints: list[Account] = []

    def _walked(self) -> Account:
        if self._dirty < self._walked_to:
            self._rewind(self._dirty)
        self._dirty = CLEAN
        timeline, account = self.timeline, self._account
        for place in range(self._walked_to, len(timeline)):
            if place == len(self._checkpoints) * CHECKPOINT_EVERY:
                self._checkpoints.append(account.checkpoint())
            kind = timeline.kind[place]
            if kind == TRADE:
                account.trade(timeline.when[place], timeline.amount[place], timeline.fee[place])
            elif kind == MARK:
                account.mark(timeline.when[place], timeline.amount[place])
            else:
                account.flow(timeline.when[place], timeline.amount[place])
        self._walked_to = len(timeline)
        return account

    def _rewind(self, place: int) -> None:
        # Far enough back that the rolling window, which no checkpoint holds, is full again by then
        index = place // CHECKPOINT_EVERY
        enough = self.options.rolling_trades
        while index and self._trades_between(index * CHECKPOINT_EVERY, place) < enough:
            index -= 1
        del self._checkpoints[index + 1 :]
        self._walked_to = index * CHECKPOINT_EVERY
        self._account = self._checkpoints[index].resume(self._walked_to)

    def _trades_between(self, first: int, last: int) -> int:
        return self.timeline.kind.count(TRADE, first, last)


class Portfolio:
    """Ledgers of one currency, each of its own bot, merged as if they were one account.

    Follows the ledgers it is given: new events in order cost O(1) each, anything else a full walk.
    Equity is known once every ledger's is; a reported equity moves the sum by its bot's change.
    """

    def __init__(self, options: LedgerOptions) -> None:
        self.options = options
        self._members: list[Ledger] = []
        self._restart()

    def metrics(self, ledgers: Sequence[Ledger], now: datetime) -> Metrics:
        """Every figure of all the ledgers together.

        Raises ValueError for a ledger of another currency than the portfolio's.
        """
        members = sorted(ledgers, key=lambda ledger: ledger.name)
        for ledger in members:
            if ledger.options.currency != self.options.currency:
                raise ValueError(f"currency: {ledger!r} in a portfolio of {self.options.currency}")
        rewrites = [ledger.rewrites for ledger in members]
        same = [id(ledger) for ledger in members] == [id(ledger) for ledger in self._members]
        if not same or rewrites != self._rewrites or not self._follow():
            self._members = members
            self._restart()
            self._follow()
        return report.metrics(self._account, terms(self.options, self._scale), now)

    def _restart(self) -> None:
        members = self._members
        self._scale = max((ledger.scale for ledger in members), default=SCALE)
        self._rewrites = [ledger.rewrites for ledger in members]
        self._taken = [0] * len(members)
        self._last = (0, 0, 0)
        self._equities = [
            None if start is None else scaled(start, self._scale, "starting_equity")
            for start in (ledger.options.starting_equity for ledger in members)
        ]
        options = self.options
        self._account = open_account(
            options.zone, self._sum(), options.rolling_trades, 10**self._scale, None
        )

    def _follow(self) -> bool:
        fresh = [self._fresh(rank) for rank in range(len(self._members))]
        merged = heapq.merge(*fresh)
        for when, kind, rank, place in merged:
            if (when, kind, rank) < self._last:
                return False
            self._last = (when, kind, rank)
            self._take(when, kind, rank, place)
            self._taken[rank] = place + 1
        return True

    def _fresh(self, rank: int) -> Iterator[tuple[int, int, int, int]]:
        timeline = self._members[rank].timeline
        for place in range(self._taken[rank], len(timeline)):
            yield timeline.when[place], timeline.kind[place], rank, place

    def _take(self, when: int, kind: int, rank: int, place: int) -> None:
        ledger = self._members[rank]
        factor = 10 ** (self._scale - ledger.scale)
        amount = ledger.timeline.amount[place] * factor
        equity = self._equities[rank]
        if kind == MARK:
            self._equities[rank] = amount
            total = self._sum()
            if total is not None:
                self._account.mark(when, total)
            return
        self._equities[rank] = None if equity is None else equity + amount
        if kind == TRADE:
            self._account.trade(when, amount, ledger.timeline.fee[place] * factor)
        else:
            self._account.flow(when, amount)

    def _sum(self) -> int | None:
        known = [equity for equity in self._equities if equity is not None]
        return sum(known) if known and len(known) == len(self._equities) else None


def portfolio(ledgers: Sequence[Ledger], options: LedgerOptions, now: datetime) -> Metrics:
    """The ledgers of one currency as if one account; `options.starting_equity` is not used.

    Walks every entry: keep a `Portfolio` where this is asked for again and again.
    """
    return Portfolio(options).metrics(ledgers, now)


def _instant(instant: datetime | None, field: str) -> int:
    if instant is None:
        raise ValueError(f"{field}: missing")
    when = micros(instant)
    if not 0 <= when < LATEST:
        raise ValueError(f"{field}: {instant.isoformat()} is outside 1970 to 2199")
    return when

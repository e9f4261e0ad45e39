"""Ledgers of one currency, each of its own bot, as if they were one account.

Events in order cost O(1) each. After anything else (a late trade, a correction, a bot that joins)
the accounts are merged anew, in one piece by numpy: about 0.4 us an entry. One bot alone is its own
portfolio and costs nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime

from actors.messages import Metrics
from actors.metrics import report
from actors.metrics.account import open_account
from actors.metrics.days import Calendar
from actors.metrics.ledger import Ledger
from actors.metrics.money import SCALE, scaled
from actors.metrics.options import LedgerOptions, terms
from actors.metrics.sheet import NEEDED, Sheet, merged
from actors.metrics.summary import MARK, TRADE


class Portfolio:
    """Follows the ledgers it is given.

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
        if len(members) == 1 and _alike(members[0].options, self.options):
            alone = members[0]
            return report.metrics(alone.account(), terms(self.options, alone.scale), now)
        rewrites = [ledger.rewrites for ledger in members]
        same = [id(ledger) for ledger in members] == [id(ledger) for ledger in self._members]
        if not same or rewrites != self._rewrites or not self._follow():
            self._members = members
            self._restart()
            self._merge()
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
        self._account = open_account(Calendar(options.zone), self._sum(), options.rolling_trades)

    def _sum(self) -> int | None:
        known = [equity for equity in self._equities if equity is not None]
        return sum(known) if known and len(known) == len(self._equities) else None

    # ------------------------------------------------------------ in order

    def _follow(self) -> bool:
        fresh = [self._fresh(rank) for rank in range(len(self._members))]
        for when, kind, rank, amount, fee in heapq.merge(*fresh, key=lambda entry: entry[:3]):
            if (when, kind, rank) < self._last:
                return False
            self._last = (when, kind, rank)
            self._take(when, kind, rank, amount, fee)
            self._taken[rank] += 1
        return True

    def _fresh(self, rank: int) -> Iterator[tuple[int, int, int, int, int]]:
        ledger = self._members[rank]
        factor = 10 ** (self._scale - ledger.scale)
        for when, kind, amount, fee in ledger.timeline.after(self._taken[rank]):
            yield when, kind, rank, amount * factor, fee * factor

    def _take(self, when: int, kind: int, rank: int, amount: int, fee: int) -> None:
        equity = self._equities[rank]
        if kind == MARK:
            self._equities[rank] = amount
            total = self._sum()
            if total is not None:
                self._account.mark(when, total)
            return
        self._equities[rank] = None if equity is None else equity + amount
        if kind == TRADE:
            self._account.trade(when, amount, fee)
        else:
            self._account.flow(when, amount)

    # ------------------------------------------------------------- all anew

    def _merge(self) -> None:
        """Take in every entry of every member at once."""
        members = self._members
        if not sum(len(ledger.timeline) for ledger in members):
            return
        sheets = [ledger.sheet(*NEEDED, "fee") for ledger in members]
        self._last = max(_last(rank, sheet) for rank, sheet in enumerate(sheets))
        self._taken = [len(sheet) for sheet in sheets]
        for rank, ledger in enumerate(members):
            equity = ledger.account().equity
            factor = 10 ** (self._scale - ledger.scale)
            self._equities[rank] = None if equity is None else equity * factor
        self._account = Ledger.of(merged(sheets, self.options)).account()


def _last(rank: int, sheet: Sheet) -> tuple[int, int, int]:
    """The place of a member's last entry; (0, 0, 0) without one."""
    if not len(sheet):
        return 0, 0, 0
    return int(sheet.columns["when"][-1]), int(sheet.columns["kind"][-1]), rank


def portfolio(ledgers: Sequence[Ledger], options: LedgerOptions, now: datetime) -> Metrics:
    """The ledgers of one currency as if one account; `options.starting_equity` is not used.

    Merges every entry: keep a `Portfolio` where this is asked for again and again.
    """
    return Portfolio(options).metrics(ledgers, now)


def _alike(one: LedgerOptions, other: LedgerOptions) -> bool:
    return (one.zone, one.rolling_trades) == (other.zone, other.rolling_trades)

"""Ledgers of one currency, each of its own bot, as if they were one account.

Events in order cost O(1) each. After anything else (a late trade, a correction, a bot that joins)
the accounts are merged anew, in one piece by numpy: about 0.4 us an entry. One bot alone is its own
portfolio and costs nothing. What is compacted is merged before the members forget it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime

from actors.messages import Metrics
from actors.metrics import report
from actors.metrics.account import open_account
from actors.metrics.base import Base
from actors.metrics.common import Common, advanced, starting, together
from actors.metrics.days import Calendar
from actors.metrics.ledger import Ledger
from actors.metrics.money import SCALE
from actors.metrics.options import LedgerOptions, terms
from actors.metrics.sheet import NEEDED, Sheet, merged, whole
from actors.metrics.summary import MARK, TRADE


class Portfolio:
    """Follows the ledgers it is given.

    Equity is known once every ledger's is; a reported equity moves the sum by its bot's change.
    """

    def __init__(self, options: LedgerOptions) -> None:
        self.options = options
        self.common: Common | None = None  # what was compacted while there were several
        self._members: list[Ledger] = []
        self._restart()

    def metrics(self, ledgers: Sequence[Ledger], now: datetime) -> Metrics:
        """Every figure of all the ledgers together.

        Raises ValueError for a ledger of another currency than the portfolio's.
        """
        members = self._ordered(ledgers)
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

    def compact(self, ledgers: Sequence[Ledger], until: int, most: int) -> bool:
        """Compact about `most` entries of each ledger from before an instant; whether it did.

        The whole goes first, as it needs of each what it has not seen yet.
        """
        members = self._ordered(ledgers)
        if len(members) == 1:
            return members[0].compact(until, most)
        self.common = together(members, self.common)
        more = advanced(self.common, members, self.options, until, most)
        self.common = more or self.common
        cut = min(until, self.common.base.cut)
        compacted = [ledger.compact(cut, most) for ledger in members]
        return more is not None or any(compacted)

    def compacted(self, ledgers: Sequence[Ledger]) -> Base:
        """What the compacted entries of all amount to; not to be changed."""
        return together(self._ordered(ledgers), self.common).base

    def _ordered(self, ledgers: Sequence[Ledger]) -> list[Ledger]:
        for ledger in ledgers:
            if ledger.options.currency != self.options.currency:
                raise ValueError(f"currency: {ledger!r} in a portfolio of {self.options.currency}")
        return sorted(ledgers, key=lambda ledger: ledger.name)

    def _restart(self) -> None:
        members = self._members
        self._scale = max((ledger.scale for ledger in members), default=SCALE)
        self._rewrites = [ledger.rewrites for ledger in members]
        self._taken = [0] * len(members)
        self._last = (0, 0, 0)
        self._equities = [starting(ledger, self._scale) for ledger in members]
        options, start = self.options, whole(self._equities)
        self._account = open_account(Calendar(options.zone), start, options.rolling_trades)

    # ------------------------------------------------------------ in order

    def _follow(self) -> bool:
        gone = [ledger.timeline.base.entries for ledger in self._members]
        if any(taken < entries for taken, entries in zip(self._taken, gone, strict=True)):
            return False
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
        taken = self._taken[rank] - ledger.timeline.base.entries
        for when, kind, amount, fee in ledger.timeline.after(taken):
            yield when, kind, rank, amount * factor, fee * factor

    def _take(self, when: int, kind: int, rank: int, amount: int, fee: int) -> None:
        equity = self._equities[rank]
        if kind == MARK:
            self._equities[rank] = amount
            total = whole(self._equities)
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
        """Take in every entry of every member at once, after what they compacted together."""
        members = self._members
        if not sum(len(ledger.timeline) for ledger in members):
            return
        base = self.compacted(members)
        sheets = [ledger.sheet(*NEEDED, "fee", base=base) for ledger in members]
        self._last = max(_last(rank, sheet) for rank, sheet in enumerate(sheets))
        for rank, ledger in enumerate(members):
            self._taken[rank] = ledger.timeline.base.entries + len(ledger.timeline)
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

"""Ledgers of one currency, each of its own bot, as if they were one account.

Events in order cost O(1) each. After anything else (a late trade, a correction, a bot that joins)
the accounts are merged anew, in one piece by numpy: about 0.4 us an entry. One bot alone is its own
portfolio and costs nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from actors.messages import Metrics
from actors.metrics import report, restate
from actors.metrics.account import open_account
from actors.metrics.block import Block, packed
from actors.metrics.days import Calendar
from actors.metrics.ledger import Ledger
from actors.metrics.money import SCALE, scaled
from actors.metrics.options import LedgerOptions, terms
from actors.metrics.summary import MARK, TRADE, Amounts, exact, opened, trace
from actors.metrics.timeline import BLOCK_FILL, Columns, Timeline

MERGED = ("when", "kind", "amount")


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
        members = [ledger for ledger in self._members if len(ledger.timeline)]
        if not members:
            return
        parts = [self._columns(rank) for rank in range(len(self._members))]
        fees = [sum(ledger.timeline.column("fee").tolist()) for ledger in self._members]
        scales = [10 ** (self._scale - ledger.scale) for ledger in self._members]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.lexsort((joined["rank"], joined["kind"], joined["when"]))
        rows = {name: column[order] for name, column in joined.items()}
        last = tuple(int(rows[name][-1]) for name in ("when", "kind", "rank"))
        self._last = (last[0], last[1], last[2])
        self._taken = [len(ledger.timeline) for ledger in self._members]
        rows = self._summed(rows)
        account, trades = self._account, rows["kind"] == TRADE
        account.tally.count_all(rows["amount"][trades])
        account.fees = sum(fee * scale for fee, scale in zip(fees, scales, strict=True))
        if len(trades):
            timeline, start = _laid(rows), opened(account.equity)
            restate.position(account, timeline, start)
            restate.history(account, timeline, start)

    def _columns(self, rank: int) -> Columns:
        """A member's entries in common units; `moved`: how its equity changed."""
        ledger = self._members[rank]
        kind, amount = ledger.timeline.column("kind"), ledger.timeline.column("amount")
        amount = _times(amount, 10 ** (self._scale - ledger.scale))
        start = self._equities[rank]
        path = trace(kind, amount, opened(start))
        levels = exact(path.equity, abs(start or 0))
        moved = np.zeros(len(kind), levels.dtype)
        if len(levels):
            moved[path.first :] = levels - np.concatenate(([start or 0], levels[:-1]))
            self._equities[rank] = int(levels[-1])
        return {
            "when": ledger.timeline.column("when"),
            "kind": kind,
            "amount": amount,
            "rank": np.full(len(kind), rank, np.int64),
            "moved": moved,
            # after the entry at which it becomes known, a member no longer hides the sum
            "known": np.where(np.arange(len(kind)) == path.first, start is None, 0).astype(bool),
        }

    def _summed(self, rows: Columns) -> Columns:
        """Each reported equity as the sum of all; those before that is known are left out."""
        marks = rows["kind"] == MARK
        if not marks.any():
            return rows
        starts = [ledger.options.starting_equity for ledger in self._members]
        unknown = sum(start is None for start in starts) - np.cumsum(rows["known"])
        first = [
            scaled(one, self._scale, "starting_equity") or 0 for one in starts if one is not None
        ]
        total = exact(rows["moved"], abs(sum(first))).cumsum() + sum(first)
        keep = ~marks | (unknown == 0)
        amount = np.where(marks, total, rows["amount"])[keep]
        return {"when": rows["when"][keep], "kind": rows["kind"][keep], "amount": amount}


def portfolio(ledgers: Sequence[Ledger], options: LedgerOptions, now: datetime) -> Metrics:
    """The ledgers of one currency as if one account; `options.starting_equity` is not used.

    Merges every entry: keep a `Portfolio` where this is asked for again and again.
    """
    return Portfolio(options).metrics(ledgers, now)


def _alike(one: LedgerOptions, other: LedgerOptions) -> bool:
    return (one.zone, one.rolling_trades) == (other.zone, other.rolling_trades)


def _times(amounts: Amounts, factor: int) -> Amounts:
    if factor == 1 or not len(amounts):
        return amounts
    largest = max(int(amounts.max()), -int(amounts.min()))
    return (amounts if largest * factor < 2**62 else amounts.astype(object)) * factor


def _laid(rows: Columns) -> Timeline:
    """A timeline that has only what an account follows from."""
    blocks = []
    for first in range(0, len(rows["when"]), BLOCK_FILL):
        block, part = Block(), slice(first, first + BLOCK_FILL)
        block.when = packed(rows["when"][part])
        block.kind = bytearray(rows["kind"][part].astype(np.uint8))
        block.amount = packed(rows["amount"][part])
        blocks.append(block)
    timeline = Timeline()
    timeline.restore(blocks)
    return timeline

"""One bot's accepted events as columns: what figures need that a ledger does not keep.

It accepts what a ledger accepts (the first of two events with one id and revision, a higher
revision instead of a lower one, one currency), and gives the columns in the same canonical order,
so that what is computed from them does not depend on the order of arrival either.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from actors.messages import Equity, Flow, Trade
from actors.metrics.money import SCALE, micros, scale_for, scaled
from actors.metrics.options import LedgerOptions
from actors.metrics.timeline import FLOW, MARK, TRADE, Id, canonical_id

SIDES = ("long", "short")

Integers = npt.NDArray[np.int64]
Exact = npt.NDArray[np.int64] | npt.NDArray[np.object_]
"""Amounts in units of 10^-scale: Python integers where sums might not fit into 64 bits."""

_SUM_MAX = 2**61
_FLOAT_EXACT = 2**53
_POWER_EXACT = 22  # 10^22 is the largest power of ten that a float holds exactly


class Columns(Struct, frozen=True):
    """Columns of one length, an event each, in canonical order (when, kind, id).

    `when` and `opened` are microseconds since 1970; `amount` is P&L, flow or reported equity;
    `opened`, `fee`, `risk` (NaN: not told), `symbol` (a place in `symbols`) and `side` (a place in
    SIDES) are of trades and mean nothing elsewhere.
    """

    scale: int
    symbols: Sequence[str]
    when: Integers
    kind: Integers
    amount: Exact
    opened: Integers
    fee: Exact
    risk: npt.NDArray[np.float64]
    symbol: Integers
    side: Integers

    @property
    def trades(self) -> npt.NDArray[np.bool_]:
        """Which rows are trades."""
        return np.asarray(self.kind == TRADE)

    def floats(self, units: Exact) -> npt.NDArray[np.float64]:
        """Amounts in the account's currency, each correctly rounded, so whatever the scale."""
        whole = 10**self.scale
        if units.dtype == np.int64 and self.scale <= _POWER_EXACT and _fit(units):
            return units.astype(np.float64) / float(whole)
        return np.array([amount / whole for amount in units.tolist()], dtype=np.float64)


class History:
    """The events of one bot, in order of arrival; `currency` is its currency."""

    def __init__(self, options: LedgerOptions) -> None:
        self.options = options
        self.currency = options.currency
        self._settled = options.currency_is_set
        start = options.starting_equity
        self._scale = SCALE if start is None else scale_for(start)
        self._places: dict[Id, int] = {}
        self._revisions: dict[Id, int] = {}
        self._flows: set[Id] = set()
        self._symbols: dict[str, int] = {}
        self._ids: list[Id] = []
        self._amount: list[int] = []
        self._fee: list[int] = []
        self._when, self._opened, self._symbol = array("q"), array("q"), array("q")
        self._risk, self._kind, self._side = array("d"), bytearray(), bytearray()

    def __len__(self) -> int:
        return len(self._when)

    def take(self, event: Trade | Equity | Flow) -> bool:
        """Take in an event; False where it changes nothing."""
        if isinstance(event, Trade):
            return self._trade(event)
        if isinstance(event, Flow):
            identity = canonical_id(event.id)
            if identity in self._flows:
                return False
            self._flows.add(identity)
            self._append(event.at, FLOW, identity, event.amount)
            return True
        self._append(event.at, MARK, 0, event.equity)
        return True

    def columns(self) -> Columns:
        """Everything taken, in canonical order."""
        when = np.array(self._when, dtype=np.int64)
        kind = np.frombuffer(bytes(self._kind), dtype=np.uint8).astype(np.int64)
        order = self._untied(np.lexsort((kind, when)), when, kind)
        symbols = sorted(self._symbols)  # whatever the order of arrival
        ranks = np.zeros(max(len(symbols), 1), dtype=np.int64)
        for rank, symbol in enumerate(symbols):
            ranks[self._symbols[symbol]] = rank
        amount, fee = self._exact()
        return Columns(
            scale=self._scale,
            symbols=symbols,
            when=when[order],
            kind=kind[order],
            amount=amount[order],
            opened=np.array(self._opened, dtype=np.int64)[order],
            fee=fee[order],
            risk=np.array(self._risk, dtype=np.float64)[order],
            symbol=ranks[np.array(self._symbol, dtype=np.int64)[order]],
            side=np.frombuffer(bytes(self._side), dtype=np.uint8).astype(np.int64)[order],
        )

    def _trade(self, trade: Trade) -> bool:
        if not self._settled and trade.currency is not None:
            self.currency, self._settled = trade.currency, True
        identity = canonical_id(trade.id)
        known = self._places.get(identity)
        if known is not None and trade.revision <= self._revisions.get(identity, 0):
            return False
        if trade.currency is not None and trade.currency != self.currency:
            return False
        if trade.revision:
            self._revisions[identity] = trade.revision
        if known is None:
            known = self._places[identity] = len(self)
            self._append(trade.closed_at or trade.at, TRADE, identity, trade.pnl)
        self._fill(known, trade)
        return True

    def _fill(self, place: int, trade: Trade) -> None:
        closed_at = trade.closed_at or trade.at
        assert closed_at is not None  # `actors.codec` completes every trade
        self._when[place] = micros(closed_at)
        # one after the other: each may make the scale of all amounts finer
        self._amount[place] = self._units(trade.pnl, "pnl")
        self._fee[place] = self._units(trade.fee, "fee")
        self._opened[place] = micros(trade.opened_at)
        self._risk[place] = float("nan") if trade.risk is None else float(trade.risk)
        self._symbol[place] = self._symbols.setdefault(trade.symbol, len(self._symbols))
        self._side[place] = SIDES.index(trade.side)

    def _append(self, at: datetime | None, kind: int, identity: Id, amount: Decimal) -> None:
        assert at is not None  # `actors.codec` completes every trade
        units = self._units(amount, "amount")
        self._when.append(micros(at))
        self._kind.append(kind)
        self._ids.append(identity)
        self._amount.append(units)
        self._fee.append(0)
        self._opened.append(0)
        self._risk.append(float("nan"))
        self._symbol.append(0)
        self._side.append(0)

    def _units(self, amount: Decimal, field: str) -> int:
        units = scaled(amount, self._scale, field)
        if units is not None:
            return units
        finer = scale_for(amount)
        factor = 10 ** (finer - self._scale)
        self._amount = [known * factor for known in self._amount]
        self._fee = [known * factor for known in self._fee]
        self._scale = finer
        return scaled(amount, finer, field) or 0

    def _untied(self, order: Integers, when: Integers, kind: Integers) -> Integers:
        """Order rows of one instant and kind as a ledger does: by id, equities by value."""
        same = (when[order][1:] == when[order][:-1]) & (kind[order][1:] == kind[order][:-1])
        edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            tied = sorted((int(place) for place in order[first : last + 1]), key=self._key)
            order[first : last + 1] = tied
        return order

    def _key(self, place: int) -> tuple[bool, Id]:
        if self._kind[place] == MARK:
            return False, self._amount[place]
        identity = self._ids[place]
        return isinstance(identity, str), identity

    def _exact(self) -> tuple[Exact, Exact]:
        """Amounts and fees, as 64-bit integers where no sum of them can be too large."""
        start = self.options.starting_equity
        total = sum(map(abs, self._amount)) + sum(map(abs, self._fee))
        total += 0 if start is None else abs(scaled(start, self._scale, "starting_equity") or 0)
        kind = np.int64 if total < _SUM_MAX else np.object_
        columns = np.empty((2, len(self)), dtype=kind)
        columns[0], columns[1] = self._amount, self._fee
        return columns[0], columns[1]


def _fit(units: Exact) -> bool:
    """Whether floats hold all of them exactly, so that their division is rounded once."""
    return not len(units) or max(-int(units.min()), int(units.max())) < _FLOAT_EXACT

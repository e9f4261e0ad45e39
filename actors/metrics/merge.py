"""Several accounts of one currency as one: their trades and flows, and the sum of their equities.

The order is that of the live portfolio: (when, kind, rank of the account). Equity is known once
every account's is, so reported equities before that are left out, and each later one becomes the
sum of all at its instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import cast

import numpy as np
from msgspec import Struct

from actors.metrics.history import Columns, Exact, Integers
from actors.metrics.money import scaled
from actors.metrics.path import walk
from actors.metrics.timeline import MARK


class Merged(Struct, frozen=True):
    """The columns of all, and the sum of what they started with (None: not all known)."""

    columns: Columns
    starting: int | None


class _Member(Struct, frozen=True):
    """One account: its columns, the factor to the common scale, its start in common units."""

    columns: Columns
    factor: int
    start: int | None


def merge(accounts: Sequence[tuple[Columns, Decimal | None]]) -> Merged:
    """Merge accounts, each its columns and its starting equity; at least one."""
    scale = max(columns.scale for columns, _ in accounts)
    members = [
        _Member(
            columns,
            10 ** (scale - columns.scale),
            None if start is None else scaled(start, scale, "starting_equity"),
        )
        for columns, start in accounts
    ]
    when, kind = _joined(members, "when"), _joined(members, "kind")
    rank = np.repeat(np.arange(len(members)), [len(one.columns.when) for one in members])
    order = np.lexsort((rank, kind, when))
    total, unknown = _equity(members, order)
    is_mark = kind[order] == MARK
    kept = ~(is_mark & (unknown > 0))
    amount = np.where(is_mark, total, _amounts(members, "amount")[order])[kept]
    order = order[kept]
    symbols = sorted({symbol for one in members for symbol in one.columns.symbols})
    columns = Columns(
        scale=scale,
        symbols=symbols,
        when=when[order],
        kind=kind[order],
        amount=amount,
        opened=_joined(members, "opened")[order],
        fee=_amounts(members, "fee")[order],
        risk=np.concatenate([one.columns.risk for one in members])[order],
        symbol=np.concatenate([_renamed(one.columns, symbols) for one in members])[order],
        side=_joined(members, "side")[order],
    )
    starts = [one.start for one in members if one.start is not None]
    return Merged(columns, sum(starts) if len(starts) == len(members) else None)


def _equity(members: Sequence[_Member], order: Integers) -> tuple[Exact, Integers]:
    """The sum of all known equities after each event, and how many are not known yet."""
    moves = [_moves(one) for one in members]
    moved = np.concatenate([move for move, _ in moves])[order]
    learnt = np.concatenate([first for _, first in moves])[order]
    starts = [one.start for one in members]
    total = sum(start for start in starts if start is not None)
    # an accumulation of no objects would become floats
    known = np.add.accumulate(moved) + total if len(moved) else moved
    return cast("Exact", known), starts.count(None) - np.cumsum(learnt)


def _moves(member: _Member) -> tuple[Exact, Integers]:
    """By how much each event moves its account's known equity, and which makes it known."""
    columns, count = member.columns, len(member.columns.when)
    start = None if member.start is None else member.start // member.factor
    path = walk(columns, np.zeros(count, dtype=np.int64), start)
    move, first = np.zeros(count, dtype=np.object_), np.zeros(count, dtype=np.int64)
    move[path.known :] = (path.after - path.before).astype(np.object_) * member.factor
    if start is None and path.known < count:
        first[path.known] = 1
        move[path.known] = int(path.after[0]) * member.factor
    return move, first


def _joined(members: Sequence[_Member], name: str) -> Integers:
    return np.concatenate([getattr(one.columns, name) for one in members])


def _amounts(members: Sequence[_Member], name: str) -> Exact:
    return np.concatenate(
        [getattr(one.columns, name).astype(np.object_) * one.factor for one in members]
    )


def _renamed(columns: Columns, symbols: Sequence[str]) -> Integers:
    places = {symbol: place for place, symbol in enumerate(symbols)}
    table = np.array([places[symbol] for symbol in columns.symbols] or [0], dtype=np.int64)
    return np.asarray(table[columns.symbol])

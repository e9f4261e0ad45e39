"""A sheet: what an account follows from, as columns that nothing changes any more.

A ledger gives a sheet of itself. Those of one currency are merged into one, as if all were one
account: in the order (when, kind, rank of the member), its equity known once every member's is.
So a reported equity before that is left out, and each later one becomes the sum of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from actors.metrics.base import Base
from actors.metrics.figures import Tally
from actors.metrics.identities import Heap
from actors.metrics.options import LedgerOptions
from actors.metrics.summary import EXACT_SUM, MARK, TRADE, Amounts, narrow, opened, total, traced
from actors.metrics.timeline import Columns, Timeline, laid

NEEDED = ("when", "kind", "amount")


class Member(Struct, frozen=True):
    """A bot, and the texts that its trades' ids refer to: they are only ever added to."""

    bot: str
    heap: Heap


class Sheet(Struct, frozen=True):
    """Columns of one length in canonical order, an entry each, as `Ledger.columns` gives them.

    `base` stands for what came before, of this account, or of all with which it is to be merged.
    `opening`: with which equity the account began, `start`: the equity before the first entry, in
    units of 10^-`scale`, None: unknown. Beside the `ids` of several `members`, `rank` says whose.
    """

    options: LedgerOptions
    scale: int
    symbols: Sequence[str]
    opening: int | None
    start: int | None
    columns: Columns
    base: Base
    members: Sequence[Member] = ()

    def __len__(self) -> int:
        return len(self.columns["when"])

    def source(self, place: int) -> tuple[str, str]:
        """The bot and the id, as text, of a trade of a sheet with `ids`."""
        rank = int(self.columns["rank"][place]) if "rank" in self.columns else 0
        member = self.members[rank]
        return member.bot, str(member.heap.get(int(self.columns["ids"][place])))

    def fees(self) -> int:
        """The sum of all fees, without their column only of those before."""
        return self.base.fees + (total(self.columns["fee"]) if "fee" in self.columns else 0)

    def tally(self) -> Tally:
        """The sums over all trades."""
        tally = self.base.tally.copy()
        tally.count_all(self.columns["amount"][self.columns["kind"] == TRADE])
        return tally

    def timeline(self) -> Timeline:
        """A timeline of it that has only what equity and days follow from."""
        timeline = Timeline()
        timeline.restore(laid(self.columns))
        timeline.base = self.base
        return timeline


def merged(sheets: Sequence[Sheet], options: LedgerOptions) -> Sheet:
    """The sheets of one currency as one with these options; all have the same columns and base."""
    scale = max(sheet.scale for sheet in sheets)
    symbols = sorted({symbol for sheet in sheets for symbol in sheet.symbols})
    members = [_in_units(sheet, scale, symbols) for sheet in sheets]
    starts = [sheet.start for sheet in members]
    openings = [sheet.opening for sheet in members]
    known = [start for start in starts if start is not None]
    ranks = [np.full(len(sheet), rank, np.uint16) for rank, sheet in enumerate(members)]
    parts = [{**sheet.columns, "rank": rank} for sheet, rank in zip(members, ranks, strict=True)]
    if any((sheet.columns["kind"] == MARK).any() for sheet in members):
        most = EXACT_SUM // len(members)
        parts = [part | _moves(sheet, most) for sheet, part in zip(members, parts, strict=True)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((joined["rank"], joined["kind"], joined["when"]))
    rows = {name: column[order] for name, column in joined.items()}
    return Sheet(
        options=options,
        scale=scale,
        symbols=symbols,
        opening=whole(openings),
        start=whole(starts),
        columns=_summed(rows, sum(known), len(starts) - len(known)),
        base=sheets[0].base,
        members=[member for sheet in sheets for member in sheet.members],
    )


def whole(amounts: Sequence[int | None]) -> int | None:
    """The sum, None where not all are known (or there are none)."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


def _in_units(sheet: Sheet, scale: int, symbols: Sequence[str]) -> Sheet:
    """The same with money in units of 10^-`scale` and symbols by their places among all."""
    factor, columns = 10 ** (scale - sheet.scale), dict(sheet.columns)
    for name in ("amount", "fee"):
        if name in columns:
            columns[name] = _times(columns[name], factor)
    if "symbol" in columns:
        places = {symbol: place for place, symbol in enumerate(symbols)}
        table = np.array([places[symbol] for symbol in sheet.symbols] or [0], np.uint32)
        columns["symbol"] = 2 * table[columns["symbol"] >> 1] + (columns["symbol"] & 1)
    opening, start = (None if one is None else one * factor for one in (sheet.opening, sheet.start))
    return replace(
        sheet, scale=scale, symbols=symbols, opening=opening, start=start, columns=columns
    )


def _moves(sheet: Sheet, most: int) -> Columns:
    """How each entry moves the member's known equity, and which makes it known.

    In 64 bits where no equity reaches `most`.
    """
    kind, start = sheet.columns["kind"], sheet.start
    path = traced(kind, sheet.columns["amount"], opened(start))
    levels = np.concatenate((narrow(np.array([start or 0], object)), path.equity))
    small = max(int(levels.max()), -int(levels.min())) < most
    levels = levels.astype(np.int64 if small else object)
    moved = np.zeros(len(kind), levels.dtype)
    moved[path.first :] = levels[1:] - levels[:-1]
    known = (np.arange(len(kind)) == path.first) & (start is None)
    return {"moved": moved, "known": known}


def _summed(rows: Columns, start: int, unknown: int) -> Columns:
    """The columns with each reported equity as the sum of all; `unknown`: how many are not yet."""
    aside = {"moved", "known"} if "ids" in rows else {"rank", "moved", "known"}
    columns = {name: column for name, column in rows.items() if name not in aside}
    if "moved" not in rows:
        return columns
    marks = rows["kind"] == MARK
    columns["amount"] = np.where(marks, rows["moved"].cumsum() + start, rows["amount"])
    keep = ~marks | (unknown - np.cumsum(rows["known"]) == 0)
    return {name: column[keep] for name, column in columns.items()}


def _times(amounts: Amounts, factor: int) -> Amounts:
    if factor == 1 or not amounts.any():  # a factor may not fit into 64 bits, even to give 0
        return amounts
    largest = max(int(amounts.max()), -int(amounts.min()))
    return (amounts if largest * factor < EXACT_SUM else amounts.astype(object)) * factor

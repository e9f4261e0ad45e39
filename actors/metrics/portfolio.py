"""Ledgers of one currency, each of its own bot, as if they were one account.

Events in order cost O(1) each. One that comes late, or a correction, is put in its place; where
equities were reported, everything from its instant on is merged anew by numpy, about 0.3 us an
entry, and when a bot joins, everything. One bot alone is its own portfolio and costs nothing. What
is compacted is merged before the members forget it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from actors.messages import Metrics
from actors.metrics import report
from actors.metrics.base import Base
from actors.metrics.common import Common, advanced, starting, together
from actors.metrics.entries import LATER
from actors.metrics.figures import Tally
from actors.metrics.ledger import LATEST, Ledger
from actors.metrics.money import SCALE
from actors.metrics.options import LedgerOptions, terms_of
from actors.metrics.sheet import NEEDED, Sheet, merged, whole
from actors.metrics.summary import MARK

FEW: Final = 8  # instants that are merged one by one


class Seen(Struct):
    """How a member was when it was last looked at: entries taken, rewrites, its last instant."""

    taken: int
    rewrites: int
    last: int = 0


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
            return report.metrics(alone.account(), terms_of(self.options, alone.scale), now)
        same = [id(ledger) for ledger in members] == [id(ledger) for ledger in self._members]
        if not same or any(ledger.scale > self._scale for ledger in members):
            self._members = members
            self._restart()
            self._merge(0)
        elif (late := self._late()) is not None:
            self._merge(*late)
        else:
            self._follow()
        self._shed()
        return report.metrics(self._whole.account(), terms_of(self.options, self._scale), now)

    def compact(self, ledgers: Sequence[Ledger], until: int, most: int) -> bool:
        """Compact about `most` entries from before an instant; whether there were any.

        First the whole, slice by slice, as it needs of each ledger what it has not seen yet; then
        one ledger after the other. So a slice costs the same however many there are.
        """
        members = self._ordered(ledgers)
        if len(members) == 1:
            return members[0].compact(until, most)
        self.common = together(members, self.common)
        more = advanced(self.common, members, self.options, until, most)
        if more is not None:
            self.common = more
            return True
        cut = min(until, self.common.base.cut)
        return any(ledger.compact(cut, most) for ledger in members)

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
        self._seen = [Seen(0, ledger.rewrites) for ledger in members]
        self._last = (0, 0, 0)
        self._equities = [starting(ledger, self._scale) for ledger in members]
        self._whole = Ledger.begun(self.options, whole(self._equities), self._scale)

    # ------------------------------------------------------------ in order

    def _late(self) -> tuple[int, set[int] | None] | None:
        """From when on the members are not as they were followed; None: they are, but for more.

        And which instants alone; None: all from there on, as each reported equity hangs on what
        was before it.
        """
        since, instants, alone = LATER, set[int](), True
        for rank, (seen, ledger) in enumerate(zip(self._seen, self._members, strict=True)):
            if seen.rewrites != ledger.rewrites:
                whens, fine = _changes(seen, ledger)
                instants.update(whens)
                since, alone = min(since, *whens), alone and fine
            elif seen.taken < ledger.timeline.base.entries:
                return 0, None
            elif (fresh := next(self._fresh(rank), None)) is not None:
                alone = False
                if fresh[:3] < self._last:
                    since = min(since, fresh[0])
            alone = alone and not (ledger.timeline.marks or ledger.timeline.base.summary.known)
        if since == LATER:
            return None
        return since, instants if alone and len(instants) <= FEW else None

    def _follow(self) -> None:
        fresh = [self._fresh(rank) for rank in range(len(self._members))]
        for when, kind, rank, amount, fee in heapq.merge(*fresh, key=lambda entry: entry[:3]):
            self._last = (when, kind, rank)
            self._take(when, kind, rank, amount, fee)
            self._seen[rank].taken += 1
            self._seen[rank].last = when

    def _fresh(self, rank: int) -> Iterator[tuple[int, int, int, int, int]]:
        ledger = self._members[rank]
        factor = 10 ** (self._scale - ledger.scale)
        taken = self._seen[rank].taken - ledger.timeline.base.entries
        for when, kind, amount, fee in ledger.timeline.after(taken):
            yield when, kind, rank, amount * factor, fee * factor

    def _take(self, when: int, kind: int, rank: int, amount: int, fee: int) -> None:
        equity = self._equities[rank]
        if kind == MARK:
            self._equities[rank] = amount
            total = whole(self._equities)
            if total is not None:
                self._whole.follow(when, MARK, total, 0)
            return
        self._equities[rank] = None if equity is None else equity + amount
        self._whole.follow(when, kind, amount, fee)

    # ----------------------------------------------------- from an instant on

    def _merge(self, since: int, instants: set[int] | None = None) -> None:
        """Take in the members' entries from an instant on, or some, instead of what was there."""
        base, first = self.compacted(self._members), self._whole.first
        if first is None or since <= max(first, base.cut):
            since = 0
        if not since:
            self._whole = Ledger.of(self._rows(base, 0, LATEST))
        elif instants is None:
            self._whole.rewrite(since, self._rows(base, since, LATEST).columns)
        else:
            for when in instants:
                self._whole.replace(when, self._rows(base, when, when + 1).columns)
        self._take_stock()

    def _rows(self, base: Base, since: int, until: int) -> Sheet:
        sheets = [
            ledger.sheet(*NEEDED, base=base, since=since, until=until) for ledger in self._members
        ]
        return merged(sheets, self.options)

    def _take_stock(self) -> None:
        """Take over sums from the members, and how far they are."""
        tally, fees = Tally(), 0
        for rank, ledger in enumerate(self._members):
            account, factor = ledger.account(), 10 ** (self._scale - ledger.scale)
            tally.merge(account.tally, factor)
            fees += account.fees * factor
            self._equities[rank] = None if account.equity is None else account.equity * factor
            timeline = ledger.timeline
            taken = timeline.base.entries + len(timeline)
            self._seen[rank] = Seen(taken, ledger.rewrites, timeline.last)
        self._last = max(_last(rank, ledger) for rank, ledger in enumerate(self._members))
        self._whole.count(tally, fees)

    def _shed(self) -> None:
        """Let go of what was compacted since."""
        base, timeline = self.compacted(self._members), self._whole.timeline
        if base.cut > timeline.base.cut:
            timeline.drop(timeline.since(base.cut))
            timeline.base = base


def _changes(seen: Seen, ledger: Ledger) -> tuple[list[int], bool]:
    """Instants that changed in a member, and whether they alone did."""
    changes = ledger.changed_since(seen.rewrites)
    if changes is None:
        return [0], False
    whens = [change.when for change in changes]
    timeline = ledger.timeline
    taken = seen.taken + sum(change.more for change in changes)
    if all(change.more for change in changes) and taken == timeline.base.entries + len(timeline):
        return whens, True
    return [*whens, seen.last], False


def _last(rank: int, ledger: Ledger) -> tuple[int, int, int]:
    """The place of a member's last entry; (0, 0, 0) without one."""
    blocks = ledger.timeline.blocks
    return (blocks[-1].when[-1], blocks[-1].kind[-1], rank) if blocks else (0, 0, 0)


def portfolio(ledgers: Sequence[Ledger], options: LedgerOptions, now: datetime) -> Metrics:
    """The ledgers of one currency as if one account; `options.starting_equity` is not used.

    Merges every entry: keep a `Portfolio` where this is asked for again and again.
    """
    return Portfolio(options).metrics(ledgers, now)


def _alike(one: LedgerOptions, other: LedgerOptions) -> bool:
    names = ("zone", "calendar", "base", "rolling_trades")
    return all(getattr(one, name) == getattr(other, name) for name in names)

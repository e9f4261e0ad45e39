"""Entries in their places, and the account that follows from them.

In order an entry moves the account at once. Anything else changes the exact sums and leaves a note:
what triggers need is restated when it is asked for, all other figures with the next snapshot.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from actors.metrics import compaction, restate
from actors.metrics.account import Account, open_account
from actors.metrics.arrays import Digests, Ints
from actors.metrics.block import Fields
from actors.metrics.figures import Tally
from actors.metrics.identities import Id, Index, Run
from actors.metrics.money import SCALE, micros, scale_for, scaled
from actors.metrics.options import LedgerOptions, calendar_of
from actors.metrics.past import Past
from actors.metrics.series import Chart
from actors.metrics.summary import MARK, TRADE, Standing, opened, total
from actors.metrics.timeline import Columns, Place, Row, Timeline

LATER = 2**62  # than any entry
REWRITES_KNOWN = 256


class Change(NamedTuple):
    """An entry more (1) or less (-1) at an instant; 0: anything from there on."""

    when: int
    more: int


class Entries:
    """The timeline of one bot, the index of its trades' ids, and its account.

    `scale`: money is in units of 10^-scale. `rewrites` counts how often something other than the
    end of the timeline changed.
    """

    def __init__(self, options: LedgerOptions) -> None:
        self.options = options
        self.scale = SCALE
        if options.starting_equity is not None:
            self.scale = scale_for(options.starting_equity)
        self.rewrites = 0
        self._rewritten: deque[Change] = deque(maxlen=REWRITES_KNOWN)  # the last of them
        self.index = Index()
        self.past = Past()  # ids of compacted trades
        self._dead = 0  # entries compacted, of which index and heap still know
        self._heap_is_old = False
        self._timeline = Timeline()
        self._staged: list[Columns] = []
        self._calendar = calendar_of(options)
        self._day_end: int | None = None
        self._chart = Chart()
        self._account = self._opened()
        self._behind = False  # what triggers need is not what the timeline says
        self._moved = False  # and not by a shift of all levels alone
        self._shift = 0
        self._stale = False  # the other figures are not what the timeline says
        self._since = LATER  # from this instant on
        self._week = (0, 0)

    @property
    def timeline(self) -> Timeline:
        """The entries, all of them in their places; to be read only."""
        if self._staged:
            self._settle()
        return self._timeline

    @property
    def held(self) -> int:
        """How many entries there are, at most: what is staged may be known already."""
        return len(self._timeline) + sum(len(part["when"]) for part in self._staged)

    def account(self) -> Account:
        """The account as all entries leave it; to be read only."""
        if self._staged or self._behind or self._stale:
            self._standing()
        if self._stale:
            restate.history(self._account, self._timeline, self._start(), self._since)
            self._stale, self._since = False, LATER
        return self._account

    @property
    def first(self) -> int | None:
        """The instant of the first entry of all, None when there is none."""
        timeline = self.timeline
        if timeline.base.pieces:
            return timeline.base.pieces[0].when
        return timeline.blocks[0].when[0] if timeline.blocks else None

    def turn(self, now: datetime) -> bool:
        """Whether a day began in the zone since the last call or event; False the first time."""
        return self._pass(micros(now))

    def _pass(self, when: int) -> bool:
        known = self._day_end
        if known is not None and when < known:
            return False
        self._day_end = self._calendar.end_of_day(when)
        return known is not None

    # ---------------------------------------------------------- compacting

    def compact(self, until: int, most: int) -> bool:
        """Let the base stand for about `most` entries before an instant; whether it has more now.

        What the figures of today need of them stays: the window's trades and the last entry's week.
        """
        self._standing()
        timeline = self.timeline
        if self._heap_is_old:
            timeline.purge_heap()
            self._heap_is_old = False
            return True
        cut = compaction.slice_until(timeline, 0, min(until, self._needed_from()), most)
        place = timeline.since(cut)
        if place in {(0, 0), timeline.end()}:
            return False
        gone = timeline.columns(("when", "kind", "amount", "fee", "ids"), (0, 0), place)
        timeline.base.take(gone, cut, self._start(), self._calendar)
        self.past.put_all([timeline.id(one) for one in gone["ids"][gone["kind"] == TRADE].tolist()])
        timeline.drop(place)
        self._dead += len(gone["ids"])
        if self._dead > len(timeline) // 2:
            self.index.purge(cut)
            self._dead, self._heap_is_old = 0, True  # one of the two at a time
        return True

    def _needed_from(self) -> int:
        last = self.timeline.last
        if last < 0:
            return last
        window = compaction.window_from(self.timeline, self.options.rolling_trades)
        return min(window, compaction.week_of(last, self._calendar))

    # ------------------------------------------- for whoever follows, or is followed

    def changed_since(self, rewrites: int) -> list[Change] | None:
        """What changed after so many rewrites, None where that is not known any more."""
        missed = self.rewrites - rewrites
        if missed > len(self._rewritten):
            return None
        return list(itertools.islice(reversed(self._rewritten), missed))

    def follow(self, when: int, kind: int, amount: int, fee: int) -> None:
        """Take in an entry after all others, without an id."""
        row = Row(when, kind, 0, amount, fee)
        self.timeline.append(row)
        if self._behind:
            self._moved = True
            self._count(row, 1)
        else:
            self._walk(when, kind, amount, fee)

    def refine_to(self, scale: int) -> None:
        """Measure in units of 10^-`scale` from the start; without entries."""
        self.scale = scale
        self._account = self._opened()

    def adopt(self, timeline: Timeline) -> None:
        """Take over entries; the sums are still to be counted."""
        self._timeline = timeline
        self._since = 0
        self._behind = self._stale = self._moved = len(timeline) > 0

    def rewrite(self, since: int, columns: Columns) -> None:
        """Replace the entries from an instant on; `when`, `kind`, `amount` of each, no sums."""
        self.timeline.cut(self.timeline.since(since))
        self.timeline.extend(columns)
        self._rewrote(since)

    def replace(self, when: int, columns: Columns) -> None:
        """Replace the entries of one instant; without reported equities."""
        self.timeline.replace(when, columns)
        self._rewrote(when)

    def _rewrote(self, since: int) -> None:
        self._since = min(self._since, since)
        self._behind = self._moved = self._stale = True
        self._noted(since)

    def count(self, tally: Tally, fees: int) -> None:
        """Take over the sums over all trades."""
        self._account.tally, self._account.fees = tally, fees

    def _noted(self, when: int, more: int = 0) -> None:
        """Something else than the end changed: see `Change`."""
        self.rewrites += 1
        self._rewritten.append(Change(when, more))

    # -------------------------------------------------------- many at once

    def stage(
        self, columns: Columns, ids: Sequence[Id] = (), texts: Sequence[bytes] | None = None
    ) -> None:
        """Take in trades of revision 0, with their `ids`, or reported equities, without.

        `texts`: the ids as `identities.encode` gives them, where none is a number.

        `columns` has those of a block and `digest`, the digests of the ids. They get their places
        when something is asked for.
        """
        if texts is not None:
            columns["ids"] = self._timeline.heap.put_all(texts)
        elif ids:
            put = self._timeline.heap.put
            columns["ids"] = np.array([put(one) for one in ids], np.int64)
        self._staged.append(columns)

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
        self._account.fees += total(fresh["fee"][trades])
        self._since = 0
        self._behind = self._stale = self._moved = True
        if not later:
            self._noted(first)
            self._chart.late(first)

    def _known(
        self,
        ids: Ints,
        digests: Digests,
        order: Ints,
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
        found.update(
            int(place)
            for place in order[self.past.index.seen(ordered)]
            if self.past.has(get(int(ids[place])))
        )
        alike: dict[Id, int] = {}
        for place in np.unique(np.concatenate((order[same], order[same + 1]))).tolist():
            if alike.setdefault(get(int(ids[place])), place) != place:
                found.add(place)
        return sorted(found)

    # ---------------------------------------------------------- one by one

    def _find(self, identity: Id) -> Place | None:
        if self._staged:  # only then the index knows of it
            self._settle()
        for when in self.index.candidates(identity):
            place = self._timeline.find(when, TRADE, identity)
            if place is not None:
                return place
        return None

    def _insert(self, row: Fields) -> None:
        """Put an entry in its place, after all that was staged."""
        when, kind, _, amount, fee, _, _, _, _ = row
        late = self._timeline.insert(row) is not None
        if self._day_end is None or when >= self._day_end:
            self._pass(when)
        if late:
            self._changed(Row(*row), 1)
        elif self._behind:
            self._moved = True
            self._count(Row(*row), 1)
        elif kind == TRADE:
            self._account.trade(when, amount, fee)
        else:
            self._walk(when, kind, amount, fee)

    def _walk(self, when: int, kind: int, amount: int, fee: int) -> None:
        if kind == TRADE:
            self._account.trade(when, amount, fee)
        elif kind == MARK:
            self._account.mark(when, amount)
        else:
            self._account.flow(when, amount)

    def _remove(self, place: Place) -> None:
        row = self.timeline.remove(place)
        self._changed(row, -1)
        if row.when > self.timeline.last:  # what comes now is in order, but not for who saw it
            self._rewritten[-1] = Change(self.timeline.last, 0)

    def _changed(self, row: Row, sign: int) -> None:
        """Something else than the end changed: sums at once, the rest when it is asked for."""
        self._noted(row.when, sign)
        self._behind = self._stale = True
        self._chart.late(row.when)
        self._since = min(self._since, row.when)
        self._count(row, sign)
        base = self.timeline.base.summary
        if (
            self.timeline.marks
            or base.known
            or self._start() is None
            or row.when >= self._week_start()
        ):
            self._moved = True
        self._shift += sign * row.amount

    def _count(self, row: Row, sign: int) -> None:
        if row.kind == TRADE:
            self._account.tally.count(row.amount, sign)
            self._account.fees += sign * row.fee

    def _week_start(self) -> int:
        day = self._account.day
        if self._week[0] != day:
            self._week = (day, self._calendar.start_of(self._calendar.monday(day)))
        return self._week[1]

    def _units(self, amount: Decimal, field: str) -> int:
        units = scaled(amount, self.scale, field)
        if units is not None:
            return units
        finer = scale_for(amount)
        factor = 10 ** (finer - self.scale)
        self.timeline.rescale(factor)
        self.scale = finer
        self._noted(0)
        self._chart.clear()
        if self.first is None:
            self._account = self._opened()
        else:
            self._account.tally.multiply(factor)
            self._account.fees *= factor
            self._since = 0
            self._behind = self._stale = self._moved = True
        return scaled(amount, finer, field) or 0

    # ------------------------------------------------------------ standing

    def _start(self) -> Standing | None:
        starting = self.options.starting_equity
        if starting is None:
            return None
        return opened(scaled(starting, self.scale, "starting_equity"))

    def _opened(self) -> Account:
        start = self._start()
        equity = None if start is None else start.equity
        options = self.options
        fixed = options.base == "fixed"
        return open_account(self._calendar, equity, options.rolling_trades, fixed=fixed)

    def _standing(self) -> Account:
        if self._staged:
            self._settle()
        if self._behind:
            if self._moved:
                restate.position(self._account, self._timeline, self._start())
            else:
                restate.shift(self._account, self._timeline, self._shift, self._start())
            self._behind = self._moved = False
            self._shift = 0
        return self._account

"""What the compacted entries of several accounts of one currency amount to, as if one account's.

A bot that joins later has no entries among them, as what happened before the horizon is refused: it
only held its starting equity all the time, or nobody knows how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from actors.metrics.base import Base
from actors.metrics.compaction import needed_together, slice_together
from actors.metrics.depot import Depot, Packed
from actors.metrics.ledger import Ledger
from actors.metrics.money import SCALE, scaled
from actors.metrics.options import LedgerOptions, calendar_of
from actors.metrics.sheet import NEEDED, merged, whole
from actors.metrics.summary import opened


class Common(Struct):
    """The base of a currency, in units of 10^-`scale`, and the `members` whose entries it has."""

    base: Base
    scale: int
    members: list[str]


def together(members: Sequence[Ledger], known: Common | None) -> Common:
    """The base of these members, in the smallest of their units; `known` is an earlier one."""
    scale = max((ledger.scale for ledger in members), default=SCALE)
    names = [ledger.name for ledger in members]
    if known is None:
        known = _of_one(members)
    if known is None:
        return Common(Base(), scale, names)
    joined = [ledger for ledger in members if ledger.name not in known.members]
    if not joined and scale == known.scale:
        return known
    base = known.base.copy()
    base.multiply(10 ** (scale - known.scale))
    if joined:
        base = base.raised(whole([starting(ledger, scale) for ledger in joined]))
    return Common(base, scale, names)


def _of_one(members: Sequence[Ledger]) -> Common | None:
    """The base of the only member that has one: the others joined it."""
    alone = [ledger for ledger in members if ledger.timeline.base.entries]
    if not alone:
        return None
    [ledger] = alone
    return Common(ledger.timeline.base.copy(), ledger.scale, [ledger.name])


def starting(ledger: Ledger, scale: int) -> int | None:
    """A ledger's starting equity in units of 10^-scale, None: unknown."""
    start: Decimal | None = ledger.options.starting_equity
    return None if start is None else scaled(start, scale, "starting_equity")


def advanced(
    common: Common, members: Sequence[Ledger], options: LedgerOptions, until: int, most: int
) -> Common | None:
    """The base with about `most` more entries of all members, from before an instant.

    None where there is nothing to take, because of the figures of today.
    """
    calendar, timelines = calendar_of(options), [ledger.timeline for ledger in members]
    until = min(until, needed_together(timelines, options.rolling_trades, calendar))
    since = common.base.cut
    if until <= since:
        return None
    until = slice_together(timelines, since, until, most)
    base = common.base.copy()
    sheets = [ledger.sheet(*NEEDED, "fee", base=common.base, until=until) for ledger in members]
    rows = merged(sheets, options)
    if len(rows):
        base.take(rows.columns, until, opened(rows.opening), calendar)
    base.cut = until
    return Common(base, common.scale, common.members)


def packed(currency: str, common: Common, depot: Depot) -> Packed:
    """All of it, as JSON; the base goes to the depot."""
    scale, members = common.scale, common.members
    base = depot.base(f"currency/{currency}", common.base, scale, members)
    return {"base": base, "scale": scale, "members": members}


def unpacked(currency: str, given: Packed, parts: Mapping[int, bytes], depot: Depot) -> Common:
    """What was packed. Raises Unusable, LookupError, TypeError where it is something else."""
    scale, members = given["scale"], given["members"]
    base = depot.known(f"currency/{currency}", given["base"], parts, scale, members)
    return Common(base, scale, members)

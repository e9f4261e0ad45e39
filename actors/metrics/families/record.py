"""What a family of definitions computes from: one account's closed trades and its daily returns."""

from __future__ import annotations

from msgspec import Struct

from actors.metrics.arrays import Floats, Ints


class Record(Struct, frozen=True):
    """Columns of one length, a closed trade each, in canonical order (closed, id).

    `opened` and `closed` are microseconds since 1970 UTC; `pnl` is net, `before` the account's
    equity before the trade closed (NaN while unknown), both in the account's currency. `days` are
    the default daily returns: fractions, all calendar days, the open one provisionally.
    `starting` and `equity` are the account's value before the first event and now, None: unknown.
    """

    opened: Ints
    closed: Ints
    pnl: Floats
    before: Floats
    days: Floats
    starting: float | None = None
    equity: float | None = None

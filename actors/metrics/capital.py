"""The fixed base: each day's P&L as a fraction of the capital put in, whatever was made of it.

The capital is what the account began with, more by deposits and less by withdrawals; profit never
moves it. Returns on it do not compound: the parts of a day, which flows cut, add up. Source: Bacon
(2004), Practical Portfolio Performance Measurement and Attribution, of simple (arithmetic)
chaining.
"""

from __future__ import annotations

import math
from array import array

from actors.metrics.moments import Closed

BITS = 200  # after the point of a sum of parts: far below the last bit of any float that counts


class Capital:
    """What was put in, in scaled units (None: equity is unknown), and the returns on it.

    `parts`: the sum of the running day's parts before the last flow, in units of 2^-BITS, None
    where one has no return; `returns` holds the closed days, `closed` their moments.
    """

    __slots__ = ("amount", "closed", "parts", "returns")

    def __init__(self, amount: int | None) -> None:
        self.amount = amount
        self.parts: int | None = 0
        self.returns = array("d")
        self.closed = Closed()

    def __repr__(self) -> str:
        return f"<Capital {self.amount} days={len(self.returns)}>"

    def running(self, gain: int) -> float:
        """The running day's return, `gain` being the P&L since its open or its last flow.

        NaN where there is P&L, but no capital above zero that it is a fraction of.
        """
        parts, amount = self.parts, self.amount
        if parts is None:
            return math.nan
        if not gain:
            return parts / (1 << BITS)
        if amount is None or amount <= 0:
            return math.nan
        # one division of integers, which rounds once
        return (parts * amount + (gain << BITS)) / (amount << BITS)

    def cut(self, gain: int, flow: int) -> None:
        """Money flows: what was gained until then is a fraction of what was there before."""
        if self.amount is None:  # known of the timeline, and soon restated
            return
        if gain and self.parts is not None:
            self.parts = self.parts + (gain << BITS) // self.amount if self.amount > 0 else None
        self.amount += flow

    def close(self, gain: int, idle: int) -> None:
        """A day is over, and so many after it without anything."""
        self.closed.clear()
        self.returns.append(self.running(gain))
        self.returns.extend([0.0] * idle)

    def open(self) -> None:
        """A day begins."""
        self.parts = 0

    def resume(self, known: Capital, days: int) -> None:
        """Go on after the first `days` returns of another one."""
        self.returns = known.returns[:days]

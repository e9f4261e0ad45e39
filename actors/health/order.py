"""Order: which of the things that a bot tells of one control counts, by arrival and by stamp.

Arrival is certain, but a message that is sent again may tell an old story. A stamp says how old it
is, but the clock that gave it may have been set. Where the two disagree, nothing tells a late
message from a clock that was set back. So a danger counts when it comes, unless it is one that was
told before; an all-clear counts only where it cannot be late. docs/decisions/016 has the cases.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

CLOSE_S = 5.0  # two lags of one clock differ by less
AHEAD_S = 60.0  # by which a clock may be wrong that nobody has set
DANGERS_KEPT = 8


class Stamp(Struct, frozen=True):
    """When something was said by its sender's clock, and when it came by ours."""

    at: datetime
    arrived: datetime

    @property
    def lag_s(self) -> float:
        """How much later it came than it was said; below zero where its sender's clock is ahead."""
        return (self.arrived - self.at).total_seconds()


class Order(Struct, frozen=True):
    """What is remembered of what was told of one control.

    `newest` bears the latest stamp, `stands` is of what holds now: of dangers in a row the latest
    by stamp. `dangers` are the last ones, each by its stamp and what it said.
    """

    newest: Stamp
    stands: Stamp
    dangers: tuple[tuple[datetime, str], ...] = ()


def after(
    known: Order | None, new: Stamp, said: str, *, danger: bool, endangered: bool
) -> Order | None:
    """Return the order once something more was told, None where that does not count.

    `endangered`: a danger stands by then.
    """
    told = (new.at, said)
    if known is None:
        return Order(new, new, (told,) if danger else ())
    if not (_is_new(known, told) if danger else _is_over(known, new)):
        return None
    newest = known.newest if is_earlier(known, new) else new
    stays = danger and endangered and newest is not new and known.stands.at > new.at
    dangers = (*known.dangers, told)[-DANGERS_KEPT:] if danger else known.dangers
    return Order(newest, known.stands if stays else new, dangers)


def is_earlier(known: Order, new: Stamp) -> bool:
    """Say whether something bears an earlier stamp than what is known, and that is to be believed.

    Else it came late, or the clock of its sender was set back.
    """
    return new.at < known.newest.at and not _shows_a_wrong_clock(known, new)


def _is_new(known: Order, told: tuple[datetime, str]) -> bool:
    """Say whether a danger is not one that was told before, sent again: that one may be over."""
    return told not in known.dangers or told[0] >= known.newest.at


def _is_over(known: Order, new: Stamp) -> bool:
    """Say whether an all-clear cannot be late.

    It bears the latest stamp; or it was stamped after the danger and came as late as that, so one
    clock has stamped both and no message was held up.
    """
    if not is_earlier(known, new):
        return True
    same_clock = abs(new.lag_s - known.stands.lag_s) <= CLOSE_S
    return known.stands.at <= new.at and same_clock


def _shows_a_wrong_clock(known: Order, new: Stamp) -> bool:
    """Say whether something that came as it was stamped proves the latest stamp to be wrong.

    That one is still to come by our clock: its sender's was ahead, or ours has been set back.
    """
    ahead_s = (known.newest.at - new.arrived).total_seconds()
    behind_it = new.at >= known.stands.arrived or new.arrived < known.stands.arrived
    return ahead_s > AHEAD_S and abs(new.lag_s) <= CLOSE_S and behind_it

"""Bulk loading: a million journaled trades become columns, without an object for each field.

What is plain is read by numpy: instants in UTC, decimals that fit, no correction. Everything else
(a flow, another currency, and what follows a trade that waits) waits and is applied one by one
afterwards, in the order of the journal, so that the outcome is that of applying each in turn.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from actors import codec
from actors.messages import Equity, Flow, Trade
from actors.metrics.identities import canonical_id, digest
from actors.metrics.ledger import LATEST, Ledger
from actors.metrics.money import micros, scaled
from actors.metrics.summary import MARK, TRADE, Amounts
from actors.metrics.timeline import Columns
from runtime.store import Run

PLAIN: Final = ("trade", "equity")
WAITING_MAX: Final = 20_000
EXACT_BITS: Final = 2.0**51
DAY_US: Final = 86_400_000_000

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Event = Trade | Equity | Flow


class _Trade(msgspec.Struct, tag_field="type", tag="trade", gc=False):
    bot: str
    id: str | int
    symbol: str
    side: Literal["long", "short"]
    quantity: str
    opened_at: str
    pnl: str
    closed_at: str = ""
    fee: str = "0"
    currency: str | None = None
    revision: int = 0
    risk: str | None = None


class _Equity(msgspec.Struct, tag_field="type", tag="equity", gc=False):
    bot: str
    at: str
    equity: str


_plain: msgspec.json.Decoder[_Trade | _Equity] = msgspec.json.Decoder(_Trade | _Equity)


class Wanted(msgspec.Struct, frozen=True):
    """Which events: of one bot (empty: of all), that happened up to an instant."""

    bot: str
    at: datetime

    def has(self, event: Event) -> bool:
        """Say whether an event is wanted."""
        happened = event.closed_at or event.at if isinstance(event, Trade) else event.at
        assert happened is not None  # `actors.codec` completes every trade
        return happened <= self.at and self.bot in ("", event.bot)


class Loader:
    """Takes in runs of the journal; `finish` applies what waits.

    `ledger` gives the ledger of an event's bot, settling its currency by the event's, or None;
    `apply` takes one event in as if it had just arrived.
    """

    def __init__(
        self,
        ledger: Callable[[str, str | None], Ledger | None],
        apply: Callable[[Event], object],
        wanted: Wanted | None = None,
    ) -> None:
        self._wanted = wanted
        self._ledger = ledger
        self._apply = apply
        self._waiting: list[Event] = []
        self._unsettled: dict[str, set[int]] = {}  # of each bot, digests of trades that wait

    def take(self, runs: Sequence[Run], left_out: set[int], until: int) -> None:
        """Take in consecutive runs, up to a seq, but the events left out."""
        for stream, some in itertools.groupby(runs, key=lambda run: run.stream):
            these = list(some)
            if left_out or these[-1].last > until:
                rows = [row for run in these for row in run.rows() if row.seq <= until]
                lines = [row.data for row in rows if row.seq not in left_out]
            else:
                lines = [run.data for run in these]
            if lines and stream in PLAIN:
                self.lines(b"\n".join(lines))
            else:
                self.wait(line for part in lines for line in part.split(b"\n"))

    def lines(self, lines: bytes) -> None:
        """Take in journaled events, one a line, all of them trades or all equities."""
        try:
            events = _plain.decode_lines(lines)
        except msgspec.MsgspecError:
            for line in lines.split(b"\n"):
                self._line(line)
            return
        self._take(events, lines)

    def wait(self, lines: Iterable[bytes]) -> None:
        """Let journaled events wait; those of a version with other types are left out."""
        for line in lines:
            event = codec.known(line)
            if not isinstance(event, Trade | Equity | Flow):
                continue
            if self._wanted is not None and not self._wanted.has(event):
                continue
            self._ledger(event.bot, getattr(event, "currency", None))
            if isinstance(event, Trade):
                waiting = self._unsettled.setdefault(event.bot, set())
                waiting.add(digest(canonical_id(event.id)))
            self._waiting.append(event)
        if len(self._waiting) >= WAITING_MAX:
            self.finish()

    def finish(self) -> None:
        """Apply what waits."""
        for event in self._waiting:
            self._apply(event)
        self._waiting, self._unsettled = [], {}

    def _line(self, line: bytes) -> None:
        try:
            event = _plain.decode(line)
        except msgspec.MsgspecError:
            self.wait([line])
        else:
            self._take([event], line)

    def _take(self, events: Sequence[_Trade | _Equity], lines: bytes) -> None:
        waits = np.ones(len(events), np.bool_)
        left: Sequence[int] = range(len(events))
        if self._wanted is not None:
            left, waits = _wanted(self._wanted, events)
        if len({event.bot for event in events}) == 1 and len(left) == len(events):
            waits = ~self._bot(events[0].bot, events)
        else:
            of_bot: dict[str, list[int]] = {}
            for place in left:
                of_bot.setdefault(events[place].bot, []).append(place)
            for bot, places in of_bot.items():
                waits[places] = ~self._bot(bot, [events[place] for place in places])
        if waits.any():
            split = lines.split(b"\n")
            self.wait(split[place] for place in np.flatnonzero(waits).tolist())

    def _bot(self, bot: str, events: Sequence[_Trade | _Equity]) -> Flags:
        trades = [event for event in events if isinstance(event, _Trade)]
        currencies = {trade.currency for trade in trades}
        currency = next((t.currency for t in trades if t.currency), None) if currencies else None
        ledger = self._ledger(bot, currency)
        if ledger is None:
            return np.zeros(len(events), np.bool_)
        if trades:
            return self._trades(ledger, bot, trades, currencies)
        return _equities(ledger, [one for one in events if isinstance(one, _Equity)])

    def _trades(
        self, ledger: Ledger, bot: str, trades: list[_Trade], currencies: set[str | None]
    ) -> Flags:
        when, good = instants([trade.closed_at for trade in trades])
        opened, fine = instants([trade.opened_at for trade in trades])
        good &= fine
        pnl, fine = units([trade.pnl for trade in trades], ledger.scale)
        good &= fine
        risk, fine = _risks([trade.risk for trade in trades])
        good &= fine
        fee, fine = units([trade.fee for trade in trades], ledger.scale)
        good &= fine
        quantity, fine = units([trade.quantity for trade in trades], ledger.quantity_scale)
        good &= fine
        if max(trade.revision for trade in trades):
            good &= np.array([not trade.revision for trade in trades])
        if currencies - {None, ledger.options.currency}:
            own = (None, ledger.options.currency)
            good &= np.array([trade.currency in own for trade in trades])
        ids = [
            given if isinstance(given, str) and given >= ":" else canonical_id(given)
            for given in (trade.id for trade in trades)
        ]
        encoded = [str(one).encode("utf-8", "surrogatepass") for one in ids]
        digests = np.frombuffer(array("I", map(crc32, encoded)), np.uint32)
        waiting = self._unsettled.setdefault(bot, set())
        waiting.update(digests[~good].tolist())
        if waiting:
            good &= ~np.isin(digests, np.array(list(waiting), np.uint32))
        numbers = {name: 2 * ledger.symbol(name) for name in {t.symbol for t in trades}}
        symbols = [numbers[t.symbol] + (t.side == "short") for t in trades]
        columns: Columns = {
            "when": when,
            "kind": np.full(len(trades), TRADE, np.uint8),
            "ids": np.zeros(len(trades), np.int64),
            "amount": pnl,
            "fee": fee,
            "opened": opened,
            "quantity": quantity,
            "symbol": np.array(symbols, np.uint32),
            "risk": risk,
            "digest": digests,
        }
        if not good.all():
            columns = {name: column[good] for name, column in columns.items()}
            ids = list(itertools.compress(ids, good))
            encoded = list(itertools.compress(encoded, good))
        if ids:
            ledger.stage(columns, ids, encoded)
        return good


def _wanted(wanted: Wanted, events: Sequence[_Trade | _Equity]) -> tuple[list[int], Flags]:
    """Where wanted events are, and which of all others may be wanted, as only a decoder knows."""
    when, good = instants([e.closed_at if isinstance(e, _Trade) else e.at for e in events])
    own = np.array([wanted.bot in ("", event.bot) for event in events], np.bool_)
    return np.flatnonzero(own & good & (when <= micros(wanted.at))).tolist(), own & ~good


def _equities(ledger: Ledger, events: list[_Equity]) -> Flags:
    when, good = instants([event.at for event in events])
    amount, fine = units([event.equity for event in events], ledger.scale)
    good &= fine
    count = int(np.count_nonzero(good))
    zeros = np.zeros(count, np.int64)
    columns: Columns = {
        "when": when[good],
        "kind": np.full(count, MARK, np.uint8),
        "ids": zeros,
        "amount": amount[good],
        "fee": zeros,
        "opened": zeros,
        "quantity": zeros,
        "symbol": np.zeros(count, np.uint32),
        "risk": np.full(count, np.nan),
        "digest": np.zeros(count, np.uint32),
    }
    if count:
        ledger.stage(columns)
    return good


def instants(texts: Sequence[str]) -> tuple[Ints, Flags]:
    """Microseconds since 1970 of RFC 3339 texts in UTC, and which of them could be read.

    Only the form that the journal has is read: seconds, with six more digits or none, and Z.
    """
    try:
        raw = np.array(texts, "S28")
    except UnicodeEncodeError:
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    chars = np.ascontiguousarray(raw.view(np.uint8).reshape(len(texts), 28).T)
    whole = (chars[19] == ord("Z")) & (chars[20] == 0)
    parts = (chars[19] == ord(".")) & (chars[26] == ord("Z")) & (chars[27] == 0)

    def number(first: int, last: int) -> Ints:
        value = np.zeros(len(texts), np.int32)
        for place in range(first, last):
            value = value * 10 + (chars[place].astype(np.int32) - ord("0"))
        return value.astype(np.int64)

    days = _days(number(0, 4), number(5, 7), number(8, 10))
    seconds = (number(11, 13) * 60 + number(14, 16)) * 60 + number(17, 19)
    when = days * DAY_US + seconds * 1_000_000
    if parts.any():
        when = np.where(parts, when + number(20, 26), when)
    return when, (whole | parts) & (when >= 0) & (when < LATEST)


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    """Days since 1970 of a Gregorian date after the year 0, by counting from 1 March."""
    late = month > 2  # noqa: PLR2004
    year = np.where(late, year, year - 1)
    month = np.where(late, month - 3, month + 9)
    leaps = year // 4 - year // 100 + year // 400
    days: Ints = year * 365 + leaps + (153 * month + 2) // 5 + day - 719_469
    return days


def units(texts: Sequence[str], scale: int) -> tuple[Amounts, Flags]:
    """Decimals in units of 10^-scale, and which of them are exact in that unit."""
    different = set(texts)
    if 4 * len(different) < len(texts):
        table = {text: _unit(text, scale) for text in different}
        found = [table[text] for text in texts]
        return _filled(found)
    try:
        values = np.array(list(map(float, texts)))
    except ValueError:
        return _filled([_unit(text, scale) for text in texts])
    decimals = np.array([len(text) - text.find(".") - 1 if "." in text else 0 for text in texts])
    shifted = values * 10.0**scale
    rounded = np.rint(shifted)
    # A text of at most `scale` decimals below 2^51 units is nearest to its own integer. What an
    # exponent hides from the count of decimals is no integer, or is nothing.
    with np.errstate(invalid="ignore"):
        size, off = np.abs(shifted), np.abs(shifted - rounded)
    good = (decimals <= scale) & (size < EXACT_BITS) & (off <= size * 2.0**-50)
    good &= (rounded != 0) | (values == 0)
    if good.all():
        return rounded.astype(np.int64), good
    whole: list[int | None] = np.where(good, rounded, 0).astype(np.int64).tolist()
    for place in np.flatnonzero(~good).tolist():
        whole[place] = _unit(texts[place], scale)
    return _filled(whole)


def _risks(texts: list[str | None]) -> tuple[npt.NDArray[np.float64], Flags]:
    """Amounts at stake as floats, NaN for none, and which of them could be read."""
    try:
        told = [math.nan if text is None else float(text) for text in texts]
    except ValueError:
        return np.full(len(texts), np.nan), np.array([text is None for text in texts], np.bool_)
    return np.array(told), np.ones(len(texts), np.bool_)


def _filled(found: Sequence[int | None]) -> tuple[Amounts, Flags]:
    good = np.array([unit is not None for unit in found], np.bool_)
    whole = [unit or 0 for unit in found]
    try:
        return np.array(whole, np.int64), good
    except OverflowError:
        return np.array(whole, object), good


def _unit(text: str, scale: int) -> int | None:
    try:
        return scaled(Decimal(text), scale, "amount")
    except (ArithmeticError, ValueError):
        return None

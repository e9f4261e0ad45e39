"""Bulk loading: a million journaled trades become columns, without an object for each field.

What is plain is read by numpy: instants in UTC, decimals that fit, no correction. Everything else
(a flow, another currency, and what follows a trade that waits) waits and is applied one by one
afterwards, in the order of the journal, so that the outcome is that of applying each in turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Final, Literal, cast
from zlib import crc32

import msgspec
import numpy as np
import numpy.typing as npt

from actors import codec
from actors.messages import Equity, Flow, Trade
from actors.metrics.arrays import Flags
from actors.metrics.identities import Id, canonical_id, digest, encode
from actors.metrics.ledger import Ledger
from actors.metrics.money import micros
from actors.metrics.summary import MARK, TRADE
from actors.metrics.texts import instants, risks, units
from actors.metrics.timeline import Columns
from actors.metrics.wanted import Wanted
from runtime.store import Run

WAITING_MAX: Final = 20_000

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


_Plain = _Trade | _Equity
_plain: Final[dict[str, msgspec.json.Decoder[_Plain]]] = {
    "trade": msgspec.json.Decoder(_Trade),
    "equity": msgspec.json.Decoder(_Equity),
}


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
        for stream, some in itertools.groupby(runs, key=attrgetter("stream")):
            these = list(some)
            apart = not left_out.isdisjoint(range(these[0].seq, these[-1].last + 1))
            if apart or these[-1].last > until:
                rows = [row for run in these for row in run.rows() if row.seq <= until]
                lines = [row.data for row in rows if row.seq not in left_out]
            else:
                lines = [run.data for run in these]
            if lines and stream in _plain:
                self._lines(_plain[stream], b"\n".join(lines))
            else:
                self.wait(line for part in lines for line in part.split(b"\n"))

    def _lines(self, decoder: msgspec.json.Decoder[_Plain], lines: bytes) -> None:
        """Take in journaled events of one kind, one a line."""
        try:
            events = decoder.decode_lines(lines)
        except msgspec.MsgspecError:
            for line in lines.split(b"\n"):
                self._line(decoder, line)
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

    def _line(self, decoder: msgspec.json.Decoder[_Plain], line: bytes) -> None:
        try:
            event = decoder.decode(line)
        except msgspec.MsgspecError:
            self.wait([line])
        else:
            self._take([event], line)

    def _take(self, events: Sequence[_Plain], lines: bytes) -> None:
        """Take in events that are all trades or all equities."""
        waits = np.ones(len(events), np.bool_)
        left: Sequence[int] = range(len(events))
        if self._wanted is not None:
            left, waits = _wanted(self._wanted, events)
        bots = [event.bot for event in events]
        if bots.count(bots[0]) == len(left) == len(bots):
            waits = ~self._bot(bots[0], events)
        else:
            of_bot: dict[str, list[int]] = {}
            for place in left:
                of_bot.setdefault(bots[place], []).append(place)
            for bot, places in of_bot.items():
                waits[places] = ~self._bot(bot, [events[place] for place in places])
        if waits.any():
            split = lines.split(b"\n")
            self.wait(split[place] for place in np.flatnonzero(waits).tolist())

    def _bot(self, bot: str, events: Sequence[_Plain]) -> Flags:
        """Take in events of one bot; which of them are plain."""
        trades = cast("Sequence[_Trade]", events) if isinstance(events[0], _Trade) else ()
        currencies = {trade.currency for trade in trades}
        currency = None
        if currencies - {None}:
            currency = next(trade.currency for trade in trades if trade.currency is not None)
        ledger = self._ledger(bot, currency)
        if ledger is None:
            return np.zeros(len(events), np.bool_)
        if trades:
            return self._trades(ledger, bot, trades, currencies)
        return _equities(ledger, cast("Sequence[_Equity]", events))

    def _trades(
        self, ledger: Ledger, bot: str, trades: Sequence[_Trade], currencies: set[str | None]
    ) -> Flags:
        when, good = instants([trade.closed_at for trade in trades])
        opened, fine = instants([trade.opened_at for trade in trades])
        good &= fine
        pnl, fine = units([trade.pnl for trade in trades], ledger.scale)
        good &= fine
        risk, fine = risks([trade.risk for trade in trades])
        good &= fine
        fee, fine = units([trade.fee for trade in trades], ledger.scale)
        good &= fine
        quantity, fine = units([trade.quantity for trade in trades], ledger.quantity_scale)
        good &= fine
        revisions = [trade.revision for trade in trades]
        if any(revisions):
            good &= np.array([not revision for revision in revisions])
        if ledger.horizon:
            good &= when >= ledger.horizon
        if currencies - {None, ledger.options.currency}:
            own = (None, ledger.options.currency)
            good &= np.array([trade.currency in own for trade in trades])
        ids, encoded, texts = _named([trade.id for trade in trades])
        digests = np.fromiter(map(crc32, encoded), np.uint32, len(encoded))
        waiting = self._unsettled.setdefault(bot, set())
        waiting.update(digests[~good].tolist())
        if waiting:
            good &= ~np.isin(digests, np.array(list(waiting), np.uint32))
        columns: Columns = {
            "when": when,
            "kind": np.full(len(trades), TRADE, np.uint8),
            "ids": np.zeros(len(trades), np.int64),
            "amount": pnl,
            "fee": fee,
            "opened": opened,
            "quantity": quantity,
            "symbol": _symbols(ledger, trades),
            "risk": risk,
            "digest": digests,
        }
        if not good.all():
            columns = {name: column[good] for name, column in columns.items()}
            ids = list(itertools.compress(ids, good))
            encoded = list(itertools.compress(encoded, good))
        if ids:
            ledger.stage(columns, ids, encoded if texts else None)
        return good


def _named(given: Sequence[Id]) -> tuple[Sequence[Id], Sequence[bytes], bool]:
    """Canonical ids, the bytes of each, and whether all of them are texts."""
    try:
        plain = min(given) >= ":"  # type: ignore[operator]  # do not begin with a digit
    except TypeError:
        plain = False  # some are numbers
    if plain:
        joined = "\n".join(given)  # type: ignore[arg-type]
        encoded = joined.encode("utf-8", "surrogatepass").split(b"\n")
        if len(encoded) == len(given):
            return given, encoded, True
    ids = [canonical_id(one) for one in given]
    return ids, [encode(one) for one in ids], all(isinstance(one, str) for one in ids)


def _symbols(ledger: Ledger, trades: Sequence[_Trade]) -> npt.NDArray[np.uint32]:
    names = [trade.symbol for trade in trades]
    numbers = {name: 2 * ledger.symbol(name) for name in dict.fromkeys(names)}
    symbols = np.full(len(names), numbers[names[0]], np.uint32)
    if len(numbers) > 1:
        symbols = np.array([numbers[name] for name in names], np.uint32)
    return symbols + np.array([trade.side == "short" for trade in trades], np.uint32)


def _wanted(wanted: Wanted, events: Sequence[_Plain]) -> tuple[list[int], Flags]:
    """Where wanted events are, and which of all others may be wanted, as only a decoder knows."""
    happened = [one.closed_at if isinstance(one, _Trade) else one.at for one in events]
    when, good = instants(happened)
    own = np.array([wanted.bot in ("", event.bot) for event in events], np.bool_)
    within = own & good & (when <= micros(wanted.at))
    if isinstance(events[0], _Trade):
        trades = cast("Sequence[_Trade]", events)
        for place in [place for place, one in enumerate(trades) if one.revision]:
            if own[place] and good[place]:
                one, sooner = trades[place], bool(within[place])
                wanted.note(one.bot, one.id, one.revision, one.currency, within=sooner)
        if wanted.leaves_out:
            within &= np.array([wanted.stays(one.bot, one.id) for one in trades])
    return np.flatnonzero(within).tolist(), own & ~good


def _equities(ledger: Ledger, events: Sequence[_Equity]) -> Flags:
    when, good = instants([event.at for event in events])
    amount, fine = units([event.equity for event in events], ledger.scale)
    good &= fine & (when >= ledger.horizon)
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

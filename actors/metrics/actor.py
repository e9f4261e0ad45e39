"""The metrics actor: feeds each bot's ledger, and tells what changed.

Alerts hear of every single event (`RiskUpdate`), but of a history that is sent in later only how it
ends; browsers get the latest figures at once, in a burst 20 times a second. The journal is the
truth: a new life rebuilds its ledgers from it, without telling anyone what was told before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from actors.messages import (
    Equity,
    EquityPoint,
    EquitySeries,
    Flow,
    Metrics,
    MetricsUpdate,
    Recorded,
    RecordedRun,
    Refresh,
    RiskUpdate,
    Trade,
)
from actors.metrics.bulk import Loader, Wanted
from actors.metrics.keep import Keeper
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.portfolio import Portfolio
from actors.metrics.replay import replay
from actors.place import Position, poisoned
from runtime.actor import Actor
from runtime.ref import Ref
from runtime.store import Store

READER = "metrics"
TURN_EVERY_S = 5.0
FLUSH_EVERY_S = 0.05
BOTS_MAX = 256
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(2199, 12, 30, tzinfo=UTC)
HISTORY_AGE = timedelta(days=1)  # older than this when it arrives, an event is no news
HISTORY_QUIET_S = 1.0  # without more of it, a history has ended
HISTORY_MAX_S = 30.0


class MetricsQuery(msgspec.Struct, frozen=True):
    """Ask for the figures now; answered with a MetricsUpdate. `bot` empty means all."""

    bot: str = ""


class SeriesQuery(msgspec.Struct, frozen=True):
    """Ask for the chart of each bot; answered with a list of EquitySeries."""

    points: int = 500


class HistoryQuery(msgspec.Struct, frozen=True):
    """Ask for a part of the chart of a bot (empty: of all); answered with {bot: History}.

    From `first` to before `last` (None: all there is), at most `points` (>= 8) of the curve.
    """

    bot: str = ""
    first: datetime | None = None
    last: datetime | None = None
    points: int = 500


class DayPnl(msgspec.Struct, frozen=True):
    """The P&L of one day in the bot's time zone."""

    day: date
    pnl: Decimal


class History(msgspec.Struct, frozen=True):
    """Equity and drawdown, oldest first with the extremes kept; P&L of each day with an event."""

    points: list[EquityPoint]
    days: list[DayPnl]


class _Flush(msgspec.Struct, frozen=True):
    pass


class _Turn(msgspec.Struct, frozen=True):
    pass


class _HistoryOver(msgspec.Struct, frozen=True):
    pass


class Ledgers:
    """The ledgers of all bots, built on demand."""

    def __init__(self, options: Callable[[str], LedgerOptions]) -> None:
        self._options = options
        self.of: dict[str, Ledger] = {}
        self.refused = ""
        self._portfolios: dict[str, Portfolio] = {}

    def apply(self, event: Trade | Equity | Flow) -> bool:
        """Apply an event to its bot's ledger; false where it changes nothing.

        `refused` then says why, unless it was a duplicate: an event in another currency than the
        bot's cannot be added up, and one bot name too many has no ledger.
        """
        self.refused = ""
        ledger = self.ledger(event.bot, event.currency if isinstance(event, Trade) else None)
        if ledger is None:
            self.refused = f"more than {BOTS_MAX} bots: {event.bot!r} has no figures"
            return False
        try:
            return ledger.apply(event)
        except ValueError as error:
            self.refused = f"{event.bot}: {error}"
            return False

    def ledger(self, bot: str, currency: str | None = None) -> Ledger | None:
        """Return a bot's ledger, None for one bot name too many.

        A bot has the currency that its first trade to name one has, where no setting says it.
        """
        ledger = self.of.get(bot)
        if ledger is None:
            if len(self.of) >= BOTS_MAX:
                return None
            ledger = self.of[bot] = Ledger(self._options(bot))
            ledger.name = bot
        if currency is not None and not ledger.currency_is_known:
            ledger.currency_is_known = True
            if currency != ledger.options.currency and not ledger.options.currency_is_set:
                ledger.options = replace(ledger.options, currency=currency)
        return ledger

    def take_over(self, ledgers: dict[str, Ledger]) -> None:
        """Go on from the ledgers of a snapshot."""
        self.of.update(ledgers)

    def history(self, query: HistoryQuery) -> dict[str, History]:
        """Return a part of the charts."""
        names = [query.bot] if query.bot else sorted(self.of)
        first = min(max(query.first or EARLIEST, EARLIEST), LATEST)
        last = min(max(query.last or LATEST, EARLIEST), LATEST)
        return {
            bot: _history(self.of[bot], first, last, query.points)
            for bot in names
            if bot in self.of
        }

    def loader(self, wanted: Wanted | None = None) -> Loader:
        """Return what takes in a journal (or what is wanted of it) in bulk."""
        return Loader(self.ledger, self.apply, wanted)

    def update(self, now: datetime, bots: set[str] | None = None) -> MetricsUpdate:
        """Return the figures of these bots (or all), and the portfolios they belong to."""
        chosen = sorted(self.of) if bots is None else sorted(bots & self.of.keys())
        currencies = {self.of[bot].options.currency for bot in chosen}
        whole: dict[str, list[str]] = {currency: [] for currency in sorted(currencies)}
        for bot in sorted(self.of):
            if (currency := self.of[bot].options.currency) in whole:
                whole[currency].append(bot)
        return MetricsUpdate(
            now,
            {bot: self.of[bot].metrics(now) for bot in chosen},
            {
                currency: self._portfolio(currency, names, now)
                for currency, names in whole.items()
                if names
            },
        )

    def _portfolio(self, currency: str, bots: list[str], now: datetime) -> Metrics:
        whole = self._portfolios.get(currency)
        if whole is None:
            whole = self._portfolios[currency] = Portfolio(self.of[bots[0]].options)
        return whole.metrics([self.of[bot] for bot in bots], now)


Message = (
    Recorded
    | RecordedRun
    | MetricsQuery
    | SeriesQuery
    | HistoryQuery
    | Refresh
    | _Flush
    | _Turn
    | _HistoryOver
)


class MetricsActor(Actor[Message]):
    """Keeps the ledgers. `position` outlives it.

    Where it is `watched`, alerts get every figure whenever the page does, because a trigger of
    the operator's own may name any of them.
    """

    def __init__(
        self,
        store: Store,
        position: Position,
        options: Callable[[str], LedgerOptions],
        alerts: Ref[RiskUpdate | MetricsUpdate],
        broadcaster: Ref[MetricsUpdate],
        *,
        watched: bool = False,
    ) -> None:
        self._store = store
        self._position = position
        self._options = options
        self._alerts = alerts
        self._broadcaster = broadcaster
        self._watched = watched
        self._ledgers = Ledgers(options)
        self._keeper = Keeper(store, READER)
        self._changed: set[str] = set()
        self._history = position.untold  # outlives a crash, or what is put off would be lost
        self._history_began = self._history_last = -math.inf
        self._flushed = -math.inf

    async def started(self) -> None:
        """Rebuild from the journal, up to where an earlier life (or process) had come."""
        until = await self._position.find(self._store)
        left_out = self._position.poisoned
        kept, after = await self._keeper.load(until, left_out, self._options)
        if self._keeper.passed_over:
            self.ctx.system.report("replayed", self.ctx.name, self._keeper.passed_over)
        self._ledgers.take_over(kept)
        loader = self._ledgers.loader()
        await replay(self._store, loader, left_out, after=after, until=until)
        self._position.begin(until)
        self._changed.update(self._ledgers.of)
        self.ctx.ref.offer(_Flush())
        self.ctx.every(TURN_EVERY_S, _Turn())
        if self._history:
            self.ctx.after(HISTORY_QUIET_S, _HistoryOver())

    async def receive(self, message: Message) -> object:
        """Handle an event, a question or the clock."""
        if isinstance(message, Recorded | RecordedRun):
            await self._record(message)
        elif isinstance(message, _Flush):
            await self._flush()
        elif isinstance(message, _Turn):
            await self._turn()
        elif isinstance(message, _HistoryOver):
            await self._tell_history()
        elif isinstance(message, Refresh):
            await self._tell_alerts(self._ledgers.update(self.ctx.clock.now()))
        elif isinstance(message, MetricsQuery):
            bots = {message.bot} if message.bot else None
            return self._ledgers.update(self.ctx.clock.now(), bots)
        elif isinstance(message, HistoryQuery):
            return self._ledgers.history(message)
        else:
            return [
                EquitySeries(bot, ledger.series(message.points))
                for bot, ledger in sorted(self._ledgers.of.items())
            ]
        return None

    async def _record(self, message: Recorded | RecordedRun) -> None:
        began = self.ctx.clock.monotonic()
        for seq, event in self._position.news(message):
            if isinstance(event, Trade | Equity | Flow):
                await self._apply(seq, event)
            self._position.handled = seq
        if isinstance(message, RecordedRun):
            self._position.took(len(message.events), self.ctx.clock.monotonic() - began)

    async def _apply(self, seq: int, event: Trade | Equity | Flow) -> None:
        self._ledgers.apply(event)
        if self._ledgers.refused:
            self.ctx.system.report("refused", self.ctx.name, self._ledgers.refused)
        if event.bot in self._history or _happened(event) < self.ctx.clock.now() - HISTORY_AGE:
            self._put_off(event.bot, seq)
        elif event.bot in self._ledgers.of:
            # While a history is untold, the cursor stays before it: a crash tells both again.
            await self._tell_risk(event.bot, 0 if self._history else seq)
        if not self._changed:
            self._flush_soon()
        self._changed.add(event.bot)

    def _flush_soon(self) -> None:
        """Tell browsers at once, and in a burst at most 20 times a second."""
        wait_s = self._flushed + FLUSH_EVERY_S - self.ctx.clock.monotonic()
        if wait_s > 0:
            self.ctx.after(wait_s, _Flush())
        else:
            self.ctx.ref.offer(_Flush())

    async def _tell_risk(self, bot: str, seq: int) -> None:
        now = self.ctx.clock.now()
        risk = self._ledgers.of[bot].risk(now)
        currency = self._ledgers.of[bot].options.currency
        await self._alerts.tell(RiskUpdate(bot, seq, now, currency, risk))

    def _put_off(self, bot: str, seq: int) -> None:
        """Tell alerts of this bot once the history that comes in has ended."""
        now = self.ctx.clock.monotonic()
        if not self._history:
            self._history_began = now
            self.ctx.after(HISTORY_QUIET_S, _HistoryOver())
        self._history[bot] = seq
        self._history_last = now

    async def _tell_history(self) -> None:
        """Tell how the history has ended, one state of each bot; or wait while more comes in."""
        now = self.ctx.clock.monotonic()
        quiet_s = self._history_last + HISTORY_QUIET_S - now
        if quiet_s > 0 and now - self._history_began < HISTORY_MAX_S:
            self.ctx.after(quiet_s, _HistoryOver())
            return
        for bot, seq in sorted(self._history.items(), key=lambda item: item[1]):
            if bot in self._ledgers.of:
                await self._tell_risk(bot, seq)
            del self._history[bot]
            if self._watched:
                self._changed.add(bot)
                self._flush_soon()

    async def _flush(self) -> None:
        if self._changed:
            self._flushed = self.ctx.clock.monotonic()
            changed, self._changed = self._changed, set()
            update = self._ledgers.update(self.ctx.clock.now(), changed)
            await self._broadcaster.tell(update)
            if self._watched:
                await self._tell_alerts(update)

    async def _tell_alerts(self, update: MetricsUpdate) -> None:
        """Tell every figure, but nothing of a history that still comes in."""
        bots = {bot: told for bot, told in update.bots.items() if bot not in self._history}
        if bots or not update.bots:
            await self._alerts.tell(replace(update, bots=bots))

    async def _turn(self) -> None:
        now = self.ctx.clock.now()
        for bot, ledger in self._ledgers.of.items():
            if ledger.turn(now):
                if bot not in self._history:
                    await self._tell_risk(bot, 0)
                self._changed.add(bot)
        await self._flush()
        if self._position.handled is not None and not self._history:
            await self._keeper.step(
                self._ledgers.of, self._position.handled, self._position.poisoned
            )


async def as_of(
    store: Store, options: Callable[[str], LedgerOptions], bot: str, at: datetime
) -> MetricsUpdate:
    """Return the figures as they stood at an instant, as if nothing later had arrived."""
    ledgers = Ledgers(options)
    loader = ledgers.loader(Wanted(bot, at))
    await replay(store, loader, await poisoned(store, READER), until=store.head())
    return ledgers.update(at)


def _happened(event: Trade | Equity | Flow) -> datetime:
    happened = (event.closed_at or event.at) if isinstance(event, Trade) else event.at
    assert happened is not None  # `actors.codec` completes every trade
    return happened


def _history(ledger: Ledger, first: datetime, last: datetime, points: int) -> History:
    days = ledger.daily_pnl(first, last)
    return History(
        ledger.history(first, last, points),
        [DayPnl(date.fromordinal(day), pnl) for day, pnl in days],
    )

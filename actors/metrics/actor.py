"""The metrics actor: feeds each bot's ledger, and tells what changed.

Alerts hear of every single event (`RiskUpdate`), but of a history that is sent in later only how it
ends; browsers get the latest figures at once, in a burst 20 times a second. The journal is the
truth: a new life rebuilds its ledgers from it, without telling anyone what was told before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import anyio
import msgspec
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from actors.codec import happened
from actors.messages import (
    Equity,
    EquitySeries,
    Flow,
    MetricsUpdate,
    Recorded,
    RecordedRun,
    Refresh,
    RiskUpdate,
    Trade,
)
from actors.metrics.compaction import Slice
from actors.metrics.horizon import Horizon, Patience
from actors.metrics.keep import Keeper
from actors.metrics.ledgers import Ledgers
from actors.metrics.options import LedgerOptions
from actors.metrics.queries import HistoryQuery, MetricsQuery, SeriesQuery, SheetsQuery
from actors.metrics.replay import READER, rebuild, worker
from actors.metrics.sheet import Sheet
from actors.place import UNKEPT_MAX, Position
from runtime.actor import Actor
from runtime.ref import Ref
from runtime.store import Store

TURN_EVERY_S = 5.0
FLUSH_EVERY_S = 0.05
HISTORY_AGE = timedelta(days=1)  # older than this when it arrives, an event is no news
HISTORY_QUIET_S = 1.0  # without more of it, a history has ended
HISTORY_MAX_S = 30.0
COMPACT_EVERY_S = 0.05


class _Flush(msgspec.Struct, frozen=True):
    pass


class _Turn(msgspec.Struct, frozen=True):
    pass


class _HistoryOver(msgspec.Struct, frozen=True):
    pass


class _Compact(msgspec.Struct, frozen=True):
    pass


Message = (
    Recorded
    | RecordedRun
    | MetricsQuery
    | SeriesQuery
    | HistoryQuery
    | SheetsQuery
    | Refresh
    | _Flush
    | _Turn
    | _HistoryOver
    | _Compact
)


class MetricsActor(Actor[Message]):
    """Keeps the ledgers. `position` outlives it.

    Where it is `watched`, alerts get every figure whenever the page does, because a trigger of
    the operator's own may name any of them. It moves the `horizon`, and compacts a slice of what is
    before it at a time.
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
        horizon: Horizon | None = None,
    ) -> None:
        self._store = store
        self._position = position
        self._alerts = alerts
        self._broadcaster = broadcaster
        self._watched = watched
        self._horizon = horizon or Horizon()
        self._patience = Patience(self._horizon)
        self._compacting = False
        self._slice = Slice()
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
        self._horizon.move(self.ctx.clock.now())
        if self._position.handled is None:  # the door opens only after this
            self._horizon.begin(self._store.head())
        ledgers, now = self._ledgers, self.ctx.clock.now()
        after = await self._keeper.load(until, left_out, ledgers, self._horizon.at, worker(until))
        if self._keeper.passed_over:
            self.ctx.system.report("replayed", self.ctx.name, self._keeper.passed_over)
        await rebuild(self._store, ledgers, left_out, after=after, until=until, now=now)
        self._position.begin(until)
        self._changed.update(self._ledgers.of)
        self.ctx.after(0.0, _Flush())
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
        elif isinstance(message, _Compact):
            self._compact()
        elif isinstance(message, Refresh):
            await self._tell_alerts(self._ledgers.update(self.ctx.clock.now()))
        elif isinstance(message, MetricsQuery):
            bots = {message.bot} if message.bot else None
            return self._ledgers.update(self.ctx.clock.now(), bots)
        elif isinstance(message, HistoryQuery):
            return self._ledgers.history(message)
        elif isinstance(message, SheetsQuery):
            return await self._copies(message)
        else:
            return [
                EquitySeries(bot, ledger.series(message.points))
                for bot, ledger in sorted(self._ledgers.of.items())
            ]
        return None

    async def _copies(self, query: SheetsQuery) -> dict[str, Sheet]:
        """Copy columns, one after the other, because a million trades take 3 ms each."""
        found: dict[str, Sheet] = {}
        for one in self._ledgers.copying(query):
            if one is None:
                await checkpoint()
            else:
                found.update([one])
        return found

    async def _record(self, message: Recorded | RecordedRun) -> None:
        began, unkept = self.ctx.clock.monotonic(), len(self._position.unkept)
        for seq, event in self._position.news(message):
            if isinstance(event, Trade | Equity | Flow):
                await self._apply(seq, event)
            self._position.handled = seq
        self._position.had(message)
        if isinstance(message, RecordedRun):
            self._position.took(len(message.events), self.ctx.clock.monotonic() - began)
        if len(self._position.unkept) > unkept:
            await self._keep_left_out()
        while len(self._position.unkept) >= UNKEPT_MAX:  # rather behind than out of memory
            if not await self._keep_left_out():
                await anyio.sleep(TURN_EVERY_S)

    async def _keep_left_out(self) -> bool:
        """Write down which events are refused, and only then let alerts' cursor pass them.

        A failing disk is no crash: it would take an innocent event to quarantine.
        """
        if not await self._position.keep(self._store):
            return False
        held = self._position.held_back
        if held is not None and not self._history:
            if held[0] in self._ledgers.of:
                await self._tell_risk(*held)
            self._position.held_back = None
        return True

    async def _apply(self, seq: int, event: Trade | Equity | Flow) -> None:
        if self._horizon.at > self._ledgers.horizon and self._horizon.judged(seq):
            self._settle()
        self._ledgers.apply(event)
        if self._ledgers.refused:
            self.ctx.system.report("refused", self.ctx.name, self._ledgers.refused)
        if self._ledgers.settled:
            self._position.leave_out(seq)
        if event.bot in self._history or happened(event) < self.ctx.clock.now() - HISTORY_AGE:
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
        self.ctx.after(max(0.0, wait_s), _Flush())  # a tick: it finds room in a full mailbox, too

    async def _tell_risk(self, bot: str, seq: int) -> None:
        now, seq = self.ctx.clock.now(), self._position.passes(bot, seq)
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

    def _follow(self) -> None:
        """Follow the horizon, with patience where no event says that it is time."""
        if self._horizon.move(self.ctx.clock.now()):
            self._patience = Patience(self._horizon)
        elif self._horizon.at > self._ledgers.horizon and self._patience.over(
            self._store.head(), self._position.told or 0
        ):
            self._settle()

    def _settle(self) -> None:
        """Let ledgers refuse what the door does, and begin to compact."""
        self._ledgers.settle(self._horizon.at)
        if not self._compacting:
            self._compacting = True
            self.ctx.after(COMPACT_EVERY_S, _Compact())

    def _compact(self) -> None:
        began = self.ctx.clock.monotonic()
        self._compacting = self._ledgers.compact(self._slice.most)
        self._slice.took(self.ctx.clock.monotonic() - began)
        if self._compacting:
            self.ctx.after(COMPACT_EVERY_S, _Compact())

    async def _turn(self) -> None:
        now = self.ctx.clock.now()
        for bot, ledger in self._ledgers.of.items():
            if ledger.turn(now):
                if bot not in self._history:
                    await self._tell_risk(bot, 0)
                self._changed.add(bot)
        self._follow()
        if self._position.unkept or self._position.held_back:
            await self._keep_left_out()
        await self._flush()
        if self._position.handled is not None and not self._history:
            await self._keeper.step(self._ledgers, self._position.handled, self._position.poisoned)

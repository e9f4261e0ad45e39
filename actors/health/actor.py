"""The health actor: safety controls and signs of life of every bot, and each exchange's API.

Every event and every change is told to alerts in order; browsers get the latest. Its facts are
rebuilt from the journal; when each bot was last seen, and how long it has been listened to in vain,
is kept beside it. Silence is measured by what this process itself has listened, never by stamps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import msgspec
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from actors import codec
from actors.bounds import BOTS_MAX
from actors.health import levels
from actors.health.levels import Facts, Rules
from actors.health.listening import LOOK_EVERY_S, Listening, looked, reading
from actors.health.signs import Signs
from actors.messages import (
    ApiHealth,
    BotHealth,
    Event,
    Health,
    HealthUpdate,
    Pinged,
    PositionRejected,
    Recorded,
    RecordedRun,
    Refresh,
    Seen,
)
from actors.place import Position
from runtime.actor import Actor
from runtime.ref import Ref
from runtime.store import Row, Store, Tx

READER = "health"
STREAMS = ("positions", "position_rejected", "kill_switch", "circuit_breaker", "api_error")
REBUILD_ROWS = 2_000
SAME = timedelta(seconds=LOOK_EVERY_S)
KEEP_SEEN_EVERY_S = 30.0
SHOW_EVERY_S = 10.0  # how old the length of a silence may be that browsers show
REFUSED_EVERY_S = 60.0


class HealthQuery(msgspec.Struct, frozen=True):
    """Ask for the health now; answered with Health."""


class _Look(msgspec.Struct, frozen=True):
    pass


class _KeepSeen(msgspec.Struct, frozen=True):
    pass


class Kept(Seen, frozen=True):
    """A bot's last sign of life as the store keeps it, with its silence as in `levels.Facts`."""

    quiet_s: float = 0.0
    spared_s: float = 0.0


Message = Recorded | RecordedRun | Pinged | HealthQuery | Refresh | _Look | _KeepSeen


class HealthActor(Actor[Message]):
    """Keeps the facts and judges them. `position` and `signs` outlive it."""

    SEEN = "seen/"

    def __init__(
        self,
        store: Store,
        position: Position,
        signs: Signs,
        *,
        rules: Callable[[str], Rules],
        apis: Iterable[str],
        alerts: Ref[HealthUpdate],
        broadcaster: Ref[HealthUpdate],
    ) -> None:
        self._store = store
        self._position = position
        self._signs = signs
        self._rules = rules
        self._alerts = alerts
        self._broadcaster = broadcaster
        self._facts: dict[str, Facts] = {}
        self._apis = {name: ApiHealth(None, None, None) for name in apis}
        self._unsaved: set[str] = set()
        self._silent: set[str] = set()  # told so, and kept so
        self._judged: dict[str, tuple[Facts, datetime, BotHealth]] = {}
        self._last: Health | None = None
        self._shown_s = -math.inf
        self._refused_until = -math.inf

    async def started(self) -> None:
        """Rebuild the facts, then look at the clock every second."""
        self._listening = Listening(self.ctx.clock.monotonic(), self.ctx.clock.now())
        until = await self._position.find(self._store)
        await self._rebuild(until)
        self._position.begin(until)
        await self._load_seen()
        self._signs.again()
        self.ctx.every(LOOK_EVERY_S, _Look(), first_s=0.0)
        self.ctx.every(KEEP_SEEN_EVERY_S, _KeepSeen())

    async def _rebuild(self, until: int) -> None:
        after = 0
        while after < until:
            rows = await self._store.read(
                lambda tx, after=after: tx.journal.read(after, REBUILD_ROWS, STREAMS)  # type: ignore[misc]
            )
            if not rows:
                return
            for row in rows:
                if row.seq <= until and row.seq not in self._position.poisoned:
                    self._apply_row(row)
            after = rows[-1].seq
            await checkpoint()

    def _apply_row(self, row: Row) -> None:
        event = codec.known(row.data)
        if event is not None:  # the feed leaves out what another version has written, too
            self._apply(event, row.at)

    def _apply(self, event: Event, arrived: float) -> None:
        if self._watches(event.bot):
            came = datetime.fromtimestamp(arrived, UTC)
            self._facts[event.bot] = levels.applied(self._of(event.bot), event, came)

    async def _load_seen(self) -> None:
        rows = await self._store.read(lambda tx: list(tx.state.scan(self.SEEN, BOTS_MAX)))
        for _, data in rows:
            kept = msgspec.json.decode(data, type=Kept)
            if self._watches(kept.bot):
                facts = levels.seen(self._of(kept.bot), kept, 0.0)
                facts = replace(facts, quiet_s=kept.quiet_s, spared_s=kept.spared_s)
                self._facts[kept.bot] = levels.resumed(facts, self._rules(kept.bot), 0.0)

    def _listen(self) -> None:
        """Count how long we have listened, and take in who was heard."""
        before, clock = self._listening, self.ctx.clock
        self._listening = looked(before, clock.monotonic(), clock.now())
        if self._listening.gaps > before.gaps:
            for bot, facts in self._facts.items():
                self._facts[bot] = levels.resumed(facts, self._rules(bot), before.listened_s)
        for sign in self._signs.news():
            if self._watches(sign.bot) and not levels.knows(self._of(sign.bot), sign):
                listened_s = reading(self._listening, sign.at)
                self._facts[sign.bot] = levels.seen(self._of(sign.bot), sign, listened_s)
                self._unsaved.add(sign.bot)
                self._silent.discard(sign.bot)

    def _watches(self, bot: str) -> bool:
        """Say whether there is room for a bot; tell, now and then, of one too many."""
        if bot in self._facts or len(self._facts) < BOTS_MAX:
            return True
        now = self.ctx.clock.monotonic()
        if now >= self._refused_until:
            self._refused_until = now + REFUSED_EVERY_S
            text = f"more than {BOTS_MAX} bots: {bot!r} is not watched, its kill switch neither"
            self.ctx.system.report("refused", self.ctx.name, text)
        return False

    def _of(self, bot: str) -> Facts:
        return self._facts.get(bot) or Facts()

    async def receive(self, message: Message) -> Health | None:
        """Handle an event, a ping, a question or the clock."""
        if isinstance(message, Recorded | RecordedRun):
            await self._record(message)
        elif isinstance(message, Pinged):
            known = self._apis.get(message.api) or ApiHealth(None, None, None)
            self._apis[message.api] = levels.pinged(known, message)
            await self._tell("", 0)
        elif isinstance(message, HealthQuery):
            return self._judge()
        elif isinstance(message, _Look):
            await self._look()
        elif isinstance(message, Refresh):
            await self._tell("", 0)
        else:
            await self._keep_seen()
        return None

    async def _record(self, message: Recorded | RecordedRun) -> None:
        for seq, event in self._position.news(message):
            self._apply(event, message.arrived)
            rejected = ""
            if isinstance(event, PositionRejected):
                rejected = event.reason or "no reason given"
            await self._tell(event.bot, seq, rejected)
            self._position.handled = seq

    async def _look(self) -> None:
        self._listen()
        health = self._judge()
        if any(bot.silent and name not in self._silent for name, bot in health.bots.items()):
            await self._keep_seen()  # first: else a restart would say that it is over
        if self._last is None or _changed(self._last, health):
            await self._tell("", 0)
        elif health.reasons != self._last.reasons:
            await self._show(health)

    def _judge(self) -> Health:
        self._listen()
        now = self.ctx.clock.now()
        bots = {bot: self._judge_bot(bot, facts, now) for bot, facts in sorted(self._facts.items())}
        return levels.overall(now, bots, self._apis)

    def _judge_bot(self, bot: str, facts: Facts, now: datetime) -> BotHealth:
        """Judge a bot; one whose facts are the same not again within a second."""
        known = self._judged.get(bot)
        if known is not None and known[0] is facts and now - SAME < known[1] <= now:
            return known[2]
        health = levels.judged(facts, self._rules(bot), now, self._listening.listened_s)
        self._judged[bot] = facts, now, health
        return health

    async def _tell(self, bot: str, seq: int, rejected: str = "") -> None:
        self._last = self._judge()
        update = HealthUpdate(bot, seq, self._last, rejected)
        await self._alerts.tell(update)
        await self._broadcaster.tell(update)
        self._shown_s = self.ctx.clock.monotonic()

    async def _show(self, health: Health) -> None:
        """Show browsers, now and then, what only lasts longer: that is no news to alerts."""
        now_s = self.ctx.clock.monotonic()
        if now_s - self._shown_s >= SHOW_EVERY_S:
            self._shown_s = now_s
            await self._broadcaster.tell(HealthUpdate("", 0, health))

    async def _keep_seen(self) -> None:
        self._listen()
        listened_s = self._listening.listened_s
        waited_for = {bot for bot, facts in self._facts.items() if levels.expects(facts)}
        signs, silent = [], set()
        for bot in sorted(self._unsaved | waited_for - self._silent):
            facts, rules = self._facts[bot], self._rules(bot)
            if facts.last_seen is not None:
                quiet_s = round(levels.quiet_s(facts, listened_s), 3)
                signs.append(_kept(bot, facts.last_seen, facts, quiet_s))
                if bot in waited_for and quiet_s > rules.silent_after_s:
                    silent.add(bot)
        if not signs or await self._store.try_write(lambda tx: _put_seen(tx, self.SEEN, signs)):
            self._unsaved.clear()  # else the next tick tries again: a full disk is no crash
            self._silent |= silent

    async def stopping(self) -> None:
        """Keep when each bot was last seen, and how long it was listened to since."""
        await self._keep_seen()


def _kept(bot: str, at: datetime, facts: Facts, quiet_s: float) -> Kept:
    return Kept(bot, at, facts.state, facts.regular, quiet_s, round(facts.spared_s, 3))


def _put_seen(tx: Tx, prefix: str, signs: list[Kept]) -> None:
    for sign in signs:
        tx.state.put(prefix + sign.bot, msgspec.json.encode(sign))


def _changed(before: Health, after: Health) -> bool:
    """Say whether anything but the clock moved: last_seen alone is no news."""
    return _essence(before) != _essence(after)


def _essence(health: Health) -> object:
    bots = {
        name: (bot.level, bot.silent, bot.circuit_breaker, bot.state, bot.api_errors_per_minute)
        for name, bot in health.bots.items()
    }
    return health.level, bots, health.apis

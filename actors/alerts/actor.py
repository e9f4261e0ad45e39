"""The alerts actor: considers every update in order, and commits each alert with its deliveries.

One transaction holds the alert, a delivery for each channel, the debounce state and how far the
journal has been considered, so that a crash at any point neither loses an alert nor decides twice.
While more messages wait, what they decide shares one transaction: a storm costs few fsyncs, and
one alert alone waits for nothing. When the disk refuses, alerts go out from memory and say so.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

import msgspec
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from actors.alerts import controls, disk, ids, outbox, shown, triggers
from actors.alerts.account import Accounts
from actors.alerts.book import Book
from actors.alerts.commands import (
    SILENCES_MAX,
    Acknowledge,
    AddSilence,
    Commit,
    ListSilences,
    NotStored,
    RemoveSilence,
    Silence,
    Unknown,
    checked,
)
from actors.alerts.disk import SILENCES
from actors.alerts.dispatch import HELD_MAX
from actors.alerts.handover import Claims, Handover
from actors.alerts.limits import LimitState
from actors.alerts.step import Moment, Step
from actors.alerts.triggers import Finding, Internal, Limits
from actors.alerts.watch import Own, Watch
from actors.messages import (
    Alert,
    AlertChanged,
    HealthUpdate,
    MetricsUpdate,
    Notice,
    RiskUpdate,
)
from runtime.actor import Actor
from runtime.ref import Declined, Ref
from runtime.store import Store, StoreError, Tx

LOOK_EVERY_S = 1.0
FAILOVERS_MAX = 256  # undelivered criticals that one look goes through, oldest first
TOGETHER_MAX = 256  # messages that one transaction may wait for
BACKLOG_MAX = 1_000
PURGE_EVERY_S = 600.0
DELIVERED_KEPT = timedelta(days=90)

Update = RiskUpdate | MetricsUpdate | HealthUpdate | Internal
Command = Acknowledge | Commit | AddSilence | RemoveSilence | ListSilences


class _Look(msgspec.Struct, frozen=True):
    pass


class _Purge(msgspec.Struct, frozen=True):
    pass


class Left:
    """What a crash leaves to the next incarnation while the disk refuses: nobody else has it."""

    def __init__(self) -> None:
        self.book: Book | None = None
        self.backlog: list[Step] = []


class AlertsActor(Actor[Update | Command | _Look | _Purge]):
    """Decides and commits. `wake` nudges the senders; `handovers` are those of their channels.

    `emergency` bypasses the outbox: a notice straight to the channels named. `own` are the
    operator's own triggers. `refresh` asks metrics and health to tell everything again. `left`
    outlives the incarnations.
    """

    def __init__(
        self,
        store: Store,
        *,
        book: Callable[[], Book],
        limits_of: Callable[[str], Limits],
        broadcaster: Ref[AlertChanged],
        wake: Callable[[], None],
        emergency: Callable[[Notice, list[str]], None],
        own: Sequence[Own] = (),
        refresh: Callable[[], Awaitable[None]] | None = None,
        left: Left | None = None,
        handovers: Mapping[str, Handover] | None = None,
    ) -> None:
        self._store = store
        self._handovers = handovers or {}
        self._book = book()
        self._limits_of = functools.lru_cache(maxsize=triggers.KEYS_KEPT)(limits_of)
        self._broadcaster = broadcaster
        self._wake = wake
        self._emergency = emergency
        self._accounts = Accounts()
        self._watch = Watch(own, lambda key: self._book.holds_any([key]))
        self._refresh = refresh
        self._decided: list[Step] = []
        self._together = 0
        self._backlog: list[Step] = []
        self._degraded = False
        self._left = left or Left()

    async def started(self) -> None:
        """Load what was decided before, or take over what could not be written."""
        clock = self.ctx.clock
        now, tick = clock.now(), clock.monotonic()
        if self._left.book is None:
            await self._store.read(lambda tx: disk.load(self._book, tx, now, tick))
        else:
            self._book, self._backlog, self._degraded = self._left.book, self._left.backlog, True
            self._left.book = None
        self._wake()
        if self._refresh is not None:
            self.ctx.task(self._refresh)  # it may wait for room, where they wait for ours
        self.ctx.every(LOOK_EVERY_S, _Look())
        self.ctx.every(PURGE_EVERY_S, _Purge())

    async def receive(self, message: Update | Command | _Look | _Purge) -> object:
        """Consider an update, obey a command, or look at the clock."""
        if isinstance(message, Update):
            self._consider(message)
            if self._decided:
                self._together += 1
                if not self.ctx.waiting or self._together >= TOGETHER_MAX:
                    await self._commit()
            return None
        if self._decided:
            await self._commit()
        if isinstance(message, _Look):
            await self._look()
        elif isinstance(message, _Purge):
            await self._purge()
        else:
            try:
                return await self._obey(message)
            except StoreError as error:  # a crash would lose what waits for the disk
                raise NotStored(f"the storage failed: {error}") from error
        return None

    def _findings(self, message: Update) -> list[Finding]:
        if isinstance(message, RiskUpdate):
            return self._risks(message) + self._watch.risk(message)
        if isinstance(message, HealthUpdate):
            found = controls.of_health(message, self._limits_of, self._book.holds_any)
            return found + self._watch.health(message)
        if isinstance(message, MetricsUpdate):
            return self._watch.metrics(message)
        return [triggers.of_internal(message)]

    def _consider(self, message: Update) -> None:
        if not isinstance(message, Internal):
            self._accounts.hear(message)
        findings = self._findings(message)
        now, tick = self.ctx.clock.now(), self.ctx.clock.monotonic()
        for finding in findings:  # one by one: should one crash, what others decided is kept
            if finding.band or self._book.holds_any([finding.key]):  # else nobody reads its facts
                finding = self._accounts.completed(finding)  # noqa: PLW2901
            self._decided += self._book.consider([finding], now, tick)
        if isinstance(message, RiskUpdate):
            self._book.at("metrics", message.seq)
        elif isinstance(message, HealthUpdate):
            self._book.at("health", message.seq)

    def _risks(self, message: RiskUpdate) -> list[Finding]:
        """Return the findings of a bot's figures; none where each would be passed over."""
        bounds = self._limits_of(message.bot)
        calm = triggers.is_calm(message.risk, bounds)
        if calm and not self._book.holds_any(triggers.risk_keys(message.bot)):
            return []  # their texts would cost more than all else
        return triggers.of_risk(message, bounds)

    async def stopping(self) -> None:
        """Commit what earlier messages decided and counted, also when a later one has crashed."""
        if self._decided or self._backlog or self._book.dirty:
            await self._commit()
        if self._degraded:
            self._left.book, self._left.backlog = self._book, self._backlog

    # ------------------------------------------------------------ committing

    async def _commit(self) -> None:
        steps, self._decided, self._together = self._decided, [], 0
        told = len(self._backlog)
        self._backlog += steps
        todo = self._backlog
        clock = self.ctx.clock
        now, tick = clock.now(), clock.monotonic()
        claims = self._claims(todo)

        def write(tx: Tx) -> dict[str, Alert]:
            disk.write(self._book, tx, todo, now, tick)
            claims.claim(tx, now.timestamp())
            return shown.changed(tx, todo)

        try:
            changed = await self._store.write(write, ahead=lambda _: claims.foresee())
        except StoreError as error:
            claims.leave()
            self._wake()
            await self._storage_failed(steps, error)
            return
        except BaseException:  # cancelled: what becomes of it, the senders find in the table
            claims.leave()
            raise
        claims.give()
        self._wake()
        self._book.written()
        self._backlog = []
        self._degraded = False
        for _ in claims.jobs and (1, 2):  # to their first byte, then browsers
            await checkpoint()
        for place, step in enumerate(todo):
            new = step.action == "fire" and place >= told
            alert = changed.get(step.alert.id) or shown.fired(step, claims.jobs, now.timestamp())
            await self._broadcaster.tell(AlertChanged(alert, new=new))
        for step in todo:
            if step.after in changed:  # its message may have given way
                await self._broadcaster.tell(AlertChanged(changed[step.after], new=False))

    def _claims(self, steps: list[Step]) -> Claims:
        """Claim in the same transaction for the channels that are idle."""
        if self.ctx.system.stop_asked:
            return Claims(self._handovers, ())
        going = [step for step in steps if step.notice is not None and not step.held]
        channels = dict.fromkeys(channel for step in going for channel in step.channels)
        return Claims(self._handovers, channels)

    async def _storage_failed(self, steps: list[Step], error: StoreError) -> None:
        """Send from memory what cannot be written, and write it later under the same ids."""
        if not self._degraded:
            self._degraded = True
            self.ctx.system.report("storage_failed", self.ctx.name, error)
        for step in steps:
            await self._send_from_memory(step, error)
        if len(self._backlog) > BACKLOG_MAX:  # all are sent; the newest are kept for history
            digest = self._book.digest([], self._backlog, self.ctx.clock.now())
            if digest is not None:
                self._backlog.append(digest)
                await self._send_from_memory(digest, error)
            del self._backlog[: len(self._backlog) - BACKLOG_MAX]

    async def _send_from_memory(self, step: Step, error: StoreError) -> None:
        """Tell channels what goes out now, and browsers everything: history shows it later."""
        alert = step.alert
        if step.notice is not None and not step.held:
            text = f"{step.notice.text} (Storage failed: sent from memory. {error})"[:2_000]
            self._emergency(replace(step.notice, text=text), step.channels)
            alert = replace(alert, text=text)
        await self._broadcaster.tell(AlertChanged(alert, new=step.action == "fire"))

    async def _look(self) -> None:
        clock = self.ctx.clock
        now, tick = clock.now(), clock.monotonic()
        self._decided += self._book.look(now, tick)
        await self._fail_over()
        if self._decided or self._backlog or self._book.dirty:
            await self._commit()
        if self._book.dispatch.digest_due(now):
            await self._digest()

    async def _purge(self) -> None:
        """Forget what was delivered long ago; let what could not be for 72 h join the digest."""
        now = self.ctx.clock.now()
        before = (now - DELIVERED_KEPT).timestamp()

        def purge(tx: Tx) -> LimitState | None:
            tx.queue.purge(before)
            return disk.expire(self._book, tx, now)

        try:
            limit = await self._store.write(purge)
        except StoreError:
            return  # ten minutes later, then
        if limit is not None:
            self._book.dispatch.limit, self._book.held = limit, self._book.held_next

    async def _fail_over(self) -> None:
        """Decide about criticals that no channel has delivered: the oldest, in each look."""
        pressing = [(id_, known.alert) for id_, known in self._book.pressing.items()]
        if not pressing:
            return
        try:
            found = await self._store.read(
                lambda tx: [
                    (id_, outbox.deliveries(tx, alert, id_), outbox.get(tx, alert))
                    for id_, alert in pressing[:FAILOVERS_MAX]
                ]
            )
        except StoreError:  # the disk refuses the read: the next look tries again
            return
        now, tick = self.ctx.clock.now(), self.ctx.clock.monotonic()
        for id_, jobs, alert in found:
            step = self._book.fail_over(id_, jobs, alert, now, tick)
            if step is not None:
                self._decided.append(step)

    async def _digest(self) -> None:
        """Tell what is held; more than 5,000 deliveries take further looks."""
        try:
            jobs = await self._store.read(lambda tx: tx.queue.held(HELD_MAX))
        except StoreError:  # the disk refuses the read: the next look tries again
            return
        now = self.ctx.clock.now()
        step = self._book.digest(jobs, self._backlog, now)
        if step is not None:
            self._decided.append(step)
            await self._commit()

    # ------------------------------------------------------------ commands

    async def _obey(self, command: Command) -> object:
        if isinstance(command, Acknowledge):
            return await self._acknowledge(command)
        if isinstance(command, Commit):
            if self._backlog:
                raise NotStored("what was decided waits for the disk")
            return None
        if isinstance(command, ListSilences):
            return self._silences_in_force()
        if isinstance(command, AddSilence):
            return await self._silence(command)
        if command.id not in self._book.silences:
            raise Unknown(f"there is no silence {command.id[:64]!r}")
        kept = {id_: s for id_, s in self._book.silences.items() if id_ != command.id}
        await self._keep_silences(kept)
        return None

    async def _acknowledge(self, command: Acknowledge) -> Alert:
        book = self._book
        alert = book.open.get(command.alert_id)
        if alert is None:
            known = await self._store.read(lambda tx: outbox.get(tx, command.alert_id))
            if known is None:
                raise Unknown(f"there is no alert {command.alert_id[:64]!r}")
            raise Declined(f"alert {command.alert_id!r} is over")
        at = Moment(self.ctx.clock.now(), self.ctx.clock.monotonic())
        again = alert.state == "acknowledged"
        alert = replace(alert, state="acknowledged", updated=at.now)
        book.open[alert.id] = alert
        for key, state_ in book.states.items():
            if state_.alert == alert.id:
                book.acknowledge(key)
        step = Step("change", alert, None) if again else book.dispatch.acknowledged(alert, at)
        self._decided.append(step)
        await self._commit()
        return alert

    async def _silence(self, command: AddSilence) -> Silence:
        now = self.ctx.clock.now()
        command = checked(command, self._book.policy.triggers, now)
        if len(self._silences_in_force()) >= SILENCES_MAX:
            raise Declined(f"there are {SILENCES_MAX} silences already")
        id_ = ids.new_id(now, max(self._book.silences, default=""))
        silence = Silence(
            id_,
            command.reason,
            command.until,
            now,
            command.trigger,
            command.bot,
            since=command.since,
            hold=command.hold,
        )
        await self._keep_silences(self._book.silences | {id_: silence})
        return silence

    def _silences_in_force(self) -> list[Silence]:
        return self._book.hush.in_force(self.ctx.clock.now())

    async def _keep_silences(self, silences: dict[str, Silence]) -> None:
        data = msgspec.json.encode(list(silences.values()))
        await self._store.write(lambda tx: tx.state.put(SILENCES, data))
        self._book.hush.silences = silences

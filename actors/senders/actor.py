"""The sender: one channel, its own queue, breaker and rate. Persist, then send, then mark.

A crash between the provider's OK and our mark sends once more, with the same id; nothing else
duplicates, and nothing is lost. While the channel is down one probe goes out at a time, the most
urgent and oldest first; another channel's outage is not noticed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from random import Random

import anyio
import msgspec

from actors.alerts import again, outbox, record
from actors.alerts.handover import Handover
from actors.alerts.record import Attempt
from actors.alerts.triggers import Internal
from actors.leaving import Left, brief
from actors.messages import AlertChanged, Notice, SendTest, TestResult, Wake
from actors.senders import retry, wish
from actors.senders.channel import (
    ATTEMPT_S,
    Channel,
    Incidents,
    Prepares,
    Recalls,
    Receipt,
    SendError,
)
from actors.senders.picker import Picker
from actors.senders.rollup import TOGETHER_MAX, Load, is_out, load
from actors.senders.trouble import Trouble
from actors.senders.wish import Wish
from runtime.actor import Actor
from runtime.ref import Ref
from runtime.store import Job, Store, StoreError, Tx
from runtime.timers import Timer

SOON_S = 1.0
EMERGENCY_MAX = 1_000 + TOGETHER_MAX  # what one message told is known whole
TRIM_EVERY = 500
GRACE_S = 2.0
STOP_S = 1.0  # how long an attempt in hand may still take once Sidewatch is to stop
FROM_MEMORY = "sent while storage failed"
STOPS = "no answer before Sidewatch stopped"
KEPT = "channel/"  # in the store's state, by the channel's name


class SendNow(msgspec.Struct, frozen=True):
    """Send from memory: the outbox cannot be written."""

    notice: Notice


def coalesces(message: object) -> object:
    """Key of a sender's mailbox: one Wake is as good as many, and a notice is its own."""
    return type(message) if isinstance(message, Wake) else id(message)


def no_faults(_point: str) -> None:
    """Pass every named point: a test may kill the process there."""


def unnoted(_channel: str, _trouble: str) -> None:
    """Tell nobody how the channel does."""


class SenderActor(Actor[Wake | SendTest | SendNow]):
    """Delivers one channel's queue. `channel` is built anew in each incarnation.

    `note` is told after each attempt why it failed, "" when it did not. `fingerprint` differs once
    the channel's settings do: then what is parked is tried again.
    """

    def __init__(
        self,
        name: str,
        channel: Channel,
        store: Store,
        *,
        alerts: Ref[Internal],
        broadcaster: Ref[AlertChanged],
        random: Random,
        faults: Callable[[str], None] = no_faults,
        note: Callable[[str, str], None] = unnoted,
        fingerprint: str = "",
        handover: Handover | None = None,
    ) -> None:
        self._name = name
        self._handover = handover or Handover()
        self._channel = channel
        self._store = store
        self._broadcaster = broadcaster
        self._random = random
        self._faults = faults
        self._note = note
        self._picker = Picker(name, fingerprint.encode(), incidents=isinstance(channel, Incidents))
        self._breaker = retry.BreakerState()
        self._next_s = float("-inf")
        self._wish: Wish | None = None
        self._timer: Timer | None = None
        self._from_memory: dict[str, str] = {}  # what is out and not marked, with what history says
        self._trouble = Trouble(name, alerts)
        self._prepare = channel.prepare if isinstance(channel, Prepares) else None
        self._foreseen: Load | None = None
        self._attempts = 0

    async def started(self) -> None:
        """Recall what the channel asked to keep; a disk that refuses keeps nobody from starting."""
        self._handover.begin(self._foresee)
        kept, asked = await self._store.read(self._kept)
        if kept is not None and isinstance(self._channel, Recalls):
            self._channel.recall(kept.decode())
        if asked is not None:
            left_s = asked.left_s(self.ctx.clock.now().timestamp())
            self._wish, self._next_s = asked, self.ctx.clock.monotonic() + left_s
        if not self.ctx.ref.offer(Wake()):
            self._wake_at(0.0)  # a tick finds room where a message does not

    def _kept(self, tx: Tx) -> tuple[bytes | None, Wish | None]:
        """What the channel asked to keep, and what its provider: another one has not asked."""
        same = self._picker.knows_settings(tx)
        return tx.state.get(KEPT + self._name), wish.get(tx, self._name) if same else None

    async def receive(self, message: Wake | SendTest | SendNow) -> TestResult | None:
        """Deliver what is due, test the channel, or send from memory."""
        if isinstance(message, SendTest):
            return await self._test(message.notice)
        if isinstance(message, SendNow):
            await self._send_now(message.notice)
            self._look_soon()
            return None
        await self._deliver()
        return None

    # ------------------------------------------------------------ delivering

    async def _deliver(self) -> None:
        """Send one, then come back for the next: others of this mailbox get their turn."""
        clock = self.ctx.clock
        if self.ctx.system.stop_asked:
            return
        if self._handover.taken:
            return  # what commits now claims in our place, and wakes us
        if clock.monotonic() < self._next_s:
            self._wake_at(self._next_s - clock.monotonic())
            return
        given, foreseen = self._handover.fetch(), self._foreseen
        self._foreseen = None
        if given is not None and foreseen is not None and foreseen.jobs[0] is given:
            carried: Load | None = foreseen
        else:
            jobs = [given] if given is not None else await self._next_jobs()
            carried = load(jobs) if jobs else None
        if carried is not None:
            await self._attempt(carried)
            self._wake_at(max(0.0, self._next_s - clock.monotonic()))

    def _foresee(self, job: Job) -> None:
        """Make the message of what is given next, while the disk still works at it."""
        carried = load([job])
        if self._prepare is not None:
            self._prepare(carried.notice)
        self._foreseen = carried

    async def _next_jobs(self) -> list[Job]:
        """Claim for one message; where nothing is due, wake for the next one that will be."""
        now, tick = self.ctx.clock.now().timestamp(), self.ctx.clock.monotonic()
        doubt, picker = self._handover.clear_doubt(), self._picker
        picker.unmarked = picker.unmarked or doubt
        down = self._breaker.down_since is not None
        rate_s, out = self._channel.rate_s, self._from_memory
        try:
            # No fsync: a claim that a power cut takes back is what the next start does anyway.
            jobs, due = await self._store.note(
                lambda tx: picker.pick(tx, now, tick, rate_s, out, down=down)
            )
        except StoreError as error:
            self.ctx.system.report("storage_failed", self.ctx.name, error)
            self._wake_at(1.0)
            return []
        picker.picked(jobs, due)
        if not jobs:
            self._handover.open()
            if due is not None:
                self._wake_at(max(0.05, due - now))
        return jobs

    def _wake_at(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.ctx.after(delay_s, Wake())

    def _look_soon(self) -> None:
        """See to it that the outbox is looked into: a Wake may have found no room meanwhile."""
        known = self._timer
        if known is None or not known.alive or known.due > anyio.current_time() + SOON_S:
            self._wake_at(0.0)

    async def _attempt(self, carried: Load) -> None:
        clock = self.ctx.clock
        began = clock.monotonic()
        if is_out(outbox.notice_of(carried.jobs[0]), self._from_memory):
            await self._delivered(carried, FROM_MEMORY, 0.0)
            return
        self._faults("sender.claimed")
        try:
            receipt = await self._send(carried.notice)
        except SendError as error:
            self._faults("sender.failed")
            await self._failed(carried, error, (clock.monotonic() - began) * 1_000)
            return
        except Left:
            return  # it stays in flight, and the next start sends it again
        self._faults("sender.sent")
        self._next_s = clock.monotonic() + self._channel.rate_s
        await self._recovered()
        await self._delivered(carried, receipt.detail, (clock.monotonic() - began) * 1_000)
        self._faults("sender.marked")

    async def _send(self, notice: Notice) -> Receipt:
        """Make one attempt; a channel that forgets its own deadline of 10 s is held to ours.

        Raises Left where the attempt was cut short by a stop: whether it arrived is not known.
        """
        try:
            with brief(self.ctx.system, ATTEMPT_S + GRACE_S, STOP_S):
                return await self._channel.send(notice)
        except TimeoutError:
            limit_s = ATTEMPT_S + GRACE_S
        raise SendError(f"no answer within {limit_s:g} s", permanent=False)

    async def _delivered(self, carried: Load, answer: str, ms: float) -> None:
        now = self.ctx.clock.now().timestamp()

        def mark(tx: Tx, job: Job) -> None:
            notice = outbox.notice_of(job)
            out = is_out(notice, self._from_memory)
            detail = self._from_memory[outbox.newest(notice)] if out else carried.detail(answer)
            tx.queue.done(job.topic, job.id, now, detail)

        if not await self._mark(mark, carried, answer, ms, ok=True):
            for job in carried.jobs:
                notice = outbox.notice_of(job)
                self._remember(notice.id, carried.detail(FROM_MEMORY))
                self._remember(outbox.newest(notice), carried.detail(FROM_MEMORY))

    def _remember(self, id_: str, detail: str) -> None:
        """Keep in mind that a notice is out, whatever the disk says."""
        self._from_memory.setdefault(id_, detail)
        if len(self._from_memory) > EMERGENCY_MAX:
            del self._from_memory[next(iter(self._from_memory))]

    async def _failed(self, carried: Load, error: SendError, ms: float) -> None:
        clock = self.ctx.clock
        stamp = clock.now()
        parks = error.permanent and len(carried.jobs) == 1
        if error.permanent and not parks:
            self._picker.one_by_one = True  # what is refused together may be taken by itself
        self._note(self._name, error.reason)
        if error.permanent:
            self._next_s = clock.monotonic() + self._channel.rate_s
        else:
            self._breaker, delay_s = retry.after_failure(
                self._breaker,
                stamp,
                error.retry_after_s,
                self._random.random(),
                error=error.reason,
            )
            self._next_s = clock.monotonic() + delay_s
        wait_s = max(0.0, self._next_s - clock.monotonic())
        due = (stamp + timedelta(seconds=wait_s)).timestamp()
        self._wish = None if error.retry_after_s is None else Wish(due, wait_s)

        def mark(tx: Tx, job: Job) -> None:
            if parks:
                again.park(tx, job, stamp.timestamp(), error.reason)
            else:
                tx.queue.retry(job.topic, job.id, stamp.timestamp(), due, error.reason)
                again.reunite(tx, job.group, job.topic, stamp.timestamp())

        await self._mark(mark, carried, error.reason, ms, ok=False)
        if parks or not error.permanent:
            await self._trouble.failed(error, self._breaker.probes)

    def _record(self, tx: Tx, job: Job, answer: str, ms: float, *, ok: bool) -> None:
        notice = outbox.notice_of(job)
        attempt = Attempt(
            notice.id, notice.alert_id, self._name, job.attempts, ok, answer, round(ms, 2)
        )
        record.append(tx, attempt, self.ctx.clock.now().timestamp())
        self._attempts += 1
        if self._attempts % TRIM_EVERY == 0:
            tx.journal.trim(record.STREAM, record.KEPT)

    async def _mark(
        self, mark: Callable[[Tx, Job], None], carried: Load, answer: str, ms: float, *, ok: bool
    ) -> bool:
        """Write what became of each job, with its attempt; say whether that is on disk."""

        def all_of_it(tx: Tx) -> None:
            for job in carried.jobs:
                mark(tx, job)
                self._record(tx, job, answer, ms, ok=ok)
            self._keep(tx)

        try:
            await self._store.write(all_of_it)
        except StoreError as error:
            # It stays claimed until storage works again; a restart before that sends once more.
            self._picker.unmarked = True
            self.ctx.system.report("storage_failed", self.ctx.name, error)
            return False
        await self._show(dict.fromkeys(job.group for job in carried.jobs))
        return True

    async def _show(self, ids: Iterable[str]) -> None:
        """Tell browsers; where the read fails they see it when they ask next."""
        try:
            alerts = await self._store.read(lambda tx: [outbox.view(tx, id_) for id_ in ids])
        except StoreError as error:  # a crash would forget what went out from memory
            self.ctx.system.report("storage_failed", self.ctx.name, error)
            return
        for alert in alerts:
            if alert is not None:
                await self._broadcaster.tell(AlertChanged(alert, new=False))

    def _keep(self, tx: Tx) -> None:
        """Store what the channel has learnt, such as where its chat has moved."""
        wish.put(tx, self._name, self._wish)
        if isinstance(self._channel, Recalls):
            kept = self._channel.kept.encode()
            if kept != (tx.state.get(KEPT + self._name) or b""):
                tx.state.put(KEPT + self._name, kept)

    # ------------------------------------------------------------ trouble

    async def _recovered(self, *, revived: bool = False) -> None:
        self._note(self._name, "")
        self._wish = None
        self._breaker = retry.after_success(self._breaker)
        await self._trouble.over(revived=revived)

    async def _test(self, notice: Notice) -> TestResult:
        """Send through the real channel; a success tries parked work again."""
        clock = self.ctx.clock
        began = clock.monotonic()
        self._handover.shut()
        try:
            receipt = await self._send(notice)
        except SendError as error:
            self._wake_at(0.0)
            await self._store.try_write(self._keep)
            return TestResult(False, error.reason, round((clock.monotonic() - began) * 1_000, 2))
        except Left:
            return TestResult(False, STOPS, round((clock.monotonic() - began) * 1_000, 2))
        ms = round((clock.monotonic() - began) * 1_000, 2)
        self._next_s = clock.monotonic() + self._channel.rate_s
        await self._recovered(revived=True)
        now = clock.now().timestamp()

        def revive(tx: Tx) -> None:
            again.revive(tx, self._name, now)
            self._keep(tx)

        if not await self._store.try_write(revive):
            self.ctx.system.report("storage_failed", self.ctx.name, "parked work stays parked")
        self._wake_at(self._channel.rate_s)
        return TestResult(True, receipt.detail, ms)

    async def _send_now(self, notice: Notice) -> None:
        try:
            await self._send(notice)
        except (SendError, Left) as error:
            self.ctx.system.report("emergency_failed", self.ctx.name, error)
            return
        self._remember(notice.id, FROM_MEMORY)

    async def stopping(self) -> None:
        """Give the channel's connections back."""
        self._handover.begin()
        await self._channel.close()

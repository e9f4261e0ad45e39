"""The book on disk: read back at a start, written in the one transaction of its steps.

Instants are monotonic seconds in memory and stamps on disk, so that a restart shifts them.
"""

from __future__ import annotations

import math
from datetime import datetime

import msgspec
from msgspec.structs import replace

from actors.alerts import again, digest, expiry, limits, outbox
from actors.alerts.book import Book
from actors.alerts.commands import Silence
from actors.alerts.debounce import TriggerState
from actors.alerts.dispatch import HELD_MAX
from actors.alerts.failover import Pressing
from actors.alerts.limits import LimitState
from actors.alerts.step import Step
from actors.alerts.triggers import Finding
from actors.messages import Notice
from actors.place import cursor_key
from runtime.store import Job, Tx

STATE = "trigger/"
LAST_DIGEST = "digest/"
LIMIT = "limit"
SILENCES = "silences"
PRESSING_MAX = 5_000  # criticals of one channel that a start knows again as undelivered


class _Kept(TriggerState, frozen=True):
    """A trigger's state on the disk, with the finding that the clock may still decide about.

    `told` is how many messages its open alert has had.
    """

    finding: Finding | None = None
    told: int = 0


def load(book: Book, tx: Tx, now: datetime, tick: float) -> None:
    """Read everything back. Stamps become this process's monotonic seconds again."""
    shift = tick - now.timestamp()
    for key, data in tx.state.scan(STATE, 100_000):
        key = key.removeprefix(STATE)  # noqa: PLW2901
        kept = msgspec.json.decode(data, type=_Kept)
        trigger, bot, _ = key.split("|", 2)
        quiet = min(kept.quiet_until + shift, tick + book.policy.debounce(trigger, bot))
        cycles = tuple(min(at + shift, tick) for at in kept.cycles)
        state = msgspec.convert(kept, TriggerState, from_attributes=True)
        state = replace(
            state,
            quiet_until=quiet,
            cycles=cycles,
            counted_since=min(kept.counted_since + shift, tick) if kept.suppressed else 0.0,
            chase=kept.chase.shifted(shift, tick) if kept.chase is not None else None,
        )
        alert = outbox.get(tx, state.alert) if state.alert else None
        if alert is not None:
            book.open[alert.id] = alert
            _recall(book, alert.id, tx.queue.group(alert.id), kept.told)
        elif state.alert:  # it was too much for the backlog of a failing disk
            state = replace(state, alert="", flapping=False, chase=None)
        event = outbox.get(tx, state.event) if state.event else None
        if event is not None:
            book.dispatch.events[event.id] = event
            _recall(book, event.id, tx.queue.group(event.id), kept.told)
        elif state.event:
            state = replace(state, event="")
        book.states[key] = state
        if kept.finding is not None:
            book.last[key] = kept.finding
    _load_limit(book, tx)
    silences = tx.state.get(SILENCES)
    for silence in msgspec.json.decode(silences, type=list[Silence]) if silences else ():
        book.silences[silence.id] = silence
    for key, _ in tx.state.scan(outbox.PREFIX, 1, newest=True):
        book.dispatch.last_id = key.removeprefix(outbox.PREFIX)
    _press(book, tx, now.timestamp(), tick)


def _load_limit(book: Book, tx: Tx) -> None:
    """Read the hourly limit; how many are held says the queue itself, as far as it is read."""
    limit = tx.state.get(LIMIT)
    if limit is not None:
        book.dispatch.limit = msgspec.json.decode(limit, type=LimitState)
    jobs = tx.queue.held(HELD_MAX)
    if len(jobs) < HELD_MAX:
        ids = {outbox.notice_of(job).id for job in jobs}
        book.dispatch.limit = replace(book.dispatch.limit, held=len(ids))
    book.held = book.dispatch.limit.held


def _is_on(state: TriggerState) -> bool:
    """Whether the clock may still decide about a key."""
    return state.holds or state.flapping or bool(state.event)


def _press(book: Book, tx: Tx, stamp: float, tick: float) -> None:
    """Know again which criticals nobody has got, and for how long."""
    for channel in book.policy.enabled:
        for job in tx.queue.undone(channel, outbox.PRIORITY["critical"], PRESSING_MAX):
            notice = outbox.notice_of(job)
            if notice.kind in ("resolved", "acknowledged"):
                continue
            waited_s = min(max(stamp - job.created, 0.0), book.failover.after_s)
            known = book.pressing.get(notice.id)
            since = max(tick - waited_s, known.since if known is not None else -math.inf)
            book.pressing[notice.id] = Pressing(job.group, since)


def _recall(book: Book, alert_id: str, jobs: list[Job], told: int) -> None:
    """Know again how many messages an alert had, and where they went."""
    ids = [outbox.notice_of(job).id for job in jobs]
    if ids:
        book.dispatch.numbers[alert_id] = max(told, *(int(i.rpartition(".")[2]) for i in ids))
        book.dispatch.went[alert_id] = {job.topic for job in jobs}


def write(book: Book, tx: Tx, steps: list[Step], now: datetime, tick: float) -> None:
    """Write steps with the states that led to them, and the cursors, all in one."""
    book.held_next = book.held
    for step in steps:
        book.held_next = max(0, _write_step(book, tx, step, now.timestamp(), tick))
    shift = now.timestamp() - tick
    for key in book.unsaved:
        state = book.states[key]
        quiet = max(state.quiet_until + shift, 0.0)
        kept = replace(
            msgspec.convert(state, _Kept, from_attributes=True),
            quiet_until=quiet,
            cycles=tuple(at + shift for at in state.cycles),
            counted_since=state.counted_since + shift if state.suppressed else 0.0,
            chase=state.chase.shifted(shift) if state.chase is not None else None,
            finding=book.last.get(key) if _is_on(state) else None,
            told=book.dispatch.numbers.get(state.alert or state.event, 0),
        )
        tx.state.put(STATE + key, msgspec.json.encode(kept))
    limit = replace(book.dispatch.limit, held=book.held_next)
    tx.state.put(LIMIT, msgspec.json.encode(limit))
    if book.hush.changed:
        tx.state.put(SILENCES, msgspec.json.encode(list(book.silences.values())))
    for reader, seq in book.cursors.items():
        tx.state.put(cursor_key(reader), str(seq).encode())


def expire(book: Book, tx: Tx, now: datetime) -> LimitState | None:
    """Let what nobody could deliver for too long join the digest; returns the limit then."""
    stamp = now.timestamp()
    joined = expiry.expire(tx, book.policy.enabled, stamp, book.policy.incidents)
    if not joined:
        return None
    limit = limits.hold(book.dispatch.limit, stamp, messages=joined)
    book.held_next = book.held + joined
    tx.state.put(LIMIT, msgspec.json.encode(replace(limit, held=book.held_next)))
    return limit


def _write_step(book: Book, tx: Tx, step: Step, stamp: float, tick: float) -> int:
    """Write one step; returns how many messages are held then, which its own message says."""
    held = book.held_next
    if step.action != "failover":  # another step of these may know the alert better
        outbox.put(tx, step.alert)
    if step.action == "change":
        outbox.acknowledge(tx, step.alert.id)
    if step.notice is None:
        return held
    held -= len({id_.rpartition("/")[0] for _, id_ in step.told})
    notice = replace(step.notice, held=held)
    if step.action == "resolve":
        held += _write_end(book, tx, step, notice, stamp)
    elif step.action == "repeat":
        held += outbox.repeat(tx, notice, step.channels, stamp, why_held=step.why_held)
    elif step.held:
        outbox.enqueue(tx, notice, step.channels, stamp, held=True, detail=step.why_held)
        held += 1
    else:
        _write_going(book, tx, step, notice, stamp)
    for topic, id_ in step.told:
        tx.queue.done(topic, id_, stamp, f"told in digest {step.alert.id}")
    if step.pressing and step.action != "failover":
        waits = [tick, *(p.since for p in book.pressing.values() if p.alert == step.after)]
        book.pressing[notice.id] = Pressing(step.alert.id, min(waits))
    return held


def _write_end(book: Book, tx: Tx, step: Step, notice: Notice, stamp: float) -> int:
    """Queue an alert's end; returns how many messages more are held."""
    return outbox.resolve(
        tx,
        notice,
        again.over(notice),
        book.policy.enabled,
        stamp,
        why_held=step.why_held,
        incidents=book.policy.incidents,
        closes=step.closes,
    )


def _write_going(book: Book, tx: Tx, step: Step, notice: Notice, stamp: float) -> None:
    """Queue what goes now, and is neither the end of an alert nor a repeat."""
    if step.action == "failover":
        outbox.fail_over(tx, notice, step.channels, stamp)
    elif step.alert.trigger == "digest":
        _write_digest(tx, step, notice, stamp)
    elif step.after:
        incidents = book.policy.incidents
        again.enqueue(tx, notice, step.channels, step.after, stamp, incidents=incidents)
    else:
        outbox.enqueue(tx, notice, step.channels, stamp, held=False)


def _write_digest(tx: Tx, step: Step, whole: Notice, stamp: float) -> None:
    """Tell what was held: within the digest that still waits on a channel, if one does.

    So a channel that is down for a day owes one digest, not one for each hour.
    """
    for channel in step.channels:
        notice = replace(step.parts.get(channel, whole), held=whole.held)
        outbox.enqueue(tx, notice, [channel], stamp, held=False)
        own = outbox.job_id(notice, channel)
        last = tx.state.get(LAST_DIGEST + channel)
        waits = tx.queue.get(channel, last.decode()) if last is not None else None
        urgency = outbox.PRIORITY[notice.severity]
        if waits is not None and waits.id == own:
            continue
        if waits is not None and waits.state == "queued" and waits.priority >= urgency:
            first = outbox.notice_of(waits)
            merged = digest.merged(first, notice)
            tx.queue.replace(channel, waits.id, msgspec.json.encode(merged))
            tx.queue.done(channel, own, stamp, f"told in {first.id}")
        else:
            tx.state.put(LAST_DIGEST + channel, own.encode())

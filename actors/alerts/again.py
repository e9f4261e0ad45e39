"""Again: an alert that is back before its last end was told is one message where that waits.

Where nobody has heard of the earlier one, its message ("... (over)") gives way to the new one,
which counts it. Where its beginning was delivered its end is told first: both are true, in that
order. A more urgent one never gives way to a less urgent one.

An alert that ends while a message of it is in hand has its end queued beside it. Should that
attempt fail, the sender makes the two one message again, in the transaction that puts it back.
"""

from __future__ import annotations

from collections.abc import Container

from msgspec.structs import replace

from actors.alerts import outbox
from actors.alerts.debounce import TriggerState
from actors.alerts.triggers import Finding
from actors.messages import Notice
from runtime.store import Job, Tx


def earlier(before: TriggerState, finding: Finding, now: float, debounce_s: float) -> str:
    """Return the alert that a finding continues: it ended within the debounce; else nothing.

    A turn of a switch is told by itself, each of them. `now` is monotonic seconds.
    """
    if finding.transition or not before.cycles or now - before.cycles[-1] >= debounce_s:
        return ""
    return before.ended


def enqueue(
    tx: Tx,
    notice: Notice,
    channels: list[str],
    before: str,
    now: float,
    *,
    incidents: Container[str] = frozenset(),
) -> None:
    """Queue a notice on each channel, in the place of what still waits about the alert before."""
    known = outbox.get(tx, before)
    span_s = (notice.at - known.opened).total_seconds() if known is not None else 0.0
    jobs = tx.queue.group(before)
    for channel in channels:
        own = [job for job in jobs if job.topic == channel]
        job = next((job for job in own if _gives_way(job, notice)), None)
        if job is None or _is_heard_of(own, incident=channel in incidents):
            outbox.enqueue(tx, notice, [channel], now, held=False)
            continue
        told = _counting(outbox.notice_of(job), notice, max(0.0, span_s))
        outbox.enqueue(tx, told, [channel], now, held=False)
        tx.queue.done(channel, job.id, now, f"told in {notice.id}")


def _is_heard_of(jobs: list[Job], *, incident: bool) -> bool:
    """Say whether an alert was told on a channel, so that its end is told, too.

    Where that keeps an incident of it, a message that seems to have failed may have opened that.
    """
    delivered = any(job.state == "done" and job.attempts for job in jobs)
    return delivered or (incident and outbox.may_be_known(jobs))


def park(tx: Tx, job: Job, now: float, why: str) -> None:
    """Park what was refused for good; what ended meanwhile says so, should it ever go."""
    tx.queue.dead(job.topic, job.id, now, why)
    if outbox.notice_of(job).kind not in outbox.TELLING:
        return
    notices = (outbox.notice_of(j) for j in tx.queue.group(job.group) if j.topic == job.topic)
    end = next((notice for notice in notices if notice.kind == "resolved"), None)
    if end is not None:
        outbox.fold_parked(tx, [job], over(end), now)


def put_back(tx: Tx, channel: str, now: float) -> None:
    """Queue again what a channel had in hand and nobody has any more."""
    tx.queue.release_inflight(now, channel)
    _reunite_all(tx, channel, now)


def revive(tx: Tx, channel: str, now: float) -> None:
    """Queue again what a channel has refused."""
    tx.queue.revive(channel, now)
    _reunite_all(tx, channel, now)


def _reunite_all(tx: Tx, channel: str, now: float) -> None:
    for alert_id in tx.queue.tried(channel):
        reunite(tx, alert_id, channel, now)


def reunite(tx: Tx, alert_id: str, channel: str, now: float) -> None:
    """Make one message of an alert's end and of what it follows, where that has failed.

    Whether the provider had taken it all the same need not be known: both are true, and what tells
    the end as well goes by another id.
    """
    jobs = [job for job in tx.queue.group(alert_id) if job.topic == channel]
    end = next((job for job in jobs if _is_end(job)), None)
    if end is None:
        return
    failed = [job for job in jobs if job.state == "queued" and job.attempts and job.id != end.id]
    failed = [job for job in failed if not outbox.overtaken(tx, job, now)]
    if failed:
        whole = outbox.notice_of(end)
        whole = replace(
            whole if whole.over else over(whole), suppressed=whole.suppressed + whole.fresh
        )
        told = outbox.fold(tx, failed, whole, now)
        tx.queue.done(channel, end.id, now, outbox.told_in(told))


def over(end: Notice) -> Notice:
    """Return the message of an alert's end as one that tells its beginning, too."""
    return replace(end, kind="fired", title=f"{end.title} (over)", over=True)


def _is_end(job: Job) -> bool:
    if job.state != "queued":
        return False
    notice = outbox.notice_of(job)
    return notice.over or notice.kind == "resolved"


def _gives_way(job: Job, notice: Notice) -> bool:
    urgent = job.priority > outbox.PRIORITY[notice.severity]
    return job.state == "queued" and not urgent and outbox.notice_of(job).over


def _counting(first: Notice, notice: Notice, span_s: float) -> Notice:
    return replace(
        notice,
        suppressed=notice.suppressed + first.suppressed + first.fresh,
        span_s=span_s + first.span_s,
        worst=notice.worst or first.worst,
    )

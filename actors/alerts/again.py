"""Again: an alert that is back before its last end was told is one message where that waits.

Where nobody has heard of the earlier one, its message ("... (over)") gives way to the new one,
which counts it. Where its beginning was delivered its end is told first: both are true, in that
order. A more urgent one never gives way to a less urgent one.
"""

from __future__ import annotations

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


def enqueue(tx: Tx, notice: Notice, channels: list[str], before: str, now: float) -> None:
    """Queue a notice on each channel, in the place of what still waits about the alert before."""
    known = outbox.get(tx, before)
    span_s = (notice.at - known.opened).total_seconds() if known is not None else 0.0
    waiting = {job.topic: job for job in tx.queue.group(before) if _gives_way(job, notice)}
    for channel in channels:
        job = waiting.get(channel)
        if job is None:
            outbox.enqueue(tx, notice, [channel], now, held=False)
            continue
        told = _counting(outbox.notice_of(job), notice, max(0.0, span_s))
        outbox.enqueue(tx, told, [channel], now, held=False)
        tx.queue.done(channel, job.id, now, f"told in {notice.id}")


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

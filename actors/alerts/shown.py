"""Shown: an alert with its deliveries, as history has it, right after it was committed.

What only fired is known without reading it back; a storm of alerts would cost twice as much else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from actors.alerts import outbox
from actors.alerts.step import Step
from actors.messages import Alert, Delivery, DeliveryState, Notice
from runtime.store import Job, Tx


def changed(tx: Tx, steps: Sequence[Step]) -> dict[str, Alert]:
    """Read the alerts that had messages before, or more than one step, by their ids.

    And those that others continue: a message of theirs may have given way.
    """
    times = Counter(step.alert.id for step in steps)
    ids = {step.alert.id for step in steps if times[step.alert.id] > 1 or not _is_new(step)}
    ids |= {step.after for step in steps if step.after}
    found = ((id_, outbox.view(tx, id_)) for id_ in ids)
    return {id_: alert for id_, alert in found if alert is not None}


def fired(step: Step, claimed: Mapping[str, Job], stamp: float) -> Alert:
    """Return a new alert with what was queued at `stamp`, `claimed` (by channel) in flight."""
    notice = step.notice
    if notice is None:
        return step.alert
    at = datetime.fromtimestamp(stamp, UTC)
    queued: DeliveryState = "held" if step.held else "queued"
    waiting = Delivery("", notice.kind, queued, 0, step.why_held, at, None if step.held else at)
    deliveries = [
        replace(waiting, channel=channel, state="inflight", attempts=1, due=None)
        if _is_job(claimed.get(channel), notice, channel)
        else replace(waiting, channel=channel)
        for channel in sorted(step.channels)
    ]
    return replace(step.alert, deliveries=deliveries)


def _is_new(step: Step) -> bool:
    return step.action == "fire" and step.alert.trigger != "digest"


def _is_job(job: Job | None, notice: Notice, channel: str) -> bool:
    return job is not None and job.id == outbox.job_id(notice, channel)

"""Expiry: what is not critical and waits too long for its channel joins the digest."""

from __future__ import annotations

from collections.abc import Container

from actors.alerts import outbox
from runtime.store import Job, Tx

EXPIRES_S = 259_200.0  # 72 h; a critical never expires
EXPIRED_MAX = 1_000
EXPIRED = "undelivered for 72 h"
OWED_S = 60.0
OWED_MAX = 10  # messages that are not critical and wait longer than a minute, a channel
OWED = "held while a channel was down"
ALONE = frozenset({"digest", "acknowledged"})  # kinds that join no digest


def expire(tx: Tx, channels: list[str], now: float, incidents: Container[str] = frozenset()) -> int:
    """Let what is not critical join the digest where a channel is down; returns how many more.

    That is what was undelivered for 72 h, and the oldest of more than a channel should owe: it
    takes one message a second, and its owner wants to know soon after its return.
    """
    held = 0
    for channel in channels:
        waiting = tx.queue.stale(channel, now - OWED_S, outbox.PRIORITY["critical"], EXPIRED_MAX)
        waiting = [job for job in waiting if outbox.notice_of(job).kind not in ALONE]
        if channel in incidents:  # no digest closes one
            waiting = [job for job in waiting if not _closes(tx, job)]
        for place, job in enumerate(waiting):
            old = job.created < now - EXPIRES_S
            if old or place < len(waiting) - OWED_MAX:
                held += job.id.rpartition("/")[0] not in outbox.held_ids(tx.queue.group(job.group))
                tx.queue.hold(channel, job.id, now, EXPIRED if old else OWED)
    return held


def _closes(tx: Tx, job: Job) -> bool:
    """Say whether waiting work closes an incident that may be open."""
    notice = outbox.notice_of(job)
    if not notice.over:
        return notice.kind == "resolved"
    return outbox.may_be_known([one for one in tx.queue.group(job.group) if one.topic == job.topic])

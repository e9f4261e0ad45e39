"""Failover, decided purely: when a critical that no channel has delivered goes to the next one.

15 s after the last channel was asked; at once where every channel asked has parked it, or has
been told to wait longer than what is left of those 15 s. What was asked stays asked: a channel that
comes back delivers, too. The deliveries themselves are the memory, so a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from runtime.store import Job

AFTER_S = 15.0


class Plan(Struct, frozen=True):
    """Where a critical goes next, in order, after how many seconds; 0: nowhere."""

    order: list[str] = []
    after_s: float = AFTER_S

    def after(self, jobs: Sequence[Job]) -> list[str]:
        """Return the channels that have not been asked to deliver this notice."""
        asked = {job.topic for job in jobs}
        return [channel for channel in self.order if channel not in asked] if self.after_s else []


class Pressing(Struct, frozen=True):
    """A critical notice that no channel has delivered; `since` is monotonic seconds.

    `asked` are the channels that it has gone over to in this process, on disk or not yet.
    """

    alert: str
    since: float
    asked: tuple[str, ...] = ()


def over(jobs: Sequence[Job], plan: Plan) -> bool:
    """Say whether nothing is left to decide about a notice's deliveries, ever."""
    return any(job.state == "done" for job in jobs) or not jobs or not plan.after(jobs)


def due(jobs: Sequence[Job], plan: Plan, waited_s: float, now: float) -> str | None:
    """Return the channel to which a notice goes now, None while it may wait.

    `jobs` are its deliveries, `waited_s` how long ago the last of them was asked for, `now` unix
    seconds, as in `Job.due`.
    """
    if over(jobs, plan):
        return None
    deadline = now + max(0.0, plan.after_s - waited_s)
    if waited_s >= plan.after_s or all(_hopeless(job, deadline) for job in jobs):
        return plan.after(jobs)[0]
    return None


def _hopeless(job: Job, deadline: float) -> bool:
    return job.state == "dead" or (job.state == "queued" and job.due > deadline)


def remark(jobs: Sequence[Job]) -> str:
    """Say in the message why it comes this way."""
    asked = [f"{job.topic} ({job.detail or 'no answer yet'})" for job in jobs]
    return f"Failover: not delivered by {', '.join(asked)}"

"""Roll-up: where more waits than a channel takes soon, one message tells several, each by name.

Nothing is hidden: each has a line with the short id of its alert, oldest first, and none is marked
before the message is delivered. A digest, which is one already, goes by itself.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from msgspec.structs import replace

from actors.alerts import outbox
from actors.messages import Notice
from actors.senders.wording import fit, one_line
from runtime.store import Job

ALONE_S = 20.0  # as many as a channel takes in this time go one by one
TOGETHER_MAX = 20
CHARS_MAX = 1_500  # what each channel has room for below a title
LINE_CHARS_MAX = 150
TOLD = "told in roll-up "


class Load(NamedTuple):
    """What one attempt carries: a message, and the jobs that it delivers."""

    notice: Notice
    jobs: list[Job]

    def detail(self, answer: str) -> str:
        """Return what history says of each job once it is delivered."""
        return answer if len(self.jobs) == 1 else f"{TOLD}{self.notice.id}"


def alone_max(rate_s: float) -> int | None:
    """Return how many messages may wait and still go one by one; None: any number."""
    return max(1, math.floor(ALONE_S / rate_s)) if rate_s else None


def together(jobs: list[Job], sent: Iterable[str]) -> list[Job]:
    """Choose which jobs one message tells: the first, and what else is as urgent and has room.

    `sent` are the ids of messages that are out already and only need their mark.
    """
    notices = {job.id: outbox.notice_of(job) for job in jobs}
    known = set(sent)
    fitting = [
        job
        for job in jobs
        if job.priority == jobs[0].priority
        and notices[job.id].kind != "digest"
        and notices[job.id].id not in known
    ]
    if not fitting or fitting[0] is not jobs[0]:
        return jobs[:1]
    sizes = accumulate(len(_line(notices[job.id])) + 1 for job in fitting)
    return [job for job, size in zip(fitting, sizes, strict=True) if size <= CHARS_MAX]


def load(jobs: list[Job]) -> Load:
    """Make one message of what was claimed together."""
    notices = [outbox.notice_of(job) for job in jobs]
    return Load(notices[0] if len(notices) == 1 else _rolled_up(notices), jobs)


def _rolled_up(notices: list[Notice]) -> Notice:
    """Return one notice for several of one severity; its id is the same for the same ones."""
    first = notices[0]
    ids = ",".join(notice.id for notice in notices)
    return replace(
        first,
        id=f"{first.id}-{hashlib.sha256(ids.encode()).hexdigest()[:12]}",
        kind="digest",
        bot="",
        trigger="digest",
        title=f"{len(notices)} {first.severity} messages that waited for this channel",
        text="\n".join(_line(notice) for notice in notices),
        facts=[],
        remarks=[],
        suppressed=sum(notice.suppressed for notice in notices),
        span_s=0.0,
        worst="",
        held=notices[-1].held,
        url=first.url.partition("#")[0],
        over=False,
    )


def _line(notice: Notice) -> str:
    over = " (over)" if notice.kind == "resolved" else ""
    said = " · ".join(part for part in (one_line(notice.bot), one_line(notice.title)) if part)
    head, tail = f"{notice.at:%H:%M:%S} ", f"{over} [{one_line(notice.alert_id)}]"
    return f"{head}{fit(said, LINE_CHARS_MAX - len(head) - len(tail))}{tail}"

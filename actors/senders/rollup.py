"""Roll-up: where more waits than a channel takes soon, one message tells several of one severity.

Nothing is hidden: oldest first, each has a line with the short id of its alert as far as there is
room, and the rest is counted by trigger, with the worst of each and the time that it spans. None is
marked before the message is delivered. A digest, which is one already, goes by itself.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container
from datetime import UTC, datetime
from itertools import accumulate, takewhile
from typing import NamedTuple

from msgspec.structs import replace

from actors.alerts import outbox
from actors.messages import Notice
from actors.senders.channel import sent_as
from actors.senders.wording import fit, one_line
from runtime.store import Job

OUT_S = 20.0  # everything that waits goes out in this time: one by one where that suffices
NAMED_MAX = 20
TOGETHER_MAX = 2_000  # so a channel of one message a second takes 40,000 in that time
CHARS_MAX = 1_500  # what each channel has room for below a title
NAMED_CHARS_MAX = 650  # of which, where others are counted below
LINE_CHARS_MAX = 150
KINDS_MAX = 7
KIND_CHARS_MAX = 100
TOLD = "told in roll-up "


class Load(NamedTuple):
    """What one attempt carries: a message, and the jobs that it delivers."""

    notice: Notice
    jobs: list[Job]

    def detail(self, answer: str) -> str:
        """Return what history says of each job once it is delivered."""
        return answer if len(self.jobs) == 1 else f"{TOLD}{self.notice.id}"


class Pace:
    """How many one message must tell, so that all that wait are out 20 s after they are many."""

    def __init__(self) -> None:
        self._out_by: float | None = None

    def over(self) -> None:
        """Note that nothing waits, or that nothing gets through."""
        self._out_by = None

    def least(self, waiting: int, now_s: float, rate_s: float) -> int:
        """Return how many of `waiting`; 1: they may go one by one. `now_s` is monotonic."""
        if not rate_s:
            return 1
        out_by = now_s + OUT_S if self._out_by is None else self._out_by
        messages = max(1, math.floor((out_by - now_s) / rate_s))
        if waiting > messages:
            self._out_by = out_by
        return min(max(1, math.ceil(waiting / messages)), TOGETHER_MAX)


def is_out(notice: Notice, sent: Container[str]) -> bool:
    """Whether a message is out already, and what is told within it as well."""
    return notice.id in sent and outbox.newest(notice) in sent


def together(jobs: list[Job], sent: Container[str], least: int = 1) -> list[Job]:
    """Choose which jobs one message tells: the first, and what else is as urgent.

    At least `least`, and more where there is room to name them. `sent` are the ids of messages that
    are out already: they need only their mark, together.
    """
    notices = {job.id: outbox.notice_of(job) for job in jobs}
    if is_out(notices[jobs[0].id], sent):
        return [job for job in jobs if is_out(notices[job.id], sent)]
    fitting = [
        job
        for job in jobs
        if job.priority == jobs[0].priority
        and notices[job.id].kind != "digest"
        and not is_out(notices[job.id], sent)
    ]
    if fitting[:1] != jobs[:1]:
        return jobs[:1]
    named = _named([notices[job.id] for job in fitting], CHARS_MAX)
    return fitting[: max(len(named), least)]


def load(jobs: list[Job]) -> Load:
    """Make one message of what was claimed together."""
    notices = [outbox.notice_of(job) for job in jobs]
    return Load(notices[0] if len(notices) == 1 else _rolled_up(notices), jobs)


def _rolled_up(notices: list[Notice]) -> Notice:
    """Return one notice for several of one severity; its id is the same for the same ones."""
    first = notices[0]
    ids = ",".join(sent_as(notice) for notice in notices)
    lines = _named(notices, CHARS_MAX)
    if len(lines) < len(notices):
        lines = _named(notices, NAMED_CHARS_MAX)
        lines += _counted(notices[len(lines) :])
    return replace(
        first,
        id=f"{first.id}-{hashlib.sha256(ids.encode()).hexdigest()[:12]}",
        kind="digest",
        bot="",
        trigger="digest",
        title=f"{len(notices)} {first.severity} messages that waited for this channel",
        text="\n".join(lines),
        facts=[],
        remarks=[],
        suppressed=sum(notice.suppressed for notice in notices),
        span_s=0.0,
        worst="",
        value=None,
        latest="",
        held=notices[-1].held,
        url=first.url.partition("#")[0],
        over=False,
    )


def _named(notices: list[Notice], chars_max: int) -> list[str]:
    """Return a line for each of the first ones, as many as have room."""
    lines = [_line(notice) for notice in notices[:NAMED_MAX]]
    sizes = accumulate(len(line) + 1 for line in lines)
    return lines[: sum(1 for _ in takewhile(lambda size: size <= chars_max, sizes))]


def _counted(notices: list[Notice]) -> list[str]:
    """Count what has no line of its own: from when to when, and the worst of each trigger.

    The rarest first: one kill switch among a thousand drawdowns is seen.
    """
    since, until = (f"{at:%Y-%m-%d %H:%M:%S}" for at in _span(notices))
    lines = [f"and {len(notices)} more from {since} to {until} UTC, each on the page:"]
    kinds: dict[str, list[Notice]] = {}
    for notice in notices:
        kinds.setdefault(notice.trigger, []).append(notice)
    by_number = sorted(kinds.items(), key=lambda kind: len(kind[1]))
    lines += [_kind(trigger, told) for trigger, told in by_number[:KINDS_MAX]]
    others = [len(told) for _, told in by_number[KINDS_MAX:]]
    return [*lines, f"{sum(others)} of {len(others)} other triggers"] if others else lines


def _span(notices: list[Notice]) -> tuple[datetime, datetime]:
    instants = [notice.at.astimezone(UTC) for notice in notices]
    return min(instants), max(instants)


def _kind(trigger: str, notices: list[Notice]) -> str:
    worst = max(notices, key=_badness)
    head = f"{len(notices)} {one_line(trigger)[:30]}, worst: "
    tail = f" [{one_line(worst.alert_id)}]"
    said = _said(worst.bot, worst.title)
    return f"{head}{fit(said, KIND_CHARS_MAX - len(head) - len(tail))}{tail}"


def _badness(notice: Notice) -> tuple[bool, float, datetime]:
    """Order by what still is, then by the figure, then by age: the newest is the worst."""
    over = notice.over or notice.kind == "resolved"
    return not over, -math.inf if notice.value is None else notice.value, notice.at


def _line(notice: Notice) -> str:
    over = " (over)" if notice.kind == "resolved" else ""
    head, tail = f"{notice.at:%H:%M:%S} ", f"{over} [{one_line(notice.alert_id)}]"
    said = _said(notice.bot, notice.title)
    return f"{head}{fit(said, LINE_CHARS_MAX - len(head) - len(tail))}{tail}"


def _said(bot: str, title: str) -> str:
    return " · ".join(part for part in (one_line(bot), one_line(title)) if part)

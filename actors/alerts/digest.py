"""The digest: one message that counts all that was held back, and names the first 20 of it.

Its title says why: by quiet hours, a maintenance window, the hourly limit, or a channel that was
down. Each line has the instant, the bot and the id of its alert; criticals come first, and of what
has no line it is said how many are critical.
"""

from __future__ import annotations

import re
from datetime import datetime

from msgspec.structs import replace

from actors.alerts import expiry, outbox
from actors.alerts.hush import COMBINED, LIMITED, QUIET, WINDOW
from actors.alerts.step import Step
from actors.messages import Alert, Notice
from runtime.store import Job

LINES_MAX = 20
TIMES = "Times are UTC"
REASONS = {
    QUIET: "quiet hours",
    WINDOW: "maintenance window",
    LIMITED: "hourly limit",
    COMBINED: "more than 30 criticals in an hour",
    expiry.OWED: "a channel was down",
    expiry.EXPIRED: "undelivered for 72 h",
}

_REST = re.compile(r"and (\d+) more(?:, (\d+) of them critical)?, on the page")
_URGENT = re.compile(r"(?:\w+ \d\d, )?\d\d:\d\d CRITICAL ")

Held = tuple[Notice, str]  # and why it is held


def gathered(jobs: list[Job], unwritten: list[Step]) -> dict[tuple[str, str], Held]:
    """Return what is held by (channel, id): in the queue, and in what could not be written."""
    held = {(job.topic, job.id): (outbox.notice_of(job), job.detail) for job in jobs}
    for step in unwritten:
        if step.notice is not None and step.held:
            kept = (step.notice, step.why_held)
            held |= {(c, outbox.job_id(step.notice, c)): kept for c in step.channels}
    for pair in [pair for step in unwritten for pair in step.told]:
        held.pop(pair, None)
    return held


def of(held: list[Held], id_: str, now: datetime, url: str) -> tuple[Alert, Notice]:
    """Return the digest of what was held, as severe as the worst of it."""
    notices = sorted((notice for notice, _ in held), key=lambda n: n.severity != "critical")
    severity = max(notices, key=lambda n: outbox.PRIORITY[n.severity]).severity
    title = _title(len(notices), {REASONS[why] for _, why in held if why in REASONS})
    lines = [_line(notice, now) for notice in notices[:LINES_MAX]]
    lines += _rest(len(notices), sum(n.severity == "critical" for n in notices[LINES_MAX:]))
    alert = Alert(
        id=id_,
        trigger="digest",
        severity=severity,
        bot="",
        title=title,
        text="\n".join(lines),
        state="resolved",
        opened=now,
        closed=now,
        updated=now,
    )
    notice = Notice(
        id=f"{id_}.1",
        alert_id=id_,
        kind="digest",
        severity=severity,
        bot="",
        title=title,
        text=alert.text,
        at=now,
        suppressed=sum(n.suppressed for n in notices),
        url=url,
        remarks=[TIMES],
    )
    return alert, notice


def _title(alerts: int, reasons: set[str]) -> str:
    """Say how many there are, and why they were held: "3 alerts held back: quiet hours"."""
    why = ", ".join(reason for reason in REASONS.values() if reason in reasons)
    count = f"{alerts} alert{'s' if alerts != 1 else ''} held back"
    return f"{count}: {why}" if why else count


def _line(notice: Notice, now: datetime) -> str:
    """Tell one: "02:15 native · 10 losses in a row [7f3a7f3a]"; of another day with that."""
    at = f"{notice.at:%H:%M}" if notice.at.date() == now.date() else f"{notice.at:%b %d, %H:%M}"
    urgent = "CRITICAL" if notice.severity == "critical" else ""
    said = " · ".join(part for part in (urgent, notice.bot, notice.title) if part)
    over = " (over)" if notice.kind == "resolved" else ""
    return f"{at} {said}{over} [{notice.alert_id}]"


def _rest(alerts: int, critical: int) -> list[str]:
    """Count what has no line, and how many of that are critical."""
    if alerts <= LINES_MAX:
        return []
    urgent = f", {critical} of them critical" if critical else ""
    return [f"and {alerts - LINES_MAX} more{urgent}, on the page"]


def merged(first: Notice, second: Notice) -> Notice:
    """Return two digests as one, under the id of the first, which still waits."""
    count = sum(int(one.title.partition(" ")[0]) for one in (first, second))
    why = f"{first.title}\n{second.title}"
    lines = [line for one in (first, second) for line in one.text.split("\n")]
    rests = [rest for line in lines if (rest := _REST.fullmatch(line))]
    lines = sorted(
        (line for line in lines if not _REST.fullmatch(line)),
        key=lambda line: not _URGENT.match(line),
    )
    critical = sum(int(rest[2] or 0) for rest in rests)
    critical += sum(bool(_URGENT.match(line)) for line in lines[LINES_MAX:])
    return replace(
        first,
        latest=outbox.newest(second),
        severity=max(first, second, key=lambda n: outbox.PRIORITY[n.severity]).severity,
        title=_title(count, {reason for reason in REASONS.values() if reason in why}),
        text="\n".join([*lines[:LINES_MAX], *_rest(count, critical)]),
        suppressed=first.suppressed + second.suppressed,
        held=second.held,
    )

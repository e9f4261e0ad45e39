"""The digest: one message that counts all that was held back, and names the first 20 of it.

Each line has the bot and the id of its alert, which was held by the hourly limit, by a quiet time
or a maintenance window, or because a channel was down.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from actors.alerts import outbox
from actors.alerts.hush import QUIET
from actors.alerts.step import Step
from actors.messages import Alert, Notice
from runtime.store import Job

LINES_MAX = 20
MORE = " more, on the page"
REASONS = {
    QUIET: " in quiet times",
    outbox.EXPIRED: f", {outbox.EXPIRED}",
    outbox.OWED: f", {outbox.OWED}",
}

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


def of(
    notices: list[Notice], why: set[str], id_: str, now: datetime, url: str
) -> tuple[Alert, Notice]:
    """Return the digest of what was held, as severe as the worst of it. `why` it was held."""
    severity = max(notices, key=lambda n: outbox.PRIORITY[n.severity]).severity
    title = f"{_count(len(notices))} held back{_reason(why)}"
    lines = [_line(notice) for notice in notices[:LINES_MAX]]
    if len(notices) > LINES_MAX:
        lines.append(f"and {len(notices) - LINES_MAX}{MORE}")
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
    )
    return alert, notice


def _count(alerts: int) -> str:
    return f"{alerts} alert{'s' if alerts != 1 else ''}"


def _reason(why: set[str]) -> str:
    if len(why) > 1:
        return ""
    [only] = why
    return REASONS.get(only, " by the limit")


def _line(notice: Notice) -> str:
    urgent = "CRITICAL" if notice.severity == "critical" else ""
    said = " · ".join(part for part in (urgent, notice.bot, notice.title) if part)
    over = " (over)" if notice.kind == "resolved" else ""
    return f"{notice.at:%H:%M:%S} {said}{over} [{notice.alert_id}]"


def merged(first: Notice, second: Notice) -> Notice:
    """Return two digests as one, under the id of the first, which still waits."""
    count = sum(int(one.title.partition(" ")[0]) for one in (first, second))
    lines = [line for one in (first, second) for line in one.text.split("\n")]
    lines = [line for line in lines if not line.endswith(MORE)]
    text = "\n".join(lines[:LINES_MAX])
    if count > LINES_MAX:
        text += f"\nand {count - min(len(lines), LINES_MAX)}{MORE}"
    return replace(
        first,
        severity=max(first, second, key=lambda n: outbox.PRIORITY[n.severity]).severity,
        title=f"{_count(count)} held back",
        text=text,
        suppressed=first.suppressed + second.suppressed,
        held=second.held,
    )

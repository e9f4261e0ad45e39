"""The digest: one message that names what the limit held back, and counts all of it."""

from __future__ import annotations

from datetime import datetime

from actors.alerts import outbox
from actors.messages import Alert, Notice

LINES_MAX = 20


def of(notices: list[Notice], id_: str, now: datetime, url: str) -> tuple[Alert, Notice]:
    """Return the digest of what was held, as severe as the worst of it."""
    severity = max(notices, key=lambda n: outbox.PRIORITY[n.severity]).severity
    title = f"{len(notices)} alerts held back by the limit"
    lines = [f"{n.at:%H:%M:%S} {n.title}" for n in notices[:LINES_MAX]]
    if len(notices) > LINES_MAX:
        lines.append(f"and {len(notices) - LINES_MAX} more, on the page")
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

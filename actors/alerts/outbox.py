"""The outbox: an alert and its deliveries as the store keeps them, and as history shows them.

An alert is state under `alert/<id>`; each message of it on each channel is work in that channel's
queue, in the group of the alert. The table is the queue; wake-ups carry nothing.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, datetime

import msgspec
from msgspec.structs import replace

from actors.alerts import escalation
from actors.messages import Alert, Delivery, DeliveryState, Notice, Severity
from runtime.store import Job, Tx

PREFIX = "alert/"
ACKNOWLEDGED = "Acknowledged meanwhile"
TELLING = frozenset({"fired", "reminder"})  # kinds that tell that an alert holds
REMARKS_MAX = 4
PRIORITY: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}
STATES: dict[str, DeliveryState] = {
    "queued": "queued",
    "inflight": "inflight",
    "done": "delivered",
    "dead": "parked",
    "held": "held",
}

_alert = msgspec.json.Decoder(Alert)
_notice = msgspec.json.Decoder(Notice)


def put(tx: Tx, alert: Alert) -> None:
    """Store an alert, without its deliveries: those are the queue's."""
    tx.state.put(PREFIX + alert.id, msgspec.json.encode(replace(alert, deliveries=[])))


def get(tx: Tx, alert_id: str) -> Alert | None:
    """Return an alert without its deliveries."""
    data = tx.state.get(PREFIX + alert_id)
    return None if data is None else _alert.decode(data)


def view(tx: Tx, alert_id: str) -> Alert | None:
    """Return an alert with each channel's delivery."""
    alert = get(tx, alert_id)
    return None if alert is None else _with_deliveries(tx, alert)


def history(tx: Tx, limit: int, before: str | None = None) -> list[Alert]:
    """Return alerts newest first; `before` is an id to go on from, of one that is gone, too."""
    start = None if before is None else PREFIX + before
    rows = tx.state.scan(PREFIX, limit, newest=True, before=start)
    return [_with_deliveries(tx, _alert.decode(data)) for _, data in rows]


def job_id(notice: Notice, channel: str) -> str:
    """Return the id of a notice's job on one channel."""
    return f"{notice.id}/{channel}"


def enqueue(
    tx: Tx, notice: Notice, channels: list[str], now: float, *, held: bool, detail: str = ""
) -> None:
    """Queue one notice on each channel; its id is the same over retries and restarts."""
    data = msgspec.json.encode(notice)
    for channel in channels:
        tx.queue.put(
            channel,
            job_id(notice, channel),
            data,
            now=now,
            priority=PRIORITY[notice.severity],
            group=notice.alert_id,
            held=held,
            detail=detail,
        )


def deliveries(tx: Tx, alert_id: str, notice_id: str) -> list[Job]:
    """Return one notice's work on every channel, its own before that which tells it within."""
    jobs = tx.queue.group(alert_id)
    own = [job for job in jobs if job.id.startswith(f"{notice_id}/")]
    if not own:
        return []
    topics = {job.topic for job in own}
    others = [job for job in jobs if job.topic not in topics]
    return [*own, *(job for job in others if _tells(notice_of(job), notice_id))]


def _tells(notice: Notice, id_: str) -> bool:
    """Say whether a message that grew tells another one of its alert within it."""
    if not notice.latest or id_.rpartition(".")[0] != notice.alert_id:
        return False
    first, wanted, last = (int(i.rpartition(".")[2]) for i in (notice.id, id_, notice.latest))
    return first < wanted <= last


def notice_of(job: Job) -> Notice:
    """Return what a job sends."""
    return _notice.decode(job.data)


def newest(notice: Notice) -> str:
    """Return the id of the newest message that a notice tells: its own, or one within it."""
    return notice.latest or notice.id


def _with_deliveries(tx: Tx, alert: Alert) -> Alert:
    return replace(alert, deliveries=[_delivery(job) for job in tx.queue.group(alert.id)])


def _delivery(job: Job) -> Delivery:
    return Delivery(
        channel=job.topic,
        kind=notice_of(job).kind,
        state=STATES[job.state],
        attempts=job.attempts,
        detail=job.detail,
        updated=datetime.fromtimestamp(job.updated, UTC),
        due=datetime.fromtimestamp(job.due, UTC) if job.state == "queued" else None,
    )


def resolve(
    tx: Tx,
    notice: Notice,
    combined: Notice,
    enabled: list[str],
    now: float,
    *,
    why_held: str = "",
    incidents: Container[str] = frozenset(),
    closes: bool = False,
) -> int:
    """Tell that an alert is over where it was told of: as one message where earlier ones wait.

    What is parked says so, too, should it ever go. Where nobody was told of the alert (silenced,
    or no channel), nobody is told of its end. What closes an incident is never held; `closes`:
    nothing else is sent. Returns how many messages more are held; fewer where what was held goes
    now.
    """
    known = tx.queue.group(notice.alert_id)
    before = held_ids(known)
    topics: dict[str, list[Job]] = {}
    for job in known:
        topics.setdefault(job.topic, []).append(job)
    for channel, jobs in topics.items():
        if closes and channel not in incidents:
            continue
        waiting = _joined(tx, jobs, notice, now, incident=channel in incidents)
        parked = [job for job in jobs if job.state == "dead" and notice_of(job).kind in TELLING]
        if parked:
            fold_parked(tx, parked, combined, now)
        if waiting:
            fold(tx, waiting, combined, now)
        elif channel in enabled:
            why = "" if channel in incidents else why_held
            enqueue(tx, notice, [channel], now, held=bool(why), detail=why)
    if not before and not why_held:
        return 0
    return len(held_ids(tx.queue.group(notice.alert_id))) - len(before)


def may_be_known(jobs: list[Job]) -> bool:
    """Say whether a channel may know of an alert: it was asked, and has not refused."""
    return any(job.attempts and job.state != "dead" for job in jobs)


def _joined(tx: Tx, jobs: list[Job], end: Notice, now: float, *, incident: bool) -> list[Job]:
    """Return the waiting work that an end joins.

    What is held gives way to the end of an incident: in a digest it would not close that.
    """
    waiting = [job for job in jobs if job.state in ("queued", "held")]
    waiting = [job for job in waiting if not overtaken(tx, job, now)]
    if not incident or not may_be_known(jobs):
        return waiting
    for job in waiting:
        if job.state == "held":
            tx.queue.done(job.topic, job.id, now, told_in(end))
    return [job for job in waiting if job.state != "held"]


def held_ids(jobs: list[Job]) -> set[str]:
    """Return the ids of the notices that are held on a channel."""
    return {job.id.rpartition("/")[0] for job in jobs if job.state == "held"}


def repeat(tx: Tx, notice: Notice, channels: list[str], now: float, *, why_held: str = "") -> int:
    """Tell an open alert again: within the message that still waits on a channel, if one does.

    So a channel that is down for a day owes one message for each alert, and that says how it is;
    and so a digest has one line for each alert. Returns how many messages more are held.
    """
    states = ("queued", "held") if why_held else ("queued",)
    more = 0
    jobs = tx.queue.group(notice.alert_id)
    urgency = PRIORITY[notice.severity]
    for channel in channels:
        own = [job for job in jobs if job.topic == channel and job.state in states]
        own = [job for job in own if notice_of(job).kind != "acknowledged"]
        own.sort(key=lambda job: job.state == "held")
        waiting = next((job for job in own if job.priority >= urgency), None)
        if waiting is None:
            enqueue(tx, notice, [channel], now, held=bool(why_held), detail=why_held)
            more = int(bool(why_held))
            continue
        first = notice_of(waiting)
        grown = replace(
            notice,
            id=first.id,
            latest=notice.id,
            kind=first.kind,
            remarks=_remarks(first, notice),
            fresh=first.fresh,
            suppressed=first.suppressed + notice.suppressed + notice.fresh,
            span_s=first.span_s + (notice.at - first.at).total_seconds(),
            worst=notice.worst or first.worst,
        )
        tx.queue.replace(channel, waiting.id, msgspec.json.encode(grown))
    return more


def _remarks(first: Notice, notice: Notice) -> list[str]:
    """Return why a message that grew comes; how long nobody has acknowledged is said once."""
    earlier = first.remarks
    if any(escalation.is_remark(remark) for remark in notice.remarks):
        earlier = [remark for remark in earlier if not escalation.is_remark(remark)]
    return [*earlier, *notice.remarks][-REMARKS_MAX:]


def acknowledge(tx: Tx, alert_id: str) -> None:
    """Let no message that still waits say that nobody has acknowledged its alert."""
    for job in tx.queue.group(alert_id):
        notice = notice_of(job)
        kept = [remark for remark in notice.remarks if not escalation.is_remark(remark)]
        if job.state in ("queued", "held") and kept != notice.remarks:
            told = replace(notice, remarks=[*kept, ACKNOWLEDGED])
            tx.queue.replace(job.topic, job.id, msgspec.json.encode(told))


def fail_over(tx: Tx, notice: Notice, channels: list[str], now: float) -> None:
    """Queue a notice elsewhere, as it now stands, unless a channel has delivered it meanwhile.

    A channel on which a message of the alert still waits tells it there: `repeat` saw to that.
    """
    jobs = deliveries(tx, notice.alert_id, notice.id)
    if jobs and not any(job.state == "done" for job in jobs):
        as_it_stands = replace(notice_of(jobs[0]), remarks=notice.remarks)
        waits = {job.topic for job in tx.queue.group(notice.alert_id) if job.state == "queued"}
        elsewhere = [channel for channel in channels if channel not in waits]
        enqueue(tx, as_it_stands, elsewhere, now, held=False)


def overtaken(tx: Tx, job: Job, now: float) -> bool:
    """Say whether a waiting job says only that the alert was acknowledged; it need not go now."""
    if notice_of(job).kind != "acknowledged":
        return False
    tx.queue.done(job.topic, job.id, now, "not sent: the alert is over")
    return True


def fold(tx: Tx, waiting: list[Job], combined: Notice, now: float) -> Notice:
    """Make one message of those that wait, as urgent as the most urgent one, and return it.

    It counts what the others counted, and them.
    """
    first, *others = sorted(waiting, key=lambda job: (job.state == "held", -job.priority))
    notices = [notice_of(job) for job in (first, *others)]
    suppressed = combined.suppressed + sum(n.suppressed for n in notices)
    suppressed += sum(n.fresh for n in notices[1:])
    combined = replace(
        combined,
        id=notices[0].id,
        latest=newest(combined),
        fresh=notices[0].fresh,
        suppressed=suppressed,
        span_s=combined.span_s + sum(n.span_s for n in notices),
        worst=combined.worst or next((n.worst for n in reversed(notices) if n.worst), ""),
    )
    tx.queue.replace(first.topic, first.id, msgspec.json.encode(combined))
    if first.state == "held" and combined.severity == "critical":
        tx.queue.release(first.topic, first.id, now, now)  # no critical waits, nor does its end
    for job in others:
        tx.queue.done(job.topic, job.id, now, told_in(combined))
    return combined


def fold_parked(tx: Tx, parked: list[Job], combined: Notice, now: float) -> None:
    """Make one message of those that are parked; their end, which goes by itself, counts."""
    fold(tx, parked, replace(combined, suppressed=0, span_s=0.0, worst=""), now)


def told_in(notice: Notice) -> str:
    """Say of a message that another one tells what it had to say."""
    return f"told in {notice.id}"

"""Dispatch: what a message of an alert is, where it goes, and whether it goes now.

It numbers the messages of each open alert, remembers where they went, and keeps the hourly limit.
Nothing here waits: `disk` writes what was decided.
"""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from actors.alerts import digest, ids, limits, message, outbox, routing
from actors.alerts.commands import Silence
from actors.alerts.debounce import TriggerState
from actors.alerts.escalation import Due
from actors.alerts.hush import COMBINED, LIMITED, Hush
from actors.alerts.limits import LimitState
from actors.alerts.quiet import is_quiet
from actors.alerts.routing import Policy
from actors.alerts.step import Action, Moment, Step
from actors.messages import Alert
from runtime.store import Job

HELD_MAX = 5_000


class Dispatch:
    """The open alerts, how many messages each has had, and where they went.

    `events` are those that told what only happens, while more of it is counted.
    """

    def __init__(self, policy: Policy, hourly_limit: int, hush: Hush, url: str = "") -> None:
        self.policy = policy
        self.hourly_limit = hourly_limit
        self.hush = hush
        self.url = url
        self.open: dict[str, Alert] = {}
        self.events: dict[str, Alert] = {}
        self.limit = LimitState()
        self.last_id = ""
        self.numbers: dict[str, int] = {}
        self.went: dict[str, set[str]] = {}

    def new_id(self, now: datetime) -> str:
        """Return the id of a new alert: short, and after every one before."""
        self.last_id = ids.new_id(now, self.last_id)
        return self.last_id

    def forget(self, alert_id: str) -> bool:
        """Forget the messages of an alert that is over; says whether there were any."""
        self.events.pop(alert_id, None)
        self.went.pop(alert_id, None)
        return self.numbers.pop(alert_id, None) is not None

    def step(
        self,
        action: Action,
        alert: Alert,
        before: TriggerState,
        at: Moment,
        due: Due | None = None,
        *,
        fresh: bool = False,
    ) -> Step:
        """Return what is sent where about an alert; `due`: because nobody answers.

        `fresh`: because something happened that is counted nowhere else.
        """
        silence = self.hush.silence_of(alert.trigger, alert.bot, at.now)
        was = alert.silenced if action == "repeat" else ""
        alert = self._silenced(alert, silence)
        channels = self._channels(action, alert, due)
        closes = action == "resolve" and silence is not None
        if (silence is not None and not closes) or not channels:
            return Step(action, alert, None)
        why_held = "" if closes else self._why_held(action, alert, at.now)
        number = self.numbers.get(alert.id, 0) + 1
        if alert.id in self.open or alert.id in self.events:
            self.numbers[alert.id] = number
        notice = message.of(action, alert, before, at, due, fresh=fresh)
        notice = replace(
            notice,
            remarks=[f"Silenced until now: {was}", *notice.remarks] if was else notice.remarks,
            id=f"{alert.id}.{number}",
            held=self.limit.held,
            url=self._link(alert.id),
        )
        step = Step(action, alert, notice, channels, bool(why_held), why_held)
        return self.closing(step) if closes else step

    def closing(self, step: Step) -> Step:
        """Let the end of an alert reach only the channels that keep an incident of it.

        One that nobody closes would page for what is over.
        """
        channels = [channel for channel in step.channels if channel in self.policy.incidents]
        notice = step.notice if channels else None
        return Step(step.action, step.alert, notice, channels, closes=True)

    def acknowledged(self, alert: Alert, at: Moment) -> Step:
        """Tell the channels that keep an incident of an alert that somebody has taken it on."""
        went = self.went.get(alert.id, set()) & self.policy.incidents
        channels = self._enabled(went)
        if not channels:
            return Step("change", alert, None)
        number = self.numbers[alert.id] = self.numbers.get(alert.id, 0) + 1
        notice = replace(message.of("change", alert, TriggerState(), at), id=f"{alert.id}.{number}")
        return Step("change", alert, notice, channels)

    def _link(self, alert_id: str) -> str:
        """Return the address of an alert on the page; empty where the page has none."""
        return f"{self.url.rstrip('/')}/#alert-{alert_id}" if self.url else ""

    def _why_held(self, action: Action, alert: Alert, now: datetime) -> str:
        """Say why a message waits for a digest; empty: it goes now."""
        calm = alert.severity != "critical"
        why = self.hush.waits(alert.trigger, alert.bot, now, count=True) if calm else ""
        if why:
            messages = int(action != "resolve")
            self.limit = limits.hold(self.limit, now.timestamp(), messages=messages)
            return why
        if action == "resolve":
            return ""
        self.limit, goes = limits.admit(
            self.limit, alert.severity, now.timestamp(), self.hourly_limit
        )
        return "" if goes else LIMITED if calm else COMBINED

    def _silenced(self, alert: Alert, silence: Silence | None) -> Alert:
        """Show on an alert that it is silenced, or no longer is, and count on the silence."""
        if silence is not None:
            self.hush.count(silence)
        why = silence.reason if silence is not None else ""
        if alert.silenced != why:
            alert = replace(alert, silenced=why)
            if alert.id in self.open:
                self.open[alert.id] = alert
        return alert

    def _channels(self, action: str, alert: Alert, due: Due | None) -> list[str]:
        """Return where a message goes.

        The end of an alert goes where the alert went, and so does a reminder; an escalation goes to
        the channels of its rung alone.
        """
        went = self.went.get(alert.id, set())
        if action == "resolve":
            return self._enabled(went)
        channels = routing.route(self.policy, alert.trigger, alert.severity, alert.bot)
        if due is not None:
            wanted = set(due.channels) if due.what == "escalate" else went | set(channels)
            channels = self._enabled(wanted)
        if alert.id in self.open:
            self.went.setdefault(alert.id, set()).update(channels)
        return channels

    def _enabled(self, channels: set[str]) -> list[str]:
        return [channel for channel in self.policy.enabled if channel in channels]

    # ------------------------------------------------------------ the digest

    def digest_due(self, now: datetime) -> bool:
        """Say whether what is held may be told now; while it is quiet, only a critical may."""
        quiet = is_quiet(self.hush.quiet, now)
        return limits.digest_due(self.limit, now.timestamp(), self.hourly_limit, quiet=quiet)

    def digest(self, jobs: list[Job], unwritten: list[Step], now: datetime) -> Step | None:
        """Tell in one message what is held: in the queue, and in what could not be written.

        It goes wherever one of them was to go, and tells each channel what was held there.
        """
        held = digest.gathered(_whole(jobs), unwritten)
        waiting = {
            pair: (notice, why)
            for pair, (notice, why) in held.items()
            if notice.severity != "critical" and self.hush.waits(notice.trigger, notice.bot, now)
        }
        held = {pair: told for pair, told in held.items() if pair not in waiting}
        notices = list({notice.id: notice for notice, _ in held.values()}.values())
        self.limit = limits.digested(
            self.limit,
            now.timestamp(),
            told=len(notices),
            more=bool(notices) and len(jobs) >= HELD_MAX,
            left=len({notice.id for notice, _ in waiting.values()}),
        )
        if not notices:
            return None
        id_ = self.new_id(now)
        told = list({one[0].id: one for one in held.values()}.values())
        alert, notice = digest.of(told, id_, now, self._link(id_))
        routed = routing.route(self.policy, "digest", alert.severity, "")
        channels = self._enabled({topic for topic, _ in held}) or routed
        parts = {}
        for channel in channels:
            own = [one for (topic, _), one in held.items() if topic == channel]
            if own and own != told:
                parts[channel] = digest.of(own, id_, now, self._link(id_))[1]
        return Step("fire", alert, notice, channels, told=list(held), parts=parts)


def _whole(jobs: list[Job]) -> list[Job]:
    """Leave the last message out where not all of its channels may be among them."""
    if len(jobs) < HELD_MAX:
        return jobs
    last = outbox.notice_of(jobs[-1]).id
    return [job for job in jobs if outbox.notice_of(job).id != last] or jobs

"""The book: everything alerts remembers, and the steps it decides. Memory leads, disk follows.

`consider` turns findings into steps without waiting for anything; `write` puts steps, trigger
states, the limit and the cursors into one transaction. A step that could not be written is written
later with the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from actors.alerts import digest, disk, escalation, failover, limits, message, outbox, routing
from actors.alerts.commands import Silence
from actors.alerts.debounce import UNCOUNTED, Decision, TriggerState, decide, settled
from actors.alerts.escalation import Chase, Due
from actors.alerts.escalation import Plan as Escalation
from actors.alerts.failover import Plan as Failover
from actors.alerts.failover import Pressing
from actors.alerts.hush import LIMITED, QUIET, Hush
from actors.alerts.limits import LimitState
from actors.alerts.quiet import Hours
from actors.alerts.routing import Policy
from actors.alerts.step import Action, Moment, Step
from actors.alerts.triggers import Finding
from actors.messages import Alert
from runtime.store import Job, Tx

HELD_MAX = 5_000


class Book:
    """The state of alerts. `now` is the wall clock, `tick` monotonic seconds."""

    def __init__(
        self,
        policy: Policy,
        hourly_limit: int,
        *,
        tell_resolved: bool,
        url: str = "",
        failover: Failover | None = None,
        escalation: Escalation | None = None,
        quiet: Hours | None = None,
        windows: Iterable[Silence] = (),
    ) -> None:
        self.policy = policy
        self.hourly_limit = hourly_limit
        self.tell_resolved = tell_resolved
        self.url = url
        self.failover = failover or Failover(policy.enabled)
        self.escalation = escalation or Escalation()
        self.hush = Hush(quiet, windows)
        self.states: dict[str, TriggerState] = {}
        self.open: dict[str, Alert] = {}
        self.limit = LimitState()
        self.cursors: dict[str, int] = {}
        self.last_id = ""
        self.last: dict[str, Finding] = {}
        self.numbers: dict[str, int] = {}
        self.went: dict[str, set[str]] = {}
        self.pressing: dict[str, Pressing] = {}  # by the notice's id
        self.unsaved: set[str] = set()
        self.changed = False

    @property
    def silences(self) -> dict[str, Silence]:
        """The silences by their ids, those of the settings left out."""
        return self.hush.silences

    # ------------------------------------------------------------ deciding

    def consider(self, findings: Iterable[Finding], now: datetime, tick: float) -> list[Step]:
        """Decide about findings; returns what is to be sent or changed."""
        steps = []
        for raw in findings:
            finding = routing.ruled(self.policy, raw)
            state = self.states.get(finding.key)
            if finding.band == 0 and (state is None or not state.holds):
                continue
            steps += self._judged(state or TriggerState(), finding, now, tick)
        return steps

    def holds_any(self, keys: Iterable[str]) -> bool:
        """Say whether a condition of these keys held when it was last considered."""
        return any(key in self.states and self.states[key].holds for key in keys)

    def look(self, now: datetime, tick: float) -> list[Step]:
        """Decide what the clock alone decides.

        A suppressed edge still there, flapping over, a critical that nobody acknowledges.
        """
        steps = []
        for key, state in list(self.states.items()):
            last = self.last.get(key)
            if last is None:
                continue
            finding = routing.ruled(self.policy, last)
            edge = not state.alert and not finding.once and tick >= state.quiet_until
            if state.holds and (edge or finding.band == 0):
                steps += self._judged(state, finding, now, tick)
            elif state.flapping:
                over = replace(finding, band=0)
                steps += self._decided(settled(state, tick), over, now, tick)
            if self.states[key].chase is not None:
                steps += self._chased(key, finding, now, tick)
        return steps

    def _chased(self, key: str, finding: Finding, now: datetime, tick: float) -> list[Step]:
        """Remind of an unacknowledged critical, or take it to the next channels."""
        state = self.states[key]
        assert state.chase is not None
        due = escalation.due(state.chase, self.escalation, tick)
        if due is None or self.hush.silence_of(finding.trigger, finding.bot, now) is not None:
            return []
        told = replace(
            state,
            **UNCOUNTED,
            chase=due.chase,
            quiet_until=tick + self.policy.debounce(finding.trigger, finding.bot),
        )
        self.states[key] = told
        self.unsaved.add(key)
        step = self._repeat(finding if state.holds else None, state, Moment(now, tick), due)
        return [step]

    def fail_over(
        self, id_: str, jobs: list[Job], alert: Alert | None, now: datetime, tick: float
    ) -> Step | None:
        """Send a critical notice that no channel has delivered to the next one, if that is due.

        `jobs` are its deliveries, `alert` is the one it belongs to.
        """
        known = self.pressing[id_]
        plan = replace(
            self.failover, order=[c for c in self.failover.order if c not in known.asked]
        )
        if alert is None or failover.over(jobs, plan):
            del self.pressing[id_]
            return None
        channel = failover.due(jobs, plan, tick - known.since, now.timestamp())
        if channel is None:
            return None
        notice = outbox.notice_of(jobs[0])
        notice = replace(notice, remarks=[*notice.remarks, failover.remark(jobs)])
        if alert.id in self.open:
            self.went.setdefault(alert.id, set()).add(channel)
        self.pressing[id_] = Pressing(known.alert, tick, (*known.asked, channel))
        return Step("failover", alert, notice, [channel])

    def at(self, reader: str, seq: int) -> None:
        """Note how far a reader's events have been considered; 0 is the clock's."""
        if seq > self.cursors.get(reader, 0):
            self.cursors[reader] = seq
            self.changed = True

    def acknowledge(self, key: str) -> None:
        """Stop a key's repeats until it is resolved."""
        self.states[key] = replace(self.states[key], acknowledged=True, chase=None)
        self.unsaved.add(key)

    @property
    def dirty(self) -> bool:
        """Whether there is something to write."""
        return bool(self.unsaved) or self.changed or self.hush.changed

    def _judged(
        self, state: TriggerState, finding: Finding, now: datetime, tick: float
    ) -> list[Step]:
        debounce_s = self.policy.debounce(finding.trigger, finding.bot)
        return self._decided(decide(state, finding, tick, debounce_s), finding, now, tick)

    def _decided(
        self, decision: Decision, finding: Finding, now: datetime, tick: float
    ) -> list[Step]:
        key = finding.key
        before, at = self.states.get(key, TriggerState()), Moment(now, tick)
        self.last[key] = finding
        step: Step | None = None
        state = decision.state
        if decision.action == "fire":
            step = self._fire(finding, before, at, flapping=decision.flapping)
            if not finding.once:
                state = replace(state, alert=step.alert.id)
        elif decision.action == "repeat":
            step = self._repeat(finding, before, at)
        elif decision.action == "resolve":
            step = self._resolve(finding, before, at)
        if step is not None:
            state = replace(state, chase=self._chase(state, step.alert, tick))
        if state != before:
            self.states[key] = state
            self.unsaved.add(key)
        return [] if step is None else [step]

    def _chase(self, state: TriggerState, alert: Alert, tick: float) -> Chase | None:
        """Return how far the chase of an alert is that was just told of."""
        if alert.severity != "critical" or alert.state != "open":
            return None
        if state.chase is None:
            return escalation.begun(tick)
        return replace(state.chase, told_at=tick)

    def _fire(
        self,
        finding: Finding,
        before: TriggerState,
        at: Moment,
        *,
        flapping: bool,
    ) -> Step:
        self.last_id = outbox.new_id(at.now, self.last_id)
        text = finding.text
        if flapping:
            text += " It comes and goes: flapping. Quiet until it is calm for 10 minutes."
        alert = Alert(
            id=self.last_id,
            trigger=finding.trigger,
            severity=finding.severity,
            bot=finding.bot,
            title=finding.title,
            text=text,
            state="resolved" if finding.once else "open",
            opened=at.now,
            closed=at.now if finding.once else None,
            value=finding.value,
            threshold=finding.threshold,
            suppressed=before.suppressed,
            updated=at.now,
            facts=finding.facts,
        )
        if not finding.once:
            self.open[alert.id] = alert
        return self._step("fire", alert, before, at)

    def _repeat(
        self,
        finding: Finding | None,
        before: TriggerState,
        at: Moment,
        due: Due | None = None,
    ) -> Step:
        """Tell an open alert again, as the finding has it now; `due`: because nobody answers."""
        known = self.open[before.alert]
        alert = replace(known, updated=at.now, suppressed=known.suppressed + before.suppressed)
        if finding is not None:
            alert = replace(
                alert,
                severity=finding.severity,
                title=finding.title,
                text=finding.text,
                value=finding.value,
                facts=finding.facts,
            )
        self.open[alert.id] = alert
        return self._step("repeat", alert, before, at, due)

    def _resolve(self, finding: Finding, before: TriggerState, at: Moment) -> Step:
        alert = self.open.pop(before.alert)
        alert = replace(
            alert,
            state="resolved",
            closed=at.now,
            updated=at.now,
            suppressed=alert.suppressed + before.suppressed,
            text=f"{alert.text} {finding.cleared}".strip(),
        )
        told = alert.id in self.numbers
        step = self._step("resolve", alert, before, at)
        self.numbers.pop(alert.id, None)
        self.went.pop(alert.id, None)
        return step if told and self.tell_resolved else replace(step, notice=None)

    def _step(
        self,
        action: Action,
        alert: Alert,
        before: TriggerState,
        at: Moment,
        due: Due | None = None,
    ) -> Step:
        silence = self.hush.silence_of(alert.trigger, alert.bot, at.now)
        alert = self._silenced(alert, silence)
        channels = self._channels(action, alert, due)
        if silence is not None or not channels:
            return Step(action, alert, None)
        why_held = self._why_held(action, alert, at.now)
        number = self.numbers.get(alert.id, 0) + 1
        if alert.id in self.open:
            self.numbers[alert.id] = number
        notice = replace(
            message.of(action, alert, before, at, due),
            id=f"{alert.id}.{number}",
            held=self.limit.held,
            url=self.link(alert.id),
        )
        return Step(action, alert, notice, channels, bool(why_held), why_held)

    def link(self, alert_id: str) -> str:
        """Return the address of an alert on the page; empty where the page has none."""
        return f"{self.url.rstrip('/')}/#alert-{alert_id}" if self.url else ""

    def _why_held(self, action: Action, alert: Alert, now: datetime) -> str:
        """Say why a message waits for a digest; empty: it goes now."""
        calm = alert.severity != "critical"
        if calm and self.hush.waits(alert.trigger, alert.bot, now, count=True):
            messages = int(action != "resolve")
            self.limit = limits.hold(self.limit, now.timestamp(), messages=messages)
            return QUIET
        if action == "resolve":
            return ""
        self.limit, goes = limits.admit(
            self.limit, alert.severity, now.timestamp(), self.hourly_limit
        )
        return "" if goes else LIMITED

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

    # ------------------------------------------------------------ the disk

    def load(self, tx: Tx, now: datetime, tick: float) -> None:
        """Read everything back. Stamps become this process's monotonic seconds again."""
        disk.load(self, tx, now, tick)

    def write(self, tx: Tx, steps: list[Step], now: datetime, tick: float) -> None:
        """Write steps with the states that led to them, and the cursors, all in one."""
        disk.write(self, tx, steps, now, tick)

    def written(self) -> None:
        """Note that the last `write` was committed."""
        self.unsaved.clear()
        self.changed = self.hush.changed = False

    # ------------------------------------------------------------ the digest

    def digest(self, jobs: list[Job], unwritten: list[Step], now: datetime) -> Step | None:
        """Tell in one message what is held: in the queue, and in what could not be written.

        It goes wherever one of them was to go.
        """
        held = digest.gathered(jobs, unwritten)
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
        self.changed = True
        if not notices:
            return None
        self.last_id = outbox.new_id(now, self.last_id)
        alert, notice = digest.of(
            notices, {why for _, why in held.values()}, self.last_id, now, self.link(self.last_id)
        )
        notice = replace(notice, held=self.limit.held)
        routed = routing.route(self.policy, "digest", alert.severity, "")
        channels = self._enabled({topic for topic, _ in held}) or routed
        return Step("fire", alert, notice, channels, told=list(held))

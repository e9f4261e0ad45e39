"""The book: everything alerts remembers, and the steps it decides. Memory leads, disk follows.

`consider` turns findings into steps without waiting for anything; `write` puts steps, trigger
states, the limit and the cursors into one transaction. A step that could not be written is written
later with the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from actors.alerts import digest, disk, limits, outbox, routing
from actors.alerts.commands import Silence, covers
from actors.alerts.debounce import Decision, TriggerState, decide, settled
from actors.alerts.limits import LimitState
from actors.alerts.routing import Policy
from actors.alerts.step import Step
from actors.alerts.triggers import Finding
from actors.messages import Alert, Notice, NoticeKind
from runtime.store import Job, Tx

HELD_MAX = 5_000


class Book:
    """The state of alerts. `now` is the wall clock, `tick` monotonic seconds."""

    def __init__(
        self, policy: Policy, hourly_limit: int, *, tell_resolved: bool, url: str = ""
    ) -> None:
        self.policy = policy
        self.hourly_limit = hourly_limit
        self.tell_resolved = tell_resolved
        self.url = url
        self.states: dict[str, TriggerState] = {}
        self.open: dict[str, Alert] = {}
        self.silences: dict[str, Silence] = {}
        self.limit = LimitState()
        self.cursors: dict[str, int] = {}
        self.last_id = ""
        self.last: dict[str, Finding] = {}
        self.numbers: dict[str, int] = {}
        self.went: dict[str, set[str]] = {}
        self.unsaved: set[str] = set()
        self.changed = False

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
        """Decide what the clock alone decides: a suppressed edge still there, flapping over."""
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
                steps += self._decided(settled(state, tick), over, now)
        return steps

    def at(self, reader: str, seq: int) -> None:
        """Note how far a reader's events have been considered; 0 is the clock's."""
        if seq > self.cursors.get(reader, 0):
            self.cursors[reader] = seq
            self.changed = True

    def acknowledge(self, key: str) -> None:
        """Stop a key's repeats until it is resolved."""
        self.states[key] = replace(self.states[key], acknowledged=True)
        self.unsaved.add(key)

    @property
    def dirty(self) -> bool:
        """Whether there is something to write."""
        return bool(self.unsaved) or self.changed

    def _judged(
        self, state: TriggerState, finding: Finding, now: datetime, tick: float
    ) -> list[Step]:
        debounce_s = self.policy.debounce(finding.trigger, finding.bot)
        return self._decided(decide(state, finding, tick, debounce_s), finding, now)

    def _decided(self, decision: Decision, finding: Finding, now: datetime) -> list[Step]:
        key = finding.key
        before = self.states.get(key, TriggerState())
        self.last[key] = finding
        step: Step | None = None
        state = decision.state
        if decision.action == "fire":
            step = self._fire(finding, before, now, flapping=decision.flapping)
            if not finding.once:
                state = replace(state, alert=step.alert.id)
        elif decision.action == "repeat":
            step = self._repeat(finding, before, now)
        elif decision.action == "resolve":
            step = self._resolve(finding, before, now)
        if state != before:
            self.states[key] = state
            self.unsaved.add(key)
        return [] if step is None else [step]

    def _fire(
        self, finding: Finding, before: TriggerState, now: datetime, *, flapping: bool
    ) -> Step:
        self.last_id = outbox.new_id(now, self.last_id)
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
            opened=now,
            closed=now if finding.once else None,
            value=finding.value,
            threshold=finding.threshold,
            suppressed=before.suppressed,
            updated=now,
            facts=finding.facts,
        )
        if not finding.once:
            self.open[alert.id] = alert
        return self._step("fire", alert, "fired", before, now)

    def _repeat(self, finding: Finding, before: TriggerState, now: datetime) -> Step:
        alert = replace(
            self.open[before.alert],
            severity=finding.severity,
            title=finding.title,
            text=finding.text,
            value=finding.value,
            facts=finding.facts,
            updated=now,
            suppressed=self.open[before.alert].suppressed + before.suppressed,
        )
        self.open[alert.id] = alert
        return self._step("repeat", alert, "reminder", before, now)

    def _resolve(self, finding: Finding, before: TriggerState, now: datetime) -> Step:
        alert = self.open.pop(before.alert)
        alert = replace(
            alert,
            state="resolved",
            closed=now,
            updated=now,
            suppressed=alert.suppressed + before.suppressed,
            text=f"{alert.text} {finding.cleared}".strip(),
        )
        told = alert.id in self.numbers
        step = self._step("resolve", alert, "resolved", before, now)
        self.numbers.pop(alert.id, None)
        self.went.pop(alert.id, None)
        return step if told and self.tell_resolved else replace(step, notice=None)

    def _step(
        self,
        action: Literal["fire", "repeat", "resolve"],
        alert: Alert,
        kind: NoticeKind,
        before: TriggerState,
        now: datetime,
    ) -> Step:
        if any(covers(s, alert.trigger, alert.bot, now) for s in self.silences.values()):
            return Step(action, alert, None)
        channels = self._channels(action, alert)
        if not channels:
            return Step(action, alert, None)
        held = False
        if action != "resolve":
            self.limit, goes = limits.admit(
                self.limit, alert.severity, now.timestamp(), self.hourly_limit
            )
            held = not goes
        number = self.numbers.get(alert.id, 0) + 1
        if alert.id in self.open:
            self.numbers[alert.id] = number
        facts = list(alert.facts)
        if before.suppressed and before.worst is not None:
            facts.append(("Worst meanwhile", f"{before.worst:g}"))
        notice = Notice(
            id=f"{alert.id}.{number}",
            alert_id=alert.id,
            kind=kind,
            severity=alert.severity,
            bot=alert.bot,
            title=alert.title,
            text=alert.text,
            at=now,
            facts=facts,
            suppressed=before.suppressed,
            held=self.limit.held,
            url=self.url,
        )
        return Step(action, alert, notice, channels, held)

    def _channels(self, action: str, alert: Alert) -> list[str]:
        """Return where a message goes; the end of an alert goes where the alert went."""
        if action == "resolve":
            return self._enabled(self.went.get(alert.id, set()))
        channels = routing.route(self.policy, alert.trigger, alert.severity, alert.bot)
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
        self.changed = False

    # ------------------------------------------------------------ the digest

    def digest(self, jobs: list[Job], unwritten: list[Step], now: datetime) -> Step | None:
        """Tell in one message what is held: in the queue, and in what could not be written.

        It goes wherever one of them was to go.
        """
        held = {(job.topic, job.id): outbox.notice_of(job) for job in jobs}
        for step in unwritten:
            if step.notice is not None and step.held:
                held |= {(c, outbox.job_id(step.notice, c)): step.notice for c in step.channels}
        for pair in [pair for step in unwritten for pair in step.told]:
            held.pop(pair, None)
        notices = list({notice.id: notice for notice in held.values()}.values())
        self.limit = limits.digested(
            self.limit,
            now.timestamp(),
            told=len(notices),
            more=bool(notices) and len(jobs) >= HELD_MAX,
        )
        self.changed = True
        if not notices:
            return None
        self.last_id = outbox.new_id(now, self.last_id)
        alert, notice = digest.of(notices, self.last_id, now, self.url)
        routed = routing.route(self.policy, "digest", alert.severity, "")
        channels = self._enabled({topic for topic, _ in held}) or routed
        return Step("fire", alert, notice, channels, told=list(held))

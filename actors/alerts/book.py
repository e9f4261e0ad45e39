"""The book: everything alerts remembers, and the steps it decides. Memory leads, disk follows.

`consider` turns findings into steps without waiting for anything; `write` puts steps, trigger
states, the limit and the cursors into one transaction. A step that could not be written is written
later with the same ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from actors.alerts import again, debounce, episode, escalation, failover, outbox, routing
from actors.alerts.commands import Silence
from actors.alerts.debounce import UNCOUNTED, Decision, TriggerState, decide, settled
from actors.alerts.dispatch import Dispatch
from actors.alerts.escalation import Chase, Due
from actors.alerts.escalation import Plan as Escalation
from actors.alerts.failover import Plan as Failover
from actors.alerts.failover import Pressing
from actors.alerts.hush import Hush
from actors.alerts.quiet import Hours
from actors.alerts.routing import Policy
from actors.alerts.step import Moment, Step
from actors.alerts.triggers import Finding
from actors.messages import Alert
from runtime.store import Job

ROLLED_UP_MAX = 256  # keys that one look goes through after a storm, those with a count first


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
        self.tell_resolved = tell_resolved
        self.failover = failover or Failover(policy.enabled)
        self.escalation = escalation or Escalation()
        self.hush = Hush(quiet, windows)
        self.dispatch = Dispatch(policy, hourly_limit, self.hush, url)
        self.states: dict[str, TriggerState] = {}
        self.cursors: dict[str, int] = {}
        self.last: dict[str, Finding] = {}
        self.pressing: dict[str, Pressing] = {}  # by the notice's id
        self.held = 0  # messages that are held on the disk, each once for all of its channels
        self.held_next = 0  # the same once the last `write` is committed
        self.unsaved: set[str] = set()
        self.changed = False

    @property
    def open(self) -> dict[str, Alert]:
        """The open alerts by their ids."""
        return self.dispatch.open

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

        A suppressed edge still there, flapping over, a critical that nobody acknowledges; what
        still holds after its silence; what happened again in a quiet time that is over.
        """
        steps = []
        states = list(self.states.items())
        over = sorted((not s.suppressed, k) for k, s in states if _is_over(s, tick))
        for _, key in over[:ROLLED_UP_MAX]:
            steps += self._rolled_up(key, now, tick)
        for key, state in states:
            last = self.last.get(key)
            if last is None or last.once:
                continue
            finding = routing.ruled(self.policy, last)
            edge = not state.alert and tick >= state.quiet_until
            if state.holds and (edge or finding.band == 0):
                steps += self._judged(state, finding, now, tick)
            elif state.flapping:
                calm = replace(finding, band=0)
                steps += self._decided(settled(state, tick), calm, now, tick)
            steps += self._unsilenced(key, finding, now, tick)
            if self.states[key].chase is not None:
                steps += self._chased(key, finding, now, tick)
        return steps

    def _unsilenced(self, key: str, finding: Finding, now: datetime, tick: float) -> list[Step]:
        """Tell what still holds once the silence that kept it quiet is over."""
        state = self.states[key]
        alert = self.open.get(state.alert)
        if alert is None or not alert.silenced:
            return []
        if self.hush.silence_of(finding.trigger, finding.bot, now) is not None:
            return []
        debounce_s = self.policy.debounce(finding.trigger, finding.bot)
        decision = debounce.unsilenced(state, finding, tick, debounce_s)
        return self._decided(decision, finding, now, tick)

    def _rolled_up(self, key: str, now: datetime, tick: float) -> list[Step]:
        """Tell what only happens and was suppressed, as its quiet time is over."""
        state, finding = self.states[key], routing.ruled(self.policy, self.last[key])
        debounce_s = self.policy.debounce(finding.trigger, finding.bot)
        if finding.band == 0:  # it was switched off
            state = replace(state, **UNCOUNTED)
        decision = debounce.rolled_up(state, tick, debounce_s)
        if state.event and not decision.state.event:
            self.dispatch.forget(state.event)
        return self._decided(decision, finding, now, tick)

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
            self.dispatch.went.setdefault(alert.id, set()).add(channel)
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
            step = self._fire(finding, before, at, decision)
            id_ = step.alert.id
            state = replace(state, event=id_) if finding.once else replace(state, alert=id_)
        elif decision.action == "repeat":
            step = self._repeat(finding, before, at, fresh=decision.fresh)
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

    def _fire(self, finding: Finding, before: TriggerState, at: Moment, decision: Decision) -> Step:
        id_ = self.dispatch.new_id(at.now)
        alert = episode.begun(finding, before, at, id_, flapping=decision.flapping)
        if before.event:
            self.dispatch.forget(before.event)
        (self.dispatch.events if finding.once else self.open)[alert.id] = alert
        step = self.dispatch.step("fire", alert, before, at, fresh=decision.fresh)
        debounce_s = self.policy.debounce(finding.trigger, finding.bot)
        return replace(step, after=again.earlier(before, finding, at.tick, debounce_s))

    def _repeat(
        self,
        finding: Finding | None,
        before: TriggerState,
        at: Moment,
        due: Due | None = None,
        *,
        fresh: bool = False,
    ) -> Step:
        """Tell an alert again, as the finding has it now; `due`: because nobody answers."""
        known = self.open if before.alert else self.dispatch.events
        last = known[before.alert or before.event]
        alert = episode.told_again(last, finding, before, at)
        known[alert.id] = alert
        step = self.dispatch.step("repeat", alert, before, at, due, fresh=fresh)
        worse = finding is not None and not finding.once and debounce.is_worse(before, finding)
        if step.notice is None or not worse:
            return step
        remarks = [f"Worse than before: {last.title}", *step.notice.remarks]
        return replace(step, notice=replace(step.notice, remarks=remarks))

    def _resolve(self, finding: Finding, before: TriggerState, at: Moment) -> Step:
        alert = episode.ended(self.open.pop(before.alert), finding, before, at)
        step = self.dispatch.step("resolve", alert, before, at)
        if not self.dispatch.forget(alert.id):  # nobody was told of it
            return replace(step, notice=None)
        return step if self.tell_resolved else self.dispatch.closing(step)

    # ------------------------------------------------------------ the disk

    def written(self) -> None:
        """Note that what `disk.write` wrote last is committed."""
        self.unsaved.clear()
        self.held = self.held_next
        self.dispatch.limit = replace(self.dispatch.limit, held=self.held)
        self.changed = self.hush.changed = False

    def digest(self, jobs: list[Job], unwritten: list[Step], now: datetime) -> Step | None:
        """Tell in one message what is held; see `Dispatch.digest`."""
        self.changed = True
        return self.dispatch.digest(jobs, unwritten, now)


def _is_over(state: TriggerState, tick: float) -> bool:
    """Whether the quiet time is over of what only happens."""
    return bool(state.event) and tick >= state.quiet_until

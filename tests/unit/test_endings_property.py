"""Whatever comes between: no incident stays open for what is over, and who was told is told so."""

from datetime import time, timedelta

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.alerts import again, outbox
from actors.alerts.commands import Silence
from actors.alerts.disk import expire
from actors.alerts.quiet import Hours
from actors.alerts.routing import Policy
from actors.alerts.step import Moment
from actors.alerts.triggers import Finding
from tests.fakes.desk import Desk

POLICY = Policy(["slack", "pager"], incidents=frozenset({"pager"}))
BAD = Finding("losses_in_a_row", "native", 1, "warning", "10 losses", "Too many.")
SUBJECTS = "ab"


class Shift:
    """A desk, one of its channels, and what the sender has in hand for that.

    `incidents` are the open ones of a provider that keeps them.
    """

    def __init__(self, channel, **options):
        self.channel = channel
        self.desk = Desk(policy=POLICY, **options)
        self.hand = []
        self.incidents = set()

    @property
    def stamp(self):
        return self.desk.now.timestamp()

    # ---------------------------------------------------------------- what happens

    def bad(self, subject, band):
        severity = "critical" if band > 2 else "warning"
        self.desk.take(replace(BAD, subject=subject, band=band, severity=severity))

    def over(self, subject, _band):
        self.desk.take(replace(BAD, subject=subject, band=0))

    def silence(self, subject, band):
        desk = self.desk
        if not desk.book.silences.pop("s", None):
            until = desk.now + timedelta(days=1)
            desk.book.silences["s"] = Silence("s", "known", until, desk.now, hold=band > 1)
        desk.look()

    def acknowledge(self, subject, _band):
        book, at = self.desk.book, Moment(self.desk.now, self.desk.tick)
        key = replace(BAD, subject=subject).key
        if key in book.states and book.states[key].alert:
            alert = replace(book.open[book.states[key].alert], state="acknowledged")
            book.open[alert.id] = alert
            book.acknowledge(key)
            self.desk.write([book.dispatch.acknowledged(alert, at)])

    def later(self, _subject, band):
        self.desk.now_s += (5, 70, 400, 4_000)[band]
        book = self.desk.book
        limit = expire(book, self.desk.tx, self.desk.now)
        if limit is not None:
            book.dispatch.limit, book.held = limit, book.held_next
        self.desk.look()

    def restart(self, _subject, band):
        """Be killed: the provider may have taken what was in hand."""
        for job in self.hand[:band]:
            self.take(outbox.notice_of(job))
        self.hand.clear()
        self.desk.restart()
        again.put_back(self.desk.tx, self.channel, self.stamp)

    # ---------------------------------------------------------------- the sender

    def claim(self, _subject, band):
        self.hand += self.desk.tx.queue.claim(self.channel, self.stamp, band)

    def deliver(self, _subject, _band):
        for job in self.hand:
            self.take(outbox.notice_of(job))
            self.desk.tx.queue.done(self.channel, job.id, self.stamp, "ok")
        self.hand.clear()

    def send(self, subject, band):
        self.claim(subject, band)
        self.deliver(subject, band)

    def fail(self, _subject, band):
        for place, job in enumerate(self.hand):
            if place < band - 1:  # the answer came too late
                self.take(outbox.notice_of(job))
            self.desk.tx.queue.retry(self.channel, job.id, self.stamp, self.stamp + 4, "503")
            again.reunite(self.desk.tx, job.group, self.channel, self.stamp)
        self.hand.clear()

    def refuse(self, _subject, _band):
        for job in self.hand:
            again.park(self.desk.tx, job, self.stamp, "400")
        self.hand.clear()

    def revive(self, _subject, _band):
        again.revive(self.desk.tx, self.channel, self.stamp)

    def take(self, notice):
        if notice.kind == "resolved" or notice.over:
            self.incidents.discard(notice.alert_id)
        elif notice.kind in outbox.TELLING:
            self.incidents.add(notice.alert_id)

    def end(self):
        """Let all be over, and all that waits go out."""
        self.desk.book.silences.clear()
        for subject in SUBJECTS:
            self.over(subject, 0)
        self.deliver("", 0)
        self.revive("", 0)
        for _ in range(8):
            self.later("", 3)
            self.send("", 1_000)


DEEDS = [
    Shift.bad,
    Shift.bad,
    Shift.over,
    Shift.over,
    Shift.silence,
    Shift.acknowledge,
    Shift.later,
    Shift.restart,
    Shift.claim,
    Shift.deliver,
    Shift.send,
    Shift.send,
    Shift.fail,
    Shift.refuse,
    Shift.revive,
]


QUIET = {"quiet": Hours(time(0, 10), time(6))}
BEGUN = [(Shift.bad, "a", 1), (Shift.send, "a", 1)]
IN_HAND = [(Shift.bad, "a", 1), (Shift.claim, "a", 1)]
WORSE, OVER = (Shift.bad, "a", 2), (Shift.over, "a", 1)


def stories(deeds):
    step = st.tuples(st.sampled_from(deeds), st.sampled_from(SUBJECTS), st.integers(1, 3))
    return st.lists(step, max_size=25)


def told(channel, story, options):
    """Tell a story to its end; gives the shift."""
    shift = Shift(channel, **options)
    for deed, subject, band in story:
        deed(shift, subject, band)
    shift.end()
    assert {alert.state for alert in shift.desk.alerts()} <= {"resolved"}
    return shift


@given(stories(DEEDS), st.sampled_from([{}, {"tell_resolved": False}, {"hourly_limit": 1}, QUIET]))
@example([*BEGUN, (Shift.later, "a", 3), WORSE, OVER], QUIET)  # its reminder is held
@example([*BEGUN, WORSE, OVER, (Shift.bad, "a", 1)], {})  # it is back before its end has gone
@example([*IN_HAND, OVER, (Shift.refuse, "a", 1), (Shift.send, "a", 1)], {})
@example([*IN_HAND, OVER, (Shift.restart, "a", 1), (Shift.bad, "a", 1)], {})
def test_it_leaves_no_incident_open_of_what_is_over(story, options):
    shift = told("pager", story, options)
    assert shift.incidents == set()
    shift.desk.link.close()


@given(
    stories([deed for deed in DEEDS if deed is not Shift.silence]),
    st.sampled_from([{}, {"hourly_limit": 1}, QUIET]),
)
@example([*BEGUN, WORSE, OVER, (Shift.bad, "a", 1)], {})
def test_who_was_told_of_an_alert_is_told_that_it_is_over(story, options):
    desk = told("slack", story, options).desk
    begun, ended = set(), set()
    for job, notice in desk.jobs("slack"):
        over = notice.over or notice.kind == "resolved"
        if job.attempts and notice.kind in outbox.TELLING and not over:
            begun.add(notice.alert_id)
        if over and (job.attempts or job.detail.startswith("told in digest")):
            ended.add(notice.alert_id)
    assert begun <= ended
    desk.link.close()

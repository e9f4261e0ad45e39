"""A channel that keeps an incident for each alert: none stays open for what is over."""

from datetime import time, timedelta

import pytest
from msgspec.structs import replace

from actors.alerts.commands import Silence
from actors.alerts.disk import expire
from actors.alerts.expiry import OWED_MAX
from actors.alerts.quiet import Hours
from actors.alerts.routing import Policy
from actors.alerts.triggers import Finding
from tests.fakes.desk import START, Desk

CHANNELS = ["slack", "pager"]
POLICY = Policy(CHANNELS, incidents=frozenset({"pager"}))
BAD = Finding("losses_in_a_row", "native", 1, "warning", "10 losses", "Too many.")
OVER = replace(BAD, band=0)
FIRED, RESOLVED, WHOLE = ("fired", "10 losses"), ("resolved", "10 losses"), "10 losses (over)"


@pytest.fixture
def at_desk():
    made = []

    def make(**options):
        desk = Desk(policy=POLICY, **options)
        made.append(desk)
        return desk

    yield make
    for desk in made:
        desk.link.close()


def told(desk):
    """Let a warning be told everywhere."""
    desk.take(BAD)
    for channel in CHANNELS:
        desk.deliver(channel)


def states(desk, channel):
    return [(job.state, notice.kind) for job, notice in desk.jobs(channel)]


def test_it_closes_an_incident_at_once_in_quiet_hours(at_desk):
    desk = at_desk(quiet=Hours(time(0, 10), time(7)))
    told(desk)
    desk.wait(900)
    desk.take(OVER)
    assert states(desk, "slack") == [("done", "fired"), ("held", "resolved")]
    assert states(desk, "pager") == [("done", "fired"), ("queued", "resolved")]
    desk.deliver("pager")
    desk.wait(7 * 3_600)
    assert desk.sent("slack") == [FIRED, ("digest", "1 alert held back: quiet hours")]
    assert desk.sent("pager") == [FIRED, RESOLVED]
    assert desk.held() == set()


def test_it_opens_no_incident_for_what_began_and_ended_in_quiet_hours(at_desk):
    desk = at_desk(quiet=Hours(time(23), time(7)))
    desk.take(BAD, OVER)
    for channel in CHANNELS:
        assert [(j.state, n.title) for j, n in desk.jobs(channel)] == [("held", WHOLE)]
    desk.wait(7 * 3_600 + 60)
    for channel in CHANNELS:
        assert desk.sent(channel) == [("digest", "1 alert held back: quiet hours")]


def test_it_closes_an_incident_also_where_ends_are_not_told(at_desk):
    desk = at_desk(tell_resolved=False)
    told(desk)
    desk.take(OVER)
    assert desk.sent("slack") == [FIRED]
    assert desk.sent("pager") == [FIRED, RESOLVED]


def test_it_opens_and_closes_in_one_where_ends_are_not_told(at_desk):
    desk = at_desk(tell_resolved=False)
    desk.take(BAD, OVER)
    assert desk.sent("slack") == [FIRED]
    assert desk.sent("pager") == [("fired", WHOLE)]


@pytest.mark.parametrize("tell_resolved", [True, False])
def test_it_closes_an_incident_whose_end_is_silenced(at_desk, tell_resolved):
    desk = at_desk(tell_resolved=tell_resolved)
    told(desk)
    silence = Silence("s", "known", START + timedelta(hours=1), START)
    desk.book.silences[silence.id] = silence
    desk.take(OVER)
    assert desk.sent("slack") == [FIRED]
    assert desk.sent("pager") == [FIRED, RESOLVED]
    assert desk.alerts()[0].state == "resolved"


def test_it_tells_nobody_the_end_of_what_was_silenced_from_the_start(at_desk):
    desk = at_desk()
    silence = Silence("s", "known", START + timedelta(hours=1), START)
    desk.book.silences[silence.id] = silence
    desk.take(BAD, OVER)
    assert [desk.sent(channel) for channel in CHANNELS] == [[], []]


def test_it_lets_no_end_of_an_incident_join_a_digest(at_desk):
    """While a channel is down, the oldest of more than it should owe do."""
    desk = at_desk(hourly_limit=1_000)
    findings = [replace(BAD, subject=str(number)) for number in range(OWED_MAX + 5)]
    desk.take(*findings)
    for channel in CHANNELS:
        desk.deliver(channel)
    desk.take(*(replace(one, band=0) for one in findings))
    desk.now_s += 120
    expire(desk.book, desk.tx, desk.now)
    held = {c: sum(state == "held" for state, _ in states(desk, c)) for c in CHANNELS}
    assert held == {"slack": 5, "pager": 0}


WORSE = replace(BAD, band=2, title="20 losses")


@pytest.mark.parametrize(
    "options", [{"quiet": Hours(time(0, 10), time(7))}, {"hourly_limit": 1}], ids=["quiet", "limit"]
)
def test_it_closes_an_incident_of_which_a_repeat_is_held(at_desk, options):
    desk = at_desk(**options)
    told(desk)
    desk.wait(900)
    desk.take(WORSE)
    assert states(desk, "pager") == [("done", "fired"), ("held", "reminder")]
    desk.take(OVER)
    assert states(desk, "slack") == [("done", "fired"), ("held", "fired")]
    assert states(desk, "pager")[2:] == [("queued", "resolved")]
    assert desk.sent("pager") == [FIRED, ("resolved", "20 losses")]
    assert len(desk.held()) == desk.book.held == 1


def several(desk):
    """Let as many warnings be over as let some of them join a digest; the channel is down."""
    findings = [replace(BAD, subject=str(number)) for number in range(OWED_MAX + 5)]
    desk.take(*findings)
    yield
    desk.take(*(replace(WORSE, subject=one.subject) for one in findings))
    desk.take(*(replace(one, band=0) for one in findings))
    desk.now_s += 120
    expire(desk.book, desk.tx, desk.now)
    yield


@pytest.mark.parametrize("opened", [True, False])
def test_it_lets_what_is_over_join_a_digest_only_where_no_incident_is_open(at_desk, opened):
    desk = at_desk(hourly_limit=1_000)
    story = several(desk)
    next(story)
    if opened:
        desk.deliver("pager")
    next(story)
    assert {n.over for job, n in desk.jobs("pager") if job.state in ("queued", "held")} == {True}
    assert sum(state == "held" for state, _ in states(desk, "pager")) == (0 if opened else 5)


@pytest.mark.parametrize("channel", CHANNELS)
def test_it_tells_the_end_of_what_was_told_before_its_return(at_desk, channel):
    desk = at_desk()
    told(desk)
    desk.take(WORSE)
    desk.take(OVER)
    desk.now_s += 10
    desk.take(BAD)
    assert desk.sent(channel) == [FIRED, ("fired", "20 losses (over)"), FIRED]

"""The book, its limit and its outbox together, on a database in memory and a clock by hand."""

import re
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.alerts import again, limits, outbox
from actors.alerts.disk import STATE
from actors.alerts.routing import Policy, Rule
from actors.alerts.triggers import Finding
from actors.place import cursor_key
from actors.senders.channel import sent_as
from tests.fakes.desk import CHANNELS, START, Desk

BAD = Finding("drawdown_day", "native", 1, "critical", "Drawdown", "It is down.", value=0.06)
OVER = replace(BAD, band=0, cleared="It is back.")


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.link.close()


def other(number, severity="warning"):
    return replace(BAD, bot=f"bot{number}", severity=severity, title=f"D{number}")


# ---------------------------------------------------------------- one alert


def test_it_writes_an_alert_with_a_delivery_for_each_channel(desk):
    desk.book.at("metrics", 7)
    desk.take(BAD)
    (alert,) = desk.alerts()
    assert (alert.state, alert.opened, alert.value) == ("open", START, 0.06)
    assert [(d.channel, d.kind, d.state) for d in alert.deliveries] == [
        ("mail", "fired", "queued"),
        ("slack", "fired", "queued"),
    ]
    assert desk.tx.state.get(cursor_key("metrics")) == b"7"


def test_each_message_leads_to_its_alert_on_the_page():
    desk = Desk(url="https://watch.example/")
    desk.take(BAD)
    desk.take(OVER)
    (alert,) = desk.alerts()
    assert {notice.url for _, notice in desk.jobs()} == {f"https://watch.example/#alert-{alert.id}"}
    desk.link.close()


def test_it_never_moves_a_cursor_back_nor_for_the_clock(desk):
    desk.book.at("metrics", 7)
    desk.book.at("metrics", 3)
    desk.book.at("health", 0)
    assert desk.book.cursors == {"metrics": 7}


def test_it_remembers_nothing_of_what_never_held(desk):
    assert desk.take(OVER) == []
    assert not desk.book.dirty
    assert list(desk.tx.state.scan(STATE)) == []


@pytest.mark.parametrize("worse", [{"band": 2}, {"severity": "critical"}])
def test_it_says_what_was_told_before_it_got_worse(desk, worse):
    mild = replace(BAD, severity="warning", title="Drawdown 5.40%")
    desk.take(mild)
    desk.deliver("slack")
    desk.take(replace(mild, title="Drawdown 8.10%", value=0.081))  # counted, and not told
    desk.take(replace(mild, title="Drawdown 12.00%", value=0.12, **worse))
    desk.deliver("slack")
    desk.wait(300)
    desk.take(replace(mild, title="Drawdown 11.00%", **worse))
    told = [(notice.title, notice.remarks) for _, notice in desk.jobs()]
    assert told == [
        ("Drawdown 5.40%", []),
        ("Drawdown 12.00%", ["Worse than before: Drawdown 5.40%"]),
        ("Drawdown 11.00%", []),
    ]


def test_it_calls_nothing_worse_that_only_happened_again(desk):
    once = replace(BAD, once=True, title="Order rejected")
    desk.take(once)
    desk.deliver("slack")
    desk.take(once)
    desk.wait(300)
    told = [(notice.kind, notice.remarks) for _, notice in desk.jobs()]
    assert told == [("fired", []), ("reminder", [])]


@pytest.mark.parametrize("channel", CHANNELS)
def test_it_tells_what_fired_and_cleared_undelivered_as_one_message(desk, channel):
    desk.take(BAD)
    desk.wait(60)
    desk.take(OVER)
    assert desk.sent(channel) == [("fired", "Drawdown (over)")]
    assert desk.jobs(channel)[0][1].text == "It is back. Before: It is down."


def test_it_tells_an_outage_of_hours_as_one_message_for_each_channel(desk):
    desk.take(BAD)
    desk.deliver("slack")
    for _ in range(5):
        desk.wait(300)
        desk.deliver("slack")
        desk.take(replace(BAD, value=0.07))
        desk.take(BAD)
    desk.take(OVER)
    assert desk.sent("mail") == [("fired", "Drawdown (over)")]
    notice = desk.jobs("mail")[0][1]
    assert notice.id.endswith(".1")
    assert (notice.suppressed, notice.worst) == (1, "")  # once it was worse; reminders are no news
    assert [kind for kind, _ in desk.sent("slack")] == ["fired", *["reminder"] * 4, "fired"]


def test_it_tells_the_end_apart_once_the_beginning_was_delivered(desk):
    desk.take(BAD)
    desk.deliver("slack")
    desk.take(OVER)
    assert desk.sent("slack") == [("fired", "Drawdown"), ("resolved", "Drawdown")]
    assert desk.sent("mail") == [("fired", "Drawdown (over)")]


def test_it_does_not_tell_a_new_channel_the_end_of_what_it_was_not_told(desk):
    desk.restart(Policy(["slack"]))
    desk.take(BAD)
    desk.restart(Policy(CHANNELS))
    desk.take(OVER)
    assert [len(desk.sent(channel)) for channel in CHANNELS] == [1, 0]


def test_it_keeps_the_end_to_history_when_nobody_wants_to_hear_it():
    desk = Desk(tell_resolved=False)
    desk.take(BAD)
    desk.take(OVER)
    assert desk.sent() == [("fired", "Drawdown")]
    assert desk.alerts()[0].state == "resolved"
    desk.link.close()


def test_it_tells_how_often_and_how_bad_with_the_next_message(desk):
    desk.take(BAD)
    desk.take(replace(BAD, value=0.08, title="Drawdown 8.00%"), replace(BAD, value=0.07))
    for channel in CHANNELS:
        desk.deliver(channel)
    desk.wait(300)
    desk.take(BAD)
    notice = desk.jobs()[-1][1]
    assert (notice.kind, notice.suppressed) == ("reminder", 1)
    assert (notice.span_s, notice.worst) == (300.0, "Drawdown 8.00%")
    desk.take(replace(BAD, value=0.09), OVER, BAD)
    assert [alert.suppressed for alert in desk.alerts()] == [0, 2]


def test_it_tells_an_event_that_is_over_at_once(desk):
    event = replace(BAD, trigger="position_rejected", once=True)
    desk.take(event)
    (alert,) = desk.alerts()
    assert (alert.state, alert.closed) == ("resolved", START)
    desk.wait(900)
    assert len(desk.jobs()) == 1


@pytest.mark.parametrize("restarted", [False, True])
def test_it_tells_how_often_an_event_happened_when_its_quiet_time_ends(restarted):
    desk = Desk(delivers=CHANNELS)
    event = replace(BAD, trigger="position_rejected", once=True)
    desk.take(event)
    desk.wait(60)
    desk.take(*[replace(event, text=f"order {n}") for n in range(4)])
    if restarted:
        desk.restart()
    desk.wait(235)
    assert len(desk.jobs()) == 1
    desk.wait(5)
    first, again = [notice for _, notice in desk.jobs()]
    assert (again.kind, again.alert_id, again.text) == ("reminder", first.alert_id, "order 3")
    assert (again.suppressed, again.span_s, again.fresh) == (4, 240.0, False)
    assert again.id != first.id
    (alert,) = desk.alerts()
    assert (alert.state, alert.suppressed) == ("resolved", 4)
    desk.take(event)
    desk.wait(300)
    assert [notice.suppressed for _, notice in desk.jobs()] == [0, 4, 1]
    desk.wait(600)
    desk.take(event)
    assert [alert.suppressed for alert in desk.alerts()] == [0, 5]
    assert len(desk.book.dispatch.events) == 1
    desk.link.close()


def test_it_rolls_up_a_bounded_number_in_each_look_what_was_counted_first(desk, monkeypatch):
    monkeypatch.setattr("actors.alerts.book.ROLLED_UP_MAX", 3)
    events = [replace(other(n), trigger="actor_refused", once=True) for n in range(8)]
    desk.take(*events, events[7])
    desk.now_s += 300
    left = []
    for _ in range(3):
        desk.look()
        left.append(len(desk.book.dispatch.events))
    assert left == [6, 3, 1]  # one was told again: it is quiet for another while
    assert desk.jobs()[-1][1].suppressed == 1


def test_it_counts_an_event_in_the_message_that_still_waits(desk):
    event = replace(BAD, trigger="position_rejected", once=True)
    desk.take(event, event, event)
    desk.wait(300)
    [(_, notice)] = desk.jobs()
    assert (notice.kind, notice.suppressed) == ("fired", 2)


def test_it_rolls_up_nothing_of_an_event_that_was_switched_off(desk):
    event = replace(BAD, trigger="position_rejected", once=True)
    desk.take(event, event)
    desk.restart(Policy(CHANNELS, rules={"position_rejected": Rule(enabled=False)}))
    desk.wait(900)
    assert [notice.suppressed for _, notice in desk.jobs()] == [0]


# ---------------------------------------------------------------- back before its end was told


def test_it_tells_what_is_back_before_anyone_heard_of_it_as_one_message(desk):
    desk.take(BAD)
    desk.wait(20)
    desk.take(replace(BAD, value=0.08, title="Drawdown 8.00%"), OVER)
    desk.wait(20)
    desk.take(BAD)
    assert desk.sent("mail") == [("fired", "Drawdown")]
    notice = desk.jobs("mail")[-1][1]
    assert (notice.over, notice.suppressed, notice.worst) == (False, 2, "Drawdown 8.00%")
    assert notice.span_s == 40.0
    assert [alert.state for alert in desk.alerts()] == ["open", "resolved"]


def test_it_tells_an_end_that_is_owed_before_it_tells_that_it_is_back(desk):
    desk.take(BAD)
    desk.deliver("mail")
    for _ in range(2):
        desk.take(OVER, BAD)
    desk.take(OVER)
    assert desk.sent("mail") == [
        ("fired", "Drawdown"),
        ("resolved", "Drawdown"),
        ("fired", "Drawdown (over)"),
    ]
    jobs = [(job, notice) for job, notice in desk.jobs("mail") if job.state == "queued"]
    assert [notice.suppressed for _, notice in jobs] == [0, 1]
    assert jobs[0][1].alert_id < jobs[1][1].alert_id


def test_it_passes_at_once_after_an_end_that_was_delivered(desk):
    for finding in (BAD, OVER, BAD):
        desk.take(finding)
        desk.deliver("mail")
    assert [kind for kind, _ in desk.sent("mail")] == ["fired", "resolved", "fired"]
    assert desk.sent("slack") == [("fired", "Drawdown")]


def test_it_hides_no_critical_behind_a_warning_that_follows(desk):
    desk.take(BAD, OVER, replace(BAD, severity="warning"))
    assert desk.sent("mail") == [("fired", "Drawdown (over)"), ("fired", "Drawdown")]
    assert [job.priority for job, _ in desk.jobs("mail")] == [2, 1]


def test_it_tells_each_turn_of_a_switch_though_nobody_has_heard_of_the_last(desk):
    switch = replace(BAD, trigger="kill_switch", transition=True)
    desk.take(switch, replace(switch, band=0), switch)
    assert desk.sent("mail") == [("fired", "Drawdown (over)"), ("fired", "Drawdown")]


@pytest.mark.parametrize(("restarted", "messages"), [(False, 1), (True, 1)])
def test_it_knows_after_a_restart_what_it_continues(desk, restarted, messages):
    desk.take(BAD, OVER)
    if restarted:
        desk.restart()
    desk.wait(290)
    desk.take(BAD)
    assert len(desk.sent("mail")) == messages


def test_it_continues_nothing_that_ended_longer_ago_than_the_debounce(desk):
    desk.take(BAD, OVER)
    desk.wait(300)
    desk.take(BAD)
    assert [title for _, title in desk.sent("mail")] == ["Drawdown (over)", "Drawdown"]


def test_it_fails_over_by_when_it_was_first_undelivered_however_often_it_is_back(desk):
    desk.take(BAD)
    first = desk.tick
    desk.wait(10)
    desk.take(OVER, BAD)
    assert max(p.alert for p in desk.book.pressing.values()) in desk.book.open
    assert {p.since for p in desk.book.pressing.values()} == {first}


# ---------------------------------------------------------------- over while in hand


def in_hand(desk):
    [job] = desk.tx.queue.claim("mail", desk.now.timestamp(), 1)
    desk.take(OVER)
    return job


def test_it_is_one_message_when_the_attempt_fails_during_which_it_ended(desk):
    desk.take(BAD)
    job = in_hand(desk)
    desk.look()
    assert desk.sent("mail") == [("fired", "Drawdown"), ("resolved", "Drawdown")]
    desk.tx.queue.retry("mail", job.id, desk.now.timestamp(), desk.now.timestamp() + 4, "500")
    again.reunite(desk.tx, job.group, "mail", desk.now.timestamp())
    assert desk.sent("mail") == [("fired", "Drawdown (over)")]
    told = desk.jobs("mail")[0][1]
    assert (told.id, told.over) == (f"{told.alert_id}.1", True)
    assert (told.latest, sent_as(told)) == (f"{told.alert_id}.2", f"{told.id}-2")
    assert told.text == "It is back. Before: It is down."
    assert desk.jobs("mail")[1][0].detail == f"told in {told.id}"


def test_it_is_two_messages_when_the_attempt_succeeds_during_which_it_ended(desk):
    desk.take(BAD)
    job = in_hand(desk)
    desk.tx.queue.done("mail", job.id, desk.now.timestamp(), "ok")
    again.reunite(desk.tx, job.group, "mail", desk.now.timestamp())
    assert desk.sent("mail") == [("fired", "Drawdown"), ("resolved", "Drawdown")]


def test_it_is_one_message_where_a_worse_one_came_between(desk):
    desk.take(BAD)
    [job] = desk.tx.queue.claim("mail", desk.now.timestamp(), 1)
    desk.take(replace(BAD, band=2, value=0.11, title="Drawdown 11%"))
    desk.take(OVER)
    assert desk.sent("mail") == [("fired", "Drawdown"), ("fired", "Drawdown 11% (over)")]
    desk.tx.queue.retry("mail", job.id, desk.now.timestamp(), desk.now.timestamp() + 4, "500")
    again.reunite(desk.tx, job.group, "mail", desk.now.timestamp())
    assert desk.sent("mail") == [("fired", "Drawdown 11% (over)")]
    told = desk.jobs("mail")[0][1]
    assert sent_as(told) == f"{told.alert_id}.1-3"
    assert (told.fresh, told.suppressed) == (True, 1)  # it tells the first, and counts the worse


def test_it_takes_no_acknowledgement_for_the_message_that_an_end_follows(desk):
    desk.take(BAD)
    desk.deliver("mail")
    [alert] = desk.alerts()
    told = replace(desk.jobs("mail")[0][1], id=f"{alert.id}.9", kind="acknowledged")
    outbox.enqueue(desk.tx, told, ["mail"], desk.now.timestamp(), held=False)
    [job] = desk.tx.queue.claim("mail", desk.now.timestamp(), 1)
    desk.take(OVER)
    desk.tx.queue.retry("mail", job.id, desk.now.timestamp(), desk.now.timestamp() + 4, "500")
    again.reunite(desk.tx, alert.id, "mail", desk.now.timestamp())
    states = {notice.kind: job.state for job, notice in desk.jobs("mail")}
    assert states == {"fired": "done", "acknowledged": "done", "resolved": "queued"}


def refuse(desk, channel="mail"):
    for job in desk.tx.queue.claim(channel, desk.now.timestamp(), 10):
        desk.tx.queue.dead(channel, job.id, desk.now.timestamp(), "400")


def test_it_says_of_what_is_parked_that_it_is_over(desk):
    desk.take(BAD)
    refuse(desk)
    desk.take(OVER)
    assert desk.sent("mail") == [("fired", "Drawdown (over)"), ("resolved", "Drawdown")]
    assert [job.state for job, _ in desk.jobs("mail")] == ["dead", "queued"]
    desk.deliver("mail")
    again.revive(desk.tx, "mail", desk.now.timestamp())
    [notice] = [n for job, n in desk.jobs("mail") if job.state == "queued"]
    assert (notice.kind, notice.over) == ("fired", True)


def test_it_counts_what_was_suppressed_once_where_the_beginning_is_parked(desk):
    desk.take(BAD)
    refuse(desk)
    desk.take(replace(BAD, value=0.07))
    desk.take(OVER)
    assert [notice.suppressed for _, notice in desk.jobs("mail")] == [0, 1]
    refuse(desk)
    again.revive(desk.tx, "mail", desk.now.timestamp())
    [whole] = [notice for job, notice in desk.jobs("mail") if job.state == "queued"]
    assert whole.suppressed + whole.fresh == 2  # it began, and was worse once


def test_it_is_one_message_where_the_beginning_and_the_end_were_parked(desk):
    desk.take(BAD)
    refuse(desk)
    desk.take(OVER)
    refuse(desk)
    again.revive(desk.tx, "mail", desk.now.timestamp())
    waiting = [notice for job, notice in desk.jobs("mail") if job.state == "queued"]
    assert [(n.title, n.over) for n in waiting] == [("Drawdown (over)", True)]


def test_it_makes_one_message_as_urgent_as_the_most_urgent_of_them(desk):
    desk.take(replace(BAD, severity="warning"))
    desk.take(replace(BAD, band=2, value=0.11))
    desk.take(OVER)
    [(job, notice)] = [pair for pair in desk.jobs("mail") if pair[0].state == "queued"]
    assert (job.priority, notice.severity, notice.over) == (2, "critical", True)


# ---------------------------------------------------------------- flapping


def flap(desk):
    for _ in range(3):
        desk.take(BAD)
        desk.deliver("slack")
        desk.take(OVER)
        desk.deliver("slack")
    desk.take(BAD)
    desk.deliver("slack")


@pytest.mark.parametrize("restarted", [False, True])
def test_it_tells_flapping_once_and_its_end_after_ten_calm_minutes(desk, restarted):
    flap(desk)
    for _ in range(50):
        desk.wait(30)
        desk.take(OVER, BAD)
    desk.take(OVER)
    if restarted:
        desk.restart()
    told = [notice for _, notice in desk.jobs()][6:]
    assert [notice.kind for notice in told] == ["fired"]
    assert "flapping" in told[0].text
    desk.wait(595)
    assert len(desk.jobs()) == 7
    desk.wait(5)
    assert desk.sent()[7:] == [("resolved", "Drawdown")]
    assert desk.jobs()[-1][1].suppressed == 50
    assert desk.book.open == {}


# ---------------------------------------------------------------- failover


@pytest.fixture
def apart():
    """A repeat that waits for mail by itself, and on slack within the message before it."""
    desk = Desk(policy=Policy([*CHANNELS, "pager"]))
    desk.book.dispatch.policy = desk.policy = Policy(CHANNELS)
    desk.take(BAD)
    desk.deliver("mail")
    desk.take(replace(BAD, band=2))
    yield desk, f"{desk.alerts()[0].id}.2"
    desk.link.close()


def failed_over(desk, id_):
    """Decide as after the wait; gives the step."""
    desk.wait(15)
    [alert] = desk.alerts()
    jobs = outbox.deliveries(desk.tx, alert.id, id_)
    return desk.book.fail_over(id_, jobs, alert, desk.now, desk.tick)


def test_a_repeat_fails_over_to_no_channel_that_has_told_it_within_another_message(apart):
    desk, id_ = apart
    desk.deliver("slack")
    assert failed_over(desk, id_) is None
    assert id_ not in desk.book.pressing


def test_a_repeat_fails_over_past_the_channel_where_it_waits_within_another_message(apart):
    desk, id_ = apart
    step = failed_over(desk, id_)
    assert step.channels == ["pager"]
    assert step.notice.id == id_
    assert step.notice.remarks[-1] == (
        "Failover: not delivered by mail (no answer yet), slack (no answer yet)"
    )


# ---------------------------------------------------------------- limit and digest


def test_it_tells_what_was_held_in_one_digest(desk):
    desk.take(*[other(n) for n in range(35)])
    assert len(desk.sent()) == 10
    desk.wait(3_595)
    assert len(desk.sent()) == 10
    desk.wait(5)
    kind, title = desk.sent()[-1]
    assert (kind, title) == ("digest", "25 alerts held back: hourly limit")
    text = desk.jobs()[-1][1].text
    assert text.startswith(f"00:00 bot10 · D10 [{desk.alerts()[-11].id}]\n")
    assert text.endswith(f"bot29 · D29 [{desk.alerts()[-30].id}]\nand 5 more, on the page")
    assert desk.tx.queue.count()["done"] == 50


def test_it_does_not_lose_what_one_digest_cannot_hold(desk, monkeypatch):
    monkeypatch.setattr("actors.alerts.dispatch.HELD_MAX", 8)
    desk.take(*[other(n, "critical") for n in range(36)])
    desk.wait(60)
    jobs = desk.tx.queue.held(8)
    while jobs:
        step = desk.book.digest(jobs, [], desk.now)
        desk.write([step])
        jobs = desk.tx.queue.held(8)
    told = [job.detail for channel in CHANNELS for job, _ in desk.jobs(channel)]
    assert sum(detail.startswith("told in digest") for detail in told) == 12
    assert desk.book.held == 0


def test_it_does_not_hold_a_critical_longer_than_a_minute_behind_warnings(desk):
    desk.take(*[other(n) for n in range(11)])
    desk.wait(1_000)
    desk.take(*[other(n, "critical") for n in range(100, 131)])
    desk.look()
    why = "hourly limit, more than 30 criticals in an hour"
    assert ("digest", f"2 alerts held back: {why}") in desk.sent()


def digests(desk):
    return [
        notice.text.split("\n")
        for job, notice in desk.jobs()
        if notice.kind == "digest" and not job.detail.startswith("told in")
    ]


def test_it_names_the_criticals_of_a_digest_first(desk):
    desk.take(*[other(n) for n in range(40)], *[other(n, "critical") for n in range(100, 132)])
    desk.wait(65)
    [lines] = digests(desk)
    assert [" CRITICAL · bot" in line for line in lines[:4]] == [True, True, False, False]
    assert lines[0].startswith("00:00 CRITICAL · bot130 · D130 [")
    assert lines[20:] == ["and 12 more, on the page"]


def test_it_says_how_many_criticals_a_digest_does_not_name(desk):
    desk.take(*[other(n) for n in range(15)], *[other(n, "critical") for n in range(100, 153)])
    desk.wait(65)
    [lines] = digests(desk)
    assert lines[20:] == ["and 8 more, 3 of them critical, on the page"]
    desk.take(*[other(n) for n in range(15, 19)], *[other(n, "critical") for n in range(200, 210)])
    desk.wait(65)  # it still waits on its channel: the two are one
    [whole] = digests(desk)
    assert all(" CRITICAL · " in line for line in whole[:20])
    assert whole[20:] == ["and 22 more, 13 of them critical, on the page"]


def test_it_counts_no_longer_as_held_what_went_at_once_with_its_end(desk):
    desk.take(*[other(n, "critical") for n in range(32)])
    assert desk.book.held == 2
    desk.take(replace(other(31, "critical"), band=0))  # over while it was held: it goes
    assert desk.sent()[-1] == ("fired", "D31 (over)")
    assert desk.book.held == desk.book.dispatch.limit.held == 1
    desk.take(OVER, other(99, "critical"), replace(other(0, "critical"), band=0))
    assert desk.jobs()[0][1].held == 2
    desk.restart()
    assert desk.book.held == 2


def test_it_holds_one_message_of_an_alert_that_is_told_again_meanwhile(desk):
    desk.take(*[other(n) for n in range(11)])
    desk.deliver("slack")
    desk.take(replace(other(10), value=0.2, band=2))
    assert len(desk.held()) == desk.book.held == 1
    desk.wait(3_600)
    assert desk.sent()[-1] == ("digest", "1 alert held back: hourly limit")
    assert desk.jobs()[-1][1].suppressed == 1


# ---------------------------------------------------------------- restarts


def test_it_goes_on_numbering_after_what_was_purged(desk):
    desk.take(BAD)
    for _ in range(3):
        desk.deliver("slack")
        desk.deliver("mail")
        desk.wait(300)
        desk.take(BAD)
    desk.tx.queue.purge(desk.now.timestamp() - 500)
    desk.deliver("slack")
    desk.restart()
    desk.wait(300)
    desk.take(BAD)
    assert [notice.id[-2:] for _, notice in desk.jobs()] == [".3", ".4", ".5"]


def test_it_begins_anew_where_the_alert_itself_was_never_written(desk):
    desk.take(BAD)
    desk.link.execute("DELETE FROM state WHERE key LIKE 'alert/%'")
    desk.link.execute("DELETE FROM queue")
    desk.restart()
    assert desk.take(BAD) == []
    desk.wait(300)
    assert [alert.suppressed for alert in desk.alerts()] == [0]
    desk.take(OVER)
    assert desk.alerts()[0].state == "resolved"


def test_it_loads_its_silences(desk):
    desk.tx.state.put(
        "silences",
        b'[{"id":"s","reason":"r","until":"2026-02-01T00:00:00Z",'
        b'"created":"2026-01-01T00:00:00Z"}]',
    )
    desk.restart()
    assert desk.book.silences["s"].reason == "r"


# ---------------------------------------------------------------- for any run

ops = st.lists(
    st.one_of(
        st.tuples(
            st.just("find"),
            st.integers(0, 3),
            st.integers(0, 3),
            st.sampled_from(["warning", "critical"]),
        ),
        st.tuples(st.just("event"), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.sampled_from([5, 55, 60, 300, 900, 3_600])),
        st.tuples(st.just("deliver"), st.just("slack")),
        st.tuples(st.just("restart")),
    ),
    max_size=60,
)


def play(desk, todo, *, restarts):
    accepted, worst = 0, {}
    for what, *args in todo:
        if what == "find":
            number, band, severity = args
            if band > worst.get(number, 0):  # it begins to hold, or gets worse
                accepted += 1
            worst[number] = max(band, worst.get(number, 0)) if band else 0
            desk.take(replace(other(number, severity), band=band, value=float(band)))
        elif what == "event":
            accepted += 1
            desk.take(replace(other(args[0]), trigger="position_rejected", once=True))
        elif what != "restart":
            getattr(desk, what)(*args)
        elif restarts:
            desk.restart()
        assert desk.book.held == desk.book.dispatch.limit.held == len(desk.held())
    return accepted


def check_counts(desk, channel, accepted):
    """Sent, plus told as suppressed in what was sent, plus held, is what came in."""
    told, held, digested, suppressed, told_by_digests = 0, 0, 0, 0, 0
    live = Counter()
    for job, notice in desk.jobs(channel):
        if notice.kind == "digest":
            said = re.search(r"and (\d+) more", notice.text)
            lines = len(notice.text.split("\n")) - bool(said)
            assert lines + (int(said[1]) if said else 0) == int(notice.title.split()[0])
            if job.detail.startswith("told in"):
                continue  # the digest that waited before it counts it
            told_by_digests += int(notice.title.split()[0])
            continue
        in_digest = job.detail.startswith("told in digest")
        if job.detail.startswith("told in") and not in_digest:
            continue  # folded: the message that took its place counts it
        suppressed += notice.suppressed
        digested += in_digest
        told += notice.fresh and job.state != "held"
        held += notice.fresh and job.state == "held"
        if job.state == "queued":
            live[notice.alert_id] += 1
        if notice.severity == "critical":
            until = job.updated if in_digest else desk.now.timestamp()
            assert until - job.created <= 60 or not (in_digest or job.state == "held")
    waiting = sum(state.suppressed for state in desk.book.states.values())
    assert told + suppressed + held + waiting == accepted
    assert told_by_digests == digested
    if channel == "mail":  # it never delivers
        ended = [a.id for a in desk.alerts() if a.state == "resolved" and a.trigger != "digest"]
        assert all(live[alert_id] <= 1 for alert_id in ended)


HELD_THEN_CRITICAL = [  # held as a warning, told as a critical, over: its end may not wait
    ("event", 0),
    ("event", 1),
    ("find", 0, 1, "warning"),
    ("find", 0, 0, "warning"),
    ("find", 0, 1, "warning"),
    ("find", 0, 1, "critical"),
    ("deliver", "slack"),
    ("find", 0, 0, "warning"),
    ("wait", 300),
]


AGAIN_AFTER_AN_HOUR = [  # the second digest joins the first, which still waits
    ("event", 0),
    ("event", 0),
    ("event", 1),
    ("event", 1),
    ("wait", 3_600),
    ("event", 0),
    ("event", 1),
    ("wait", 300),
]


@settings(max_examples=150, deadline=None)
@example(AGAIN_AFTER_AN_HOUR)
@example(HELD_THEN_CRITICAL)
@given(ops)
def test_it_loses_and_doubles_nothing_and_a_restart_changes_nothing(todo):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "CRITICALS_PER_HOUR", 3)
        once, again = Desk(hourly_limit=3), Desk(hourly_limit=3)
        accepted = play(once, todo, restarts=False)
        play(again, todo, restarts=True)
    for channel in CHANNELS:
        check_counts(once, channel, accepted)
    assert again.dump() == once.dump()
    assert again.alerts() == once.alerts()
    once.link.close()
    again.link.close()

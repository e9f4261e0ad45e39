"""An unacknowledged critical is told again, ever more rarely, and goes up the ladder."""

import anyio
import pytest
from msgspec.structs import replace

from actors.alerts import escalation
from actors.alerts.commands import Acknowledge, Silence
from actors.alerts.escalation import Chase, Plan, Rung, begun, due
from actors.alerts.step import Step
from actors.alerts.triggers import Finding
from tests.fakes.desk import CHANNELS, START, Desk
from tests.fakes.oncall import Duty

MIN = 60
LADDER = [Rung(15 * MIN, ["pager"]), Rung(60 * MIN, ["phone", "pager"])]
BAD = Finding("kill_switch", "native", 1, "critical", "Kill switch on", "It is on.")
OVER = replace(BAD, band=0, cleared="It is off.")


def run(plan, minutes):
    """What is due, and in which minute, of an alert that nobody acknowledges."""
    chase, found = begun(0.0), []
    for minute in range(minutes + 1):
        now_due = due(chase, plan, minute * 60.0)
        if now_due is not None:
            chase = now_due.chase
            found.append((minute, now_due.what, now_due.channels))
    return found


# ---------------------------------------------------------------- decided purely


def test_it_reminds_after_half_an_hour_then_after_twice_as_long_up_to_four_hours():
    minutes = [minute for minute, _, _ in run(Plan(1_800.0), 24 * 60)]
    gaps = [b - a for a, b in zip([0, *minutes], minutes, strict=False)]
    assert gaps == [30, 60, 120, 240, 240, 240, 240, 240]


def test_it_never_reminds_at_zero():
    assert run(Plan(0.0), 3 * 24 * 60) == []


def test_it_keeps_a_time_longer_than_four_hours():
    assert [minute for minute, _, _ in run(Plan(6 * 3_600.0), 24 * 60)] == [360, 720, 1_080, 1_440]


def test_it_climbs_each_rung_once():
    assert run(Plan(0.0, LADDER), 24 * 60) == [
        (15, "escalate", ["pager"]),
        (60, "escalate", ["phone", "pager"]),
    ]


def test_it_begins_to_count_to_the_next_reminder_anew_when_it_climbs():
    found = [(minute, what) for minute, what, _ in run(Plan(1_800.0, LADDER[:1]), 120)]
    assert found == [(15, "escalate"), (45, "remind"), (105, "remind")]


def test_it_climbs_all_rungs_that_it_has_missed_at_once():
    found = due(begun(0.0), Plan(0.0, LADDER), 7_200.0)
    assert (found.what, found.channels, found.chase.rung) == ("escalate", ["pager", "phone"], 2)


def test_it_is_on_another_clock_what_it_was_and_never_ahead_of_it():
    chase = Chase(100.0, 200.0, 3, 1)
    assert chase.shifted(50.0) == Chase(150.0, 250.0, 3, 1)
    assert chase.shifted(50.0, 180.0) == Chase(150.0, 180.0, 3, 1)


# ---------------------------------------------------------------- in the book


@pytest.fixture
def desk():
    ladder = [Rung(900.0, ["mail"])]
    desk = Desk(escalation=Plan(1_800.0, ladder), delivers=CHANNELS)
    yield desk
    desk.link.close()


def told(desk, channel):
    return [
        (round((notice.at - START).total_seconds() / 60), notice.kind, notice.remarks)
        for _, notice in desk.jobs(channel)
    ]


@pytest.mark.parametrize("restarts", [False, True])
def test_it_escalates_and_reminds_over_restarts(desk, restarts):
    desk.take(BAD)
    for _ in range(13):
        desk.wait(10 * MIN)
        if restarts:
            desk.restart()
    assert told(desk, "slack") == [
        (0, "fired", []),
        (45, "reminder", ["Nobody has acknowledged this for 45 min"]),
        (105, "reminder", ["Nobody has acknowledged this for 105 min"]),
    ]
    assert told(desk, "mail") == [
        (0, "fired", []),
        (15, "reminder", ["Escalated: nobody has acknowledged this for 15 min"]),
        *told(desk, "slack")[1:],
    ]


def test_it_is_quiet_about_warnings_and_about_what_only_happened(desk):
    desk.take(replace(BAD, severity="warning"), replace(BAD, trigger="x", once=True))
    desk.wait(7_200)
    assert len(desk.jobs()) == 2


def test_it_begins_when_a_warning_becomes_critical(desk):
    desk.take(replace(BAD, severity="warning", trigger="drawdown_day"))
    desk.wait(3_600)
    desk.take(replace(BAD, trigger="drawdown_day", band=2))
    desk.wait(16 * MIN)
    assert [kind for _, kind, _ in told(desk, "mail")] == ["fired", "reminder", "reminder"]


@pytest.mark.parametrize("restarted", [False, True])
def test_it_stops_once_acknowledged(desk, restarted):
    desk.take(BAD)
    desk.book.acknowledge("kill_switch|native|")
    desk.write([])
    if restarted:
        desk.restart()
    desk.wait(6 * 3_600)
    assert len(desk.jobs("mail")) == 1


@pytest.fixture
def down():
    """Nothing is delivered."""
    desk = Desk(escalation=Plan(1_800.0, [Rung(900.0, ["mail"])]))
    desk.take(BAD)
    yield desk
    desk.link.close()


def test_it_says_once_in_a_message_that_waits_for_how_long_nobody_has_acknowledged(down):
    down.wait(16 * MIN)
    assert told(down, "mail")[0][2] == ["Escalated: nobody has acknowledged this for 15 min"]
    down.wait(110 * MIN)
    assert told(down, "mail") == [
        (105, "fired", ["Nobody has acknowledged this for 105 min"]),
    ]


def test_no_message_that_waits_says_that_nobody_has_acknowledged_once_somebody_has(down):
    down.wait(46 * MIN)
    [alert] = down.book.open.values()
    down.write([Step("change", replace(alert, state="acknowledged"), None)])
    assert told(down, "slack") == [(45, "fired", ["Acknowledged meanwhile"])]


def test_an_acknowledgement_leaves_alone_what_says_nothing_of_it(desk, down):
    [alert] = down.book.open.values()
    down.write([Step("change", alert, None)])
    assert told(down, "slack") == [(0, "fired", [])]
    desk.take(BAD)
    desk.wait(16 * MIN)
    [alert] = desk.book.open.values()
    desk.write([Step("change", alert, None)])  # what was delivered stays as it was
    assert told(desk, "mail")[1][2] == ["Escalated: nobody has acknowledged this for 15 min"]


def test_it_stops_at_its_end_and_begins_anew(desk):
    desk.take(BAD)
    desk.wait(60)
    desk.take(OVER)
    desk.wait(3_600)
    assert len(desk.jobs("mail")) == 2
    desk.take(BAD)
    desk.wait(16 * MIN)
    assert [kind for _, kind, _ in told(desk, "mail")] == [
        "fired",
        "resolved",
        "fired",
        "reminder",
    ]


def test_it_waits_for_the_end_of_a_silence(desk):
    desk.take(BAD)
    silence = Silence("s", "r", desk.now.replace(hour=2), desk.now, trigger="kill_switch")
    desk.book.silences["s"] = silence
    desk.wait(119 * MIN)
    assert len(desk.jobs("mail")) == 1
    desk.wait(2 * MIN)
    assert told(desk, "mail")[1][:2] == (120, "reminder")


def test_it_rolls_up_in_a_reminder_what_was_only_counted(desk):
    desk.take(replace(BAD, trigger="drawdown_day", value=0.06))
    desk.wait(60)
    desk.take(replace(BAD, trigger="drawdown_day", value=0.08, title="Drawdown 8.00%"))
    desk.book.states["drawdown_day|native|"] = replace(
        desk.book.states["drawdown_day|native|"], quiet_until=1e12
    )
    desk.wait(16 * MIN)
    notice = desk.jobs("mail")[-1][1]
    assert (notice.suppressed, notice.worst, notice.span_s) == (1, "Drawdown 8.00%", 840.0)


def test_it_remembers_no_chase_of_what_is_over(desk):
    desk.take(BAD, OVER)
    assert desk.book.states["kill_switch|native|"].chase is None


# ---------------------------------------------------------------- with real senders


@pytest.mark.anyio
async def test_it_escalates_to_a_channel_beyond_the_route_which_then_hears_the_end(tmp_path):
    plan = Plan(1_800.0, [Rung(900.0, ["pager"])])
    duty = Duty("slack", "pager", route=["slack"], escalation=plan)
    async with duty.run(tmp_path) as on:
        await on.trouble()
        await anyio.sleep(899)
        assert on.got("pager") == []
        await anyio.sleep(3)
        assert [remarks for _, _, remarks in on.got("pager")] == [
            [escalation.remark("escalate", 900)]
        ]
        await anyio.sleep(1_801)
        assert [len(on.got(name)) for name in ("slack", "pager")] == [2, 2]
        await on.trouble(holds=False)
        await anyio.sleep(5)
        assert [on.got(name)[-1][1] for name in ("slack", "pager")] == ["resolved", "resolved"]


@pytest.mark.anyio
async def test_it_is_stopped_by_acknowledging_it(tmp_path):
    plan = Plan(1_800.0, [Rung(900.0, ["pager"])])
    duty = Duty("slack", "pager", route=["slack"], escalation=plan)
    async with duty.run(tmp_path) as on:
        await on.trouble()
        [alert] = await on.history()
        await on.system.ref("alerts").ask(Acknowledge(alert.id))
        await anyio.sleep(2 * 3_600)
        assert len(on.got("slack")) == 1
        assert on.got("pager") == []

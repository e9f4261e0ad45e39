"""Quiet hours and windows: what is not critical waits, is counted, and is told at their end."""

from datetime import UTC, datetime, time, timedelta

import anyio
import pytest
from msgspec.structs import replace

from actors.alerts.commands import AddSilence, ListSilences, Silence
from actors.alerts.escalation import Plan
from actors.alerts.hush import QUIET
from actors.alerts.quiet import Hours, is_quiet
from actors.alerts.triggers import Finding
from config.oncall import Quiet, Window
from config.settings import Settings
from sidewatch.oncall import escalation_plan, failover_plan, quiet_hours, windows
from tests.fakes.alerts import Alerts, run
from tests.fakes.desk import START, Desk

NIGHT = Hours(time(22), time(7), "Europe/Berlin")
BAD = Finding("losses_in_a_row", "native", 1, "warning", "10 losses", "Too many.")
OVER = replace(BAD, band=0)
SWITCH = Finding("kill_switch", "native", 1, "critical", "Kill switch on", "It is on.")
HOUR = 3_600


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ---------------------------------------------------------------- the clock on the wall


@pytest.mark.parametrize(
    ("utc", "quiet"),
    [
        ("2026-01-01T20:59:59", False),
        ("2026-01-01T21:00:00", True),
        ("2026-01-02T05:59:59", True),
        ("2026-01-02T06:00:00", False),
        ("2026-07-01T20:00:00", True),  # the same hours, in summer time
        ("2026-07-02T04:59:59", True),
        ("2026-07-02T05:00:00", False),
    ],
)
def test_it_is_quiet_from_22_to_7_in_berlin(utc, quiet):
    assert is_quiet(NIGHT, at(utc)) == quiet


def minutes(hours, first, last):
    """How many minutes between two UTC instants are quiet."""
    first, last = at(first), at(last)
    count = int((last - first).total_seconds() // 60)
    return sum(is_quiet(hours, first + timedelta(minutes=n)) for n in range(count))


@pytest.mark.parametrize(
    ("day", "night_h"),
    [("2026-03-28", 8), ("2026-03-29", 9), ("2026-10-24", 10), ("2026-10-25", 9)],
)
def test_it_keeps_its_hours_on_the_wall_over_a_change_of_the_clocks(day, night_h):
    noon = datetime.fromisoformat(f"{day}T12:00:00")
    next_noon = noon + timedelta(days=1)
    assert minutes(NIGHT, noon.isoformat(), next_noon.isoformat()) == night_h * 60


def test_it_is_quiet_twice_in_an_hour_that_comes_twice_and_never_in_one_that_is_skipped():
    hours = Hours(time(2), time(3), "Europe/Berlin")
    assert minutes(hours, "2026-10-24T20:00:00", "2026-10-25T06:00:00") == 120
    assert minutes(hours, "2026-03-28T20:00:00", "2026-03-29T06:00:00") == 0


def test_it_belongs_to_the_day_on_which_it_began():
    hours = Hours(time(22), time(7), "UTC", frozenset({4}))  # Friday; 2026-01-02 is one
    assert [is_quiet(hours, at(f"2026-01-{d:02}T23:00:00")) for d in (1, 2, 3)] == [
        False,
        True,
        False,
    ]
    assert [is_quiet(hours, at(f"2026-01-{d:02}T06:00:00")) for d in (2, 3, 4)] == [
        False,
        True,
        False,
    ]


def test_it_may_end_on_the_day_on_which_it_begins():
    hours = Hours(time(9), time(17), "UTC", frozenset({3}))
    assert is_quiet(hours, at("2026-01-01T16:59:59"))
    assert not is_quiet(hours, at("2026-01-01T17:00:00"))
    assert not is_quiet(hours, at("2026-01-02T10:00:00"))


def test_it_is_never_quiet_without_hours():
    assert not is_quiet(None, START)


# ---------------------------------------------------------------- in the book

HOURS = Hours(time(0), time(7), "UTC")  # START is midnight


def night(**options):
    return Desk(quiet=HOURS, **options)


@pytest.mark.parametrize("restarts", [False, True])
def test_it_holds_warnings_and_tells_them_in_one_digest_at_the_end(restarts):
    desk = night()
    for number in range(3):
        desk.take(replace(BAD, bot=f"bot{number}"))
        desk.wait(HOUR)
    if restarts:
        desk.restart()
    desk.wait(4 * HOUR - 5)
    assert desk.sent() == []
    assert {job.detail for job, _ in desk.jobs()} == {QUIET}
    assert desk.book.dispatch.limit.held == 3
    desk.wait(5)
    assert desk.sent() == [("digest", "3 alerts held back: quiet hours")]
    ids = [alert.id for alert in reversed(desk.alerts())]
    lines = [f"0{n}:00 bot{n} · 10 losses [{ids[n]}]" for n in range(3)]
    assert desk.jobs()[-1][1].text == "\n".join(lines)
    assert desk.book.dispatch.limit.held == 0
    desk.link.close()


def test_it_lets_criticals_and_their_end_pass_and_says_how_many_are_held():
    desk = night()
    desk.take(BAD, SWITCH)
    desk.deliver("slack")
    desk.take(replace(SWITCH, band=0))
    assert [kind for kind, _ in desk.sent()] == ["fired", "resolved"]
    assert [notice.held for job, notice in desk.jobs() if job.state != "held"] == [1, 1]
    desk.link.close()


def test_it_tells_what_fired_and_cleared_in_the_night_as_one_line():
    desk = night()
    desk.take(BAD)
    desk.wait(HOUR)
    desk.take(OVER)
    desk.wait(7 * HOUR)
    assert desk.sent() == [("digest", "1 alert held back: quiet hours")]
    alert = desk.alerts()[-1]
    assert desk.jobs()[-1][1].text.endswith(f"10 losses (over) [{alert.id}]")
    desk.link.close()


def test_it_wakes_nobody_with_the_end_of_a_warning_from_before():
    desk = night()
    desk.book.hush.quiet = None
    desk.take(BAD)
    desk.deliver("slack")
    desk.deliver("mail")
    desk.book.hush.quiet = HOURS
    desk.take(OVER)
    desk.wait(6 * HOUR)
    assert [kind for kind, _ in desk.sent()] == ["fired"]
    desk.wait(HOUR)
    assert [kind for kind, _ in desk.sent()] == ["fired", "digest"]
    desk.link.close()


def test_it_combines_criticals_in_the_night_without_the_warnings():
    desk = night()
    desk.take(BAD)
    desk.take(*[replace(SWITCH, bot=f"bot{n}") for n in range(33)])
    desk.wait(60)
    assert desk.sent()[-1] == ("digest", "3 alerts held back: more than 30 criticals in an hour")
    assert desk.book.dispatch.limit.held == 1
    desk.deliver("slack")
    desk.wait(7 * HOUR)
    assert desk.sent()[-1] == ("digest", "1 alert held back: quiet hours")
    desk.link.close()


def test_it_tells_at_once_what_becomes_critical():
    desk = night()
    desk.take(replace(BAD, trigger="drawdown_day"))
    desk.take(replace(BAD, trigger="drawdown_day", severity="critical", band=2))
    assert [kind for kind, _ in desk.sent()] == ["reminder"]
    desk.link.close()


# ---------------------------------------------------------------- windows


def window(until_h, since_h=0, **fields):
    end, begin = START + timedelta(hours=until_h), START + timedelta(hours=since_h)
    return Silence("w", "exchange upgrade", end, START, since=begin, hold=True, **fields)


def test_it_holds_only_what_a_window_is_about_and_only_while_it_lasts():
    desk = Desk(windows=[window(3, 1, bot="native")])
    desk.take(BAD)
    desk.wait(HOUR)
    desk.take(OVER, BAD, replace(BAD, bot="other"))
    assert [job.state for job, _ in desk.jobs()] == ["queued", "held", "queued"]
    desk.wait(2 * HOUR - 5)
    assert [kind for kind, _ in desk.sent()] == ["fired", "fired"]
    desk.wait(5)
    assert desk.sent()[-1] == ("digest", "1 alert held back: maintenance window")
    desk.link.close()


def test_it_keeps_back_in_a_digest_by_the_limit_what_a_window_still_holds():
    desk = Desk(windows=[window(5, bot="native")], hourly_limit=1)
    desk.take(BAD, *[replace(BAD, bot=f"bot{n}") for n in range(3)])
    desk.wait(HOUR)
    assert desk.sent()[-1] == ("digest", "2 alerts held back: hourly limit")
    assert desk.jobs()[-1][1].held == 1
    desk.deliver("slack")
    desk.wait(4 * HOUR)
    assert desk.sent()[-1] == ("digest", "1 alert held back: maintenance window")
    desk.link.close()


def test_a_digest_names_each_reason_for_which_something_was_held():
    desk = night(windows=[window(7, bot="native")])
    desk.take(BAD, replace(BAD, bot="other"))
    desk.wait(7 * HOUR)
    [told] = desk.sent()
    assert told == ("digest", "2 alerts held back: quiet hours, maintenance window")
    desk.link.close()


def test_a_digest_says_on_which_day_where_it_was_another():
    desk = Desk(quiet=Hours(time(0), time(23, 59), "UTC"))
    desk.take(BAD)
    desk.wait(60)
    desk.book.hush.quiet = None
    desk.now_s += 24 * HOUR
    desk.look()
    [(_, _), (_, told)] = desk.jobs()
    assert told.text.startswith("Jan 01, 00:00 native · 10 losses [")
    assert told.remarks == ["Times are UTC"]
    desk.link.close()


@pytest.mark.anyio
async def test_it_takes_a_window_over_the_api_and_counts_what_it_kept(tmp_path):
    alerts = Alerts()
    async with run(alerts, tmp_path):
        later = AddSilence(
            "upgrade",
            START + timedelta(hours=2),
            since=START + timedelta(hours=1),
            hold=True,
        )
        made = await alerts.ref.ask(later)
        await alerts.trouble("a", severity="warning")
        await anyio.sleep(HOUR + 1)
        await alerts.trouble("b", severity="warning")
        assert [job.state for job, _ in await alerts.jobs()] == ["queued", "held"]
        await anyio.sleep(2)
    again = Alerts(later_s=HOUR + 3)
    async with run(again, tmp_path):
        [kept] = await again.ref.ask(ListSilences())
        assert (kept.id, kept.hold, kept.kept) == (made.id, True, 1)
        await anyio.sleep(HOUR)
        titles = [notice.title for _, notice in await again.jobs()]
        assert titles[-1] == "1 alert held back: maintenance window"
        assert await again.ref.ask(ListSilences()) == []


# ---------------------------------------------------------------- as the settings say


def test_it_reads_hours_windows_and_plans_from_the_settings():
    up = Window("2026-12-01T22:00:00+01:00", "2026-12-01T22:30:00Z", "upgrade", bot="native")
    settings = Settings(
        quiet=Quiet("22:00", "07:00", "Europe/Berlin", ["sat", "sun"]), maintenance={"up": up}
    )
    hours = quiet_hours(settings)
    assert hours == Hours(time(22), time(7), "Europe/Berlin", frozenset({5, 6}))
    [read] = windows(settings)
    assert (read.id, read.hold, read.bot) == ("maintenance.up", True, "native")
    assert (read.since, read.until) == (at("2026-12-01T21:00:00"), at("2026-12-01T22:30:00"))
    assert quiet_hours(Settings()) is None
    assert escalation_plan(Settings()) == Plan(1_800.0)
    assert failover_plan(Settings()).after_s == 15.0

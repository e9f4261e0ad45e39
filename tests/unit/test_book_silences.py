"""Silences in the book: what they keep, what they show, and what still holds at their end."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from actors.alerts.commands import Silence
from actors.alerts.triggers import Finding
from tests.fakes.desk import START, Desk

BAD = Finding("drawdown_day", "native", 1, "critical", "Drawdown", "It is down.", value=0.06)
OVER = replace(BAD, band=0, cleared="It is back.")


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.link.close()


def silence(**fields):
    return Silence("s", "known", START + timedelta(hours=1), START, **fields)


def test_it_sends_nothing_about_what_is_silenced_nor_of_its_end(desk):
    desk.book.silences["s"] = silence(trigger="drawdown_day")
    desk.take(BAD)
    desk.wait(3_595)
    desk.take(OVER)
    desk.wait(10)
    assert [alert.state for alert in desk.alerts()] == ["resolved"]
    assert desk.jobs() == []


def test_it_shows_and_counts_what_is_silenced_until_it_is_told_again(desk):
    desk.book.silences["s"] = silence(bot="native")
    desk.take(BAD, replace(BAD, bot="bot1", title="D1"))
    assert {alert.bot: alert.silenced for alert in desk.alerts()} == {"native": "known", "bot1": ""}
    assert desk.book.silences["s"].kept == 1
    desk.restart()
    assert desk.book.silences["s"].kept == 1
    desk.wait(3_600)
    desk.take(BAD)
    assert {alert.silenced for alert in desk.alerts()} == {""}


def test_it_silences_the_kill_switch_by_its_name_alone(desk):
    switch = replace(BAD, trigger="kill_switch", transition=True)
    for number, scope in enumerate([{}, {"bot": "native"}, {"trigger": "drawdown_day"}]):
        desk.book.silences[f"s{number}"] = silence(**scope)
    desk.take(switch)
    assert desk.sent() == [("fired", "Drawdown")]
    desk.book.silences["s"] = silence(trigger="kill_switch", bot="native")
    desk.take(replace(switch, band=0))
    desk.take(switch)
    assert desk.sent() == [("fired", "Drawdown")]


def test_it_silences_nothing_before_a_silence_begins(desk):
    desk.book.silences["s"] = replace(silence(), since=START + timedelta(minutes=30))
    desk.take(BAD, OVER)
    desk.wait(1_800)
    desk.take(BAD)
    assert desk.sent() == [("fired", "Drawdown (over)")]


def test_it_reminds_once_a_silence_is_over(desk):
    desk.book.silences["s"] = silence()
    desk.take(BAD)
    desk.wait(3_600)
    desk.take(BAD)
    assert desk.sent() == [("reminder", "Drawdown")]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("ends", ["by itself", "early"])
def test_it_tells_what_still_holds_when_its_silence_ends(desk, restarts, ends):
    breaker = replace(BAD, trigger="circuit_breaker", transition=True)
    desk.book.silences["s"] = silence()
    desk.take(breaker)
    desk.wait(3_595)
    if restarts:
        desk.restart()
    assert desk.sent() == []
    if ends == "early":
        del desk.book.silences["s"]
    desk.wait(5)
    assert desk.sent() == [("reminder", "Drawdown")]
    assert desk.jobs()[-1][1].remarks == ["Silenced until now: known"]
    assert {alert.silenced for alert in desk.alerts()} == {""}
    desk.wait(600)
    desk.take(replace(breaker, band=0))
    assert desk.sent() == [("fired", "Drawdown (over)")]  # told once, and its end within it


def test_it_tells_nothing_at_the_end_of_a_silence_that_kept_nothing(desk):
    desk.take(BAD)
    desk.book.silences["s"] = silence()
    desk.wait(3_600)
    assert desk.sent() == [("fired", "Drawdown")]


def test_it_tells_no_acknowledged_alert_at_the_end_of_its_silence(desk):
    desk.book.silences["s"] = silence()
    desk.take(BAD)
    desk.book.acknowledge(BAD.key)
    desk.wait(3_600)
    assert desk.sent() == []

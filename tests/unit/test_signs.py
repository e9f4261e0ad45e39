"""Signs of life: the latest of each bot waits for health, whatever else does."""

from datetime import UTC, datetime, timedelta

from actors.health import signs as module
from actors.health.signs import Signs
from actors.messages import Seen

START = datetime(2026, 1, 1, tzinfo=UTC)


def seen(seconds, state="", bot="alpha", *, regular=False):
    return Seen(bot, START + timedelta(seconds=seconds), state, regular)


def noted(*signs):
    board = Signs()
    for sign in signs:
        board.note(sign)
    return board


def test_it_gives_each_bots_latest_sign_once():
    board = noted(seen(1), seen(1, bot="beta"), seen(2))
    assert list(board.news()) == [seen(2), seen(1, bot="beta")]
    assert list(board.news()) == []
    board.note(seen(3))
    assert list(board.news()) == [seen(3)]


def test_it_keeps_what_a_later_sign_does_not_say():
    board = noted(seen(1, "stopped", regular=True), seen(2))
    assert list(board.news()) == [seen(2, "stopped", regular=True)]


def test_it_takes_for_the_latest_what_came_last_though_the_clock_was_set_back():
    board = noted(seen(3_600, "running", regular=True), seen(2))
    assert list(board.news()) == [seen(2, "running", regular=True)]


def test_it_makes_news_of_everything_again():
    board = noted(seen(1), seen(1, bot="beta"))
    assert len(list(board.news())) == 2
    board.again()
    assert list(board.news()) == [seen(1), seen(1, bot="beta")]


def test_it_lets_the_one_that_was_silent_for_longest_go(monkeypatch):
    monkeypatch.setattr(module, "NAMES_MAX", 2)
    board = noted(seen(1), seen(2, bot="beta"), seen(3), seen(4, bot="gamma"))
    assert list(board.news()) == [seen(3), seen(4, bot="gamma")]
    board.again()
    assert list(board.news()) == [seen(3), seen(4, bot="gamma")]

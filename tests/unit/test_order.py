"""Order: a danger counts when it comes, an all-clear only where it cannot be late."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.health import levels
from actors.health.levels import Facts, Rules
from actors.health.order import AHEAD_S, CLOSE_S
from actors.messages import CircuitBreaker, KillSwitch, Positions

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR, DAY = 60, 24 * 60


def minutes(number):
    return NOON + timedelta(minutes=number)


def told(*story):
    """Tell of a kill switch: (state, minute of the stamp, minute of the arrival)."""
    facts = Facts()
    for state, at, arrived in story:
        event = KillSwitch("alpha", minutes(at), state.startswith("on"), state)
        facts = levels.applied(facts, event, minutes(arrived))
    return facts.kill_switch


CASES = {
    # who tells in order, by a clock that is right, or wrong by as much all the time
    "on, off": (("on", 0, 0), ("off", 5, 5), "off"),
    "on, off, by a clock an hour ahead": (("on", 60, 0), ("off", 65, 5), "off"),
    "on, off, by a clock an hour behind": (("on", -60, 0), ("off", -55, 5), "off"),
    "all at one instant": (("on", 0, 0), ("off", 0, 0), ("on", 0, 0), "on"),
    "a backlog in order": (("on", -60, 0), ("off", -30, 0), "off"),
    "a backlog in order, on at last": (("on", -60, 0), ("off", -50, 0), ("on2", -40, 0), "on2"),
    # a message that is late
    "an old off behind a newer on": (("on", 0, 0), ("off", -5, 1), "on"),
    "an old off, seconds late": (("on", 0.05, 0.05), ("off", 0, 0.08), "on"),
    "an old off of a clock that is ahead": (("on", 60, 0), ("off", 55, 5.5), "on"),
    "an old off of a clock that is a little ahead": (("on", 0.5, 0), ("off", 0.4, 0.4), "on"),
    "an old off behind a newer off": (("on", 0, 0), ("off", 9, 9), ("off2", 5, 10), "off"),
    "on sent again, its off came before": (("on", 0, 0), ("off", 5, 5), ("on", 0, 6), "off"),
    "an older on while it is on": (("on", 0, 0), ("on2", -60, 1), ("off", -30, 1), "on2"),
    "an on and its off, both old": (("off", 0, 0), ("on", -60, 1), ("off2", -30, 1), "on"),
    # the bot's clock is set back
    "back, on": (("on", 0, 0), ("off", 5, 5), ("on2", -50, 10), "on2"),
    "back, on, off": (("off", 5, 5), ("on", -50, 10), ("off2", -45, 15), "off2"),
    "back, on, off, on": (
        ("off", 5, 5),
        ("on", -50, 10),
        ("off", -45, 15),
        ("on2", -40, 20),
        "on2",
    ),
    "back while on, off": (("on", 0, 0), ("off", -50, 10), "on"),  # may be late: until it is past
    "back while on, off once it is past": (("on", 0, 0), ("off", -50, 10), ("off2", 1, 61), "off2"),
    "back while on, another on": (("on", 0, 0), ("on2", -50, 10), ("off", -45, 15), "on2"),
    # it was ahead, and is right again
    "off ahead by a day, on": (("off", DAY, 0), ("on", 10, 10), "on"),
    "off ahead by a day, on, off": (("off", DAY, 0), ("on", 10, 10), ("off2", 20, 20), "off2"),
    "on ahead by a day, off": (("on", DAY, 0), ("off", 10, 10), "off"),
    "on ahead by a day, an old off": (("on", DAY, 0), ("off", 2, 10), "on"),
    "on ahead by a day, an off of just before": (("on", DAY, 1), ("off", 0.95, 1.01), "on"),
    "on ahead by a day, off, on": (("on", DAY, 0), ("off", 10, 10), ("on2", 20, 20), "on2"),
    "on ahead, on, off": (("on", DAY, 0), ("on2", 10, 10), ("off", 20, 20.2), "off"),
    # our own clock is set back, or both are
    "both back, on": (("off", 60, 60), ("on", 10, 10), "on"),
    "both back while on, off": (("on", 60, 60), ("off", 10, 10), "off"),
    "both back while on, an old off": (("on", 60, 60), ("off", 55, 10), "on"),
    "ours back while on, off": (("on", 0, 60), ("off", 10, 10), "off"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_decides_by_arrival_and_stamp(case):
    *story, last = CASES[case]
    state = told(*story)
    assert (state.active, state.reason) == (last.startswith("on"), last)


@pytest.mark.parametrize(
    ("case", "out_of_order"),
    [("on, off, by a clock an hour behind", False), ("back, on", True), ("both back, on", False)],
)
def test_it_says_which_was_told_out_of_order(case, out_of_order):
    *story, _ = CASES[case]
    assert told(*story).out_of_order is out_of_order


# ---------------------------------------------------------------- whatever the clock does

SECONDS = st.integers(-DAY * 60, DAY * 60)
MOMENTS = st.integers(0, 3 * 3_600)
CONTROLS = st.sampled_from([KillSwitch, CircuitBreaker, Positions])


def event(control, number, at, danger):
    instant = NOON + timedelta(seconds=at)
    if control is Positions:
        return Positions("alpha", instant, 100 + number if danger else 0, 100)
    return control("alpha", instant, danger, f"number {number}")


def folded(events):
    facts = Facts()
    for each, arrived in events:
        facts = levels.applied(facts, each, NOON + timedelta(seconds=arrived))
    return facts


def shown(facts, at):
    now = NOON + timedelta(seconds=at)
    return levels.judged(facts, Rules(), now, 0.0)


def in_danger(facts, at):
    return shown(facts, at).level != "HEALTHY"


@given(CONTROLS, st.lists(st.tuples(SECONDS, st.booleans()), min_size=1, max_size=12))
def test_it_shows_the_last_danger_of_a_live_sender_whatever_its_clock_does(control, story):
    events = [
        (event(control, number, at, danger), 10 * number)
        for number, (at, danger) in enumerate(story)
    ]
    for number, (_, danger) in enumerate(story):
        bot = shown(folded(events[: number + 1]), 10 * number)
        if danger:
            assert bot.level != "HEALTHY"
            told_ = {bot.kill_switch.reason, bot.circuit_breaker.reason}
            assert f"number {number}" in told_ or bot.positions.open == 100 + number


@given(
    CONTROLS,
    st.lists(st.tuples(SECONDS, st.booleans()), max_size=6),
    st.lists(st.booleans(), min_size=1, max_size=6),
)
def test_it_shows_what_a_live_sender_tells_once_its_clock_is_right(control, wrong, right):
    events = [
        (event(control, number, at, danger), 10 * number)
        for number, (at, danger) in enumerate(wrong)
    ]
    for danger in right:  # a day later, so that no stamp was within a minute ahead of its arrival
        number = len(events)
        at = DAY * 60 + AHEAD_S + 600 * number
        events.append((event(control, number, at, danger), at + number % 2 * CLOSE_S / 2))
        assert in_danger(folded(events), at) == danger


@given(CONTROLS, st.integers(AHEAD_S, DAY * 60), st.lists(st.booleans(), min_size=1, max_size=6))
def test_it_shows_at_once_what_a_clock_tells_that_was_far_ahead(control, ahead_s, right):
    events = [(event(control, 0, 9_000 + ahead_s, True), 0)]
    for danger in right:
        number = len(events)
        events.append((event(control, number, 10 * number, danger), 10 * number))
        assert in_danger(folded(events), 10 * number) == danger


@given(
    CONTROLS,
    st.lists(st.tuples(MOMENTS, MOMENTS, st.booleans()), min_size=1, unique_by=lambda s: s[0]),
    st.integers(-DAY * 60, int(AHEAD_S)),
)
def test_it_is_never_calm_against_the_newest_that_came_where_no_clock_is_set(
    control, story, ahead_s
):
    came = sorted(
        ((at + delay, at, danger) for at, delay, danger in story), key=lambda each: each[0]
    )
    events, newest = [], (-1, False)
    for number, (arrived, at, danger) in enumerate(came):
        events.append((event(control, number, at + ahead_s, danger), arrived))
        newest = max(newest, (at, danger))
        if newest[1]:
            assert in_danger(folded(events), arrived)

"""How long we have listened: neither a time in which we did not run, nor a clock that is set."""

from datetime import UTC, datetime, timedelta

import pytest

from actors.health.listening import GAP_S, LOOK_EVERY_S, Listening, looked, reading

START = datetime(2026, 1, 1, tzinfo=UTC)


def after(*steps):
    """Return what was listened after steps of the monotonic and of the wall clock, seconds."""
    known, monotonic_s, wall = Listening(50.0, START), 50.0, START
    for monotonic_step_s, wall_step_s in steps:
        monotonic_s += monotonic_step_s
        wall += timedelta(seconds=wall_step_s)
        known = looked(known, monotonic_s, wall)
    assert (known.monotonic_s, known.wall) == (monotonic_s, wall)
    return known.listened_s, known.gaps


@pytest.mark.parametrize("step_s", [0, 0.25, 1, GAP_S])
def test_it_listens_for_as_long_as_it_looks_often_enough(step_s):
    assert after(*[(step_s, step_s)] * 4) == (4 * step_s, 0)


def test_it_leaves_out_that_the_process_was_stopped():
    assert after((1, 1), (600, 600), (1, 1)) == (2 + LOOK_EVERY_S, 1)


def test_it_leaves_out_that_the_machine_was_asleep():
    assert after((1, 1), (0.5, 3_600), (1, 1)) == (2.5, 1)


def test_it_counts_time_all_the_same_when_the_wall_clock_is_set_back():
    assert after((1, 1), (1, -3_600), (1, 1)) == (3, 0)


def test_it_still_counts_on_a_machine_that_is_always_late():
    assert after(*[(GAP_S + 1, GAP_S + 1)] * 100) == (100 * LOOK_EVERY_S, 100)


@pytest.mark.parametrize(
    ("ago_s", "heard_s"), [(0, 9), (0.4, 8.6), (1, 8), (3_600, 8), (-3_600, 9)]
)
def test_it_knows_when_a_sign_of_life_came_whatever_the_clock_says(ago_s, heard_s):
    assert reading(Listening(59.0, START, 9.0), START - timedelta(seconds=ago_s)) == heard_s
    assert reading(Listening(50.0, START), START - timedelta(seconds=ago_s)) == 0

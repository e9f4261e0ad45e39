"""The retry schedule and the breaker, without a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.senders.retry import BreakerState, after_failure, after_success

START = datetime(2026, 1, 1, tzinfo=UTC)


def probes(outage_s, jitter=0.0, retry_after_s=None):
    """Seconds since the first failure at which an attempt is made, the first (0) included."""
    state, at_s, made = BreakerState(), 0.0, []
    while at_s < outage_s:
        made.append(at_s)
        state, delay_s = after_failure(
            state, START + timedelta(seconds=at_s), retry_after_s, jitter
        )
        at_s += delay_s
    return made, at_s


def gaps_between(first_s, last_s, jitter=0.0):
    made, _ = probes(last_s, jitter)
    return [b - a for a, b in pairwise(made) if a >= first_s]


def test_it_probes_after_half_a_second_then_1_2_and_4():
    made, _ = probes(8)
    assert made == [0, 0.5, 1.5, 3.5, 7.5]


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_it_probes_at_most_4_s_apart_in_the_first_minute(jitter):
    gaps = gaps_between(7.0, 60, jitter)
    assert len(gaps) >= 10
    assert all(3.3 <= gap <= 4.0 * (1 + 1e-9) for gap in gaps[1:])


@pytest.mark.parametrize(
    ("first_s", "last_s", "gap_s"),
    [(60, 600, 15.0), (600, 86_400, 27.0)],
)
def test_it_probes_more_calmly_the_longer_the_outage(first_s, last_s, gap_s):
    gaps = gaps_between(first_s, last_s)
    assert len(gaps) > 5
    assert gaps == pytest.approx([gap_s] * len(gaps))


@given(st.floats(0, 1))
def test_it_delivers_soon_after_an_outage_of_30_s_with_few_requests(jitter):
    made, recovered_s = probes(30, jitter)
    assert len(made) <= 25
    assert recovered_s - 30 <= 5


@given(
    st.integers(0, 1000), st.floats(0, 90_000), st.none() | st.floats(0, 86_400), st.floats(0, 1)
)
def test_it_is_never_earlier_than_retry_after_and_jitter_adds_a_tenth_at_most(
    count, outage_s, retry_after_s, jitter
):
    state = BreakerState(down_since=START, probes=count)
    now = START + timedelta(seconds=outage_s)
    _, plain_s = after_failure(state, now, retry_after_s, 0)
    _, delay_s = after_failure(state, now, retry_after_s, jitter)
    assert plain_s <= delay_s <= plain_s * 1.1 + 1e-9
    assert delay_s >= (retry_after_s or 0)
    assert delay_s >= 0.5


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_it_retries_within_1_and_one_and_a_half_seconds_when_asked_for_1(count, jitter):
    state = BreakerState(down_since=START, probes=count)
    _, delay_s = after_failure(state, START, 1, jitter)
    assert 1.0 <= delay_s <= 1.5


def test_it_does_not_let_a_short_retry_after_go_on_for_ever():
    made, _ = probes(3_600, retry_after_s=1)
    assert len(made) < 180


def test_it_does_not_hammer_when_retry_after_is_zero():
    made, _ = probes(8, retry_after_s=0)
    assert made == [0, 0.5, 1.5, 3.5, 7.5]


def test_it_waits_a_long_retry_after_out():
    _, delay_s = after_failure(BreakerState(), START, 3_600, 0)
    assert delay_s == 3_600


def test_it_remembers_since_when_it_is_down_and_why():
    state, _ = after_failure(BreakerState(), START, None, 0, error="500 rollup_error")
    state, _ = after_failure(state, START + timedelta(seconds=9), None, 0, error="timeout")
    assert state == BreakerState(down_since=START, probes=2, last_error="timeout")


def test_it_forgets_the_outage_after_a_success():
    state = BreakerState(down_since=START, probes=9, last_error="timeout")
    assert after_success(state) == BreakerState()


def test_it_keeps_a_schedule_when_the_wall_clock_goes_back():
    state = BreakerState(down_since=START, probes=9)
    _, delay_s = after_failure(state, START - timedelta(hours=5), None, 0)
    assert delay_s == 3.4

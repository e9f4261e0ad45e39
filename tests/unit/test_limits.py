"""What goes now, and what is held back for a digest."""

from actors.alerts import limits
from actors.alerts.limits import LimitState, admit, digest_due, digested

LIMIT = 10


def many(state, severity, count, now=0.0):
    goes = []
    for _ in range(count):
        state, went = admit(state, severity, now, LIMIT)
        goes.append(went)
    return state, goes


def test_it_holds_the_eleventh_warning_of_an_hour():
    state, goes = many(LimitState(), "warning", 12)
    assert goes == [True] * 10 + [False] * 2
    assert (state.held, state.holding_since, state.held_critical) == (2, 0.0, False)


def test_it_counts_info_and_warnings_together():
    state, _ = many(LimitState(), "info", 5)
    assert many(state, "warning", 6)[1] == [True] * 5 + [False]


def test_it_lets_criticals_pass_the_hourly_limit():
    state, _ = many(LimitState(), "warning", 11)
    state, goes = many(state, "critical", 31)
    assert goes == [True] * 30 + [False]
    assert state.held_critical


def test_it_has_room_again_after_an_hour():
    state, _ = many(LimitState(), "warning", 11)
    assert not digest_due(state, 3_599.0, LIMIT)
    assert digest_due(state, 3_600.0, LIMIT)
    assert many(state, "warning", 1, 3_600.0)[1] == [True]


def test_it_combines_criticals_after_a_minute():
    state, _ = many(LimitState(), "critical", 31)
    assert not digest_due(state, 58.9, LIMIT)
    assert digest_due(state, 59.0, LIMIT)


def test_it_does_not_let_a_critical_wait_for_a_warnings_minute_to_begin_anew():
    state, _ = many(LimitState(), "warning", 11)
    state, _ = many(state, "critical", 31, 50.0)
    assert state.holding_since == 0.0
    assert digest_due(state, 60.0, LIMIT)


def test_it_has_no_digest_where_nothing_is_held():
    assert not digest_due(LimitState(), 10_000.0, LIMIT)


def test_it_does_not_wait_for_a_clock_that_went_back():
    warnings, _ = many(LimitState(), "warning", 11, 10_000.0)
    criticals, _ = many(LimitState(), "critical", 31, 10_000.0)
    assert digest_due(warnings, 0.0, LIMIT)
    assert digest_due(criticals, 0.0, LIMIT)
    assert many(warnings, "warning", 1, 0.0)[1] == [True]


def test_it_counts_a_digest_as_one_message():
    state, _ = many(LimitState(), "warning", 12)
    state = digested(state, 3_600.0, told=2)
    assert state == LimitState(sent=(3_600.0,))
    assert many(state, "warning", 10, 3_600.0)[1] == [True] * 9 + [False]


def test_it_does_not_count_a_digest_of_nothing():
    state, _ = many(LimitState(), "warning", 11)
    assert digested(state, 3_600.0, told=0) == LimitState()


def test_it_stays_due_while_there_is_more_than_one_digest_holds():
    state, _ = many(LimitState(), "critical", 35)
    state = digested(state, 60.0, told=3, more=True)
    assert (state.held, state.held_critical) == (2, True)
    assert digest_due(state, 61.0, LIMIT)


def test_it_remembers_no_more_than_an_hour_and_its_limits():
    state = LimitState()
    for second in range(20_000):
        state, _ = admit(state, "warning", float(second), LIMIT)
        state, _ = admit(state, "critical", float(second), LIMIT)
    assert len(state.sent) <= LIMIT
    assert len(state.criticals) <= limits.CRITICALS_PER_HOUR

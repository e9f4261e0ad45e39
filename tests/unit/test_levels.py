"""Health's rules: what each known fact makes of a bot's level, and which news is too old."""

from datetime import UTC, datetime, timedelta

import pytest

from actors.health import levels
from actors.health.levels import ERRORS_KEPT, Facts, Rules
from actors.messages import (
    ApiError,
    ApiHealth,
    BreakerState,
    CircuitBreaker,
    Heartbeat,
    KillSwitch,
    KillSwitchState,
    Pinged,
    PositionRejected,
    Positions,
    Seen,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOTHING = Facts()
RULES = Rules(silent_after_s=120, api_errors_per_minute=3, positions_limit=0)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def applied(known, event, arrived=None):
    """Apply an event that came just as it was stamped, unless told otherwise."""
    return levels.applied(known, event, arrived or event.at)


def facts(*events):
    known = Facts()
    for event in events:
        known = applied(known, event)
    return known


def judged(known, rules=RULES, listened_s=0.0):
    return levels.judged(known, rules, NOW, listened_s)


def verdict(known, rules=RULES, listened_s=0.0):
    bot = judged(known, rules, listened_s)
    return bot.level, bot.reasons


def kill(at=NOW, *, active=True, reason=""):
    return KillSwitch("alpha", at, active, reason)


def breaker(at=NOW, *, is_open=True, reason="", until=None):
    return CircuitBreaker("alpha", at, is_open, reason, until)


def errors(*seconds):
    return [ApiError("alpha", ago(s), "timeout") for s in seconds]


def test_it_is_healthy_while_nothing_is_known():
    assert verdict(Facts()) == ("HEALTHY", [])


def test_it_is_critical_while_the_kill_switch_is_on():
    on = facts(kill(reason="daily loss"))
    assert verdict(on) == ("CRITICAL", ["kill switch on: daily loss"])
    assert judged(on).kill_switch == KillSwitchState(True, "daily loss", NOW)
    assert verdict(facts(kill())) == ("CRITICAL", ["kill switch on"])
    assert verdict(applied(on, kill(active=False))) == ("HEALTHY", [])


def test_it_is_degraded_while_the_circuit_breaker_is_open():
    tripped = facts(breaker(reason="3 losses"))
    assert verdict(tripped) == ("DEGRADED", ["circuit breaker open: 3 losses"])
    assert verdict(applied(tripped, breaker(is_open=False))) == ("HEALTHY", [])


def test_it_names_every_reason_and_takes_the_worst_level():
    known = facts(breaker(), kill(), Positions("alpha", NOW, 5, 5), *errors(1, 2, 3, 4))
    assert verdict(known) == (
        "CRITICAL",
        [
            "kill switch on",
            "circuit breaker open",
            "position limit reached (5 of 5)",
            "4 API errors within a minute",
        ],
    )


@pytest.mark.parametrize(
    ("is_open", "limit", "own", "utilization", "level"),
    [
        (4, 5, 0, 0.8, "HEALTHY"),
        (5, 5, 0, 1.0, "DEGRADED"),
        (6, 5, 0, 1.2, "DEGRADED"),
        (5, 0, 0, None, "HEALTHY"),
        (5, 0, 5, 1.0, "DEGRADED"),
        (5, 10, 5, 0.5, "HEALTHY"),
        (0, 0, 5, 0.0, "HEALTHY"),
    ],
)
def test_it_compares_positions_with_the_bots_limit_or_ours(is_open, limit, own, utilization, level):
    bot = judged(facts(Positions("alpha", NOW, is_open, limit)), Rules(positions_limit=own))
    assert (bot.positions.utilization, bot.level) == (utilization, level)
    assert bot.positions.limit == (limit or own)


@pytest.mark.parametrize(
    ("seconds", "count", "level"),
    [
        ([0, 10, 59.9], 3, "HEALTHY"),
        ([0, 10, 20, 59.9], 4, "DEGRADED"),
        ([0, 10, 20, 60], 3, "HEALTHY"),
        ([-58, 0, 1, 1.9], 4, "DEGRADED"),
        ([-61, 0, 1, 2], 3, "HEALTHY"),
    ],
)
def test_it_counts_the_errors_of_the_last_minute(seconds, count, level):
    bot = judged(facts(*errors(*seconds)))
    assert (bot.api_errors_per_minute, bot.level) == (count, level)


def test_it_keeps_a_bounded_number_of_errors():
    known = facts(*errors(*range(ERRORS_KEPT + 10)))
    assert len(known.errors) == ERRORS_KEPT
    assert known.errors[-1].at == ago(ERRORS_KEPT + 9)


@pytest.mark.parametrize("lag_s", [-86_400, -3_600, 0, 3_600, 86_400])
def test_it_counts_the_errors_of_a_bot_whose_clock_is_wrong(lag_s):
    known = Facts()
    for second in (0, 20, 40, 59):
        event = ApiError("alpha", ago(second + lag_s), "timeout")
        known = applied(known, event, ago(second))
    assert judged(known).api_errors_per_minute == 4


def test_it_takes_a_backlog_of_errors_for_no_rush():
    known = Facts()
    for minute in range(60):
        known = applied(known, ApiError("alpha", ago(60 * minute), "timeout"), NOW)
    assert judged(known).api_errors_per_minute == 1
    for second in (1, 2, 3):  # these were one, whenever that was
        known = applied(known, ApiError("alpha", ago(600 - second), "timeout"), NOW)
    assert judged(known).api_errors_per_minute == 4


@pytest.mark.parametrize(
    ("first", "older", "field"),
    [
        (kill(reason="new"), kill(ago(1), active=False), "kill_switch"),
        (breaker(reason="new"), breaker(ago(1), is_open=False), "circuit_breaker"),
        (Positions("alpha", NOW, 3), Positions("alpha", ago(1), 2), "positions"),
        (Positions("alpha", NOW, 5, 5), Positions("alpha", ago(1), 6, 10), "positions"),
    ],
)
def test_it_ignores_an_older_all_clear_and_takes_that_of_the_same_instant(first, older, field):
    known = facts(first)
    assert applied(known, older, NOW) == known
    assert getattr(known, field) != getattr(Facts(), field)
    again = type(older)(**{**{f: getattr(older, f) for f in older.__struct_fields__}, "at": NOW})
    assert getattr(applied(known, again), field) != getattr(known, field)


@pytest.mark.parametrize(
    ("first", "older", "level"),
    [
        (kill(active=False), kill(ago(900), reason="told"), "CRITICAL"),
        (breaker(is_open=False), breaker(ago(900), reason="told"), "DEGRADED"),
        (Positions("alpha", NOW, 0, 5), Positions("alpha", ago(900), 5, 5), "DEGRADED"),
        (Positions("alpha", NOW, 6, 10), Positions("alpha", ago(900), 5, 5), "DEGRADED"),
    ],
)
def test_it_takes_a_danger_however_old_its_stamp_is(first, older, level):
    known = applied(facts(first), older, NOW)
    assert judged(known).level == level
    for control in (judged(known).kill_switch, judged(known).circuit_breaker):
        assert control.out_of_order == (control.reason == "told")


def test_it_shows_the_last_rejection_that_came():
    known = facts(PositionRejected("alpha", NOW, 1, "new"))
    known = applied(known, PositionRejected("alpha", ago(900), 2, "later"), NOW)
    assert (known.positions.last_rejection, known.positions.last_rejection_at) == (
        "later",
        ago(900),
    )


def test_it_knows_no_open_positions_before_the_bot_has_told_of_them():
    refused = facts(PositionRejected("alpha", NOW, 1, "full"))
    for known in (Facts(), refused):
        positions = judged(known, Rules(positions_limit=5)).positions
        assert (positions.open, positions.limit, positions.utilization) == (None, 5, None)
        assert positions.reported_at is None
    told = judged(applied(refused, Positions("alpha", ago(9), 0))).positions
    assert (told.open, told.reported_at) == (0, ago(9))


def test_it_keeps_the_last_rejection_beside_the_positions():
    known = facts(PositionRejected("alpha", NOW, 1, "3 of 3"), Positions("alpha", NOW, 3, 3))
    positions = judged(known).positions
    assert (positions.open, positions.last_rejection) == (3, "3 of 3")
    assert positions.last_rejection_at == NOW


def test_it_learns_nothing_from_other_events():
    assert facts(Heartbeat("alpha", NOW)) == Facts()


# ---------------------------------------------------------------- signs of life


def heard(*signs, listened_s=0.0, known=NOTHING):
    for sign in signs:
        known = levels.seen(known, sign, listened_s)
    return known


@pytest.mark.parametrize(("quiet_s", "silent"), [(119, False), (120, False), (120.5, True)])
def test_it_is_critical_when_a_bot_with_heartbeats_falls_silent(quiet_s, silent):
    bot = judged(heard(Seen("alpha", NOW), listened_s=900), listened_s=900 + quiet_s)
    assert (bot.silent, bot.level) == (silent, "CRITICAL" if silent else "HEALTHY")
    if silent:
        assert bot.reasons == ["silent for 120 s"]


def test_it_calls_no_bot_silent_that_never_sent_a_heartbeat():
    assert verdict(heard(Seen("alpha", NOW, regular=False)), listened_s=9_999) == ("HEALTHY", [])


def test_it_is_critical_when_nothing_follows_a_bots_last_words():
    died = heard(Seen("alpha", NOW, "process died", regular=False))
    assert verdict(died, listened_s=121) == ("CRITICAL", ["silent for 121 s"])
    assert not judged(died, listened_s=119).silent
    back = heard(Seen("alpha", NOW, "running", regular=False), listened_s=130, known=died)
    assert not judged(back, listened_s=86_400).silent


@pytest.mark.parametrize("at", [ago(9_999), NOW, ago(-9_999)])
def test_it_calls_no_bot_silent_before_it_could_have_heard_it(at):
    known = heard(Seen("alpha", at))  # whenever that was by which clock
    assert verdict(known, listened_s=100) == ("HEALTHY", [])
    assert verdict(known, listened_s=130) == ("CRITICAL", ["silent for 130 s"])
    assert verdict(Facts(regular=True), listened_s=130) == ("CRITICAL", ["silent for 130 s"])


def test_it_remembers_the_state_and_that_heartbeats_come_by_the_clock():
    known = heard(Seen("alpha", ago(9), "running"), Seen("alpha", ago(5), regular=False))
    assert (known.last_seen, known.regular, known.state) == (ago(5), True, "running")


def test_it_takes_a_sign_of_life_that_a_clock_set_back_has_stamped_earlier():
    known = heard(Seen("alpha", NOW, "running"))
    known = heard(Seen("alpha", ago(3_600)), listened_s=119, known=known)
    assert not judged(known, listened_s=230).silent
    assert judged(known, listened_s=240).silent
    assert known.last_seen == ago(3_600)  # as the clock has it now


@pytest.mark.parametrize(
    ("quiet_s", "left_s"),
    [(0, 120), (60, 60), (90, 30), (100, 30), (120, 30)],
)
def test_it_gives_a_bot_a_quarter_of_its_time_at_least_when_it_listens_again(quiet_s, left_s):
    known = levels.resumed(heard(Seen("alpha", NOW)), RULES, quiet_s)
    assert not judged(known, listened_s=quiet_s + left_s).silent
    assert judged(known, listened_s=quiet_s + left_s + 0.5).silent


def test_it_does_not_call_silence_over_when_it_listens_again():
    known = heard(Seen("alpha", NOW))
    assert levels.resumed(known, RULES, 120.5) == known


def test_it_spares_a_bot_its_whole_time_at_most_in_one_silence():
    known = heard(Seen("alpha", NOW))
    listened_s = 0
    while not judged(known, listened_s=listened_s).silent:
        known = levels.resumed(known, RULES, listened_s)  # away again and again
        listened_s += 10
    assert 240 < listened_s <= 250
    known = heard(Seen("alpha", NOW), listened_s=listened_s, known=known)
    assert known.spared_s == 0


def test_it_closes_a_breaker_whose_time_is_over():
    known = facts(breaker(ago(60), until=NOW))
    assert levels.judged(known, RULES, ago(1), 0.0).circuit_breaker.open
    assert judged(known).circuit_breaker == BreakerState(False, "its time is over", NOW)
    forever = facts(breaker(ago(60)))
    assert judged(forever).circuit_breaker.open
    assert judged(Facts()).circuit_breaker == BreakerState()


@pytest.mark.parametrize(
    ("lag_s", "until_s"),
    [(0, 600), (5, 600), (6, 606), (3_600, 4_200), (-3_600, 600)],  # from its own stamp
)
def test_it_gives_a_breaker_its_whole_time_where_its_stamp_is_old(lag_s, until_s):
    at = ago(lag_s)
    known = applied(Facts(), breaker(at, until=at + timedelta(seconds=600)), NOW)
    assert known.circuit_breaker.until == at + timedelta(seconds=until_s)


@pytest.mark.parametrize("lag_s", [0, 3_600])
def test_it_opens_a_breaker_whatever_its_end_is(lag_s):
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    known = applied(Facts(), breaker(ago(lag_s), until=never), NOW)
    assert judged(known).circuit_breaker == BreakerState(True, "", ago(lag_s), never)
    for end in (datetime(1970, 1, 1, tzinfo=UTC), ago(lag_s)):  # over before it began
        known = applied(Facts(), breaker(ago(lag_s), until=end), NOW)
        assert judged(known).circuit_breaker == BreakerState(True, "", ago(lag_s))


@pytest.mark.parametrize(
    ("stands_s", "comes_s", "until_s"),
    [(600, 60, 600), (60, 600, 600), (None, 60, None), (60, None, None)],
)
def test_it_closes_a_breaker_no_sooner_for_an_older_opening(stands_s, comes_s, until_s):
    def until(seconds):
        return None if seconds is None else NOW + timedelta(seconds=seconds)

    older = ago(3_600)
    ends = None if comes_s is None else older + timedelta(seconds=comes_s)
    known = applied(facts(breaker(until=until(stands_s))), breaker(older, until=ends), NOW)
    assert known.circuit_breaker.until == until(until_s)
    newer = applied(known, breaker(until=until(9)))
    assert newer.circuit_breaker.until == until(9)  # it may say so itself


def test_it_takes_a_breaker_whose_time_is_over_for_no_danger_that_stands():
    known = facts(breaker(ago(600), until=ago(300)))
    known = applied(known, breaker(ago(3_600)), NOW)  # of a clock that was set back meanwhile
    assert judged(known).circuit_breaker.open
    closed = breaker(ago(3_590), is_open=False)
    assert not applied(known, closed, NOW + timedelta(seconds=10)).circuit_breaker.open


# ---------------------------------------------------------------- APIs and the whole


def test_it_counts_failed_pings_until_one_succeeds():
    known = ApiHealth(None, None, None)
    for failures in (1, 2):
        known = levels.pinged(known, Pinged("kraken", NOW, False, 9.0, "HTTP 503"))
        assert known == ApiHealth(False, None, NOW, "HTTP 503", failures)
    known = levels.pinged(known, Pinged("kraken", NOW, True, 42.0, "HTTP 200"))
    assert known == ApiHealth(True, 42.0, NOW, "HTTP 200", 0)


def test_it_sums_up_the_worst_level_and_whose_each_reason_is():
    bots = {"alpha": judged(facts(kill(reason="loss"))), "beta": judged(facts(breaker()))}
    apis = {
        "kraken": ApiHealth(False, None, NOW, "HTTP 503", 1),
        "binance": ApiHealth(True, 1.0, NOW),
        "new": ApiHealth(None, None, None),
    }
    whole = levels.overall(NOW, bots, apis)
    assert (whole.at, whole.level) == (NOW, "CRITICAL")
    assert whole.reasons == [
        "alpha: kill switch on: loss",
        "beta: circuit breaker open",
        "kraken: API disconnected: HTTP 503",
    ]
    assert (whole.bots, whole.apis) == (bots, apis)
    assert levels.overall(NOW, {}, {"kraken": ApiHealth(False, None, NOW)}).level == "DEGRADED"
    assert levels.overall(NOW, {}, {}).level == "HEALTHY"

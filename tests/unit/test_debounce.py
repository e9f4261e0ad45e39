"""Which finding becomes a message, and which is only counted."""

import pytest
from msgspec.structs import replace

from actors.alerts.debounce import CYCLES_KEPT, TriggerState, decide, rolled_up, settled
from actors.alerts.triggers import Finding

QUIET_S = 300.0
BAD = Finding("drawdown_day", "native", 1, "warning", "Drawdown", "text", value=0.06)
OVER = replace(BAD, band=0)
SWITCH = replace(BAD, trigger="kill_switch", transition=True, severity="critical")
EVENT = replace(BAD, trigger="position_rejected", once=True)


class Run:
    """Feeds findings to `decide` as the book does: an open alert has an id."""

    def __init__(self):
        self.state = TriggerState()
        self.flapping = False

    def at(self, now, finding=BAD):
        return self._take(decide(self.state, finding, now, QUIET_S), finding)

    def roll_up(self, now):
        return self._take(rolled_up(self.state, now, QUIET_S), EVENT)

    def settle(self, now):
        return self._take(settled(self.state, now), OVER)

    def _take(self, decision, finding):
        self.state = decision.state
        self.flapping, self.fresh = decision.flapping, decision.fresh
        if decision.action == "fire":
            self.state = replace(self.state, **{"event" if finding.once else "alert": "a"})
        return decision.action


@pytest.fixture
def run():
    return Run()


def test_it_fires_the_first_edge_at_once(run):
    assert run.at(0) == "fire"


def test_it_counts_what_gets_worse_within_the_quiet_time_and_keeps_the_worst(run):
    run.at(0)
    values = [0.07, 0.09, 0.08, 0.09, None]
    assert [run.at(t, replace(BAD, value=v)) for t, v in enumerate(values)] == [
        "suppress",
        "suppress",
        *["none"] * 3,
    ]
    assert (run.state.suppressed, run.state.worst) == (2, 0.09)


@pytest.mark.parametrize("fields", [{}, {"value": None}, {"value": 0.05}, {"steady": True}])
def test_it_counts_nothing_where_a_state_merely_still_holds(run, fields):
    run.at(0)
    before = run.state
    assert [run.at(t, replace(BAD, **fields)) for t in range(1, 100)] == ["none"] * 99
    assert run.state == before


def test_it_counts_no_figure_that_grows_by_time_alone(run):
    failing = replace(BAD, value=2.0, steady=True)
    run.at(0, failing)
    assert [run.at(t, replace(failing, value=t + 2.0)) for t in range(1, 10)] == ["none"] * 9


def test_it_counts_what_is_told_again_though_it_is_no_worse(run):
    run.at(0)
    assert run.at(1, replace(BAD, again=True)) == "suppress"
    assert run.state.suppressed == 1


def test_it_knows_a_message_that_tells_something_new_from_a_mere_reminder(run):
    worse = replace(BAD, value=0.07)
    told = [run.fresh for _ in [run.at(0)]]
    for now, finding in ((300, BAD), (600, worse), (900, worse), (901, replace(worse, band=2))):
        assert run.at(now, finding) == "repeat"
        told.append(run.fresh)
    assert told == [True, False, True, False, False]


def test_it_reckons_anew_what_is_worse_when_it_begins_to_hold_again(run):
    run.at(0, replace(BAD, value=0.09))
    run.at(1, OVER)
    assert [run.at(2), run.at(3, replace(BAD, value=0.07)), run.at(4)] == [
        "fire",
        "suppress",
        "none",
    ]


def test_it_knows_no_worse_figure_of_a_state_that_an_earlier_version_wrote(run):
    run.at(0)
    run.state = replace(run.state, peak=None)
    assert run.at(1, replace(BAD, value=0.07)) == "none"
    assert run.at(300, replace(BAD, value=0.07)) == "repeat"
    assert run.at(301, replace(BAD, value=0.08)) == "suppress"


def test_it_repeats_when_the_quiet_time_is_over_and_starts_to_count_anew(run):
    run.at(0)
    run.at(1, replace(BAD, value=0.07))
    assert run.at(300) == "repeat"
    assert (run.state.suppressed, run.state.worst, run.state.quiet_until) == (0, None, 600)


def test_it_lets_a_worse_band_pass_once(run):
    run.at(0)
    worse = replace(BAD, band=2)
    assert [run.at(1, worse), run.at(2, worse), run.at(3, BAD), run.at(4, worse)] == [
        "repeat",
        "none",
        "none",
        "none",
    ]


def test_it_lets_a_higher_severity_pass(run):
    run.at(0)
    assert run.at(1, replace(BAD, severity="critical")) == "repeat"
    assert run.at(2, replace(BAD, severity="info")) == "none"


def test_it_resolves_and_fires_again_at_once(run):
    run.at(0)
    assert [run.at(1, OVER), run.at(2)] == ["resolve", "fire"]


def test_it_forgets_the_count_that_the_resolved_message_told(run):
    run.at(0)
    run.at(1, replace(BAD, value=0.07))
    assert run.state.suppressed == 1
    run.at(2, OVER)
    assert (run.state.suppressed, run.state.worst, run.state.peak) == (0, None, None)


def test_it_has_nothing_to_say_about_what_never_held(run):
    assert run.at(0, OVER) == "none"
    assert run.state == TriggerState()


def test_it_is_silent_about_repeats_once_acknowledged_unless_it_gets_worse(run):
    run.at(0)
    run.state = replace(run.state, acknowledged=True)
    assert [run.at(300), run.at(301, replace(BAD, band=2)), run.at(900)] == [
        "none",
        "repeat",
        "none",
    ]
    assert [run.at(901, OVER), run.at(902), run.at(1202)] == ["resolve", "fire", "repeat"]


def test_it_passes_every_transition_of_a_switch_and_never_repeats_it(run):
    actions = []
    for t in range(10):
        actions += [run.at(3 * t, SWITCH), run.at(3 * t + 1, SWITCH)]
        actions.append(run.at(3 * t + 2, replace(SWITCH, band=0)))
        assert not run.state.flapping
    assert actions == ["fire", "none", "resolve"] * 10


def test_it_fires_an_event_at_once_and_counts_those_that_follow(run):
    actions = [run.at(t, EVENT) for t in (0, 1, 299, 300, 301)]
    assert actions == ["fire", "suppress", "suppress", "fire", "suppress"]
    assert run.state.suppressed == 1


def test_it_rolls_up_what_happened_again_when_the_quiet_time_ends(run):
    for now in (0, 1, 2):
        run.at(now, EVENT)
    assert run.roll_up(299.999) == "none"
    assert run.roll_up(300) == "repeat"
    assert (run.state.suppressed, run.state.quiet_until, run.fresh) == (0, 600, False)
    assert [run.at(301, EVENT), run.roll_up(599), run.roll_up(600)] == [
        "suppress",
        "none",
        "repeat",
    ]
    assert [run.roll_up(900), run.state.event, run.roll_up(1_200)] == ["none", "", "none"]
    assert run.at(1_201, EVENT) == "fire"


def test_it_tells_an_event_at_once_that_is_more_severe_than_the_last(run):
    severe = replace(EVENT, severity="critical")
    actions = [run.at(t, event) for t, event in ((0, EVENT), (1, severe), (2, EVENT), (3, severe))]
    assert actions == ["fire", "fire", "suppress", "suppress"]


def test_it_only_counts_an_edge_within_the_quiet_time_of_a_lost_alert(run):
    run.state = TriggerState(quiet_until=10.0, told_band=1, told_rank=1)
    assert [run.at(1), run.at(2, OVER), run.at(3), run.at(10)] == [
        "suppress",
        "none",
        "suppress",
        "fire",
    ]


def flap(run):
    return [run.at(t, BAD if t % 2 == 0 else OVER) for t in range(7)]


def test_it_tells_flapping_once_with_the_fourth_edge(run):
    assert flap(run) == ["fire", "resolve"] * 3 + ["fire"]
    assert run.flapping
    assert run.state.flapping
    later = [run.at(t, OVER if t % 2 else BAD) for t in range(7, 1_000)]
    assert set(later) == {"none", "suppress"}
    assert len(run.state.cycles) == CYCLES_KEPT


def test_it_does_not_call_three_cycles_in_more_than_ten_minutes_flapping(run):
    for t in range(10):
        assert [run.at(300 * t), run.at(300 * t + 1, OVER)] == ["fire", "resolve"]
    assert not run.state.flapping


def test_it_resolves_flapping_after_ten_calm_minutes(run):
    flap(run)
    run.at(7, OVER)
    assert [run.settle(606.999), run.settle(607)] == ["none", "resolve"]
    assert not run.state.flapping
    assert run.at(608) == "fire"
    assert not run.flapping


def test_it_goes_on_with_the_alert_when_flapping_ends_in_the_bad_state(run):
    flap(run)
    assert run.settle(605) == "none"
    assert not run.state.flapping
    assert run.state.alert == "a"
    assert run.at(606) == "repeat"


def test_it_has_nothing_to_settle_where_nothing_flaps(run):
    run.at(0)
    assert run.settle(10_000) == "none"


def test_it_tells_a_worse_band_even_while_flapping(run):
    flap(run)
    run.at(7, OVER)
    assert run.at(8, replace(BAD, band=3)) == "repeat"

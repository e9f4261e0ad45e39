"""Routing: the narrowest setting decides, and it stays decided."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.alerts import limits, outbox, routing
from actors.alerts.routing import BotPolicy, Policy, Routes, Rule
from actors.alerts.triggers import Finding
from tests.fakes.desk import CHANNELS, Desk
from tests.unit.test_book import ops, play

ALL = ["slack", "mail", "pager"]
PLAIN = Policy(ALL)
BAD = Finding("drawdown_day", "native", 1, "critical", "Drawdown", "It is down.", value=0.06)
OVER = replace(BAD, band=0, cleared="It is back.")


@pytest.fixture
def desk():
    desk = Desk(policy=PLAIN)
    yield desk
    desk.link.close()


def topics(desk):
    """Where each message went, by its title, in the order of the channels."""
    return {
        channel: [title for _, title in desk.sent(channel)] for channel in ALL if desk.sent(channel)
    }


# ---------------------------------------------------------------- the decision

BY_SEVERITY = Policy(ALL, routes=Routes(critical=["pager", "slack"], info=[]))
BY_BOT = replace(BY_SEVERITY, bots={"native": BotPolicy(Routes(critical=["mail"]))})
BY_TRIGGER = replace(BY_BOT, rules={"drawdown_day": Rule(channels=["slack"])})
BY_BOTS_TRIGGER = replace(
    BY_TRIGGER,
    bots={
        "native": BotPolicy(Routes(critical=["mail"]), {"drawdown_day": Rule(channels=["pager"])})
    },
)


@pytest.mark.parametrize(
    ("policy", "severity", "bot", "want"),
    [
        (PLAIN, "critical", "native", ALL),
        (Policy([]), "critical", "native", []),
        (BY_SEVERITY, "critical", "native", ["slack", "pager"]),
        (BY_SEVERITY, "warning", "native", ALL),
        (BY_SEVERITY, "info", "native", []),
        (BY_BOT, "critical", "native", ["mail"]),
        (BY_BOT, "critical", "other", ["slack", "pager"]),
        (BY_BOT, "info", "native", []),
        (BY_TRIGGER, "critical", "native", ["slack"]),
        (BY_TRIGGER, "info", "other", ["slack"]),
        (BY_BOTS_TRIGGER, "critical", "native", ["pager"]),
        (BY_BOTS_TRIGGER, "critical", "other", ["slack"]),
        (Policy(["slack"], routes=Routes(critical=["gone", "slack"])), "critical", "", ["slack"]),
    ],
)
def test_it_lets_the_narrowest_setting_win(policy, severity, bot, want):
    assert routing.route(policy, "drawdown_day", severity, bot) == want


def test_it_joins_a_bots_rule_with_the_triggers():
    policy = Policy(
        ALL,
        debounce_s=300.0,
        rules={"silent": Rule(severity="warning", debounce_s=60.0, channels=["slack"])},
        bots={"native": BotPolicy(rules={"silent": Rule(debounce_s=5.0, enabled=True)})},
    )
    joined = policy.rule("silent", "native")
    assert joined == Rule(True, "warning", 5.0, ["slack"])
    assert policy.debounce("silent", "native") == 5.0
    assert policy.debounce("silent", "other") == 60.0
    assert policy.debounce("storage", "native") == 300.0


# ---------------------------------------------------------------- what follows from it


def test_it_writes_a_delivery_for_each_channel_of_the_route(desk):
    desk.restart(BY_SEVERITY)
    (step,) = desk.take(BAD)
    assert step.channels == ["slack", "pager"]
    assert topics(desk) == {"slack": ["Drawdown"], "pager": ["Drawdown"]}


def test_it_shows_an_alert_whose_route_is_empty_without_counting_it_as_sent(desk):
    desk.restart(Policy(ALL, routes=Routes(critical=[])))
    desk.take(BAD)
    (alert,) = desk.alerts()
    assert (alert.state, alert.deliveries) == ("open", [])
    assert desk.book.dispatch.limit.criticals == ()
    desk.take(OVER)
    assert desk.alerts()[0].state == "resolved"
    assert topics(desk) == {}


def test_it_tells_the_end_where_the_alert_went_even_when_the_route_has_changed(desk):
    desk.restart(Policy(ALL, routes=Routes(critical=["slack"])))
    desk.take(BAD)
    desk.deliver("slack")
    desk.restart(Policy(ALL, routes=Routes(critical=["mail"])))
    (step,) = desk.take(OVER)
    assert step.channels == ["slack"]
    assert [kind for kind, _ in desk.sent("slack")] == ["fired", "resolved"]
    assert desk.sent("mail") == []


def test_it_sends_what_grew_worse_by_its_new_severity_and_the_end_to_all_who_heard(desk):
    policy = Policy(ALL, routes=Routes(warning=["slack"], critical=["pager"]))
    desk.restart(policy)
    desk.take(replace(BAD, severity="warning"))
    desk.take(BAD)
    desk.deliver("slack")
    desk.deliver("pager")
    (step,) = desk.take(OVER)
    assert step.channels == ["slack", "pager"]
    assert [kind for kind, _ in desk.sent("slack")] == ["fired", "resolved"]
    assert [kind for kind, _ in desk.sent("pager")] == ["reminder", "resolved"]


def test_it_queues_nothing_for_a_channel_that_is_no_longer_switched_on(desk):
    desk.take(BAD)
    for channel in ALL:
        desk.deliver(channel)
    desk.restart(Policy(["mail", "new"]))
    desk.take(OVER)
    assert [len(desk.jobs(channel)) for channel in (*ALL, "new")] == [1, 2, 1, 0]


def test_it_sends_a_digest_wherever_one_of_its_alerts_was_to_go():
    policy = Policy(
        ALL,
        rules={"silent": Rule(channels=["mail"]), "storage": Rule(channels=["pager"])},
        routes=Routes(warning=["slack"]),
    )
    desk = Desk(hourly_limit=1, policy=policy)
    warning = replace(BAD, severity="warning")
    desk.take(warning, replace(warning, trigger="silent"), replace(warning, trigger="storage"))
    desk.wait(3_600)
    told = {channel: desk.sent(channel)[-1] for channel in ALL}
    digest = ("digest", "1 alert held back: hourly limit")
    assert told["mail"] == told["pager"] == digest
    texts = [desk.jobs(channel)[-1][1].text for channel in ("mail", "pager")]
    assert texts[0] != texts[1]  # each hears what was to go there
    assert told["slack"] != digest
    desk.link.close()


def test_it_does_not_lose_what_was_held_for_a_channel_that_was_switched_off():
    desk = Desk(hourly_limit=1, policy=Policy(ALL, routes=Routes(warning=["slack"])))
    warning = replace(BAD, severity="warning")
    desk.take(warning, replace(warning, bot="other"))
    desk.restart(Policy(["mail"]))
    desk.wait(3_600)
    assert ("digest", "1 alert held back: hourly limit") in desk.sent("mail")
    desk.link.close()


def test_it_takes_the_severity_that_is_set(desk):
    desk.restart(Policy(ALL, rules={"drawdown_day": Rule(severity="info")}))
    desk.take(BAD)
    assert desk.alerts()[0].severity == "info"
    desk.restart(Policy(ALL))
    (step,) = desk.take(BAD)
    assert (step.action, step.alert.severity) == ("repeat", "critical")


def test_it_debounces_each_trigger_of_each_bot_by_its_own_time_over_a_restart(desk):
    own = BotPolicy(rules={"drawdown_day": Rule(debounce_s=30.0)})
    desk.restart(Policy(ALL, rules={"drawdown_day": Rule(debounce_s=900.0)}, bots={"fast": own}))
    fast = replace(BAD, bot="fast", title="Fast")
    desk.take(BAD, fast)
    desk.wait(30)
    assert [step.alert.bot for step in desk.take(BAD, fast)] == ["fast"]
    desk.restart()
    desk.wait(865)
    assert desk.take(BAD) == []
    desk.wait(5)
    assert [step.action for step in desk.take(BAD)] == ["repeat"]


@pytest.mark.parametrize("restarted", [False, True])
def test_it_finds_nothing_by_a_trigger_that_is_switched_off(desk, restarted):
    off = Policy(ALL, rules={"drawdown_day": Rule(enabled=False), "storage": Rule(enabled=False)})
    if restarted:
        desk.take(BAD)
        desk.deliver("slack")
        desk.restart(off)
        desk.look()  # what was open is over, without waiting for the next figure
        assert [kind for kind, _ in desk.sent("slack")] == ["fired", "resolved"]
        assert "switched off" in desk.alerts()[0].text
    else:
        desk.restart(off)
    assert desk.take(BAD, replace(BAD, trigger="storage", once=True)) == []
    assert all(alert.state == "resolved" for alert in desk.alerts())


# ---------------------------------------------------------------- for any routes

routes = st.one_of(st.none(), st.lists(st.sampled_from(CHANNELS), unique=True))
policies = st.builds(
    Policy,
    st.just(CHANNELS),
    routes=st.builds(Routes, critical=routes, warning=routes),
    rules=st.dictionaries(
        st.sampled_from(["drawdown_day", "position_rejected"]),
        st.builds(Rule, channels=routes, debounce_s=st.sampled_from([None, 0.0, 60.0])),
    ),
    bots=st.dictionaries(
        st.sampled_from(["bot0", "bot1"]), st.builds(BotPolicy, routes=st.builds(Routes, routes))
    ),
)


def check_routes(desk):
    """Each message is where its route says, and each end only where something was told before."""
    for alert in desk.alerts():
        told = {channel: [] for channel in CHANNELS}
        for job in desk.tx.queue.group(alert.id):
            told[job.topic].append(outbox.notice_of(job))
        for channel, notices in told.items():
            assert not notices or notices[0].kind != "resolved"
            for notice in notices:
                if notice.over:
                    continue  # its end came as a part of what waited, wherever that was
                if notice.kind in ("fired", "reminder"):
                    routed = routing.route(desk.policy, alert.trigger, notice.severity, alert.bot)
                    assert channel in routed


@settings(max_examples=100, deadline=None)
@given(ops, policies)
def test_it_keeps_every_message_on_its_route_whatever_happens(todo, policy):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "CRITICALS_PER_HOUR", 3)
        once, again = (Desk(hourly_limit=3, policy=policy) for _ in range(2))
        play(once, todo, restarts=False)
        play(again, todo, restarts=True)
    check_routes(once)
    assert again.dump() == once.dump()
    assert again.alerts() == once.alerts()
    once.link.close()
    again.link.close()

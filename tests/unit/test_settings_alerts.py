"""Routes and triggers as settings, and the policy that alerts follow."""

from __future__ import annotations

import pytest

from actors.alerts import routing
from actors.alerts.routing import Rule
from config.alerting import TRIGGERS
from config.settings import SettingsError, load
from sidewatch.policy import own_triggers, policy, summary
from sidewatch.reports import FAULTS
from tests.settings import HOME, SLACK, error, from_toml, toml_error

ON = HOME | {
    "ALERTS_SLACK_ENABLED": "1",
    "SLACK_WEBHOOK_URL": SLACK,
    "SIDEWATCH__CONSOLE__ENABLED": "1",
}


def routed(settings, trigger="silent", severity="critical", bot="alpha"):
    return routing.route(policy(settings), trigger, severity, bot)


# ---------------------------------------------------------------- routes


def test_it_sends_everything_everywhere_by_default():
    settings = load(None, ON)
    assert routed(settings) == routed(settings, severity="info") == ["slack", "console"]
    assert policy(settings).debounce("silent", "alpha") == 300.0


def test_it_routes_by_severity_by_bot_and_by_trigger(tmp_path):
    text = """
        [routes]
        critical = ["slack"]
        info = []
        [bots.alpha.routes]
        info = ["console"]
        [bots.alpha.triggers.silent]
        channels = ["all"]
        debounce_s = 60
        [triggers.kill_switch]
        channels = ["console"]
        severity = "warning"
        [bots.beta.triggers.drawdown_day]
        enabled = false
    """
    settings = from_toml(tmp_path, text, ON)
    assert routed(settings, bot="beta") == ["slack"]
    assert routed(settings, severity="info", bot="beta") == []
    assert routed(settings, "storage", "info") == ["console"]
    assert routed(settings, "silent") == ["slack", "console"]
    assert routed(settings, "kill_switch") == ["console"]
    alerts = policy(settings)
    assert (alerts.debounce("silent", "alpha"), alerts.debounce("silent", "beta")) == (60.0, 300.0)
    assert alerts.rule("kill_switch", "x") == Rule(severity="warning", channels=["console"])
    assert alerts.rule("drawdown_day", "beta").enabled is False


def test_it_takes_routes_and_triggers_from_the_environment():
    environ = {
        "SIDEWATCH__ROUTES__CRITICAL": "slack,console",
        "SIDEWATCH__ROUTES__INFO": "none",
        "SIDEWATCH__BOTS__Alpha__ROUTES__WARNING": "console",
        "SIDEWATCH__BOTS__a__b__TRIGGERS__DRAWDOWN_DAY__SEVERITY": "info",
        "SIDEWATCH__TRIGGERS__SILENT__CHANNELS": "all",
        "SIDEWATCH__TRIGGERS__DEEP_ONE__WHEN": "drawdown > 0.05",
    }
    settings = load(None, ON | environ)
    assert settings.routes.critical == ["slack", "console"]
    assert settings.bots["Alpha"].routes.warning == ["console"]
    assert settings.bots["a__b"].triggers["drawdown_day"].severity == "info"
    assert settings.triggers["deep_one"].when == "drawdown > 0.05"
    assert routed(settings, "storage", "info") == []
    assert routed(settings, "storage", "warning", "Alpha") == ["console"]
    assert routed(settings, "silent", "info") == ["slack", "console"]


def test_it_joins_the_file_and_the_environment_in_one_trigger(tmp_path):
    text = '[triggers.silent]\nseverity = "info"\ndebounce_s = 5\n[bots.a.triggers.silent]\n'
    settings = from_toml(tmp_path, text, ON | {"SIDEWATCH__TRIGGERS__SILENT__DEBOUNCE_S": "9"})
    assert (settings.triggers["silent"].severity, settings.triggers["silent"].debounce_s) == (
        "info",
        9.0,
    )
    assert list(settings.bots["a"].triggers) == ["silent"]


@pytest.mark.parametrize("empty", ["[]", '""', '["none"]'])
def test_it_takes_an_empty_route_for_nobody(tmp_path, empty):
    assert routed(from_toml(tmp_path, f"[routes]\ncritical = {empty}", ON)) == []


# ---------------------------------------------------------------- triggers of one's own


def test_it_reads_a_trigger_of_ones_own(tmp_path):
    text = """
        [triggers.deep]
        when = "drawdown > 0.05 and trades >= 10"
        text = "Too deep."
        bots = ["alpha", "beta"]
        severity = "critical"
        channels = ["slack"]
        [bots.alpha.triggers.deep]
        severity = "info"
        [triggers.silent]
        severity = "info"
    """
    settings = from_toml(tmp_path, text, ON)
    (own,) = own_triggers(settings)
    assert (own.name, own.text, own.bots) == ("deep", "Too deep.", {"alpha", "beta"})
    assert own.condition.order == ("drawdown", "trades")
    alerts = policy(settings)
    assert alerts.own == {"deep": {"alpha", "beta"}}
    assert alerts.rule("deep", "alpha") == Rule(severity="info", channels=["slack"])
    assert alerts.rule("deep", "beta").severity == "critical"


def test_it_names_the_setting_and_the_column_of_a_bad_condition(tmp_path):
    settings = from_toml(tmp_path, '[triggers.deep]\nwhen = "trades > 1 and drawdwon > 0.05"', ON)
    with pytest.raises(SettingsError) as caught:
        own_triggers(settings)
    assert str(caught.value) == (
        "triggers.deep.when (SIDEWATCH__TRIGGERS__DEEP__WHEN): "
        "column 16: there is no figure 'drawdwon'; did you mean drawdown?"
    )


def test_it_sums_up_where_alerts_go(tmp_path):
    text = """
        [routes]
        warning = ["slack"]
        info = "none"
        [triggers.deep]
        when = "trades > 1"
        [bots.alpha.routes]
        info = ["slack"]
        [bots.beta]
    """
    assert summary(from_toml(tmp_path, text, ON)).splitlines() == [
        "critical: slack, console",
        "warning: slack",
        "info: the page only",
        "with settings of their own: deep, alpha",
    ]
    assert "own" not in summary(load(None, ON))


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            '[routes]\ncritical = ["slak"]',
            (
                "routes.critical (SIDEWATCH__ROUTES__CRITICAL): there is no channel 'slak'; "
                "did you mean slack?"
            ),
        ),
        (
            '[routes]\ninfo = ["slack", "telegram"]',
            (
                "routes.info (SIDEWATCH__ROUTES__INFO): telegram is not switched on: "
                "set telegram.enabled = true"
            ),
        ),
        ('[routes]\ninfo = ["all", "slack"]', "all stands alone"),
        ('[routes]\ninfo = ["none", "slack"]', "none stands alone"),
        ("[routes]\nurgent = []", "routes.urgent: no such setting"),
        ('[bots.a.routes]\ncritical = ["email"]', "bots.a.routes.critical ("),
        ('[bots.a.triggers.silent]\nchannels = ["x"]', "bots.a.triggers.silent.channels ("),
        ('[triggers.silent]\nchannels = ["x"]', "triggers.silent.channels ("),
        (
            '[triggers.drawdown_dya]\nseverity = "info"',
            (
                "triggers.drawdown_dya.when (SIDEWATCH__TRIGGERS__DRAWDOWN_DYA__WHEN): is missing, "
                "and there is no such trigger; did you mean drawdown_day?"
            ),
        ),
        ("[triggers.mine]", "a trigger of your own needs `when`"),
        (
            '[bots.a.triggers.silnet]\nseverity = "info"',
            (
                "bots.a.triggers.silnet (SIDEWATCH__BOTS__a__TRIGGERS__SILNET): "
                "there is no such trigger; did you mean silent?"
            ),
        ),
        ("[bots.a.triggers.silnet]", "there is no such trigger"),
        ('[triggers.silent]\nwhen = "trades > 1"', "triggers.silent.when ("),
        ('[triggers.silent]\nseverity = "loud"', "must be one of info, warning, critical"),
        ("[triggers.silent]\nsevertiy = 1", "did you mean triggers.silent.severity?"),
        ("[bots.a.triggers.silent]\nwhen = 1", "bots.a.triggers.silent.when: no such setting"),
        ('[triggers.Silent]\nwhen = "x"', "triggers.Silent: a name is 1 to 48 of a-z"),
        ('[triggers.a__b]\nwhen = "x"', "triggers.a__b: a name is"),
        (
            '[triggers.digest]\nwhen = "trades > 1"',
            "triggers.digest (SIDEWATCH__",
        ),
        ("triggers = 1", "triggers: must be a table"),
        ("[bots.a]\ntriggers = 1", "bots.a.triggers: must be a table"),
        ("[bots.a]\nroutes = 1", "bots.a.routes: must be a table"),
        ('[triggers.x]\nwhen = "1"\nbots = ["a b"]', "triggers.x.bots ("),
        ("[triggers.x]\nwhen = '" + "1" * 1_001 + "'", "must have at most 1000 chars"),
    ],
)
def test_it_names_what_is_wrong_with_a_route_or_a_trigger(tmp_path, text, part):
    assert part in toml_error(tmp_path, text, ON)


def test_it_bounds_the_triggers(tmp_path):
    many = "".join(f'[triggers.t{number}]\nwhen = "trades > 1"\n' for number in range(65))
    assert "triggers: at most 64" in toml_error(tmp_path, many)


@pytest.mark.parametrize(
    "name",
    [
        "SIDEWATCH__TRIGGERS__WHEN",
        "SIDEWATCH__TRIGGERS__deep__WHEN",
        "SIDEWATCH__BOTS__a__ROUTES__NOTHING",
        "SIDEWATCH__BOTS__a__TRIGGERS__SILENT__WHEN",
        "SIDEWATCH__BOTS__a__TRIGGERS__SEVERITY",
        "SIDEWATCH__BOTS__ROUTES__CRITICAL",
        "SIDEWATCH__APIS__a__ROUTES__CRITICAL",
        "SIDEWATCH__ROUTES",
    ],
)
def test_it_refuses_an_unknown_variable(name):
    assert "no such setting" in error({name: "x"})


def test_it_lets_settings_name_each_fault_of_an_actor_that_alerts():
    alerting = {f"actor_{fault}" for fault in FAULTS - {"blocked"}}
    assert alerting == {name for name in TRIGGERS if name.startswith("actor_")}


# ---------------------------------------------------------------- on call


WINDOW = "[maintenance.x]\nreason = 'r'\nstart = '2026-12-01T22Z'\nend = '2026-12-02T00Z'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[oncall]\nfailover = ['slack']", "oncall.failover"),
        ("[escalation.x]\nafter_s = 60", "escalation.x.channels"),
        ("[escalation.x]\nchannels = ['pagerduty']", "escalation.x.channels"),
        ("[quiet]\nstart = '22:00'", "quiet.end"),
        ("[quiet]\nend = '22:00'", "quiet.start"),
        ("[quiet]\nstart = '22:00'\nend = '22:00'", "quiet.end"),
        ("[quiet]\nstart = '24:00'", "quiet.start"),
        ("[quiet]\ndays = ['moonday']", "quiet.days"),
        ("[quiet]\nzone = 'Moon'", "quiet.zone"),
        ("[maintenance.x]\nreason = 'r'", "maintenance.x.start"),
        ("[maintenance.x]\nstart = '2026-12-01T22:00:00'", "maintenance.x.start"),
        (
            "[maintenance.x]\nreason = 'r'\nend = 2026-12-01T22:00:00Z\nstart = '2026-12-02T00Z'",
            "maintenance.x.end",
        ),
        (WINDOW + "trigger = 'slient'", "maintenance.x.trigger"),
        (WINDOW + "bot = 'al*'", "maintenance.x.bot"),
    ],
)
def test_it_names_what_is_wrong_about_being_on_call(tmp_path, text, said):
    assert toml_error(tmp_path, text).startswith(f"{said} (SIDEWATCH__")


def test_it_takes_tomls_own_times_and_instants(tmp_path):
    text = (
        "[quiet]\nstart = 22:00:00\nend = '07:00'\ndays = ['fri']\n"
        "[maintenance.up]\nstart = 2026-12-01T22:00:00+01:00\n"
        "end = 2026-12-01T22:30:00Z\nreason = 'r'"
    )
    settings = from_toml(tmp_path, text)
    assert (settings.quiet.start, settings.quiet.days) == ("22:00:00", ["fri"])
    assert settings.maintenance["up"].start == "2026-12-01T22:00:00+01:00"


def test_it_keeps_the_case_of_a_rungs_name_in_the_environment():
    environ = {"SIDEWATCH__CONSOLE__ENABLED": "1", "SIDEWATCH__ESCALATION__Pager__CHANNELS": "all"}
    assert load(None, HOME | environ).escalation["Pager"].channels == ["all"]

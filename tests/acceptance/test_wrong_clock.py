"""A bot whose clock is set back, in a real process: its dangers are told, and known again."""

from datetime import UTC, datetime, timedelta

from tests.acceptance.process import Sidewatch, until

CONSOLE = {"SIDEWATCH__CONSOLE__ENABLED": "true"}
CONTROLS = {"kill_switch": "active", "circuit_breaker": "open"}


def events(danger, behind_min):
    at = datetime.now(UTC) - timedelta(minutes=behind_min)
    common = {"bot": "alpha", "at": at.isoformat(), "reason": f"{behind_min} behind"}
    return [{"type": type_, name: danger, **common} for type_, name in CONTROLS.items()]


def controls(sidewatch):
    bot = sidewatch.get("/api/v1/health/status")["bots"]["alpha"]
    return {name: bot[name] for name in CONTROLS}


def test_it_tells_a_danger_of_a_clock_that_was_set_back_and_ends_it_by_no_late_message(tmp_path):
    with Sidewatch(tmp_path / "data", CONSOLE) as sidewatch:
        sidewatch.post(events(False, 0))
        with sidewatch.live() as live:
            sidewatch.post(events(True, 60))
            facts = {}
            while facts.keys() != CONTROLS.keys():
                told = until(live, lambda message: message["type"] == "alert_triggered")
                facts[told["alert"]["trigger"]] = dict(told["alert"]["facts"])
            assert all("was set back" in of["Order"] for of in facts.values())
            sidewatch.post(events(False, 70))  # late, whoever's clock it is
            sidewatch.post({**events(True, 0)[0], "bot": "beta"})
            until(live, lambda message: message.get("alert", {}).get("bot") == "beta")
        before = controls(sidewatch)
        assert all(before[name][field] for name, field in CONTROLS.items())
        assert {control["reason"] for control in before.values()} == {"60 behind"}
        sidewatch.restart_after_kill()
        assert controls(sidewatch) == before
        with sidewatch.live() as live:
            sidewatch.post(events(False, 0))
            ended = set()
            while len(ended) < len(CONTROLS):
                told = until(live, lambda message: message["type"] == "alert_update")["alert"]
                ended |= {told["trigger"]} if told["state"] == "resolved" else set()
        assert ended == CONTROLS.keys()
        assert sidewatch.stop()[0] == 0

"""Facts K, case 104: kill -9 at any point, with the journal on, loses no critical alert."""

import time

import pytest

from tests.acceptance.process import Sidewatch, trade
from tests.fakes.http import Hang, ThreadedFake
from tests.fakes.slack import FakeSlack

WITHIN_S = 20.0


@pytest.fixture
def slack():
    with ThreadedFake(FakeSlack) as slack:
        yield slack


def hears(slack, condition):
    with slack.changed:
        assert slack.changed.wait_for(condition, WITHIN_S)


def acknowledged(_slack):
    """Kill at once: the bot has its answer, no alert has been decided yet."""
    return lambda: None


def on_its_way(slack):
    """Kill while the channel holds the request and does not answer."""
    slack.down = Hang()
    before = len(slack.arrivals)
    return lambda: hears(slack, lambda: len(slack.arrivals) > before)


def delivered(slack):
    """Kill as soon as the channel has it: the mark may be on disk or not."""
    slack.down = None
    before = len(slack.messages)
    return lambda: hears(slack, lambda: len(slack.messages) > before)


# Each is called before the event is posted, and returns what waits until the kill.
POINTS = [on_its_way, acknowledged, delivered, acknowledged]


def test_it_104_loses_no_critical_alert_to_kills_at_any_point(tmp_path, slack):
    environ = {"ALERTS_SLACK_ENABLED": "true", "SLACK_WEBHOOK_URL": slack.url}
    with Sidewatch(tmp_path / "data", environ) as sidewatch:
        for number, point in enumerate(POINTS):
            at = trade(number, 0)["closed_at"]
            event = {"type": "circuit_breaker", "bot": f"breaker-{number}", "at": at, "open": True}
            wait = point(slack)
            sidewatch.post({**event, "reason": "tripped"})
            wait()
            sidewatch.restart_after_kill()
        slack.down = None

        def alerts():
            found = sidewatch.get("/api/v1/alerts")["alerts"]
            return {a["bot"]: a["id"] for a in found if a["trigger"] == "circuit_breaker"}

        bots = {f"breaker-{number}" for number in range(len(POINTS))}
        deadline = time.monotonic() + WITHIN_S
        while set(alerts()) != bots:  # each try is a request to another process
            assert time.monotonic() < deadline
        ids = alerts()

        def texts():
            return [message["text"] for message in slack.messages]

        hears(slack, lambda: all(any(id_ in text for text in texts()) for id_ in ids.values()))
        for text in texts():  # more than one of the same is the same alert, by its id
            for bot in bots:
                assert (bot in text) == (ids[bot] in text)

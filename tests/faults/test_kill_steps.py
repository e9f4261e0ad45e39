"""kill -9 at each of the nine steps of a delivery, in a real process: nothing is lost.

The message comes twice in two windows only: the request is out and unanswered, or the provider's OK
is not yet on disk. Both then carry the same id. A bot whose post was not answered posts again.
"""

from contextlib import suppress

import httpx
import pytest

from tests.acceptance.process import Sidewatch, instant
from tests.fakes.http import Status, ThreadedFake
from tests.fakes.slack import FakeSlack

STEPS = [
    ("event store.commit", 1),  # 1 the event is written, not committed
    ("event store.committed", 1),  # 2 the event is on disk, the bot has no answer
    ("alert store.commit", 1),  # 3 the alert is decided, not committed
    ("alert store.committed", 1),  # 4 the alert is on disk, no sender was woken
    ("sender.claimed", 1),  # 5 a delivery is claimed, nothing is sent
    ("request", 2),  # 6 the provider has the message, and has not answered
    ("sender.sent", 2),  # 7 the provider has answered OK, nothing is marked
    ("mark store.commit", 2),  # 8 the mark is written, not committed
    ("sender.marked", 1),  # 9 the mark is on disk
]
FAILED = [
    ("sender.failed", 1),  # the provider has refused, that is not yet marked
    ("mark store.committed", 1),  # the refusal is on disk
]


class KillingSlack(FakeSlack):
    """Takes a message, then kills who sent it instead of answering."""

    victim = None

    def respond(self, request):
        answer = super().respond(request)
        victim, self.victim = self.victim, None
        if victim is not None:
            victim.kill()
        return answer


def trip():
    event = {"type": "circuit_breaker", "bot": "native", "at": instant(), "open": True}
    return [{**event, "reason": "tripped"}]


def killed_at(point, tmp_path, slack, *, script=()):
    """Post an event to a process that dies at a point; say whether the bot had an answer."""
    environ = {"ALERTS_SLACK_ENABLED": "true", "SLACK_WEBHOOK_URL": slack.url}
    options = {"environ": {**environ, "TEST_KILL_AT": point}, "module": "tests.faults.killed"}
    event = trip()
    slack.script = list(script)
    answered = False
    with Sidewatch(tmp_path / "data", **options) as dying:
        slack.victim = dying.process if point == "request" else None
        with suppress(httpx.HTTPError):
            answered = dying.post(event)["accepted"] == 1
        assert dying.process.wait(20) == -9
    with Sidewatch(tmp_path / "data", environ) as next_life:
        if not answered:
            next_life.post(event)
        with next_life.live() as live:
            while not told(next_life):
                live.recv(timeout=20)
        alerts = next_life.get("/api/v1/alerts")["alerts"]
        assert next_life.stop()[0] == 0
    return [alert for alert in alerts if alert["trigger"] == "circuit_breaker"]


def told(sidewatch):
    alerts = sidewatch.get("/api/v1/alerts")["alerts"]
    tripped = [alert for alert in alerts if alert["trigger"] == "circuit_breaker"]
    deliveries = [d["state"] for alert in tripped for d in alert["deliveries"]]
    return bool(deliveries) and set(deliveries) == {"delivered"}


@pytest.mark.parametrize(("point", "messages"), STEPS)
def test_it_loses_nothing_when_killed(tmp_path, point, messages):
    with ThreadedFake(KillingSlack) as slack:
        [alert] = killed_at(point, tmp_path, slack)
        texts = [message["text"] for message in slack.messages]
    assert len(texts) == messages
    assert all(f"Alert {alert['id']} " in text for text in texts)
    assert len(set(texts)) == 1


@pytest.mark.parametrize(("point", "messages"), FAILED)
def test_it_loses_nothing_when_killed_behind_a_failed_attempt(tmp_path, point, messages):
    with ThreadedFake(KillingSlack) as slack:
        killed_at(point, tmp_path, slack, script=[Status(500)])
        assert len(slack.messages) == messages
        assert slack.requests == messages + 1

"""Retention over a real process: switched on, its figures stay; what is settled is refused."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.process import STEP_S, Sidewatch, bearer, trade

REALTIME, DETAILS = "/api/v1/metrics/realtime", "/api/v1/metrics/details"
PLAIN = {"SIDEWATCH_STARTING_EQUITY": "1000", "SIDEWATCH__METRICS__ROLLING_TRADES": "20"}
KEPT_DAYS = 30
TIMED = (
    "at",
    "exposure",
    "drawdown_current_s",
    "drawdown_longest_s",
)  # follow the clock from one answer to the next


def history(now):
    events = []
    for number in range(300):
        closed = (now - timedelta(days=200, hours=-16 * number)).isoformat()
        event = trade(number, number * 7 % 23 - 9, bot=("alpha", "beta")[number % 3 == 0])
        events.append({**event, "opened_at": closed, "closed_at": closed})
    return events


def figures(sidewatch, path=REALTIME):
    """The figures once all of the history is in them."""
    deadline = time.monotonic() + STEP_S
    while True:
        answer = sidewatch.get(path)
        accounts = [*answer["bots"].values(), *answer["portfolio"].values()]
        if sum(one["trades"] for one in answer["bots"].values()) >= 300:
            break
        assert time.monotonic() < deadline
    for account in accounts:
        for name in TIMED:
            account.pop(name, None)
    return answer["bots"], answer["portfolio"]


@pytest.fixture(scope="module")
def now():
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def data(tmp_path_factory, now):
    """A data folder with a history, and the figures that it had without retention."""
    folder = tmp_path_factory.mktemp("retention") / "data"
    with Sidewatch(folder, PLAIN) as sidewatch:
        sidewatch.post(history(now))
        assert sidewatch.get("/api/v1/metrics/definitions")["settled_before"] is None
        before = figures(sidewatch), figures(sidewatch, DETAILS)
        sidewatch.stop()
    return folder, before


def test_it_keeps_every_figure_and_refuses_what_would_change_the_past(data, now):
    folder, before = data
    with Sidewatch(folder, PLAIN | {"SIDEWATCH__METRICS__RETENTION_DAYS": str(KEPT_DAYS)}) as one:
        since = one.get("/api/v1/metrics/definitions")["settled_before"]
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        assert datetime.fromisoformat(since) == midnight - timedelta(days=KEPT_DAYS)
        late = history(now)[5] | {"id": "late"}
        refused = one.client.post("/api/v1/events", json=[late], headers=bearer("INGEST"))
        assert refused.status_code == 422
        [item] = refused.json()["rejected"]
        assert item["error"].startswith("closed_at: trade late of ")
        assert "metrics.retention_days keeps open only what happened from" in item["error"]
        after = figures(one), figures(one, DETAILS)
        one.restart_after_kill()
        again = figures(one)
        if datetime.now(UTC).date() > now.date():
            pytest.skip("midnight passed, and all figures count a day more")
        assert (after, again) == (before, before[0])

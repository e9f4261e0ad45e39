"""PagerDuty's row of the channel table."""

from __future__ import annotations

import json
import logging
import traceback

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.senders.channel import Incidents, SendError
from actors.senders.pagerduty import PagerDutyChannel, dedup_key, event
from actors.senders.wording import word
from sidewatch.channels import INCIDENTS
from tests.fakes.notices import notice
from tests.fakes.pagerduty import KEY, Drop, FakePagerDuty, Hang, RateLimit, Status, check
from tests.fakes.wire import Wire, said

pytestmark = pytest.mark.anyio


def wire(*answers, **options):
    return Wire(
        lambda client: PagerDutyChannel(KEY, client=client, **options), *answers, secret=KEY
    )


def accepted():
    return said(
        202,
        {"status": "success", "message": "Event processed", "dedup_key": "sidewatch/alpha/7f3a"},
    )


def invalid(*errors):
    return said(
        400,
        {"status": "invalid event", "message": "Event object is invalid", "errors": list(errors)},
    )


async def test_it_triggers_with_all_that_the_notice_says(anyio_backend):
    pagerduty = wire(accepted())
    receipt = await pagerduty.send(trigger="drawdown_day")
    assert receipt.detail == "202 Event processed, dedup_key sidewatch/alpha/7f3a"
    assert str(pagerduty.seen[0].url) == "https://events.pagerduty.com/v2/enqueue"
    assert pagerduty.sent == [
        {
            "routing_key": KEY,
            "event_action": "trigger",
            "dedup_key": "sidewatch/alpha/7f3a",
            "client": "Sidewatch",
            "client_url": "https://watch.example/alerts/7f3a",
            "links": [{"href": "https://watch.example/alerts/7f3a", "text": "Open in Sidewatch"}],
            "payload": {
                "summary": "🔴 CRITICAL · alpha · Drawdown 12.4 % · "
                "The drawdown passed its limit of 10 %.",
                "source": "alpha",
                "severity": "critical",
                "timestamp": "2026-11-24T08:21:03+00:00",
                "component": "trading bot",
                "class": "drawdown_day",
                "custom_details": {
                    "What": "The drawdown passed its limit of 10 %.",
                    "Equity": "8,760.00 USDT",
                    "Peak": "10,000.00 USDT",
                    "Notes": "+37 in 5 min, worst: Drawdown 13.1 %; 3 held back for a digest",
                    "Alert": "Alert 7f3a · 2026-11-24 08:21:03 UTC",
                },
            },
        }
    ]


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("fired", "trigger"),
        ("reminder", "trigger"),
        ("digest", "trigger"),
        ("test", "trigger"),
        ("acknowledged", "acknowledge"),
        ("resolved", "resolve"),
    ],
)
def test_it_makes_of_each_kind_its_event(kind, action):
    made = event(word(notice(kind=kind)), notice(kind=kind))
    assert made["event_action"] == action
    assert made["dedup_key"] == "sidewatch/alpha/7f3a"
    assert ("payload" in made) is (action == "trigger")


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
def test_it_maps_each_severity(severity):
    made = event(word(notice()), notice(severity=severity))
    assert made["payload"]["severity"] == severity


async def test_it_resolves_at_once_what_began_and_ended_in_one_message(anyio_backend):
    pagerduty = wire(accepted(), accepted())
    await pagerduty.send(over=True)
    assert [one["event_action"] for one in pagerduty.sent] == ["trigger", "resolve"]
    assert len({one["dedup_key"] for one in pagerduty.sent}) == 1
    # Not resolved: the whole is tried again, on the same incident.
    pagerduty = wire(accepted(), said(500))
    assert not (await pagerduty.refusal(over=True)).permanent


async def test_it_resolves_a_test_at_once_and_leaves_a_one_off_to_its_owner(anyio_backend):
    pagerduty = wire(accepted(), accepted())
    await pagerduty.send(kind="test")
    assert [one["event_action"] for one in pagerduty.sent] == ["trigger", "resolve"]
    pagerduty = wire(accepted())
    await pagerduty.send(kind="fired", trigger="position_rejected")
    assert [one["event_action"] for one in pagerduty.sent] == ["trigger"]


def test_it_is_known_as_a_channel_that_keeps_incidents():
    assert isinstance(PagerDutyChannel(KEY), Incidents)
    assert {"pagerduty"} == INCIDENTS


def test_it_keeps_one_incident_for_each_alert():
    keys = {dedup_key(notice(id=f"n{i}", title=str(i), at=notice().at)) for i in range(3)}
    assert keys == {"sidewatch/alpha/7f3a"}
    assert dedup_key(notice(alert_id="7f3b")) != dedup_key(notice())
    # Two Sidewatches may name two alerts of the same millisecond alike.
    assert dedup_key(notice(bot="beta")) != dedup_key(notice())


async def test_it_reports_429_with_its_retry_after(anyio_backend):
    body = {"status": "throttle exceeded", "message": "Requests arrive too quickly."}
    error = await wire(said(429, body, **{"retry-after": "7"})).refusal()
    assert (error.permanent, error.retry_after_s) == (False, 7.0)
    assert (await wire(said(429, "")).refusal()).retry_after_s is None


@pytest.mark.parametrize("status", [500, 502, 503, 403, 404, 408, 418])
async def test_it_calls_5xx_and_the_unknown_transient(anyio_backend, status):
    error = await wire(said(status, {"status": "x", "message": "Oops"})).refusal()
    assert (error.permanent, error.reason) == (False, f"{status} Oops")


async def test_it_calls_an_invalid_event_permanent_and_says_why(anyio_backend):
    error = await wire(invalid("'routing_key' is missing or blank")).refusal()
    assert error.permanent
    assert error.reason == "400 Event object is invalid: 'routing_key' is missing or blank"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"status": "success"}),
        (202, "<html>log in to the hotel's network</html>"),
        (202, {"status": "queued?"}),
        (400, "<html>Bad gateway of a proxy</html>"),
        (400, "[" * 15_000),
        (400, {"status": 5}),
    ],
)
async def test_it_takes_only_pagerduty_for_a_verdict(anyio_backend, status, body):
    assert not (await wire(said(status, body)).refusal()).permanent


async def test_it_follows_no_redirect(anyio_backend):
    pagerduty = wire(said(307, "", location="https://evil.example/"), accepted())
    assert not (await pagerduty.refusal()).permanent
    assert len(pagerduty.seen) == 1


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (httpx.ConnectTimeout("x"), "no connection within 3 s"),
        (httpx.ReadTimeout("x"), "no answer within 10 s"),
        (httpx.ConnectError(f"with {KEY}"), "ConnectError: with ***"),
    ],
)
async def test_it_calls_network_trouble_transient(anyio_backend, failure, reason):
    error = await wire(failure).refusal()
    assert (error.permanent, error.reason) == (False, reason)


async def test_it_hides_a_key_that_the_answer_repeats(anyio_backend):
    error = await wire(invalid(f"no integration {KEY}")).refusal()
    assert error.reason.endswith("no integration ***")
    answer = said(202, {"status": "success", "message": KEY, "dedup_key": "d"})
    assert (await wire(answer).send()).detail == "202 ***, dedup_key d"


async def test_it_gives_a_hanging_attempt_up_after_10_s(anyio_backend):
    before = anyio.current_time()
    error = await wire("hang").refusal()
    assert anyio.current_time() - before == pytest.approx(10.0)
    assert not error.permanent


async def test_it_shows_the_key_in_no_log(anyio_backend, caplog):
    with caplog.at_level(logging.DEBUG):
        await wire(accepted()).send()
    assert KEY not in caplog.text


HOSTILE = "a\r\nb\x00\ud800\u202e<b>"


@given(st.text(max_size=30) | st.just(HOSTILE), st.integers(1, 500))
def test_it_keeps_pagerdutys_limits(part, times):
    long = part * times
    made = notice(
        title=long, text=long, bot=long, alert_id=part, facts=[(part, long)] * 60, url=part
    )
    message = {"routing_key": KEY, **event(word(made), made)}
    assert check(message) == []
    assert len(json.dumps(message, ensure_ascii=False).encode()) < 512 * 1024


def test_it_keeps_facts_of_one_name_apart():
    made = notice(facts=[("What", "1"), ("Peak", "2"), ("Peak", "3")])
    details = event(word(made), made)["payload"]["custom_details"]
    assert {"1", "2", "3"} <= set(details.values())


def test_it_links_only_to_a_page():
    made = event(word(notice(url="javascript:alert(1)")), notice())
    assert "links" not in made
    assert "client_url" not in made


def test_it_says_sidewatch_where_there_is_no_bot():
    made = notice(bot="")
    assert event(word(made), made)["payload"]["source"] == "sidewatch"


@pytest.mark.parametrize("key", ["", "x" * 31, "x" * 33, KEY[:-1] + "\n", KEY[:-1] + "-"])
def test_it_refuses_a_malformed_key_and_does_not_repeat_it(key):
    with pytest.raises(ValueError, match=r"^pagerduty routing_key: must be 32 letters and digits$"):
        PagerDutyChannel(key)


@pytest.mark.real_time
async def test_it_opens_acknowledges_and_resolves_one_incident(anyio_backend):
    async with FakePagerDuty() as fake:
        channel = PagerDutyChannel(KEY, api_base=f"{fake.url}/")
        fake.script = [Status(500), RateLimit(2), Drop(), Status(400)]
        errors = []
        for _ in range(4):
            with pytest.raises(SendError) as caught:
                await channel.send(notice())
            errors.append((caught.value.permanent, caught.value.retry_after_s))
            assert KEY not in "".join(traceback.format_exception(caught.value))
        assert errors == [(False, None), (False, 2.0), (False, None), (True, None)]
        states = []
        for kind in ("fired", "reminder", "acknowledged", "reminder", "resolved", "resolved"):
            await channel.send(notice(kind=kind))
            states.append(fake.incidents["sidewatch/alpha/7f3a"])
        assert states == [
            "triggered",
            "triggered",
            "acknowledged",
            "acknowledged",
            "resolved",
            "resolved",
        ]
        await channel.close()


@pytest.mark.real_time
async def test_it_is_cancelled_at_once_while_the_server_hangs(anyio_backend):
    async with FakePagerDuty() as fake:
        fake.down = Hang()
        channel = PagerDutyChannel(KEY, api_base=fake.url)
        with anyio.move_on_after(0.2) as scope:
            await channel.send(notice())
        assert scope.cancelled_caught
        await channel.close()

"""Slack's row of the channel table."""

from __future__ import annotations

import json
import logging
import traceback

import anyio
import httpx
import pytest

from actors.senders.channel import SendError
from actors.senders.slack import SlackChannel, blocks, escape, payload
from actors.senders.wording import word
from tests.fakes.notices import notice
from tests.fakes.slack import (
    PATH,
    Body,
    Drop,
    FakeSlack,
    Hang,
    RateLimit,
    Status,
    ThreadedFake,
    check,
)

SECRET = "canarySlackSecret000000"
URL = f"https://hooks.slack.com{PATH}"

pytestmark = pytest.mark.anyio


class Wire:
    """Slack at the other end of a MockTransport: answers in turn, keeps what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.seen = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))

    async def _handle(self, request):
        self.seen.append(request)
        answer = self.answers.pop(0)
        if answer == "hang":
            await anyio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def sent(self):
        return [json.loads(request.content) for request in self.seen]

    async def send(self, **changes):
        async with self.client:
            return await SlackChannel(URL, client=self.client).send(notice(**changes))

    async def refusal(self, **changes):
        with pytest.raises(SendError) as caught:
            await self.send(**changes)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert SECRET not in shown
        return caught.value


def said(status, body="", **headers):
    return httpx.Response(status, text=body, headers=headers)


async def test_it_sends_text_always_and_blocks(anyio_backend):
    wire = Wire(said(200, "ok"))
    receipt = await wire.send()
    assert receipt.detail == "200 ok"
    (message,) = wire.sent
    assert message["text"].startswith("🔴 CRITICAL · alpha · Drawdown 12.4 %\n")
    assert "Alert 7f3a" in message["text"]
    assert [block["type"] for block in message["blocks"]] == [
        "header",
        "section",
        "section",
        "context",
    ]
    assert "Alert 7f3a" in message["blocks"][-1]["elements"][0]["text"]
    assert str(wire.seen[0].url) == URL
    assert wire.seen[0].headers["content-type"] == "application/json"


async def test_it_does_not_take_a_200_that_is_not_ok_for_success(anyio_backend):
    error = await Wire(said(200, "<html>log in to the hotel's network</html>")).refusal()
    assert not error.permanent


async def test_it_reports_429_with_its_retry_after(anyio_backend):
    error = await Wire(said(429, "rate_limited", **{"retry-after": "7"})).refusal()
    assert (error.permanent, error.retry_after_s) == (False, 7.0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        ("999999999", 86_400.0),
        ("9" * 20, 86_400.0),
        ("Tue, 24 Nov 2026 08:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 07:00:00 GMT", 0.0),
        ("-1", None),
        ("nan", None),
        ("1e999", None),
        ("soon", None),
        ("", None),
    ],
)
async def test_it_reads_any_retry_after(anyio_backend, value, seconds):
    date = "Tue, 24 Nov 2026 08:00:00 GMT"
    error = await Wire(said(429, "", **{"retry-after": value, "date": date})).refusal()
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 418])
async def test_it_calls_5xx_and_the_unknown_transient(anyio_backend, status):
    error = await Wire(said(status, "rollup_error")).refusal()
    assert not error.permanent
    assert error.reason == f"{status} rollup_error"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, "user_not_found"),
        (403, "action_prohibited"),
        (403, "invalid_token"),
        (404, "channel_not_found"),
        (404, "no_service"),
        (410, "channel_is_archived"),
    ],
)
async def test_it_calls_slacks_own_refusals_permanent(anyio_backend, status, body):
    error = await Wire(said(status, body)).refusal()
    assert error.permanent
    assert error.reason == f"{status} {body}"


async def test_it_does_not_take_a_proxys_403_page_for_slacks_verdict(anyio_backend):
    error = await Wire(said(403, "<html>Forbidden by the firewall</html>")).refusal()
    assert not error.permanent


@pytest.mark.parametrize("word_", ["invalid_payload", "invalid_blocks"])
async def test_it_resends_once_as_plain_text_what_slack_cannot_render(anyio_backend, word_):
    wire = Wire(said(400, word_), said(200, "ok"))
    receipt = await wire.send()
    assert receipt.detail == f"200 ok as plain text after {word_}"
    first, second = wire.sent
    assert "blocks" in first
    assert "blocks" not in second
    assert second["text"] == first["text"]


async def test_it_resends_only_once(anyio_backend):
    wire = Wire(said(400, "invalid_blocks"), said(400, "invalid_payload"))
    error = await wire.refusal()
    assert error.permanent
    assert len(wire.seen) == 2


async def test_it_follows_no_redirect(anyio_backend):
    wire = Wire(said(302, "", location="https://evil.example/"), said(200, "ok"))
    error = await wire.refusal()
    assert not error.permanent
    assert len(wire.seen) == 1


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (httpx.ConnectTimeout("x"), "no connection within 3 s"),
        (httpx.ReadTimeout("x"), "no answer within 10 s"),
        (httpx.ConnectError(f"refused by {URL}"), "ConnectError: refused by ***"),
        (httpx.RemoteProtocolError(f"at {PATH}"), "RemoteProtocolError: at ***"),
    ],
)
async def test_it_calls_network_trouble_transient_and_hides_the_url(anyio_backend, failure, reason):
    error = await Wire(failure).refusal()
    assert not error.permanent
    assert error.reason == reason


async def test_it_gives_a_hanging_attempt_up_after_10_s(anyio_backend):
    before = anyio.current_time()
    error = await Wire("hang").refusal()
    assert anyio.current_time() - before == pytest.approx(10.0)
    assert (error.permanent, error.reason) == (False, "no answer within 10 s")


async def test_it_bounds_the_resend_by_the_same_10_s(anyio_backend):
    before = anyio.current_time()
    await Wire(said(400, "invalid_blocks"), "hang").refusal()
    assert anyio.current_time() - before == pytest.approx(10.0)


async def test_it_keeps_an_answer_to_one_short_line(anyio_backend):
    error = await Wire(said(500, "x\r\n\x1b[2J" * 10_000)).refusal()
    assert len(error.reason) <= 300
    assert error.reason.isprintable()


async def test_it_hides_the_url_in_the_log_of_httpx(anyio_backend, caplog):
    with caplog.at_level(logging.DEBUG):
        await Wire(said(200, "ok")).send()
    assert "hooks.slack.com/***" in caplog.text
    assert SECRET not in caplog.text


async def test_it_hides_the_url_in_its_repr(anyio_backend):
    channel = SlackChannel(URL)
    assert SECRET not in repr(channel)
    await channel.close()


def test_it_makes_mentions_and_links_inert():
    hostile = "<!channel> <@U1> <https://evil.example|ok> & *b*"
    message = payload(
        word(notice(title=hostile, text=hostile, facts=[(hostile, hostile)], url="<!here>"))
    )
    flat = json.dumps(message)
    assert "<" not in flat
    assert ">" not in flat
    assert "&lt;!channel&gt;" in message["text"]
    assert check(message) == ""


@pytest.mark.parametrize("char", ["x", "<", "&", "🔴", "<!channel>"])
def test_it_keeps_slacks_limits_after_escaping(char):
    long = char * 3_000
    message = payload(word(notice(title=long, text=long, facts=[(long, long)] * 60)))
    assert check(message) == ""
    assert len(message["blocks"]) <= 50
    for text in (message["text"], message["blocks"][0]["text"]["text"]):
        assert text.count("&") == sum(text.count(one) for one in ("&amp;", "&lt;", "&gt;"))


def test_it_sends_no_empty_block():
    made = blocks(word(notice(text="", facts=[], url="")))
    assert [block["type"] for block in made] == ["header", "context"]


def test_it_escapes_the_three_and_nothing_else():
    assert escape("a & b < c > \"d' *e*") == "a &amp; b &lt; c &gt; \"d' *e*"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/x",
        f"https://evil.example/{SECRET}",
        f"https://hooks.slack.com.evil.example/{SECRET}",
        f"https://hooks.slack.com@evil.example/{SECRET}",
        "",
        "file:///etc/passwd",
        f"https://[{SECRET}",
    ],
)
def test_it_refuses_another_address_and_names_the_field(url):
    with pytest.raises(ValueError, match=r"webhook_url: must be an https://hooks\.slack\.com") as c:
        SlackChannel(url)
    assert SECRET not in str(c.value)


@pytest.mark.real_time
async def test_it_talks_to_a_real_server(anyio_backend):
    async with FakeSlack() as fake:
        channel = SlackChannel(fake.url, any_host=True)
        fake.script = [Status(500), RateLimit(1), Drop(), Body(400, "invalid_payload")]
        reasons = []
        for _ in range(3):
            with pytest.raises(SendError) as caught:
                await channel.send(notice())
            reasons.append((caught.value.reason, caught.value.retry_after_s))
            assert SECRET not in "".join(traceback.format_exception(caught.value))
        assert reasons[:2] == [("500 rollup_error", None), ("429 rate_limited", 1.0)]
        assert (await channel.send(notice())).detail == "200 ok as plain text after invalid_payload"
        assert (await channel.send(notice(text="<!channel>"))).detail == "200 ok"
        assert fake.requests == 6
        assert len(fake.messages) == 2
        await channel.close()


@pytest.mark.real_time
async def test_it_is_cancelled_at_once_while_the_server_hangs(anyio_backend):
    async with FakeSlack() as fake:
        fake.down = Hang()
        channel = SlackChannel(fake.url, any_host=True)
        with anyio.move_on_after(0.2) as scope:
            await channel.send(notice())
        assert scope.cancelled_caught
        fake.down = None
        assert (await channel.send(notice())).detail == "200 ok"
        await channel.close()


@pytest.mark.real_time
async def test_it_reports_a_closed_port_without_the_url(anyio_backend):
    async with FakeSlack() as fake:
        url = fake.url
    channel = SlackChannel(url, any_host=True)
    with pytest.raises(SendError) as caught:
        await channel.send(notice())
    assert not caught.value.permanent
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    await channel.close()


def test_it_can_be_faked_from_a_thread():
    with ThreadedFake(FakeSlack) as fake:
        assert httpx.post(fake.url, json={"text": "hi"}).text == "ok"
        assert fake.wait_for_messages(1, timeout_s=5) == [{"text": "hi"}]
        assert httpx.post(fake.url, content=b"{").text == "invalid_payload"
        assert httpx.post(fake.base + "/other", json={}).status_code == 404
        assert fake.requests == 3

"""ntfy's row of the channel table."""

from __future__ import annotations

import json
import logging
import traceback
import unicodedata

import anyio
import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.senders.channel import SendError
from actors.senders.ntfy import NtfyChannel, message
from actors.senders.wording import word
from tests.fakes.notices import notice
from tests.fakes.ntfy import TOKEN, TOPIC, Drop, FakeNtfy, Hang, RateLimit, Status, check
from tests.fakes.wire import Wire, said

pytestmark = pytest.mark.anyio


def wire(*answers, secret=TOKEN, **options):
    options = {"token": TOKEN, **options}
    return Wire(
        lambda client: NtfyChannel(TOPIC, client=client, **options), *answers, secret=secret
    )


def accepted():
    return said(200, {"id": "hwQ2YpKdmg", "time": 1, "event": "message", "topic": TOPIC})


def refused(status, code, error):
    return said(status, {"code": code, "http": status, "error": error})


async def test_it_publishes_title_text_priority_tags_and_link(anyio_backend):
    ntfy = wire(accepted())
    assert (await ntfy.send()).detail == "200 ok, message hwQ2YpKdmg"
    (request,) = ntfy.seen
    assert str(request.url) == "https://ntfy.sh/"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert ntfy.sent == [
        {
            "topic": TOPIC,
            "title": "🔴 CRITICAL · alpha · Drawdown 12.4 %",
            "message": "The drawdown passed its limit of 10 %.\n"
            "Equity: 8,760.00 USDT\n"
            "Peak: 10,000.00 USDT\n"
            "+37 in 5 min, worst: Drawdown 13.1 %\n"
            "3 held back for a digest\n"
            "Alert 7f3a · 2026-11-24 08:21:03 UTC\n"
            "https://watch.example/alerts/7f3a",
            "priority": 5,
            "tags": ["critical", "fired"],
            "click": "https://watch.example/alerts/7f3a",
        }
    ]


async def test_it_publishes_without_a_token_where_none_is_set(anyio_backend):
    ntfy = wire(accepted(), token=None)
    await ntfy.send()
    assert "authorization" not in ntfy.seen[0].headers


@pytest.mark.parametrize(
    ("kind", "severity", "priority"),
    [
        ("fired", "critical", 5),
        ("fired", "warning", 4),
        ("fired", "info", 2),
        ("reminder", "critical", 5),
        ("resolved", "critical", 3),
        ("test", "critical", 3),
    ],
)
def test_it_rings_as_loud_as_it_is_severe(kind, severity, priority):
    made = message(TOPIC, word(notice()), notice(kind=kind, severity=severity))
    assert made["priority"] == priority


def test_it_does_not_ring_for_what_is_over():
    made = notice(kind="fired", severity="critical", over=True)
    assert message(TOPIC, word(made), made)["priority"] == 3


async def test_it_reports_429_with_its_retry_after(anyio_backend):
    answer = refused(429, 42908, "limit reached: too many messages")
    answer.headers["retry-after"] = "7"
    error = await wire(answer).refusal()
    assert (error.permanent, error.retry_after_s) == (False, 7.0)
    assert error.reason == "429 limit reached: too many messages (42908)"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 507, 408, 409, 418])
async def test_it_calls_5xx_and_the_unknown_transient(anyio_backend, status):
    assert not (await wire(refused(status, status * 100 + 1, "oops")).refusal()).permanent


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, 40009, "invalid request: topic invalid"),
        (401, 40101, "unauthorized"),
        (403, 40301, "forbidden"),
        (404, 40401, "page not found"),
        (413, 41301, "attachment too large, or bandwidth limit reached"),
    ],
)
async def test_it_calls_ntfys_own_refusals_permanent(anyio_backend, status, code, error):
    caught = await wire(refused(status, code, error)).refusal()
    assert (caught.permanent, caught.reason) == (True, f"{status} {error} ({code})")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>log in to the hotel's network</html>"),
        (200, {}),
        (204, ""),
        (403, "<html>Forbidden by the firewall</html>"),
        (404, "[" * 15_000),
        (404, {"http": "404"}),
        (404, {"error": "not ntfy's"}),
    ],
)
async def test_it_takes_only_ntfy_for_a_verdict(anyio_backend, status, body):
    assert not (await wire(said(status, body)).refusal()).permanent


async def test_it_follows_no_redirect(anyio_backend):
    ntfy = wire(said(308, "", location="https://evil.example/"), accepted())
    assert not (await ntfy.refusal()).permanent
    assert len(ntfy.seen) == 1


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (httpx.ConnectTimeout("x"), "no connection within 3 s"),
        (httpx.ReadTimeout("x"), "no answer within 10 s"),
        (httpx.ConnectError(f"with {TOKEN}"), "ConnectError: with ***"),
    ],
)
async def test_it_calls_network_trouble_transient(anyio_backend, failure, reason):
    error = await wire(failure).refusal()
    assert (error.permanent, error.reason) == (False, reason)


@pytest.mark.parametrize("secret", [TOKEN, TOPIC])
async def test_it_hides_what_the_answer_repeats(anyio_backend, secret):
    error = await wire(refused(403, 40301, f"forbidden: {secret}"), secret=secret).refusal()
    assert error.reason == "403 forbidden: *** (40301)"


async def test_it_gives_a_hanging_attempt_up_after_10_s(anyio_backend):
    before = anyio.current_time()
    assert not (await wire("hang").refusal()).permanent
    assert anyio.current_time() - before == pytest.approx(10.0)


async def test_it_shows_token_and_topic_in_no_log(anyio_backend, caplog):
    with caplog.at_level(logging.DEBUG):
        await wire(accepted()).send()
    assert TOKEN not in caplog.text
    assert TOPIC not in caplog.text


HOSTILE = 'a\r\nX-Priority: 1\r\n\r\n"\\\x00\ud800\u202e@everyone <b>'


@given(st.text(max_size=40) | st.sampled_from(["🔴", '"', HOSTILE]), st.integers(1, 400))
def test_it_keeps_to_4096_bytes(part, times):
    long = part * times
    made = notice(
        title=long, text=long, facts=[(part, long)] * 50, url=f"https://a.example/{times}"
    )
    built = message(TOPIC, word(made), made)
    encoded = msgspec.json.encode(built)
    assert len(encoded) <= 4_096
    assert check(json.loads(encoded)) is None
    assert built["message"].endswith(f"https://a.example/{times}")
    assert "\n" not in built["title"]
    text = built["title"] + built["message"]
    assert not {unicodedata.category(char) for char in text if char not in "\n\t"} & {"Cc", "Cs"}


def test_it_links_only_to_a_page():
    for url in ("javascript:alert(1)", "", f"https://a.example/{'x' * 2_000}"):
        made = notice(url=url)
        built = message(TOPIC, word(made), made)
        assert "click" not in built
        assert len(msgspec.json.encode(built)) <= 4_096


@pytest.mark.parametrize("topic", ["", "a/b", "x" * 65, f"{TOPIC}\n"])
def test_it_refuses_a_malformed_topic(topic):
    with pytest.raises(ValueError, match=r"^ntfy topic: must be 1 to 64 of A-Z a-z 0-9 _ -$"):
        NtfyChannel(topic)


@pytest.mark.parametrize("token", ["", "a b", f"{TOKEN}\r\nX-Evil: 1"])
def test_it_refuses_a_malformed_token_and_does_not_repeat_it(token):
    with pytest.raises(ValueError, match=r"^ntfy token: must be an access token") as caught:
        NtfyChannel(TOPIC, token=token)
    assert TOKEN not in str(caught.value)


@pytest.mark.real_time
async def test_it_talks_to_a_real_server(anyio_backend):
    async with FakeNtfy() as fake:
        channel = NtfyChannel(TOPIC, token=TOKEN, api_base=fake.url)
        fake.script = [Status(507), RateLimit(2), Drop(), Status(401), Status(413)]
        errors = []
        for _ in range(5):
            with pytest.raises(SendError) as caught:
                await channel.send(notice())
            errors.append((caught.value.permanent, caught.value.retry_after_s))
            assert TOKEN not in "".join(traceback.format_exception(caught.value))
        assert errors == [(False, None), (False, 2.0), (False, None), (True, None), (True, None)]
        assert (
            await channel.send(notice(text="ü" * 2_000))
        ).detail == "200 ok, message hwQ2YpKdmg01"
        assert fake.messages[0]["title"].startswith("🔴 CRITICAL")
        await channel.close()
        stranger = NtfyChannel(TOPIC, api_base=fake.url)
        with pytest.raises(SendError, match="403 forbidden") as caught:
            await stranger.send(notice())
        assert caught.value.permanent
        await stranger.close()


@pytest.mark.real_time
async def test_it_is_cancelled_at_once_while_the_server_hangs(anyio_backend):
    async with FakeNtfy() as fake:
        fake.down = Hang()
        channel = NtfyChannel(TOPIC, token=TOKEN, api_base=fake.url)
        with anyio.move_on_after(0.2) as scope:
            await channel.send(notice())
        assert scope.cancelled_caught
        await channel.close()

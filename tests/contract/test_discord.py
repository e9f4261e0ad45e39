"""Discord's row of the channel table."""

from __future__ import annotations

import json
import logging
import re
import traceback

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.senders.channel import SendError
from actors.senders.discord import DiscordChannel, escape, payload, plain_payload
from actors.senders.wording import word
from tests.fakes.discord import SECRET, Body, Drop, FakeDiscord, Hang, RateLimit, Status, check
from tests.fakes.notices import notice
from tests.fakes.wire import Wire, said

URL = f"https://discord.com/api/webhooks/1234567890123456789/{SECRET}"

pytestmark = pytest.mark.anyio


def wire(*answers, url=URL, **options):
    return Wire(
        lambda client: DiscordChannel(url, client=client, **options), *answers, secret=SECRET
    )


def accepted():
    return said(200, {"id": "1300000000000000001", "content": "x", "type": 0})


def refused(status, message, code):
    return said(status, {"message": message, "code": code})


async def test_it_sends_the_title_as_content_and_the_rest_as_an_embed(anyio_backend):
    discord = wire(accepted())
    receipt = await discord.send()
    assert receipt.detail == "200 ok, message 1300000000000000001"
    (message,) = discord.sent
    assert message["content"] == "🔴 CRITICAL · alpha · Drawdown 12.4 %"
    (embed,) = message["embeds"]
    assert embed["description"].split("\n") == [
        "The drawdown passed its limit of 10 %.",
        "+37 in 5 min, worst: Drawdown 13.1 %",
        "3 held back for a digest",
        "https://watch.example/alerts/7f3a",
    ]
    assert embed["fields"][0] == {"name": "Equity", "value": "8,760.00 USDT", "inline": True}
    assert embed["footer"]["text"] == "Alert 7f3a · 2026-11-24 08:21:03 UTC"


async def test_it_lets_nobody_be_mentioned(anyio_backend):
    discord = wire(accepted())
    await discord.send(text="@everyone <@1> <@&2>")
    assert discord.sent[0]["allowed_mentions"] == {"parse": []}


async def test_it_asks_discord_for_the_message_and_for_seconds(anyio_backend):
    discord = wire(accepted())
    await discord.send()
    # Without a version Discord answers as v6 did: Retry-After in milliseconds.
    assert str(discord.seen[0].url) == URL.replace("/api/", "/api/v10/") + "?wait=true"


@pytest.mark.parametrize(
    "url",
    [
        f"https://discord.com/api/v9/webhooks/1/{SECRET}",
        f"https://relay.example/api/webhooks/1/{SECRET}",
        f"https://discord.com.evil.example/api/webhooks/1/{SECRET}",
    ],
)
async def test_it_leaves_a_version_and_another_hosts_address_alone(anyio_backend, url):
    discord = wire(accepted(), url=url)
    await discord.send()
    assert str(discord.seen[0].url) == f"{url}?wait=true"


async def test_it_sends_to_a_thread(anyio_backend):
    discord = wire(accepted(), thread_id=1234567890123456789)
    await discord.send()
    assert discord.seen[0].url.params["thread_id"] == "1234567890123456789"
    assert discord.seen[0].url.params["wait"] == "true"


@pytest.mark.parametrize(
    ("body", "header", "seconds"),
    [
        ({"message": "You are being rate limited.", "retry_after": 64.57}, "65", 64.57),
        ({"message": "You are being rate limited.", "retry_after": 0.3}, "1", 0.3),
        ({"message": "x", "retry_after": -1}, "1", 0.0),
        ({"message": "x", "retry_after": 1e12}, "1", 86_400.0),
        ("<html>error 1015: you are being rate limited</html>", "600", 600.0),
        ({"message": "x"}, "7", 7.0),
    ],
)
async def test_it_reports_429_with_the_bodys_float_or_the_header(
    anyio_backend, body, header, seconds
):
    error = await wire(said(429, body, **{"retry-after": header})).refusal()
    assert (error.permanent, error.retry_after_s) == (False, seconds)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 405, 418])
async def test_it_calls_5xx_and_the_unknown_transient(anyio_backend, status):
    error = await wire(refused(status, f"{status}: Oops", 0)).refusal()
    assert (error.permanent, error.reason) == (False, f"{status} {status}: Oops (0)")


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "Webhooks posted to forum channels must have a thread_name or thread_id", 220001),
        (401, "401: Unauthorized", 0),
        (401, "Invalid Webhook Token", 50027),
        (403, "Missing Permissions", 50013),
        (404, "Unknown Webhook", 10015),
    ],
)
async def test_it_calls_discords_own_refusals_permanent(anyio_backend, status, message, code):
    error = await wire(refused(status, message, code)).refusal()
    assert (error.permanent, error.reason) == (True, f"{status} {message} ({code})")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>log in to the hotel's network</html>"),
        (200, ""),
        (200, {}),
        (204, ""),
        (403, "<html>Forbidden by the firewall</html>"),
        (404, "[" * 15_000),
        (401, "[]"),
        (404, '{"message": 5}'),
    ],
)
async def test_it_takes_only_discord_for_a_verdict(anyio_backend, status, body):
    assert not (await wire(said(status, body)).refusal()).permanent


async def test_it_takes_a_message_with_everything_repeated_for_accepted(anyio_backend):
    echo = {"content": "ü🔴" * 1_000, "embeds": ["🔴" * 2_500], "id": "13"}
    body = json.dumps(echo)  # as \uXXXX
    assert len(body) > 32_000
    assert (await wire(said(200, body)).send()).detail == "200 ok, message 13"


@pytest.mark.parametrize(
    "refusal",
    [
        {"message": "Invalid Form Body", "code": 50035, "errors": {"embeds": {}}},
        {"message": "Cannot send an empty message", "code": 50006},
        {"embeds": ["0"]},  # as the API says it without a version
    ],
)
async def test_it_resends_once_as_plain_text_what_discord_cannot_render(anyio_backend, refusal):
    discord = wire(said(400, refusal), accepted())
    receipt = await discord.send()
    assert receipt.detail.startswith("200 ok, message 1300000000000000001 as plain text")
    first, second = discord.sent
    assert "embeds" in first
    assert "embeds" not in second
    assert second["allowed_mentions"] == {"parse": []}
    assert "Equity: 8,760.00 USDT" in second["content"]
    assert second["content"].endswith("\nhttps://watch.example/alerts/7f3a")


async def test_it_resends_only_once(anyio_backend):
    invalid = refused(400, "Invalid Form Body", 50035)
    discord = wire(invalid, invalid)
    assert (await discord.refusal()).permanent
    assert len(discord.seen) == 2


async def test_it_follows_no_redirect(anyio_backend):
    discord = wire(said(302, "", location="https://evil.example/"), accepted())
    assert not (await discord.refusal()).permanent
    assert len(discord.seen) == 1


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (httpx.ConnectTimeout("x"), "no connection within 3 s"),
        (httpx.ReadTimeout("x"), "no answer within 10 s"),
        (httpx.ConnectError(f"refused by {URL}?wait=true"), "ConnectError: refused by ***?wait"),
        (httpx.RemoteProtocolError(f"token {SECRET}"), "RemoteProtocolError: token ***"),
    ],
)
async def test_it_calls_network_trouble_transient_and_hides_the_url(anyio_backend, failure, reason):
    error = await wire(failure).refusal()
    assert not error.permanent
    assert error.reason.startswith(reason)


async def test_it_hides_a_token_that_the_answer_repeats(anyio_backend):
    error = await wire(said(502, f"upstream /api/v10/webhooks/1/{SECRET}")).refusal()
    assert error.reason == "502 upstream /api/v10/webhooks/1/***"


async def test_it_gives_a_hanging_attempt_up_after_10_s(anyio_backend):
    before = anyio.current_time()
    error = await wire(refused(400, "Invalid Form Body", 50035), "hang").refusal()
    assert anyio.current_time() - before == pytest.approx(10.0)
    assert (error.permanent, error.reason) == (False, "no answer within 10 s")


async def test_it_hides_the_url_in_the_log_of_httpx(anyio_backend, caplog):
    with caplog.at_level(logging.DEBUG):
        await wire(accepted()).send()
    assert "discord.com/***" in caplog.text
    assert SECRET not in caplog.text


HOSTILE = "@everyone <@&1> <:x:1> [ok](https://evil.example) **b** `c` ||s|| # h > q \\ ~~d~~ _e_"
RENDERED = re.compile(r"(?<!\\)[*_~`|>#\[\]<@]|https?://")


def test_it_makes_markdown_mentions_and_links_inert():
    wording = word(notice(title=HOSTILE, text=HOSTILE, facts=[(HOSTILE, HOSTILE)], url=HOSTILE))
    rich = payload(wording, notice())
    (embed,) = rich["embeds"]
    (field,) = embed["fields"]
    plain = plain_payload(wording)["content"]
    for text in (rich["content"], embed["description"], field["name"], field["value"], plain):
        assert not RENDERED.search(text)
    assert field["value"].replace("\\", "") == HOSTILE.replace("\\", "")


@given(st.text(max_size=40) | st.sampled_from(["*", "@", "🔴", HOSTILE]), st.integers(1, 300))
def test_it_keeps_discords_limits_after_escaping(part, times):
    long = part * times
    made = notice(
        title=long, text=long, facts=[(part, long)] * 60, url="https://a.example/" + "x" * 900
    )
    for message in (payload(word(made), made), plain_payload(word(made))):
        assert check(message) is None
        text = json.dumps(message, ensure_ascii=False)
        assert "https://a.example/x" in text
        text.encode()  # no lone surrogate
        # No cut parts a backslash from what it escapes.
        assert not re.search(r"(?<!\\)(\\\\)*\\(?![\\*_~`|>#\[\]<@/])", message["content"])


def test_it_counts_the_facts_that_discord_has_no_room_for():
    made = notice(facts=[(f"n{i}", "v" * 900) for i in range(10)])
    message = payload(word(made), made)
    (embed,) = message["embeds"]
    shown = len(embed["fields"])
    assert 0 < shown < 10
    assert f"{10 - shown} more facts on the page" in embed["description"]


def test_it_sends_no_empty_field():
    made = notice(text="", facts=[("", ""), ("a", "")], suppressed=0, held=0, url="")
    assert check(payload(word(made), made)) is None


def test_it_colours_the_end_green():
    colours = {
        payload(word(made), made)["embeds"][0]["color"]
        for made in (
            notice(),
            notice(severity="warning"),
            notice(severity="info"),
            notice(kind="resolved"),
        )
    }
    assert len(colours) == 4


def test_it_colours_what_is_over_green():
    ends = (notice(kind="resolved"), notice(kind="fired", over=True))
    first, second = (payload(word(end), end)["embeds"][0]["color"] for end in ends)
    assert first == second


def test_it_escapes_punctuation_and_no_letter():
    assert escape("a_b -8.1 % https://x.y") == r"a\_b -8.1 % https:\/\/x.y"


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", f"https://[{SECRET}", "discord.com/x"])
def test_it_refuses_what_is_no_address_and_names_the_field(url):
    with pytest.raises(ValueError, match=r"^discord webhook_url: must be an https") as caught:
        DiscordChannel(url)
    assert SECRET not in str(caught.value)


@pytest.mark.real_time
async def test_it_talks_to_a_real_server(anyio_backend):
    async with FakeDiscord() as fake:
        channel = DiscordChannel(fake.url)
        fake.script = [
            Status(500),
            RateLimit(1),
            Drop(),
            Status(404),
            Body(400, '{"embeds":["0"]}'),
        ]
        reasons = []
        for _ in range(4):
            with pytest.raises(SendError) as caught:
                await channel.send(notice())
            reasons.append((caught.value.permanent, caught.value.retry_after_s))
            assert SECRET not in "".join(traceback.format_exception(caught.value))
        assert reasons == [(False, None), (False, 1.0), (False, None), (True, None)]
        assert (await channel.send(notice())).detail.endswith("as plain text after 400")
        receipt = await channel.send(notice(text=HOSTILE))
        assert receipt.detail == "200 ok, message 1300000000000000002"
        await channel.close()
        stranger = DiscordChannel(fake.url + "x")
        with pytest.raises(SendError, match="Invalid Webhook Token"):
            await stranger.send(notice())
        await stranger.close()


@pytest.mark.real_time
async def test_it_is_cancelled_at_once_while_the_server_hangs(anyio_backend):
    async with FakeDiscord() as fake:
        fake.down = Hang()
        channel = DiscordChannel(fake.url)
        with anyio.move_on_after(0.2) as scope:
            await channel.send(notice())
        assert scope.cancelled_caught
        await channel.close()

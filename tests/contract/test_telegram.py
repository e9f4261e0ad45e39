"""Telegram's row of the channel table."""

from __future__ import annotations

import json
import logging
import traceback
from html import unescape

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.senders.channel import SendError
from actors.senders.telegram import TelegramChannel, texts
from actors.senders.wording import utf16_units, word
from tests.fakes.notices import notice
from tests.fakes.telegram import CHAT, TOKEN, Drop, FakeTelegram, RateLimit, Status, check

SECRET = TOKEN.partition(":")[2]

pytestmark = pytest.mark.anyio


class Wire:
    """Telegram at the other end of a MockTransport: answers in turn, keeps what was asked."""

    def __init__(self, *answers, chat_id=CHAT, **options):
        self.answers = list(answers)
        self.seen = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))
        self.channel = TelegramChannel(TOKEN, chat_id, client=self.client, **options)

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
        return await self.channel.send(notice(**changes))

    async def refusal(self, **changes):
        with pytest.raises(SendError) as caught:
            await self.send(**changes)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert SECRET not in shown
        return caught.value


def accepted():
    return httpx.Response(200, json={"ok": True, "result": {"message_id": 42, "date": 1}})


def refused(code, description, **parameters):
    said = {"ok": False, "error_code": code, "description": description}
    return httpx.Response(code, json={**said, **({"parameters": parameters} if parameters else {})})


MOVED = "Bad Request: group chat was upgraded to a supergroup chat"
UNPARSED = 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0'


async def test_it_sends_html_to_the_bots_own_address(anyio_backend):
    wire = Wire(accepted())
    assert (await wire.send()).detail == "200 ok, message 42"
    (message,) = wire.sent
    assert str(wire.seen[0].url) == f"https://api.telegram.org/bot{TOKEN}/sendMessage"
    assert message["chat_id"] == CHAT
    assert message["parse_mode"] == "HTML"
    assert message["text"].startswith("<b>🔴 CRITICAL · alpha · Drawdown 12.4 %</b>\n")
    assert "Alert 7f3a" in message["text"]
    assert "message_thread_id" not in message


async def test_it_sends_to_a_topic(anyio_backend):
    wire = Wire(accepted(), thread_id=7)
    await wire.send()
    assert wire.sent[0]["message_thread_id"] == 7


@pytest.mark.parametrize(
    ("severity", "silent"), [("info", True), ("warning", False), ("critical", False)]
)
async def test_it_rings_for_all_but_info(anyio_backend, severity, silent):
    wire = Wire(accepted())
    await wire.send(severity=severity)
    assert wire.sent[0]["disable_notification"] is silent


async def test_it_reports_429_with_parameters_retry_after(anyio_backend):
    answer = refused(429, "Too Many Requests: retry after 7", retry_after=7)
    answer.headers["retry-after"] = "3"
    error = await Wire(answer).refusal()
    assert (error.permanent, error.retry_after_s) == (False, 7.0)


async def test_it_falls_back_on_the_header_of_a_gateways_429(anyio_backend):
    answer = httpx.Response(429, text="<html>slow down</html>", headers={"retry-after": "3"})
    error = await Wire(answer).refusal()
    assert (error.permanent, error.retry_after_s) == (False, 3.0)


@pytest.mark.parametrize(("wish", "seconds"), [(-5, 0.0), (10**9, 86_400.0)])
async def test_it_bounds_retry_after(anyio_backend, wish, seconds):
    error = await Wire(refused(429, "Too Many Requests", retry_after=wish)).refusal()
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("code", [500, 502, 503, 409, 418])
async def test_it_calls_5xx_and_the_unknown_transient(anyio_backend, code):
    assert not (await Wire(refused(code, "Bad Gateway")).refusal()).permanent


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (401, "Unauthorized"),
        (403, "Forbidden: bot was blocked by the user"),
        (400, "Bad Request: chat not found"),
        (404, "Not Found"),
    ],
)
async def test_it_calls_telegrams_own_refusals_permanent(anyio_backend, code, description):
    error = await Wire(refused(code, description)).refusal()
    assert error.permanent
    assert error.reason == f"{code} {description}"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>log in to the hotel's network</html>"),
        (403, "<html>Forbidden by the firewall</html>"),
        (200, '{"ok": false}'),
        (200, "[" * 15_000),
        (200, '{"ok": "yes"}'),
        (502, ""),
    ],
)
async def test_it_takes_only_the_bot_api_for_a_verdict(anyio_backend, status, body):
    assert not (await Wire(httpx.Response(status, text=body)).refusal()).permanent


async def test_it_follows_a_group_that_moved_and_remembers_it(anyio_backend):
    moved = refused(400, MOVED, migrate_to_chat_id=-1001234567890)
    wire = Wire(moved, accepted(), accepted(), chat_id=-4242)
    receipt = await wire.send()
    await wire.send()
    chats = [message["chat_id"] for message in wire.sent]
    assert chats == ["-4242", "-1001234567890", "-1001234567890"]
    assert "now -1001234567890" in receipt.detail
    assert wire.channel.chat_id == "-1001234567890"


async def test_it_recalls_where_a_group_has_moved(anyio_backend):
    wire = Wire(refused(400, MOVED, migrate_to_chat_id=-100999), accepted(), chat_id=-4242)
    await wire.send()
    later, other = Wire(accepted(), chat_id=-4242), Wire(accepted(), chat_id=-77)
    for again in (later, other):
        again.channel.recall(wire.channel.kept)
        await again.send()
    assert later.sent[0]["chat_id"] == "-100999"
    assert other.sent[0]["chat_id"] == "-77"  # the settings name another chat now


@pytest.mark.parametrize("kept", ["", "-4242", "-4242 is now ", "-4242 is now /x", " is now 5"])
async def test_it_recalls_no_nonsense(anyio_backend, kept):
    wire = Wire(accepted(), chat_id=-4242)
    wire.channel.recall(kept)
    await wire.send()
    assert wire.sent[0]["chat_id"] == "-4242"


async def test_it_follows_a_moved_group_only_once_an_attempt(anyio_backend):
    wire = Wire(
        refused(400, MOVED, migrate_to_chat_id=-1),
        refused(400, MOVED, migrate_to_chat_id=-2),
        chat_id=-4242,
    )
    error = await wire.refusal()
    assert error.permanent
    assert len(wire.seen) == 2


async def test_it_resends_once_without_parse_mode_what_cannot_be_parsed(anyio_backend):
    wire = Wire(refused(400, UNPARSED), accepted())
    await wire.send(text="a < b")
    first, second = wire.sent
    assert "a &lt; b" in first["text"]
    assert "parse_mode" not in second
    assert "a < b" in second["text"]
    assert "<b>" not in second["text"]


async def test_it_resends_only_once_without_parse_mode(anyio_backend):
    wire = Wire(refused(400, UNPARSED), refused(400, UNPARSED))
    assert (await wire.refusal()).permanent
    assert len(wire.seen) == 2


async def test_it_copes_with_a_move_and_unparsable_html_in_one_attempt(anyio_backend):
    moved = refused(400, MOVED, migrate_to_chat_id=-100)
    wire = Wire(moved, refused(400, UNPARSED), accepted(), chat_id=-4242)
    await wire.send()
    assert [message["chat_id"] for message in wire.sent] == ["-4242", "-100", "-100"]
    assert "parse_mode" not in wire.sent[-1]


async def test_it_follows_no_redirect(anyio_backend):
    wire = Wire(httpx.Response(302, headers={"location": "https://evil.example/"}), accepted())
    assert not (await wire.refusal()).permanent
    assert len(wire.seen) == 1


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectTimeout("x"),
        httpx.ConnectError(f"cannot reach https://api.telegram.org/bot{TOKEN}/sendMessage"),
        httpx.ReadError(f"/bot{TOKEN}/"),
    ],
)
async def test_it_calls_network_trouble_transient_and_hides_the_token(anyio_backend, failure):
    error = await Wire(failure).refusal()
    assert not error.permanent
    assert error.reason


async def test_it_hides_a_token_that_the_answer_repeats(anyio_backend):
    error = await Wire(httpx.Response(502, text=f"upstream /bot{TOKEN}/sendMessage")).refusal()
    assert error.reason == "502 upstream /bot***/sendMessage"


async def test_it_gives_a_hanging_attempt_up_after_10_s(anyio_backend):
    before = anyio.current_time()
    error = await Wire("hang").refusal()
    assert anyio.current_time() - before == pytest.approx(10.0)
    assert not error.permanent


async def test_it_hides_the_token_in_the_log_of_httpx(anyio_backend, caplog):
    with caplog.at_level(logging.DEBUG):
        wire = Wire(accepted())
        await wire.send()
    assert "api.telegram.org/***" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in repr(wire.channel)


HOSTILE = "</b><b>&amp;<a href='x'>&<!channel>"


@given(st.text(min_size=1, max_size=30) | st.just(HOSTILE), st.integers(1, 3_000))
def test_it_cuts_at_4096_never_inside_a_tag_or_entity(part, times):
    html, plain = texts(word(notice(title=part, text=part * times, facts=[(part, part)] * 30)))
    assert check({"text": html, "parse_mode": "HTML"}) == ""
    assert check({"text": plain}) == ""
    assert utf16_units(plain) <= 4_096
    assert unescape(html.replace("<b>", "", 1).replace("</b>\n", "\n", 1)) == plain


def test_it_keeps_the_id_and_the_link_of_a_long_message():
    html, _ = texts(word(notice(text="&<" * 4_000)))
    assert html.endswith("Alert 7f3a · 2026-11-24 08:21:03 UTC\nhttps://watch.example/alerts/7f3a")
    assert "…\n+37 in 5 min" in html


@pytest.mark.parametrize(
    ("chat_id", "rate_s"), [("4242", 1.0), (-4242, 3.0), ("-1001234567890", 3.0), ("@name", 3.0)]
)
async def test_it_keeps_to_the_rate_of_a_chat_or_group(anyio_backend, chat_id, rate_s):
    channel = TelegramChannel(TOKEN, chat_id)
    assert channel.rate_s == rate_s
    await channel.close()


@pytest.mark.parametrize("token", ["", "a/b", "a?b", f"{TOKEN}\n", "x" * 200])
def test_it_refuses_a_malformed_token_and_does_not_repeat_it(token):
    with pytest.raises(ValueError, match=r"^telegram token: must look like 123456:ABC-def$"):
        TelegramChannel(token, CHAT)


@pytest.mark.parametrize("chat_id", ["", "name", "4 2", "@", "1" * 30])
def test_it_refuses_a_malformed_chat_id(chat_id):
    with pytest.raises(ValueError, match="telegram chat_id"):
        TelegramChannel(TOKEN, chat_id)


@pytest.mark.real_time
async def test_it_talks_to_a_real_server(anyio_backend):
    async with FakeTelegram() as fake:
        channel = TelegramChannel(TOKEN, CHAT, api_base=fake.url)
        fake.script = [Status(502), RateLimit(2), Drop(), Status(401)]
        errors = []
        for _ in range(4):
            with pytest.raises(SendError) as caught:
                await channel.send(notice())
            errors.append((caught.value.permanent, caught.value.retry_after_s))
            assert SECRET not in "".join(traceback.format_exception(caught.value))
        assert errors == [(False, None), (False, 2.0), (False, None), (True, None)]
        assert (await channel.send(notice(text="<i>&"))).detail == "200 ok, message 1"
        assert "&lt;i&gt;&amp;" in fake.messages[0]["text"]
        await channel.close()


@pytest.mark.real_time
async def test_it_follows_a_move_on_a_real_server(anyio_backend):
    async with FakeTelegram() as fake:
        fake.chats.add("-100999")
        fake.moved["-77"] = -100999
        channel = TelegramChannel(TOKEN, "-77", api_base=fake.url)
        await channel.send(notice())
        await channel.send(notice())
        assert [message["chat_id"] for message in fake.messages] == ["-100999", "-100999"]
        assert fake.requests == 3
        await channel.close()

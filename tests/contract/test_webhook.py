"""The generic webhook's row of the channel table, and where it may not reach."""

from __future__ import annotations

import base64
import json
import logging
import ssl
import traceback

import anyio
import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from actors.senders.channel import SendError
from actors.senders.webhook import (
    WebhookChannel,
    encoded,
    message_id,
    signatures,
)
from actors.senders.wording import word
from config.rules import is_public
from config.secret import webhook_key
from tests.fakes.http import Request
from tests.fakes.notices import notice
from tests.fakes.webhook import (
    PATH,
    SECRET,
    Drop,
    FakeWebhook,
    Hang,
    RateLimit,
    Status,
    verified,
)
from tests.fakes.wire import Wire, said

HOST = "hook.example"
URL = f"https://{HOST}{PATH}"
PUBLIC = "93.184.215.14"

pytestmark = pytest.mark.anyio


class Names:
    """A DNS that answers in turn; an answer may be an error or "hang"."""

    def __init__(self, *answers):
        self.answers = list(answers) or [[PUBLIC]]
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "hang":
            await anyio.sleep_forever()
        if isinstance(answer, Exception):
            raise answer
        return answer


def wire(*answers, url=URL, names=None, **options):
    options = {"resolver": names or Names(), "now": lambda: 1_795_508_463.9, **options}
    return Wire(
        lambda client: WebhookChannel(url, SECRET, client=client, **options),
        *answers,
        secret="canary",
    )


async def test_it_posts_the_notice_as_signed_json(anyio_backend):
    hook = wire(said(202, "queued"))
    assert (await hook.send(trigger="drawdown_day")).detail == "202 queued"
    (request,) = hook.seen
    assert request.headers["webhook-id"] == "msg_n-7f3a-1"
    assert request.headers["webhook-timestamp"] == "1795508463"
    plain = Request("POST", PATH, dict(request.headers), request.content)
    assert verified(SECRET, plain)
    assert hook.sent == [
        {
            "type": "alert.fired",
            "timestamp": "2026-11-24T08:21:03Z",
            "data": {
                "id": "msg_n-7f3a-1",
                "alert_id": "7f3a",
                "kind": "fired",
                "severity": "critical",
                "trigger": "drawdown_day",
                "bot": "alpha",
                "title": "🔴 CRITICAL · alpha · Drawdown 12.4 %",
                "text": "The drawdown passed its limit of 10 %.",
                "facts": [
                    {"name": "Equity", "value": "8,760.00 USDT"},
                    {"name": "Peak", "value": "10,000.00 USDT"},
                ],
                "facts_left_out": 0,
                "notes": [
                    "+37 in 5 min, worst: Drawdown 13.1 %",
                    "3 held back for a digest",
                ],
                "suppressed": 37,
                "held": 3,
                "over": False,
                "url": "https://watch.example/alerts/7f3a",
            },
        }
    ]


def test_it_signs_as_the_reference_does():
    key = webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signatures([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_it_signs_with_the_previous_secret_too(anyio_backend):
    previous = "whsec_" + base64.b64encode(b"p" * 24).decode()
    hook = wire(said(200), previous=previous)
    await hook.send()
    (request,) = hook.seen
    plain = Request("POST", PATH, dict(request.headers), request.content)
    assert verified(SECRET, plain)
    assert verified(previous, plain)
    assert len(request.headers["webhook-signature"].split(" ")) == 2


async def test_it_keeps_the_id_and_renews_the_timestamp_over_retries(anyio_backend):
    instants = iter([100.0, 207.0])
    hook = wire(said(500), said(200), now=lambda: next(instants))
    await hook.refusal()
    await hook.send()
    first, second = hook.seen
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [one.headers["webhook-timestamp"] for one in hook.seen] == ["100", "207"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


async def test_it_sends_what_it_prepared_of_this_very_notice_for_five_seconds(anyio_backend):
    clock = [100.0]
    hook = wire(said(200), said(200), said(200), said(200), now=lambda: clock[0])
    for late_s, other in ((5.0, False), (6.0, False), (-6.0, False), (1.0, True)):
        clock[0] = 1_000.0
        prepared = notice()
        hook.channel.prepare(prepared)
        clock[0] += late_s
        await hook.channel.send(notice(title="Other") if other else prepared)
    assert [one.headers["webhook-timestamp"] for one in hook.seen] == [
        "1000",
        "1006",
        "994",
        "1001",
    ]
    assert ["Other" in one["data"]["title"] for one in hook.sent] == [False, False, False, True]
    for one in hook.seen:
        assert verified(SECRET, Request("POST", PATH, dict(one.headers), one.content))


async def test_it_sends_what_it_prepared_once(anyio_backend):
    clock = [100.0]
    hook = wire(said(500), said(200), now=lambda: clock[0])
    prepared = notice()
    hook.channel.prepare(prepared)
    with pytest.raises(SendError):
        await hook.channel.send(prepared)
    clock[0] = 101.0
    await hook.channel.send(prepared)
    assert [one.headers["webhook-timestamp"] for one in hook.seen] == ["100", "101"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_it_takes_any_2xx(anyio_backend, status):
    assert (await wire(httpx.Response(status)).send()).detail == str(status)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507, 408, 418, 301, 302, 307, 308])
async def test_it_calls_5xx_a_redirect_and_the_unknown_transient(anyio_backend, status):
    hook = wire(said(status, "", location="https://evil.example/"), said(200))
    refusal = await hook.refusal()
    assert not refusal.permanent
    assert ("not followed" in refusal.reason) == (300 <= status < 400)
    assert len(hook.seen) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_it_reports_retry_after(anyio_backend, status):
    error = await wire(said(status, "", **{"retry-after": "7"})).refusal()
    assert (error.permanent, error.retry_after_s) == (False, 7.0)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_it_parks_what_the_receiver_refuses(anyio_backend, status):
    error = await wire(said(status, "no")).refusal()
    assert (error.permanent, error.reason) == (True, f"{status} no")


# ---------------------------------------------------------------- 410


async def test_it_is_switched_off_by_410_until_a_test_passes(anyio_backend):
    hook = wire(said(410, "bye"), said(503), said(200), said(200))
    error = await hook.refusal()
    assert (error.permanent, error.reason) == (True, "410 bye: switched off until a test passes")
    error = await hook.refusal()
    assert error.permanent
    assert len(hook.seen) == 1
    await hook.refusal(kind="test")
    assert (await hook.refusal()).permanent
    await hook.send(kind="test")
    await hook.send()
    assert len(hook.seen) == 4


async def test_it_recalls_410_for_that_address_alone(anyio_backend):
    hook = wire(said(410))
    await hook.refusal()
    again, other = wire(said(200)), wire(said(200), url=URL + "2")
    for later in (again, other):
        later.channel.recall(hook.channel.kept)
    assert (await again.refusal()).permanent
    assert again.seen == []
    assert (await other.send()).detail == "200"
    assert "canary" not in hook.channel.kept


# ---------------------------------------------------------------- where it may reach

PRIVATE = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "not an address",
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_it_refuses_a_name_at_a_private_address(anyio_backend, address):
    hook = wire(names=Names([address]))
    error = await hook.refusal()
    assert not error.permanent  # the DNS may lie for a while: a hotel's network
    assert error.reason.startswith(f"{HOST} is at ")
    assert error.reason.endswith("which webhook.allow_private does not allow")
    assert hook.seen == []


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_it_knows_a_public_address(address):
    assert is_public(address)


@given(st.ip_addresses())
def test_it_judges_every_address(address):
    assert is_public(str(address)) in {True, False}
    if not address.is_global:
        assert not is_public(str(address))


async def test_it_connects_to_the_address_that_it_checked(anyio_backend):
    # A rebinding DNS: public when asked first, private when asked again.
    names = Names([PUBLIC], ["127.0.0.1"])
    hook = wire(said(200), names=names)
    await hook.send()
    (request,) = hook.seen
    assert request.url.host == PUBLIC
    assert request.headers["host"] == HOST
    assert request.extensions["sni_hostname"] == HOST
    assert names.asked == [(HOST, 443)]
    await hook.refusal()
    assert len(hook.seen) == 1


async def test_it_picks_the_public_one_of_several_addresses(anyio_backend):
    hook = wire(said(200), names=Names(["127.0.0.1", "::1", "2606:4700::1"]))
    await hook.send()
    assert hook.seen[0].url.host == "2606:4700::1"


async def test_it_tries_the_next_address_only_where_nothing_was_sent(anyio_backend):
    names = Names([PUBLIC, "8.8.8.8"])
    hook = wire(httpx.ConnectError("refused"), said(200), names=names)
    await hook.send()
    assert [one.url.host for one in hook.seen] == [PUBLIC, "8.8.8.8"]
    hook = wire(httpx.ReadTimeout("x"), said(200), names=names)
    assert not (await hook.refusal()).permanent
    assert len(hook.seen) == 1


async def test_it_reaches_a_private_address_where_that_is_allowed(anyio_backend):
    hook = wire(said(200), names=Names(["10.0.0.7"]), allow_private=True)
    await hook.send()
    assert hook.seen[0].url.host == "10.0.0.7"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (OSError("name unknown"), f"{HOST} cannot be resolved"),
        (UnicodeError("label too long"), f"{HOST} cannot be resolved"),
        ([], f"{HOST} has no address"),
    ],
)
async def test_it_calls_trouble_with_names_transient(anyio_backend, answer, reason):
    error = await wire(names=Names(answer)).refusal()
    assert (error.permanent, error.reason) == (False, reason)


async def test_it_waits_3_s_for_a_name(anyio_backend):
    before = anyio.current_time()
    error = await wire(names=Names("hang")).refusal()
    assert anyio.current_time() - before == pytest.approx(3.0)
    assert error.reason == f"{HOST} cannot be resolved"


# ---------------------------------------------------------------- trouble


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (httpx.ConnectTimeout("x"), "no connection within 3 s"),
        (httpx.ReadTimeout("x"), "no answer within 10 s"),
        (httpx.ReadError(f"at {URL} {SECRET}"), "ReadError: at *** ***"),
        (httpx.ReadError("?key=canaryQuery"), "ReadError: ?***"),
    ],
)
async def test_it_calls_network_trouble_transient_and_hides_secrets(anyio_backend, failure, reason):
    error = await wire(failure).refusal()
    assert (error.permanent, error.reason) == (False, reason)


async def test_it_hides_what_the_answer_repeats_and_keeps_it_short(anyio_backend):
    error = await wire(said(500, f"{PATH} {SECRET}\r\n" + "x" * 9_000)).refusal()
    assert len(error.reason) < 120


async def test_it_gives_a_hanging_attempt_up_after_10_s(anyio_backend):
    before = anyio.current_time()
    assert not (await wire("hang").refusal()).permanent
    assert anyio.current_time() - before == pytest.approx(10.0)


async def test_it_shows_no_secret_in_any_log(anyio_backend, caplog):
    with caplog.at_level(logging.DEBUG):
        await wire(said(200)).send()
    assert "canary" not in caplog.text
    assert SECRET not in caplog.text


HOSTILE = "a\r\nX-Evil: 1\r\n\r\n\x00\ud800\u202e.<b>"


@given(st.text(max_size=40) | st.sampled_from(["🔴", '"', HOSTILE]), st.integers(1, 900))
def test_it_keeps_to_20_kb_of_clean_json(part, times):
    long = part * times
    made = notice(
        title=long[:300],
        text=long,
        bot=long[:300],
        alert_id=long[:300],
        facts=[(part, long[:3_000])] * 50,
        url="https://a.example/" + part * 50,
    )
    body = encoded(word(made), made)
    assert len(body) <= 20_000
    data = json.loads(body)["data"]
    assert len(data["facts"]) + data["facts_left_out"] == 50
    assert "\ud800" not in data["title"]


@pytest.mark.parametrize("identity", ["1abc.2", HOSTILE, "", "x" * 300])
def test_it_makes_an_id_without_a_dot_of_any_id(identity):
    made = message_id(notice(id=identity))
    assert made.startswith("msg_")
    assert made.replace("_", "").replace("-", "").isalnum()
    assert made.isascii()
    assert made == message_id(notice(id=identity, title="other"))
    assert made != message_id(notice(id=identity + "0"))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_???",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_" + "A" * 28,
        SECRET + "!",
    ],
)
def test_it_refuses_a_malformed_secret_and_does_not_repeat_it(secret):
    with pytest.raises(ValueError, match=r"^webhook secret: must be whsec_ and base64 of 24 to 64"):
        WebhookChannel(URL, secret)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a.example/", f"https://[{PATH}", "http://[fe80::1%25eth0]/", "http://[::1%1]/"],
)
def test_it_refuses_what_is_no_address(url):
    with pytest.raises(ValueError, match=r"^webhook url: must be an http"):
        WebhookChannel(url, SECRET)


# ---------------------------------------------------------------- real sockets


@pytest.mark.real_time
async def test_it_talks_to_a_real_server(anyio_backend):
    async with FakeWebhook() as fake:
        channel = WebhookChannel(fake.url, SECRET, allow_private=True)
        fake.script = [Status(500), RateLimit(2), Drop(), Status(422)]
        errors = []
        for _ in range(4):
            with pytest.raises(SendError) as caught:
                await channel.send(notice())
            errors.append((caught.value.permanent, caught.value.retry_after_s))
            assert "canary" not in "".join(traceback.format_exception(caught.value))
        assert errors == [(False, None), (False, 2.0), (False, None), (True, None)]
        assert (await channel.send(notice(text=HOSTILE))).detail == "200 thanks"
        assert fake.headers[0]["host"] == f"127.0.0.1:{fake.port}"
        await channel.close()
        stranger = WebhookChannel(
            fake.url, "whsec_" + base64.b64encode(b"x" * 32).decode(), allow_private=True
        )
        with pytest.raises(SendError, match="401") as caught:
            await stranger.send(notice())
        assert caught.value.permanent
        await stranger.close()


@pytest.mark.real_time
async def test_it_really_refuses_localhost(anyio_backend):
    async with FakeWebhook() as fake:
        channel = WebhookChannel(fake.url.replace("127.0.0.1", "localhost"), SECRET)
        with pytest.raises(SendError, match="localhost is at "):
            await channel.send(notice())
        assert fake.requests == 0
        await channel.close()


@pytest.mark.real_time
@pytest.mark.parametrize(("name", "good"), [(HOST, True), ("other.example", False)])
async def test_it_verifies_the_names_certificate_at_the_checked_address(anyio_backend, name, good):
    authority = trustme.CA()
    fake = FakeWebhook()
    fake.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(fake.tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with fake, httpx.AsyncClient(verify=trust) as client:
        channel = WebhookChannel(
            f"https://{HOST}:{fake.port}{PATH}",
            SECRET,
            allow_private=True,
            client=client,
            resolver=Names(["127.0.0.1"]),
        )
        if good:
            assert (await channel.send(notice())).detail == "200 thanks"
            assert fake.headers[0]["host"] == f"{HOST}:{fake.port}"
        else:
            with pytest.raises(SendError, match="certificate refused") as caught:
                await channel.send(notice())
            assert not caught.value.permanent
            assert fake.messages == []


@pytest.mark.real_time
async def test_it_is_cancelled_at_once_while_the_server_hangs(anyio_backend):
    async with FakeWebhook() as fake:
        fake.down = Hang()
        channel = WebhookChannel(fake.url, SECRET, allow_private=True)
        with anyio.move_on_after(0.2) as scope:
            await channel.send(notice())
        assert scope.cancelled_caught
        await channel.close()

"""The row for everything else: Apprise itself, against services on loopback."""

from __future__ import annotations

import logging
import sys
import traceback

import anyio
import pytest

pytest.importorskip("apprise", reason="the extra sidewatch[apprise] is not installed")

from actors.senders import apprise as apprise_module
from actors.senders.apprise import AppriseChannel, ExtraMissingError, inert, pieces
from actors.senders.channel import SendError
from tests.fakes.apprise import SECRET, Drop, FakeService, Hang, RateLimit, Status
from tests.fakes.notices import notice

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.real_time,
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]


async def refusal(channel, **changes):
    with pytest.raises(SendError) as caught:
        await channel.send(notice(**changes))
    shown = "".join(traceback.format_exception(caught.value)) + repr(channel)
    assert "canary" not in shown
    assert not caught.value.permanent
    return caught.value.reason


async def test_it_sends_title_text_and_severity(anyio_backend):
    async with FakeService() as fake:
        channel = AppriseChannel(fake.url)
        assert (await channel.send(notice())).detail == "taken by 1 of 1"
        (message,) = fake.messages
        assert message["title"] == "🔴 CRITICAL · alpha · Drawdown 12.4 %"
        assert message["message"].startswith("The drawdown passed its limit of 10 %.\nEquity: ")
        assert message["message"].endswith("\nhttps://watch.example/alerts/7f3a")
        assert message["type"] == "failure"
        await channel.close()


@pytest.mark.parametrize(
    ("changes", "type_"),
    [
        ({"severity": "warning"}, "warning"),
        ({"severity": "info"}, "info"),
        ({"kind": "resolved"}, "success"),
        ({"kind": "fired", "over": True}, "success"),
    ],
)
async def test_it_tells_apprise_how_bad_it_is(anyio_backend, changes, type_):
    async with FakeService() as fake:
        await AppriseChannel(fake.url).send(notice(**changes))
        assert fake.messages[0]["type"] == type_


@pytest.mark.parametrize("answer", [Status(400), Status(404), Status(503), RateLimit(1), Drop()])
async def test_it_calls_every_failure_transient_and_tries_once(anyio_backend, answer):
    async with FakeService() as fake:
        fake.down = answer
        channel = AppriseChannel(f"{fake.url}?retry=5&wait=0")
        reason = await refusal(channel)
        assert reason.startswith("taken by 0 of 1: ")
        assert "JSON" in reason  # Apprise's own words
        assert fake.requests == 1


async def test_it_does_not_take_an_optional_service_for_accepted(anyio_backend):
    async with FakeService() as fake:
        fake.down = Status(500)
        await refusal(AppriseChannel(f"{fake.url}?optional=yes"))


async def test_it_tries_again_only_where_it_failed(anyio_backend):
    async with FakeService() as one, FakeService() as two:
        channel = AppriseChannel(f"{one.url}  {two.url}")
        two.script = [Status(500)]
        assert (await refusal(channel)).startswith("taken by 1 of 2: ")
        assert (await channel.send(notice())).detail == "taken by 2 of 2"
        assert (len(one.messages), len(two.messages)) == (1, 1)
        await channel.send(notice(id="another"))
        assert (len(one.messages), len(two.messages)) == (2, 2)


async def test_it_tells_the_end_also_where_the_beginning_was_taken(anyio_backend):
    async with FakeService() as one, FakeService() as two:
        channel = AppriseChannel(f"{one.url} {two.url}")
        two.script = [Status(500)]
        await refusal(channel, id="7f3a.1")
        await channel.send(notice(id="7f3a.1", latest="7f3a.2", over=True))
        assert (len(one.messages), len(two.messages)) == (2, 1)


async def test_it_remembers_a_bounded_number_of_notices(anyio_backend, monkeypatch):
    monkeypatch.setattr(apprise_module, "REMEMBERED_MAX", 3)
    async with FakeService() as fake:
        channel = AppriseChannel(fake.url)
        for number in range(5):
            await channel.send(notice(id=str(number)))
        assert list(channel._taken) == ["2", "3", "4"]


async def test_it_bounds_the_whole_attempt(anyio_backend, monkeypatch):
    monkeypatch.setattr(apprise_module, "ATTEMPT_S", 0.3)
    async with FakeService() as fake:
        fake.down = Hang()
        assert await refusal(AppriseChannel(fake.url)) == "no answer within 0.3 s"


async def test_it_is_cancelled_at_once_while_a_service_hangs(anyio_backend):
    async with FakeService() as fake:
        fake.down = Hang()
        before = anyio.current_time()
        with anyio.move_on_after(0.2) as scope:
            await AppriseChannel(fake.url).send(notice())
        assert scope.cancelled_caught
        assert anyio.current_time() - before < 2


async def test_it_shows_no_secret_in_any_log(anyio_backend, caplog):
    async with FakeService() as fake:
        fake.script = [Status(500)]
        channel = AppriseChannel(fake.url)
        with caplog.at_level(logging.DEBUG):
            await refusal(channel)
            await channel.send(notice())
        assert "canary" not in caplog.text


async def test_it_keeps_a_long_hostile_message_printable(anyio_backend):
    async with FakeService() as fake:
        hostile = "a\r\n\x00\ud800\u202e<!channel> @everyone <b>&"
        await AppriseChannel(fake.url).send(notice(title=hostile, text=hostile * 100))
        (message,) = fake.messages
        assert "\u202e" not in message["message"]
        assert "@everyone" not in message["title"] + message["message"]
        assert "<!" not in message["message"]
        assert "Alert 7f3a" in message["message"]


def test_it_makes_mentions_inert_and_leaves_addresses_alone():
    assert inert("@Everyone <@1> <#2> me@example.org a < b") == (
        "@\u200bEveryone <\u200b@1> <\u200b#2> me@example.org a < b"
    )


def test_it_knows_the_secret_pieces_of_a_url():
    found = pieces(f"slack://bot@AAAA/{SECRET}%2Fx/?token=canaryQuery json://h:8/p")
    assert {SECRET + "%2Fx", SECRET + "/x", "canaryQuery", "AAAA"} <= set(found)
    assert [len(one) for one in found] == sorted(map(len, found), reverse=True)


@pytest.mark.parametrize("urls", ["", "  ", f"nosuch://{SECRET}", f"json:// {SECRET}", "x"])
def test_it_refuses_what_apprise_does_not_understand(urls):
    with pytest.raises(ValueError, match=r"^apprise urls: ") as caught:
        AppriseChannel(urls)
    assert SECRET not in str(caught.value)


def test_it_says_what_to_install_where_the_extra_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'sidewatch\[apprise\]'"):
        AppriseChannel("json://127.0.0.1/")

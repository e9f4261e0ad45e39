"""Whatever is to be said and whatever is answered: a receipt or one clear error, and no secret."""

from __future__ import annotations

import json

import anyio
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.senders.channel import Receipt, SendError
from actors.senders.discord import DiscordChannel
from actors.senders.ntfy import NtfyChannel
from actors.senders.pagerduty import PagerDutyChannel
from actors.senders.slack import SlackChannel
from actors.senders.telegram import TelegramChannel
from actors.senders.webhook import WebhookChannel
from tests.fakes import discord, ntfy, pagerduty, slack, telegram, webhook
from tests.fakes.notices import notice


async def public(_host, _port):
    return ["93.184.215.14"]


CHANNELS = {
    "slack": lambda client: SlackChannel(f"https://hooks.slack.com{slack.PATH}", client=client),
    "telegram": lambda client: TelegramChannel(telegram.TOKEN, "-42", client=client),
    "discord": lambda client: DiscordChannel(f"https://discord.com{discord.PATH}", client=client),
    "pagerduty": lambda client: PagerDutyChannel(pagerduty.KEY, client=client),
    "ntfy": lambda client: NtfyChannel(ntfy.TOPIC, token=ntfy.TOKEN, client=client),
    "webhook": lambda client: WebhookChannel(
        f"https://hook.example{webhook.PATH}", webhook.SECRET, client=client, resolver=public
    ),
}
SECRETS = {
    "slack": slack.PATH.rpartition("/")[2],
    "telegram": telegram.TOKEN,
    "discord": discord.SECRET,
    "pagerduty": pagerduty.KEY,
    "ntfy": ntfy.TOKEN,
    "webhook": webhook.SECRET,
}
PLACES = [(backend, name) for backend in ("asyncio", "trio") for name in CHANNELS]

WORDS = [
    "ok",
    "status",
    "success",
    "id",
    "code",
    "message",
    "error",
    "http",
    "errors",
    "retry_after",
]
WORDS += ["parameters", "migrate_to_chat_id", "description", "error_code", "dedup_key", "result"]


def json_of(value):
    try:
        return json.dumps(value).encode()
    except ValueError:
        return b"1e999"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([10**400, -1, 0, *SECRETS.values()]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6)
    ),
    max_leaves=8,
)
BODIES = VALUES.map(json_of) | st.binary(max_size=80)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "content-encoding", "content-type", "date", "location"]),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20),
    max_size=3,
)
STATUSES = st.sampled_from([200, 202, 204, 400, 401, 403, 404, 410, 413, 422, 429, 500, 507]) | (
    st.integers(200, 599)
)
TEXT = st.text(st.characters(codec=None, exclude_categories=[]), max_size=40)
NOTICES = st.builds(
    notice,
    id=TEXT,
    alert_id=TEXT,
    kind=st.sampled_from(["fired", "resolved", "digest", "reminder", "test"]),
    severity=st.sampled_from(["critical", "warning", "info"]),
    bot=TEXT,
    title=TEXT,
    text=TEXT,
    facts=st.lists(st.tuples(TEXT, TEXT), max_size=4),
    url=TEXT,
    trigger=TEXT,
    remarks=st.lists(TEXT, max_size=2),
    over=st.booleans(),
)


@pytest.mark.parametrize("place", PLACES, ids="-".join)
@settings(deadline=None, max_examples=60)
@given(message=NOTICES, status=STATUSES, body=BODIES, headers=HEADERS)
@example(message=notice(), status=200, body="\u05f5".encode(), headers={})  # unassigned
def test_it_ends_in_a_receipt_or_one_error(place, message, status, body, headers):
    backend, name = place
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(status, content=body, headers=headers)

    async def attempt():
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            channel = CHANNELS[name](client)
            try:
                return await channel.send(message)
            except SendError as error:
                return error

    outcome = anyio.run(attempt, backend=backend)
    said = outcome.detail if isinstance(outcome, Receipt) else outcome.reason
    assert said.isprintable()
    assert len(said) <= 400
    assert SECRETS[name] not in said
    assert 1 <= len(seen) <= 4
    if isinstance(outcome, SendError) and outcome.retry_after_s is not None:
        assert 0 <= outcome.retry_after_s <= 86_400
    if isinstance(outcome, SendError) and (status >= 500 or status == 429):
        assert not outcome.permanent

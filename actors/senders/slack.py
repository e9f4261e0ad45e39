"""Slack: a notice through an incoming webhook, inert, so that `<!channel>` calls nobody.

Success is status 200 with the body "ok". The webhook's URL is itself the secret.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import httpx
import msgspec

from actors.messages import Notice
from actors.senders.channel import (
    Answer,
    Receipt,
    SendError,
    deadline,
    http_client,
    is_http_url,
    post_json,
    redact,
    url_secrets,
)
from actors.senders.wording import Wording, Words, fit, utf16_units, word

HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
HEADER_CHARS_MAX = 150
SECTION_CHARS_MAX = 3_000
FIELD_CHARS_MAX = 2_000
FIELDS_MAX = 10  # of one section

_PERMANENT = frozenset({400, 403, 404, 410})
_FORMAT_ERRORS = frozenset({"invalid_payload", "invalid_blocks"})
# A refusal by Slack is one word; an error page of something in between is not a verdict.
_ERROR_WORD = re.compile(r"[a-z][a-z_]{2,63}")

Block = dict[str, object]


class SlackChannel:
    """One incoming webhook; at most one message a second.

    `webhook_url` must be https on Slack's own host unless `any_host` (a compatible server, or a
    fake on loopback); ValueError otherwise. A `client` that is given stays the caller's to close.
    """

    name = "slack"
    rate_s = 1.0

    def __init__(
        self,
        webhook_url: str,
        *,
        any_host: bool = False,
        words: Words = word,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._url = _checked(webhook_url, any_host=any_host)
        self._secrets = url_secrets(webhook_url)
        self._words = words
        self._owns_client = client is None
        self._client = client or http_client()

    def __repr__(self) -> str:
        return "<SlackChannel ***>"

    async def send(self, notice: Notice) -> Receipt:
        """Post the notice; what Slack cannot render is posted once more as plain text."""
        wording = self._words(notice)
        with deadline():
            answer = await self._post(payload(wording))
            if answer.status == HTTPStatus.BAD_REQUEST and answer.body in _FORMAT_ERRORS:
                first, answer = answer, await self._post(plain_payload(wording))
                return self._receipt(answer, f" as plain text after {first.body}")
            return self._receipt(answer)

    async def close(self) -> None:
        """Close the connections that the channel opened."""
        if self._owns_client:
            await self._client.aclose()

    async def _post(self, message: Block) -> Answer:
        encoded = msgspec.json.encode(message)
        return await post_json(self._client, self._url, encoded, secrets=self._secrets)

    def _receipt(self, answer: Answer, remark: str = "") -> Receipt:
        if answer.status == HTTPStatus.OK and answer.body == "ok":
            return Receipt(detail=f"200 ok{remark}")
        refused = answer.status in _PERMANENT and _ERROR_WORD.fullmatch(answer.body)
        raise SendError(
            redact(f"{answer.status} {answer.body}", *self._secrets),
            permanent=bool(refused),
            retry_after_s=answer.retry_after_s,
        )


def payload(wording: Wording) -> Block:
    """Build the message as `text` (notifications, screen readers) and as blocks."""
    return {**plain_payload(wording), "blocks": blocks(wording)}


def plain_payload(wording: Wording) -> Block:
    """Build the message as `text` alone, which every client can show."""
    return {
        "text": escape(wording.plain(SECTION_CHARS_MAX, _size)),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def blocks(wording: Wording) -> list[Block]:
    """Block Kit within its limits: at most 7 blocks, each text in plain_text but the closing."""
    made: list[Block] = [{"type": "header", "text": _plain(wording.title, HEADER_CHARS_MAX)}]
    if wording.text:
        made.append({"type": "section", "text": _plain(wording.text, SECTION_CHARS_MAX)})
    fields = [_plain(f"{name}: {value}", FIELD_CHARS_MAX) for name, value in wording.facts]
    made.extend(
        {"type": "section", "fields": fields[first : first + FIELDS_MAX]}
        for first in range(0, len(fields), FIELDS_MAX)
    )
    closing = fit("\n".join(wording.closing), SECTION_CHARS_MAX, _size)
    made.append(
        {"type": "context", "elements": [{"type": "mrkdwn", "text": escape(closing)}]},
    )
    return made


def escape(text: str) -> str:
    """Slack's own three entities; without them `<...>` would be a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": escape(fit(text, limit, _size)), "emoji": False}


def _size(text: str) -> int:
    return utf16_units(escape(text))


def _checked(webhook_url: str, *, any_host: bool) -> str:
    if is_http_url(webhook_url):
        url = httpx.URL(webhook_url)
        if any_host or (url.scheme == "https" and url.host in HOSTS):
            return webhook_url
    raise ValueError("slack webhook_url: must be an https://hooks.slack.com/ address")

"""Discord: a notice through a webhook, inert, so that `@everyone` calls nobody.

Success is status 200 with the message that `?wait=true` asks for. The webhook's URL is the secret.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import httpx
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.messages import Notice
from actors.senders.channel import (
    Answer,
    Receipt,
    SendError,
    bounded_wait_s,
    deadline,
    http_client,
    is_http_url,
    post_json,
    redact,
    url_secrets,
)
from actors.senders.wording import Wording, Words, fit, utf16_units, word

CONTENT_CHARS_MAX = 2_000
EMBED_CHARS_MAX = 6_000  # title, description, fields and footer of all embeds together
TEXT_CHARS_MAX = 2_500  # with the closing below the 4,096 of a description
CLOSING_CHARS_MAX = 1_500
FIELDS_MAX = 25
FIELD_NAME_CHARS_MAX = 256
FIELD_VALUE_CHARS_MAX = 1_024
FOOTER_CHARS_MAX = 256
SUPPRESS_EMBEDS = 1 << 2

COLOURS = {"critical": 0xD92D20, "warning": 0xF79009, "info": 0x2E90FA, "resolved": 0x12B76A}

_PERMANENT = frozenset({400, 401, 403, 404})
# An empty message, an invalid form body; old versions of the API name only the field.
_FORMAT_ERRORS = frozenset({50006, 50035, None})
_HOST = re.compile(r"(?:[a-z]+\.)?discord(?:app)?\.com")
_MARKDOWN = re.compile(r"[\\*_~`|>#\[\]<@]")
_LINK = re.compile(r"https?://[^\s<>]+")

Json = dict[str, object]


class DiscordAnswer(Struct, frozen=True):
    """What is read of Discord's answers, and whether it was a JSON object at all (`own`)."""

    id: str = ""
    code: int | None = None
    message: str = ""
    retry_after: float | None = None
    own: bool = False


class DiscordChannel:
    """One webhook; at most one message a second, and what Discord's own 429 asks for.

    `thread_id` posts into a thread of the webhook's channel. Raises ValueError for an address
    that cannot be posted to. A `client` that is given stays the caller's to close.
    """

    name = "discord"
    rate_s = 1.0

    def __init__(
        self,
        webhook_url: str,
        *,
        thread_id: int | None = None,
        words: Words = word,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        if not is_http_url(webhook_url):
            raise ValueError("discord webhook_url: must be an https://discord.com/ address")
        thread = {} if thread_id is None else {"thread_id": str(thread_id)}
        url = versioned(httpx.URL(webhook_url))
        self._url = str(url.copy_merge_params({"wait": "true", **thread}))
        self._secrets = url_secrets(webhook_url)
        self._words = words
        self._owns_client = client is None
        self._client = client or http_client()

    def __repr__(self) -> str:
        return "<DiscordChannel ***>"

    async def send(self, notice: Notice) -> Receipt:
        """Post the notice; what Discord cannot render is posted once more as plain text."""
        wording = self._words(notice)
        with deadline():
            answer, said = await self._post(payload(wording, notice))
            if answer.status == HTTPStatus.BAD_REQUEST and said.own and said.code in _FORMAT_ERRORS:
                remark = f" as plain text after {said.code or '400'}"
                return self._receipt(*await self._post(plain_payload(wording)), remark)
        return self._receipt(answer, said)

    async def close(self) -> None:
        """Close the connections that the channel opened."""
        if self._owns_client:
            await self._client.aclose()

    async def _post(self, message: Json) -> tuple[Answer, DiscordAnswer]:
        encoded = msgspec.json.encode(message)
        answer = await post_json(self._client, self._url, encoded, secrets=self._secrets)
        return answer, _decoded(answer.body)

    def _receipt(self, answer: Answer, said: DiscordAnswer, remark: str = "") -> Receipt:
        if answer.status == HTTPStatus.OK and said.id:
            detail = redact(f"200 ok, message {said.id}{remark}", *self._secrets)
            return Receipt(detail=detail)
        code = "" if said.code is None else f" ({said.code})"
        wish = said.retry_after
        raise SendError(
            redact(f"{answer.status} {said.message or answer.body}{code}", *self._secrets),
            permanent=answer.status in _PERMANENT and said.own,
            retry_after_s=answer.retry_after_s if wish is None else bounded_wait_s(wish),
        )


def versioned(url: httpx.URL) -> httpx.URL:
    """Ask Discord for v10 of its API: without a version 429 speaks of milliseconds."""
    if _HOST.fullmatch(url.host) and url.path.startswith("/api/webhooks/"):
        return url.copy_with(path=url.path.replace("/api/", "/api/v10/", 1))
    return url


def payload(wording: Wording, notice: Notice) -> Json:
    """Build the message: the title as content, which phones show, and the rest as one embed."""
    over = notice.over or notice.kind == "resolved"
    colour = "resolved" if over else notice.severity
    footer = fit(wording.footer, FOOTER_CHARS_MAX, utf16_units)
    text = escape(fit(wording.text, TEXT_CHARS_MAX, _size))
    used = utf16_units(text) + utf16_units(footer) + CLOSING_CHARS_MAX
    fields = _fields(wording.facts, EMBED_CHARS_MAX - used)
    notes = list(wording.notes)
    if len(fields) < len(wording.facts):
        notes.append(f"{len(wording.facts) - len(fields)} more facts on the page")
    closing = "\n".join(map(_linked, [*notes, wording.url]))
    lines = (text, fit(closing.strip(), CLOSING_CHARS_MAX, utf16_units))
    embed: Json = {
        "color": COLOURS[colour],
        "description": "\n".join(line for line in lines if line),
        "fields": fields,
        "footer": {"text": footer},
    }
    return {**_message(escape(fit(wording.title, CONTENT_CHARS_MAX, _size))), "embeds": [embed]}


def plain_payload(wording: Wording) -> Json:
    """Build the message as content alone, which every client can show."""
    url = f"\n{_linked(wording.url)}" if wording.url else ""
    text = replace(wording, url="").plain(CONTENT_CHARS_MAX - utf16_units(url), _size)
    return {**_message(escape(text) + url), "flags": SUPPRESS_EMBEDS}


def escape(text: str) -> str:
    """Text in which no markdown, mention, custom emoji or link is left."""
    return _MARKDOWN.sub(r"\\\g<0>", text).replace("://", r":\/\/")


def _message(content: str) -> Json:
    return {"content": content, "allowed_mentions": {"parse": []}}


def _fields(facts: list[tuple[str, str]], room: int) -> list[Json]:
    """As many facts as Discord takes, and as fit into `room`."""
    made: list[Json] = []
    for name, value in facts[:FIELDS_MAX]:
        # Discord refuses an empty name or value.
        label = escape(fit(name or "-", FIELD_NAME_CHARS_MAX, _size))
        text = escape(fit(value or "-", FIELD_VALUE_CHARS_MAX, _size))
        room -= utf16_units(label) + utf16_units(text)
        if room < 0:
            break
        made.append({"name": label, "value": text, "inline": True})
    return made


def _linked(line: str) -> str:
    return line if _LINK.fullmatch(line) else escape(line)


def _size(text: str) -> int:
    return utf16_units(escape(text))


def _decoded(body: str) -> DiscordAnswer:
    try:
        return replace(msgspec.json.decode(body, type=DiscordAnswer), own=True)
    except (msgspec.MsgspecError, RecursionError):
        return DiscordAnswer()  # a gateway's page; its status decides

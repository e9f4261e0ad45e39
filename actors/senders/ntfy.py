"""ntfy: a notice on a topic, as JSON, so that no title has to survive an HTTP header.

On a public server the topic's name is as good as a password: it is kept like one. Success is
status 200 with the message that the server stored.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import httpx
import msgspec
from msgspec import Struct

from actors.messages import Notice
from actors.senders.channel import (
    Answer,
    Receipt,
    SendError,
    deadline,
    http_client,
    post_json,
    redact,
)
from actors.senders.wording import Wording, Words, fit, word

API_BASE = "https://ntfy.sh"
BODY_BYTES_MAX = 4_096  # of a message; old servers read no more of the whole JSON
TITLE_BYTES_MAX = 1_024
SPARE_BYTES = 3  # an ellipsis has two bytes and a line break one more than cutting reckons with
PRIORITY = {"critical": 5, "warning": 4, "info": 2}
CALM = 3  # the priority of what is over, and of a test

_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,256}=*")
_LINK = re.compile(r"https?://[^\s<>]+")
_PERMANENT = frozenset({400, 401, 403, 404, 413})

Json = dict[str, object]


class NtfyAnswer(Struct, frozen=True):
    """What is read of a stored message (`id`), or of a refusal (`http`, `code`, `error`)."""

    id: str = ""
    http: int = 0
    code: int = 0
    error: str = ""


class NtfyChannel:
    """One topic of one server; at most one message a second.

    `token` is an access token of a server that asks for one. Raises ValueError naming a malformed
    parameter. A `client` that is given stays the caller's.
    """

    name = "ntfy"
    rate_s = 1.0

    def __init__(
        self,
        topic: str,
        *,
        token: str | None = None,
        api_base: str = API_BASE,
        words: Words = word,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        if not _TOPIC.fullmatch(topic):
            raise ValueError("ntfy topic: must be 1 to 64 of A-Z a-z 0-9 _ -")
        if token is not None and not _TOKEN.fullmatch(token):
            raise ValueError("ntfy token: must be an access token such as tk_...")
        self._topic = topic
        self._token = token or ""
        self._url = f"{api_base.rstrip('/')}/"
        self._words = words
        self._owns_client = client is None
        self._client = client or http_client()

    def __repr__(self) -> str:
        return "<NtfyChannel ***>"

    async def send(self, notice: Notice) -> Receipt:
        """Publish the notice."""
        encoded = msgspec.json.encode(message(self._topic, self._words(notice), notice))
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        with deadline():
            answer = await post_json(
                self._client, self._url, encoded, secrets=self._secrets, headers=headers
            )
        return self._receipt(answer, _decoded(answer.body))

    async def close(self) -> None:
        """Close the connections that the channel opened."""
        if self._owns_client:
            await self._client.aclose()

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (self._token, self._topic)

    def _receipt(self, answer: Answer, said: NtfyAnswer) -> Receipt:
        if answer.status == HTTPStatus.OK and said.id:
            return Receipt(detail=redact(f"200 ok, message {said.id}", *self._secrets))
        code = f" ({said.code})" if said.code else ""
        raise SendError(
            redact(f"{answer.status} {said.error or answer.body}{code}", *self._secrets),
            permanent=answer.status in _PERMANENT and said.http == answer.status,
            retry_after_s=answer.retry_after_s,
        )


def message(topic: str, wording: Wording, notice: Notice) -> Json:
    """Build the JSON to publish, whole within 4,096 bytes; the text is what gives way."""
    calm = notice.over or notice.kind in {"resolved", "test"}
    made: Json = {
        "topic": topic,
        "title": fit(wording.title, TITLE_BYTES_MAX - SPARE_BYTES, _bytes),
        "message": "",
        "priority": CALM if calm else PRIORITY[notice.severity],
        "tags": [notice.severity, notice.kind],
    }
    if _LINK.fullmatch(wording.url) and _bytes(wording.url) < TITLE_BYTES_MAX:
        made["click"] = wording.url
    room = BODY_BYTES_MAX - len(msgspec.json.encode(made)) - SPARE_BYTES
    made["message"] = wording.below_title(room, _bytes)
    return made


def _bytes(text: str) -> int:
    """Length inside a JSON string."""
    return len(msgspec.json.encode(text)) - 2


def _decoded(body: str) -> NtfyAnswer:
    try:
        return msgspec.json.decode(body, type=NtfyAnswer)
    except (msgspec.MsgspecError, RecursionError):
        return NtfyAnswer()  # a gateway's page; its status decides

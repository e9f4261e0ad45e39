"""Telegram: a notice through a bot's sendMessage, whole within 4,096 characters.

The bot's token is part of every URL, so no error keeps httpx's own words unredacted.
"""

from __future__ import annotations

import re
from html import escape as html_escape
from http import HTTPStatus

import httpx
import msgspec
from msgspec import Struct

from actors.messages import Notice
from actors.senders.channel import (
    Answer,
    Receipt,
    SendError,
    bounded_wait_s,
    deadline,
    http_client,
    post_json,
    redact,
)
from actors.senders.wording import Wording, Words, utf16_units, word

API_BASE = "https://api.telegram.org"
MESSAGE_CHARS_MAX = 4_096  # after entities are parsed, in UTF-16 units
CHAT_RATE_S = 1.0
GROUP_RATE_S = 3.0  # 20 a minute

_TOKEN = re.compile(r"[A-Za-z0-9:_-]{1,128}")
_CHAT = re.compile(r"-?\d{1,19}|@[A-Za-z][A-Za-z0-9_]{2,63}")
_PERMANENT = frozenset({400, 401, 403, 404})


class Parameters(Struct, frozen=True):
    """Hints of a refusal: the chat's new id, and seconds to wait."""

    migrate_to_chat_id: int | None = None
    retry_after: float | None = None


class Sent(Struct, frozen=True):
    """What is read of an accepted message."""

    message_id: int = 0


class BotAnswer(Struct, frozen=True):
    """The Bot API's envelope; `error_code` 0 when the answer was not the Bot API's."""

    ok: bool = False
    error_code: int = 0
    description: str = ""
    parameters: Parameters = Parameters()
    result: Sent | bool | None = None


class TelegramChannel:
    """One chat, group or channel; `chat_id` is a number or "@name".

    A group that became a supergroup is followed to its new id, which `kept` lets a restart
    recall. Raises ValueError naming a malformed parameter. A `client` that is given stays the
    caller's.
    """

    name = "telegram"

    def __init__(
        self,
        token: str,
        chat_id: str | int,
        *,
        thread_id: int | None = None,
        api_base: str = API_BASE,
        words: Words = word,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        if not _TOKEN.fullmatch(token):
            raise ValueError("telegram token: must look like 123456:ABC-def")
        if not _CHAT.fullmatch(str(chat_id)):
            raise ValueError("telegram chat_id: must be a number or @name")
        self._token = token
        self._url = f"{api_base.rstrip('/')}/bot{token}/sendMessage"
        self.chat_id = self._configured = str(chat_id)
        self._thread_id = thread_id
        self.kept = ""
        self._words = words
        self._owns_client = client is None
        self._client = client or http_client()
        self.rate_s = GROUP_RATE_S if self.chat_id[0] in "-@" else CHAT_RATE_S

    def __repr__(self) -> str:
        return f"<TelegramChannel chat={self.chat_id}>"

    async def send(self, notice: Notice) -> Receipt:
        """Send the notice; once more each when the chat has moved or the HTML is refused."""
        html, plain = texts(self._words(notice))
        message: dict[str, object] = {
            "text": html,
            "parse_mode": "HTML",
            "disable_notification": notice.severity == "info",
            "link_preview_options": {"is_disabled": True},
        }
        if self._thread_id is not None:
            message["message_thread_id"] = self._thread_id
        with deadline():
            answer, bot = await self._post(message)
            if self._follow(bot):
                answer, bot = await self._post(message)
            if not bot.ok and "can't parse entities" in bot.description:
                del message["parse_mode"]
                answer, bot = await self._post({**message, "text": plain})
                if self._follow(bot):
                    answer, bot = await self._post({**message, "text": plain})
        return self._receipt(answer, bot)

    def recall(self, kept: str) -> None:
        """Take back where the chat had moved, where the settings still name the old one."""
        old, _, new = kept.partition(" is now ")
        if old == self._configured and _CHAT.fullmatch(new):
            self._move(new)

    async def close(self) -> None:
        """Close the connections that the channel opened."""
        if self._owns_client:
            await self._client.aclose()

    async def _post(self, message: dict[str, object]) -> tuple[Answer, BotAnswer]:
        encoded = msgspec.json.encode({"chat_id": self.chat_id, **message})
        answer = await post_json(self._client, self._url, encoded, secrets=(self._token,))
        return answer, _decoded(answer.body)

    def _follow(self, bot: BotAnswer) -> bool:
        new_id = bot.parameters.migrate_to_chat_id
        if bot.ok or new_id is None or self.chat_id == str(new_id):
            return False
        self._move(str(new_id))
        return True

    def _move(self, chat_id: str) -> None:
        self.chat_id = chat_id
        self.kept = f"{self._configured} is now {chat_id}"

    def _receipt(self, answer: Answer, bot: BotAnswer) -> Receipt:
        if answer.status == HTTPStatus.OK and bot.ok:
            sent = f", message {bot.result.message_id}" if isinstance(bot.result, Sent) else ""
            moved = f" (the chat {self.kept}: change chat_id in the settings)" if self.kept else ""
            return Receipt(detail=f"200 ok{sent}{moved}")
        wish = bot.parameters.retry_after
        raise SendError(
            redact(f"{answer.status} {bot.description or answer.body}", self._token),
            permanent=bot.error_code in _PERMANENT and not bot.ok,
            retry_after_s=answer.retry_after_s if wish is None else bounded_wait_s(wish),
        )


def texts(wording: Wording) -> tuple[str, str]:
    """Write a notice as HTML and as the same text plain, both within Telegram's limit.

    The text is cut before it is escaped, so that no cut falls into a tag or an entity.
    """
    room = MESSAGE_CHARS_MAX - utf16_units(wording.title) - 1
    below = wording.below_title(room, utf16_units)
    html = f"<b>{_escape(wording.title)}</b>\n{_escape(below)}"
    return html, f"{wording.title}\n{below}"


def _escape(text: str) -> str:
    return html_escape(text, quote=False)


def _decoded(body: str) -> BotAnswer:
    try:
        return msgspec.json.decode(body, type=BotAnswer)
    except (msgspec.MsgspecError, RecursionError):
        return BotAnswer()  # a gateway's page; its status decides

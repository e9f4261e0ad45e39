"""Telegram's Bot API, sendMessage only, as its documentation and its answers show it."""

from __future__ import annotations

import json
from html import unescape
from html.parser import HTMLParser

from tests.fakes.http import (
    Body,
    Drop,
    FakeProvider,
    Hang,
    RateLimit,
    Request,
    Status,
    ThreadedFake,
)

__all__ = ["Body", "Drop", "FakeTelegram", "Hang", "RateLimit", "Status", "ThreadedFake"]

TOKEN = "123456789:canaryTelegramToken0000000000000"
CHAT = "4242"
JSON = {"content-type": "application/json"}
WORDS = {
    400: "Bad Request: chat not found",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    404: "Not Found",
    500: "Internal Server Error",
    502: "Bad Gateway",
}
TAGS = frozenset({"b", "i", "code", "pre", "a"})


class FakeTelegram(FakeProvider):
    """A bot with `token` in the chats `chats`; `moved` maps an old chat id to its new one.

    `url` is the API's base address.
    """

    def __init__(self, *, port: int = 0, token: str = TOKEN) -> None:
        super().__init__(port=port)
        self.token = token
        self.chats = {CHAT}
        self.moved: dict[str, int] = {}

    @property
    def url(self) -> str:
        return self.base

    def respond(self, request: Request) -> Body:
        if request.path != f"/bot{self.token}/sendMessage":
            return self.words(401)
        try:
            message = json.loads(request.body)
        except ValueError:
            return refusal(400, "Bad Request: can't parse JSON object")
        refused = self._refused(message)
        if refused:
            return refused
        self.accept(message)
        result = {"message_id": len(self.messages), "text": message["text"]}
        return Body(200, json.dumps({"ok": True, "result": result}), JSON)

    def words(self, code: int) -> Body:
        return refusal(code, WORDS.get(code, "Internal Server Error"))

    def rate_limited(self, seconds: int) -> Body:
        said = f"Too Many Requests: retry after {seconds}"
        return refusal(429, said, {"retry_after": seconds})

    def _refused(self, message: dict) -> Body | None:
        chat = str(message.get("chat_id", ""))
        if chat in self.moved:
            return refusal(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                {"migrate_to_chat_id": self.moved[chat]},
            )
        if chat not in self.chats:
            return self.words(400)
        fault = check(message)
        return refusal(400, f"Bad Request: {fault}") if fault else None


def refusal(code: int, description: str, parameters: dict | None = None) -> Body:
    said = {"ok": False, "error_code": code, "description": description}
    if parameters:
        said["parameters"] = parameters
    return Body(code, json.dumps(said), JSON)


def check(message: dict) -> str:
    """What Telegram would say against a message's text; empty if nothing."""
    text = message.get("text", "")
    if message.get("parse_mode") == "HTML":
        parser = _Tags(convert_charrefs=False)
        parser.feed(text)
        parser.close()
        if parser.fault or parser.open:
            return parser.fault or f"can't parse entities: Can't find end tag of {parser.open[-1]}"
        text = unescape("".join(parser.text))
    if not text.strip():
        return "message text is empty"
    return "message is too long" if len(text.encode("utf-16-le")) // 2 > 4096 else ""


class _Tags(HTMLParser):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.open: list[str] = []
        self.text: list[str] = []
        self.fault = ""

    def handle_starttag(self, tag, attrs) -> None:
        if tag not in TAGS:
            self.fault = f'can\'t parse entities: Unsupported start tag "{tag}"'
        self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        if not self.open or self.open.pop() != tag:
            self.fault = f'can\'t parse entities: Unexpected end tag "{tag}"'

    def handle_data(self, data) -> None:
        self.text.append(data)

    def handle_entityref(self, name) -> None:
        self.text.append(f"&{name};")

    def handle_charref(self, name) -> None:
        self.text.append(f"&#{name};")

"""Discord's webhooks as their documentation and their answers show them."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

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

__all__ = ["Body", "Drop", "FakeDiscord", "Hang", "RateLimit", "Status", "ThreadedFake"]

SECRET = "canaryDiscordToken_0000-AAAA"
PATH = f"/api/webhooks/1234567890123456789/{SECRET}"
JSON = {"content-type": "application/json"}
WORDS = {
    400: ("Cannot send an empty message", 50006),
    401: ("401: Unauthorized", 0),
    403: ("Missing Permissions", 50013),
    404: ("Unknown Webhook", 10015),
    500: ("500: Internal Server Error", 0),
}


class FakeDiscord(FakeProvider):
    """One webhook at `url`; checks the payload as Discord does."""

    @property
    def url(self) -> str:
        return self.base + PATH

    def respond(self, request: Request) -> Body:
        parts = urlsplit(request.path)
        if parts.path != PATH:
            wrong = parts.path.startswith(PATH.rpartition("/")[0])
            return refusal(401, "Invalid Webhook Token", 50027) if wrong else self.words(404)
        try:
            message = json.loads(request.body)
        except ValueError:
            return refusal(400, "The request body contains invalid JSON.", 50109)
        fault = check(message)
        if fault:
            return fault
        self.accept(message)
        if parse_qs(parts.query).get("wait") != ["true"]:
            return Body(204, "", {})
        return Body(200, json.dumps(stored(message, len(self.messages))), JSON)

    def words(self, code: int) -> Body:
        if code not in WORDS:
            return Body(code, "", {"content-type": "text/html"})
        return refusal(code, *WORDS[code])

    def rate_limited(self, seconds: float) -> Body:
        said = {"message": "You are being rate limited.", "retry_after": seconds, "global": False}
        headers = {
            "retry-after": str(int(-(-seconds // 1))),
            "x-ratelimit-limit": "5",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset-after": str(seconds),
            "x-ratelimit-scope": "user",
        }
        return Body(429, json.dumps(said), {**JSON, **headers})


def refusal(status: int, message: str, code: int, **errors: object) -> Body:
    said = {"message": message, "code": code}
    return Body(status, json.dumps({**said, **({"errors": errors} if errors else {})}), JSON)


def stored(message: dict, number: int) -> dict:
    """The message as Discord gives it back, with what of it is read by nobody here."""
    return {
        "type": 0,
        "content": message["content"],
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [{"type": "rich", **embed} for embed in message.get("embeds", [])],
        "timestamp": "2026-11-24T08:21:04.123000+00:00",
        "edited_timestamp": None,
        "flags": message.get("flags", 0),
        "components": [],
        "id": str(1300000000000000000 + number),
        "channel_id": "1200000000000000000",
        "author": {"id": "1234567890123456789", "username": "Sidewatch", "bot": True},
        "pinned": False,
        "mention_everyone": False,
        "tts": False,
        "webhook_id": "1234567890123456789",
    }


def check(message: dict) -> Body | None:
    """Discord's refusal of a payload; None if there is nothing against it."""
    if not message.get("content") and not message.get("embeds"):
        return refusal(400, "Cannot send an empty message", 50006)
    if _units(message.get("content", "")) > 2_000:
        return _invalid(content=_too_long(2_000))
    embeds = message.get("embeds", [])
    if len(embeds) > 10:
        return _invalid(embeds=_too_long(10))
    faults = {str(number): fault for number, one in enumerate(embeds) if (fault := _embed(one))}
    if faults:
        return _invalid(embeds=faults)
    total = sum(_total(embed) for embed in embeds)
    return _invalid(embeds=_too_long(6_000)) if total > 6_000 else None


def _embed(embed: dict) -> dict:
    """What Discord says against one embed, by field."""
    for key, most in (("title", 256), ("description", 4_096)):
        if _units(embed.get(key, "")) > most:
            return {key: _too_long(most)}
    fields = embed.get("fields", [])
    if len(fields) > 25:
        return {"fields": _too_long(25)}
    for field in fields:
        if not 1 <= _units(field["name"]) <= 256 or not 1 <= _units(field["value"]) <= 1_024:
            return {"fields": _too_long(1_024)}
    return {}


def _total(embed: dict) -> int:
    texts = [embed.get("title", ""), embed.get("description", "")]
    texts += [part for field in embed.get("fields", []) for part in (field["name"], field["value"])]
    return sum(map(_units, [*texts, embed.get("footer", {}).get("text", "")]))


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _too_long(most: int) -> dict:
    said = f"Must be {most} or fewer in length."
    return {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": said}]}


def _invalid(**errors: object) -> Body:
    return refusal(400, "Invalid Form Body", 50035, **errors)

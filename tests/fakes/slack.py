"""Slack's incoming webhook as its documentation and its answers show it."""

from __future__ import annotations

import json

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

__all__ = ["Body", "Drop", "FakeSlack", "Hang", "RateLimit", "Status", "ThreadedFake"]

PATH = "/services/T00000000/B00000000/canarySlackSecret000000"
WORDS = {
    200: "ok",
    400: "invalid_payload",
    403: "invalid_token",
    404: "no_service",
    410: "channel_is_archived",
    429: "rate_limited",
    500: "rollup_error",
}
HTML = {"content-type": "text/html"}


class FakeSlack(FakeProvider):
    """One webhook at `url`; checks the payload as Slack does."""

    @property
    def url(self) -> str:
        return self.base + PATH

    def respond(self, request: Request) -> Body:
        if request.path != PATH:
            return self.words(404)
        try:
            message = json.loads(request.body)
        except ValueError:
            return self.words(400)
        fault = check(message)
        if fault:
            return Body(400, fault, HTML)
        self.accept(message)
        return self.words(200)

    def words(self, code: int) -> Body:
        return Body(code, WORDS.get(code, ""), HTML)

    def rate_limited(self, seconds: int) -> Body:
        return Body(429, WORDS[429], {**HTML, "retry-after": str(seconds)})


def check(message: object) -> str:
    """Slack's word for what is wrong with a payload; empty if nothing is."""
    if not isinstance(message, dict):
        return "invalid_payload"
    if not message.get("text"):
        return "no_text"
    blocks = message.get("blocks", [])
    if len(blocks) > 50 or not all(_fits(block) for block in blocks):
        return "invalid_blocks"
    return ""


def _fits(block: dict) -> bool:
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": text}}:
            return 1 <= len(text) <= 150
        case {"type": "section", "fields": fields}:
            return 1 <= len(fields) <= 10 and all(1 <= len(x["text"]) <= 2000 for x in fields)
        case {"type": "section", "text": {"text": text}}:
            return 1 <= len(text) <= 3000
        case {"type": "context", "elements": elements}:
            return 1 <= len(elements) <= 10 and all(1 <= len(x["text"]) <= 3000 for x in elements)
    return False

"""An ntfy server as its documentation, its source and its answers show it: publishing as JSON."""

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

__all__ = ["Body", "Drop", "FakeNtfy", "Hang", "RateLimit", "Status", "ThreadedFake"]

TOPIC = "canaryTopic-7f3a"
TOKEN = "tk_canaryNtfyToken00000000000000"
JSON = {"content-type": "application/json"}
DOCS = "https://ntfy.sh/docs/publish/"
# HTTP status: ntfy's own code, its words, the section of its documentation
WORDS = {
    400: (40024, "invalid request: request body must be valid JSON", ""),
    401: (40101, "unauthorized", f"{DOCS}#authentication"),
    403: (40301, "forbidden", f"{DOCS}#authentication"),
    404: (40401, "page not found", ""),
    413: (41303, "JSON body too large", ""),
    429: (42901, "limit reached: too many requests, please be nice", f"{DOCS}#limitations"),
    500: (50001, "internal server error", ""),
    507: (50701, "cannot publish to UnifiedPush topic without previously active subscriber", ""),
}


class FakeNtfy(FakeProvider):
    """A server whose one topic takes `token` only; `url` is its base address."""

    def __init__(self, *, port: int = 0, token: str = TOKEN) -> None:
        super().__init__(port=port)
        self.token = token

    @property
    def url(self) -> str:
        return self.base

    def respond(self, request: Request) -> Body:
        if request.method != "POST" or request.path != "/":
            return self.words(404)
        given = request.headers.get("authorization", "")
        if given and given != f"Bearer {self.token}":
            return self.words(401)
        try:
            message = json.loads(request.body)
        except ValueError:
            return self.words(400)
        fault = self.words(403) if self.token and not given else check(message)
        if len(request.body) > 4_096 or fault:
            return fault or self.words(413)
        self.accept(message)
        stored = {
            "id": f"hwQ2YpKdmg{len(self.messages):02}",
            "time": 1795508463,
            "expires": 1795551663,
            "event": "message",
            **message,
        }
        return Body(200, json.dumps(stored) + "\n", JSON)

    def words(self, code: int) -> Body:
        if code not in WORDS:
            return Body(code, "", {"content-type": "text/html"})
        return refusal(code, *WORDS[code])

    def rate_limited(self, seconds: int) -> Body:
        answer = self.words(429)
        return Body(429, answer.text, {**JSON, "retry-after": str(seconds)})


def refusal(status: int, code: int, error: str, link: str = "") -> Body:
    said = {"code": code, "http": status, "error": error, **({"link": link} if link else {})}
    return Body(status, json.dumps(said) + "\n", JSON)


def check(message: dict) -> Body | None:
    """The server's refusal of a message; None if there is nothing against it."""
    if not message.get("topic"):
        return refusal(400, 40009, "invalid request: topic invalid")
    if message.get("priority", 3) not in range(1, 6):
        return refusal(400, 40007, "invalid priority parameter", f"{DOCS}#message-priority")
    if len(message.get("message", "").encode()) > 4_096:
        return refusal(413, 41301, "attachment too large, or bandwidth limit reached")
    return None

"""A receiver of Standard Webhooks, which verifies every signature as their specification has it."""

from __future__ import annotations

import base64
import hashlib
import hmac
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

__all__ = ["Body", "Drop", "FakeWebhook", "Hang", "RateLimit", "Status", "ThreadedFake"]

SECRET = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5"  # base64 of four canaries
PATH = "/hooks/canaryHookPath?key=canaryQuery"
TOLERANCE_S = 300


class FakeWebhook(FakeProvider):
    """An endpoint at `url`; `headers` are those of each accepted request.

    `now` is the receiver's clock, None where the test has no clock to compare.
    """

    def __init__(self, *, port: int = 0, secret: str = SECRET, now=None) -> None:
        super().__init__(port=port)
        self.secret = secret
        self.now = now
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return self.base + PATH

    def respond(self, request: Request) -> Body:
        if request.path != PATH:
            return self.words(404)
        if not verified(self.secret, request, self.now() if self.now else None):
            return self.words(401)
        self.headers.append(request.headers)
        self.accept(json.loads(request.body))
        return Body(200, "thanks")

    def words(self, code: int) -> Body:
        return Body(code, "")

    def rate_limited(self, seconds: int) -> Body:
        return Body(429, "", {"retry-after": str(seconds)})


def verified(secret: str, request: Request, now: float | None = None) -> bool:
    """Whether one of the request's signatures is right, and its timestamp near `now`."""
    id_, stamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    if "." in id_ or (now is not None and abs(now - int(stamp)) > TOLERANCE_S):
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{id_}.{stamp}.".encode() + request.body
    right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = request.headers["webhook-signature"].split(" ")
    return any(hmac.compare_digest(f"v1,{right}", one) for one in given)

"""A service that Apprise speaks to as `json://`: takes any JSON, answers as it is told."""

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

__all__ = ["Body", "Drop", "FakeService", "Hang", "RateLimit", "Status", "ThreadedFake"]

SECRET = "canaryAppriseToken"


class FakeService(FakeProvider):
    """A service at `url`, which holds a user, a password and a token."""

    @property
    def url(self) -> str:
        return f"json://canaryUser:canaryPassword@127.0.0.1:{self.port}/{SECRET}"

    def respond(self, request: Request) -> Body:
        if request.path != f"/{SECRET}":
            return self.words(404)
        self.accept(json.loads(request.body))
        return Body(200, "")

    def words(self, code: int) -> Body:
        return Body(code, "")

    def rate_limited(self, seconds: int) -> Body:
        return Body(429, "", {"retry-after": str(seconds)})

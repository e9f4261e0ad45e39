"""PagerDuty's Events API v2 as its documentation and its answers show it."""

from __future__ import annotations

import json
from datetime import datetime

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

__all__ = ["Body", "Drop", "FakePagerDuty", "Hang", "RateLimit", "Status", "ThreadedFake"]

KEY = "canaryPagerDutyKey00000000000000"
JSON = {"content-type": "application/json"}


class FakePagerDuty(FakeProvider):
    """A service with one integration; `incidents` maps each dedup_key to its state.

    `url` is the API's base address.
    """

    def __init__(self, *, port: int = 0) -> None:
        super().__init__(port=port)
        self.incidents: dict[str, str] = {}

    @property
    def url(self) -> str:
        return self.base

    def respond(self, request: Request) -> Body:
        if request.path != "/v2/enqueue":
            return Body(404, "", {})
        try:
            event = json.loads(request.body)
        except ValueError:
            return invalid("JSON parse error", "Unrecognized object")
        faults = check(event)
        if faults:
            return invalid(*faults)
        self.accept(event)
        self._apply(event["event_action"], event["dedup_key"])
        said = {
            "status": "success",
            "message": "Event processed",
            "dedup_key": event["dedup_key"],
        }
        return Body(202, json.dumps(said), JSON)

    def words(self, code: int) -> Body:
        if code == 400:
            return invalid("'routing_key' is missing or blank")
        return Body(code, "Internal Server Error" if code == 500 else "", {})

    def rate_limited(self, seconds: int) -> Body:
        said = {
            "status": "throttle exceeded",
            "message": "Requests for this service are arriving too quickly.  Please retry later.",
        }
        return Body(429, json.dumps(said), {**JSON, "retry-after": str(seconds)})

    def _apply(self, action: str, key: str) -> None:
        """Events about what is resolved or unknown are dropped, except a new trigger."""
        live = self.incidents.get(key) in {"triggered", "acknowledged"}
        if action == "trigger" and not live:
            self.incidents[key] = "triggered"
        elif action != "trigger" and live:
            self.incidents[key] = f"{action}d" if action == "resolve" else "acknowledged"


def invalid(*errors: str) -> Body:
    said = {
        "status": "invalid event",
        "message": "Event object is invalid",
        "errors": list(errors),
    }
    return Body(400, json.dumps(said), JSON)


def check(event: dict) -> list[str]:
    """PagerDuty's words for what is wrong with an event; empty if nothing is."""
    faults = []
    if len(event.get("routing_key", "")) != 32:
        faults.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
        faults.append("'event_action' is invalid")
    if not 1 <= len(event.get("dedup_key", "")) <= 255:
        faults.append("'dedup_key' is invalid (must be at most 255 characters)")
    if event.get("event_action") == "trigger":
        faults += _payload(event.get("payload") or {})
        faults += ["'href' is invalid" for link in event.get("links", []) if not link.get("href")]
    return faults


def _payload(payload: dict) -> list[str]:
    faults = []
    if not 1 <= len(payload.get("summary", "")) <= 1_024:
        faults.append("'payload.summary' is missing or blank")
    if payload.get("severity") not in {"critical", "error", "warning", "info"}:
        faults.append("'payload.severity' is invalid")
    if not payload.get("source"):
        faults.append("'payload.source' is missing or blank")
    datetime.fromisoformat(payload["timestamp"])
    return faults

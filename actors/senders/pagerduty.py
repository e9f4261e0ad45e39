"""PagerDuty: a notice as an event of the Events API v2; all events of one alert share one incident.

The dedup_key is the same for every message about an alert, so that a repeat adds to its incident,
an acknowledgement quiets it and the end resolves it. Success is status 202. PagerDuty takes about
120 events of one key in any 60 s, and answers 429 to more.
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
from actors.senders.wording import Wording, Words, fit, one_line, utf16_units, word

API_BASE = "https://events.pagerduty.com"
EVENT_S = 0.55  # 109 a minute: a tenth is left for other tools, and for the clock's edges
SUMMARY_CHARS_MAX = 1_024
DEDUP_KEY_CHARS_MAX = 255
LABEL_CHARS_MAX = 256
DETAIL_CHARS_MAX = 2_000  # with 40 facts far below the 512 KB of an event
ACTIONS = {"resolved": "resolve", "acknowledged": "acknowledge"}  # everything else triggers

_KEY = re.compile(r"[A-Za-z0-9]{32}")
_LINK = re.compile(r"https?://[^\s<>]+")

Json = dict[str, object]


class EventAnswer(Struct, frozen=True):
    """PagerDuty's envelope; `status` empty when the answer was not PagerDuty's."""

    status: str = ""
    message: str = ""
    errors: list[str] = []
    dedup_key: str = ""


class PagerDutyChannel:
    """One integration of a service; `rate_s` is for the events of the last message, one or two.

    `api_base` is another for the EU region. Raises ValueError naming a malformed parameter. A
    `client` that is given stays the caller's.
    """

    name = "pagerduty"
    incidents = True

    def __init__(
        self,
        routing_key: str,
        *,
        api_base: str = API_BASE,
        words: Words = word,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        if not _KEY.fullmatch(routing_key):
            raise ValueError("pagerduty routing_key: must be 32 letters and digits")
        self.rate_s = EVENT_S
        self._routing_key = routing_key
        self._url = f"{api_base.rstrip('/')}/v2/enqueue"
        self._words = words
        self._owns_client = client is None
        self._client = client or http_client()

    def __repr__(self) -> str:
        return "<PagerDutyChannel ***>"

    async def send(self, notice: Notice) -> Receipt:
        """Hand the event over; what is over in one message, such as a test, is resolved at once."""
        over = notice.over or notice.kind == "test"
        self.rate_s = 2 * EVENT_S if over else EVENT_S
        with deadline():
            receipt = await self._post(event(self._words(notice), notice))
            if over:
                await self._post(closing(notice, "resolve"))
            return receipt

    async def close(self) -> None:
        """Close the connections that the channel opened."""
        if self._owns_client:
            await self._client.aclose()

    async def _post(self, made: Json) -> Receipt:
        encoded = msgspec.json.encode({"routing_key": self._routing_key, **made})
        secrets = (self._routing_key,)
        answer = await post_json(self._client, self._url, encoded, secrets=secrets)
        return self._receipt(answer, _decoded(answer.body))

    def _receipt(self, answer: Answer, said: EventAnswer) -> Receipt:
        if answer.status == HTTPStatus.ACCEPTED and said.status == "success":
            detail = f"202 {said.message}, dedup_key {said.dedup_key}"
            return Receipt(detail=redact(detail, self._routing_key))
        words = ": ".join(part for part in (said.message, "; ".join(said.errors)) if part)
        raise SendError(
            redact(f"{answer.status} {words or answer.body}", self._routing_key),
            permanent=answer.status == HTTPStatus.BAD_REQUEST and bool(said.status),
            retry_after_s=answer.retry_after_s,
        )


def event(wording: Wording, notice: Notice) -> Json:
    """Build the event, without the key that routes it."""
    action = ACTIONS.get(notice.kind, "trigger")
    made = closing(notice, action)
    if action != "trigger":
        return made
    made |= {"client": "Sidewatch", "payload": _payload(wording, notice)}
    if _LINK.fullmatch(wording.url):
        made["client_url"] = wording.url
        made["links"] = [{"href": wording.url, "text": "Open in Sidewatch"}]
    return made


def closing(notice: Notice, action: str) -> Json:
    """Build an event that says no more than what becomes of the incident."""
    return {"event_action": action, "dedup_key": dedup_key(notice)}


def dedup_key(notice: Notice) -> str:
    """Name the incident: one for each alert, also where several Sidewatches share one service."""
    key = f"sidewatch/{one_line(notice.bot)}/{one_line(notice.alert_id)}"
    return fit(key, DEDUP_KEY_CHARS_MAX, utf16_units)


def _payload(wording: Wording, notice: Notice) -> Json:
    summary = " · ".join(part for part in (wording.title, one_line(wording.text)) if part)
    return {
        "summary": fit(summary, SUMMARY_CHARS_MAX, utf16_units),
        "source": one_line(notice.bot) or "sidewatch",
        "severity": notice.severity,  # ours are three of PagerDuty's four
        "timestamp": notice.at.isoformat(),
        "component": "trading bot" if notice.bot else "sidewatch",
        "class": one_line(notice.trigger) or notice.kind,
        "custom_details": _details(wording),
    }


def _details(wording: Wording) -> Json:
    pairs = [("What", wording.text), *wording.facts]
    pairs += [("Notes", "; ".join(wording.notes)), ("Alert", wording.footer)]
    details: Json = {}
    for name, value in pairs:
        label = name if name not in details else f"{name} ({len(details)})"
        if value:
            details[fit(label, LABEL_CHARS_MAX)] = fit(value, DETAIL_CHARS_MAX)
    return details


def _decoded(body: str) -> EventAnswer:
    try:
        return msgspec.json.decode(body, type=EventAnswer)
    except (msgspec.MsgspecError, RecursionError):
        return EventAnswer()  # a gateway's page; its status decides

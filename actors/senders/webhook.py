"""Webhook: a notice as signed JSON for a server of one's own, as Standard Webhooks has it.

A request reaches only an address that was checked: the name is resolved once, and the connection
made to that very address, so that no second answer of the DNS can lead it elsewhere. 410 switches
the channel off until its settings change or a test passes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import NamedTuple

import anyio
import httpx
import msgspec

from actors.messages import Notice
from actors.senders.channel import (
    CONNECT_S,
    Answer,
    Receipt,
    SendError,
    deadline,
    http_client,
    is_http_url,
    post_json,
    redact,
    sent_as,
    url_secrets,
)
from actors.senders.wording import Wording, Words, fit, one_line, word
from config.rules import is_public
from config.secret import webhook_key

BODY_BYTES_MAX = 20_000
ADDRESSES_MAX = 8
NOTES_MAX = 10
DETAIL_CHARS_MAX = 100
FRESH_S = 5.0  # receivers refuse what was signed minutes ago

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_PERMANENT = frozenset({400, 401, 403, 404, 413, 422})

Json = dict[str, object]


class _Signed(NamedTuple):
    """A request: when it was signed (unix seconds), its own headers, and its body."""

    at: float
    headers: dict[str, str]
    body: bytes


Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """Look a name up: its addresses, at most 8; raises OSError."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))[:ADDRESSES_MAX]


class WebhookChannel:
    """One endpoint, and the secret `whsec_...` that signs for it; at most ten messages a second.

    `previous` is a secret that signs as well while the receiver changes over. `allow_private`
    lets the request reach loopback and private networks. Raises ValueError naming a malformed
    parameter. A `client` that is given stays the caller's.
    """

    name = "webhook"
    rate_s = 0.1

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        previous: str | None = None,
        allow_private: bool = False,
        words: Words = word,
        client: httpx.AsyncClient | None = None,
        resolver: Resolve = resolve,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not is_http_url(url):
            raise ValueError("webhook url: must be an http:// or https:// address")
        keys = [webhook_key(one) for one in (secret, previous) if one is not None]
        if None in keys:
            raise ValueError("webhook secret: must be whsec_ and base64 of 24 to 64 bytes")
        self._url = httpx.URL(url)
        self._last: tuple[str, str] | None = None
        self._host = self._url.raw_host.decode("ascii")
        self._literal = literal(self._host)
        self._port = self._url.port or (443 if self._url.scheme == "https" else 80)
        self._keys = [key for key in keys if key is not None]
        self._secrets = (*url_secrets(url), secret, previous or "")
        self._allow_private = allow_private
        self._words = words
        self._owns_client = client is None
        self._client = client or http_client()
        self._resolve = resolver
        self._now = now
        self._fingerprint = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._prepared: tuple[Notice, _Signed] | None = None
        self.kept = ""

    def __repr__(self) -> str:
        return "<WebhookChannel ***>"

    def recall(self, kept: str) -> None:
        """Take back what an earlier life kept: that this very address answered 410."""
        self.kept = kept if kept == self._gone else ""

    def prepare(self, notice: Notice) -> None:
        """Word, encode and sign the notice, for a `send` that follows at once."""
        self._prepared = notice, self._signed(notice)

    async def send(self, notice: Notice) -> Receipt:
        """Post the notice, signed anew; only a test asks an endpoint that is gone again."""
        if self.kept and notice.kind != "test":
            raise SendError("410 earlier: switched off until a test passes", permanent=True)
        signed = self._taken(notice) or self._signed(notice)
        with deadline():
            answer = await self._post(signed)
        return self._receipt(answer)

    async def close(self) -> None:
        """Close the connections that the channel opened."""
        if self._owns_client:
            await self._client.aclose()

    @property
    def _gone(self) -> str:
        return f"gone {self._fingerprint}"

    def _taken(self, notice: Notice) -> _Signed | None:
        """Return what was prepared of this very notice, as long as receivers take the stamp."""
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared[0] is not notice:
            return None
        signed = prepared[1]
        return signed if abs(self._now() - signed.at) <= FRESH_S else None

    def _signed(self, notice: Notice) -> _Signed:
        now, id_ = self._now(), message_id(notice)
        stamp, body = str(int(now)), encoded(self._words(notice), notice)
        headers = {
            "host": self._url.netloc.decode("ascii"),
            "webhook-id": id_,
            "webhook-timestamp": stamp,
            "webhook-signature": signatures(self._keys, id_, stamp, body),
        }
        return _Signed(now, headers, body)

    async def _post(self, signed: _Signed) -> Answer:
        """Try the addresses in turn until one takes the connection."""
        failure = SendError(f"{self._host} has no address", permanent=False)
        for address in await self._addresses():
            try:
                return await post_json(
                    self._client,
                    self._at(address),
                    signed.body,
                    secrets=self._secrets,
                    headers=signed.headers,
                    hostname=self._host,
                )
            except SendError as error:
                failure = error
                if not error.unsent:
                    break
        raise failure

    def _at(self, address: str) -> str:
        """Put an address in the name's place; the last one is kept, to parse a URL takes long."""
        if self._last is None or self._last[0] != address:
            try:
                self._last = address, str(self._url.copy_with(host=address))
            except httpx.InvalidURL:
                reason = redact(f"{self._host} is at {address}, which is no address")
                raise SendError(reason, permanent=False, unsent=True) from None
        return self._last[1]

    async def _addresses(self) -> list[str]:
        """The host's addresses that may be connected to, checked one by one."""
        host, found = self._host, self._literal
        reason = f"{host} has no address"
        if not found:
            try:
                with anyio.fail_after(CONNECT_S):
                    found = await self._resolve(host, self._port)
            except (OSError, UnicodeError):  # TimeoutError is one of OSError's
                reason = f"{host} cannot be resolved"
        allowed = [one for one in found if self._allow_private or is_public(one)]
        if not allowed:
            if found:
                reason = f"{host} is at {found[0]}, which webhook.allow_private does not allow"
            raise SendError(redact(reason, *self._secrets), permanent=False)
        return allowed

    def _receipt(self, answer: Answer) -> Receipt:
        said = redact(answer.body, *self._secrets)[:DETAIL_CHARS_MAX]
        detail = f"{answer.status} {said}".strip()
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            self.kept = ""
            return Receipt(detail=detail)
        if answer.status == HTTPStatus.GONE:
            self.kept = self._gone
            raise SendError(f"{detail}: switched off until a test passes", permanent=True)
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            detail += ": a redirect, which is not followed"
        raise SendError(
            detail,
            permanent=answer.status in _PERMANENT,
            retry_after_s=answer.retry_after_s,
        )


def literal(host: str) -> list[str]:
    """A host that is an address already, as the only one; empty where it is a name."""
    with suppress(ValueError):
        return [str(ip_address(host))]
    return []


def signatures(keys: list[bytes], id_: str, stamp: str, body: bytes) -> str:
    """Sign id, instant and body with each key; separated by spaces."""
    signed = b".".join((id_.encode(), stamp.encode(), body))
    made = (hmac.digest(key, signed, "sha256") for key in keys)
    return " ".join(f"v1,{base64.b64encode(one).decode()}" for one in made)


def message_id(notice: Notice) -> str:
    """Name the message: the same over retries, without a dot, which separates what is signed."""
    plain = sent_as(notice).replace(".", "_")
    if _ID.fullmatch(plain):
        return f"msg_{plain}"
    return f"msg_{hashlib.sha256(sent_as(notice).encode('utf-8', 'replace')).hexdigest()[:32]}"


def encoded(wording: Wording, notice: Notice) -> bytes:
    """Write the body, within 20,000 bytes: facts give way first, then the text.

    The facts are there for a program, whatever a template makes of the text.
    """
    facts = [(fit(name, 256), fit(value, 1_024)) for name, value in word(notice).facts]
    text = wording.text
    body = _encode(wording, notice, text, facts)
    while len(body) > BODY_BYTES_MAX and (facts or text):
        if facts:
            facts = facts[: len(facts) // 2]
        else:
            text = fit(text, len(text) // 2)
        body = _encode(wording, notice, text, facts)
    return body


def _encode(wording: Wording, notice: Notice, text: str, facts: list[tuple[str, str]]) -> bytes:
    data: Json = {
        "id": message_id(notice),
        "alert_id": one_line(notice.alert_id)[:128],
        "kind": notice.kind,
        "severity": notice.severity,
        "trigger": one_line(notice.trigger)[:128],
        "bot": one_line(notice.bot)[:128],
        "title": wording.title,
        "text": text,
        "facts": [{"name": name, "value": value} for name, value in facts],
        "facts_left_out": len(notice.facts) - len(facts),
        "notes": [fit(note, 256) for note in wording.notes[:NOTES_MAX]],
        "suppressed": notice.suppressed,
        "held": notice.held,
        "over": notice.over,
        "url": wording.url[:2_048],
    }
    return msgspec.json.encode(
        {"type": f"alert.{notice.kind}", "timestamp": notice.at, "data": data}
    )

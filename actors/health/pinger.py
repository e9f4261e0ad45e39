"""The pinger: asks one exchange API every 30 s whether it answers, and how fast.

Any answer below 400 counts as connected: what matters is whether the bot could trade.
"""

from __future__ import annotations

import httpx
import msgspec

from actors.leaving import Left, brief
from actors.messages import Pinged
from runtime.actor import Actor
from runtime.ref import Ref

DETAIL_CHARS_MAX = 200
GOOD_BELOW = 400
BODY_BYTES_MAX = 65_536


class _Ping(msgspec.Struct, frozen=True):
    pass


class Pinger(Actor[_Ping]):
    """Pings one URL periodically and tells health how it went."""

    def __init__(
        self,
        api: str,
        url: str,
        health: Ref[Pinged],
        *,
        period_s: float = 30.0,
        timeout_s: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._api = api
        self._url = url
        self._health = health
        self._period_s = period_s
        self._timeout_s = timeout_s
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def started(self) -> None:
        """Ping now, then every period."""
        self._client = httpx.AsyncClient(
            timeout=self._timeout_s, transport=self._transport, follow_redirects=False
        )
        self.ctx.every(self._period_s, _Ping(), first_s=0.0)

    async def receive(self, _message: _Ping) -> None:
        """Ping once."""
        assert self._client is not None
        clock = self.ctx.clock
        began = clock.monotonic()
        try:
            with brief(self.ctx.system, self._timeout_s, 0.0):
                status = await self._get(self._client)
        except Left:
            return
        except (httpx.HTTPError, TimeoutError) as error:
            detail = f"{type(error).__name__}: {error}"[:DETAIL_CHARS_MAX]
            await self._health.tell(
                Pinged(self._api, clock.now(), connected=False, latency_ms=None, detail=detail)
            )
            return
        latency_ms = round((clock.monotonic() - began) * 1_000, 2)
        good = status < GOOD_BELOW
        await self._health.tell(
            Pinged(
                self._api,
                clock.now(),
                connected=good,
                latency_ms=latency_ms if good else None,
                detail=f"HTTP {status}",
            )
        )

    async def _get(self, client: httpx.AsyncClient) -> int:
        """Return the status. A short body is read, so that the connection can be kept."""
        async with client.stream("GET", self._url) as answer:
            length = answer.headers.get("content-length", "")
            if length.isdecimal() and int(length) <= BODY_BYTES_MAX:
                async for _ in answer.aiter_raw():
                    pass
            return answer.status_code

    async def stopping(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.aclose()

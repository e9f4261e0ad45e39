"""The dead-man's switch: a heartbeat elsewhere that stops when Sidewatch could not alert any more.

Every period a URL is asked (healthchecks.io's way, which others copy): the URL itself while all is
well, `/fail` with the reasons while it is not, `/start` once at the start. Well means that nothing
in the tree has given up or hangs, a write reaches the disk, and at least one channel is healthy.
Where no channel is switched on nobody would be told, so that is not well either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit, urlunsplit

import anyio
import httpx
import msgspec

from actors.alerts.triggers import Internal
from actors.leaving import Left, brief
from actors.senders.channel import http_client, redact, url_secrets
from runtime.actor import Actor
from runtime.ref import Ref
from runtime.status import ActorStatus, SupervisorStatus, SystemStatus
from runtime.store import Store, StoreError

BEAT_KEY = "deadman"
TROUBLE_AFTER = 3  # beats in a row that did not arrive, before alerts hears of it
GOOD_BELOW = 300
REASONS_MAX = 20
STOP_S = 0.5  # what a beat in hand may still take once Sidewatch is to stop
UNWELL = frozenset({"stopped", "stopping", "stuck"})


class Verdict(msgspec.Struct, frozen=True):
    """Whether an alert would reach a human now; `reasons` say why not, one line each."""

    reasons: list[str] = []

    @property
    def healthy(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def healthy(status: SystemStatus, storage: str, channels: Mapping[str, str]) -> Verdict:
    """Judge whether an alert would reach a human.

    `storage` is why the last write failed, empty when it succeeded; `channels` has every channel
    that is switched on, with what is wrong with it, empty for nothing.
    """
    reasons = list(_unwell(status.root)) if status.root is not None else ["supervisor: no tree"]
    if status.blocked:
        reasons.append(f"supervisor: {status.blocked} blocks the event loop")
    if storage:
        reasons.append(f"outbox: {storage}")
    if not channels:
        reasons.append("channels: none is switched on")
    elif all(channels.values()):
        reasons += [f"channel {name}: {trouble}" for name, trouble in channels.items()]
    return Verdict(reasons[:REASONS_MAX])


def _unwell(node: SupervisorStatus | ActorStatus) -> Iterator[str]:
    if node.state in UNWELL:
        yield f"supervisor: {node.name or node.id} is {node.state}"
    elif isinstance(node, SupervisorStatus):
        for child in node.children:
            yield from _unwell(child)


class _Beat(msgspec.Struct, frozen=True):
    pass


class Deadman(Actor[_Beat]):
    """Asks the heartbeat's URL each period. The URL is a secret, and in no error.

    `status` and `channels` are asked at each beat, as `healthy` wants them.
    """

    def __init__(
        self,
        url: str,
        *,
        status: Callable[[], SystemStatus],
        channels: Callable[[], Mapping[str, str]],
        store: Store,
        alerts: Ref[Internal],
        period_s: float = 60.0,
        timeout_s: float = 10.0,
        client: Callable[[], httpx.AsyncClient] = http_client,
    ) -> None:
        self._url = url
        self._status = status
        self._channels = channels
        self._store = store
        self._alerts = alerts
        self._period_s = period_s
        self._timeout_s = timeout_s
        self._make_client = client
        self._client: httpx.AsyncClient | None = None
        self._missed = 0
        self._was_well = True
        self._begins = False

    async def started(self) -> None:
        """Beat now, then every period; the process's first beat says that watching begins."""
        self._client = self._make_client()
        self._begins = self.ctx.incarnation == 1
        self.ctx.every(self._period_s, _Beat(), first_s=0.0)

    async def receive(self, _message: _Beat) -> None:
        """Judge, and ask the URL that says so."""
        if self._begins:
            self._begins = False
            await self._ask("GET", below(self._url, "start"))
        verdict = healthy(self._status(), await self._storage_trouble(), self._channels())
        if verdict.healthy != self._was_well:
            self._was_well = verdict.healthy
            self.ctx.system.report("deadman", self.ctx.name, "; ".join(verdict.reasons) or "well")
        if verdict.healthy:
            error = await self._ask("GET", self._url)
        else:
            reasons = "\n".join(self._redacted(reason) for reason in verdict.reasons)
            error = await self._ask("POST", below(self._url, "fail"), reasons)
        await self._note(error)

    async def _storage_trouble(self) -> str:
        """Write something small; why that failed or will soon, empty when all is well."""
        stamp = self.ctx.clock.now().isoformat().encode()
        try:
            with anyio.fail_after(self._timeout_s):
                await self._store.write(lambda tx: tx.state.put(BEAT_KEY, stamp))
        except StoreError as error:
            return str(error)
        except TimeoutError:
            return f"no write within {self._timeout_s:g} s"
        return self._store.stats().broken

    async def _ask(self, method: str, url: str, body: str = "") -> str:
        """Ask once; why it did not arrive, empty when it did. The answer's body is not read."""
        assert self._client is not None
        try:
            with brief(self.ctx.system, self._timeout_s, STOP_S):
                async with self._client.stream(
                    method, url, content=body.encode(), timeout=self._timeout_s
                ) as answer:
                    status = answer.status_code
        except Left:
            return ""
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as error:
            return self._redacted(f"{type(error).__name__}: {error}")
        return "" if status < GOOD_BELOW else f"HTTP {status}"

    def _redacted(self, text: str) -> str:
        return redact(text, *url_secrets(self._url))

    async def _note(self, error: str) -> None:
        """Tell alerts of a heartbeat that does not arrive: a wrong URL would never beat at all."""
        before, self._missed = self._missed, self._missed + 1 if error else 0
        if self._missed == TROUBLE_AFTER:
            await self._alerts.tell(_trouble(error, holds=True))
        elif before >= TROUBLE_AFTER and not error:
            await self._alerts.tell(_trouble("It arrives again.", holds=False))

    async def stopping(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.aclose()


def below(url: str, what: str) -> str:
    """Return the URL of a signal: the path grows, a query stays behind it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{what}"))


def _trouble(text: str, *, holds: bool) -> Internal:
    return Internal(
        trigger="deadman",
        subject="heartbeat",
        severity="warning",
        title="The heartbeat does not arrive",
        text=text,
        holds=holds,
    )

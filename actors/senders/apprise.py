"""Apprise: a notice to any of the services that Apprise knows, each of them once.

Apprise blocks, so an attempt runs in a thread; its own retries are off, for ours are durable. A
weakness: a thread that hangs past the attempt's 10 s cannot be stopped, and may still deliver.
The URLs are secrets: what Apprise says of them is redacted piece by piece.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import anyio
import anyio.to_thread

from actors.messages import Notice
from actors.senders.channel import ATTEMPT_S, Receipt, SendError, deadline, redact, sent_as
from actors.senders.wording import Wording, Words, fit, word

if TYPE_CHECKING:
    from apprise import Apprise

URLS_MAX = 8
THREADS_MAX = 4
REMEMBERED_MAX = 1_000
SECRET_CHARS_MIN = 3
LINES_KEPT = 5

# A zero-width space behind them: some services make mentions of plain text.
_MENTION = re.compile(r"@(?=everyone|here|channel|all|room)|<(?=[!@#])", re.IGNORECASE)
_PIECES = re.compile(r"[/:@?&,\s]+")


class ExtraMissingError(ValueError):
    """Apprise is not installed; it comes with the extra `sidewatch[apprise]`."""


class AppriseChannel:
    """Up to 8 services, by their Apprise URLs separated by spaces; one message a second.

    A notice that some services have taken and others not is tried again at those others alone.
    Raises ExtraMissingError, and ValueError for a URL that Apprise does not understand.
    """

    name = "apprise"
    rate_s = 1.0

    def __init__(self, urls: str, *, words: Words = word) -> None:
        self._secrets = pieces(urls)
        self._services = services(urls)
        self._words = words
        self._taken: OrderedDict[str, set[int]] = OrderedDict()
        self._threads: anyio.CapacityLimiter | None = None

    def __repr__(self) -> str:
        return f"<AppriseChannel {len(self._services)} services>"

    async def send(self, notice: Notice) -> Receipt:
        """Hand the notice to each service that has not taken it yet."""
        wording = self._words(notice)
        taken = self._remembered(sent_as(notice))
        self._threads = self._threads or anyio.CapacityLimiter(THREADS_MAX)
        with deadline(ATTEMPT_S), _heard() as lines:
            for index, service in enumerate(self._services):
                if index not in taken and await anyio.to_thread.run_sync(
                    _notify, service, wording, notice, abandon_on_cancel=True, limiter=self._threads
                ):
                    taken.add(index)
        count = len(self._services)
        if len(taken) == count:
            return Receipt(detail=f"taken by {count} of {count}")
        said = "; ".join(lines) or "no reason given"
        reason = f"taken by {len(taken)} of {count}: {said}"
        raise SendError(redact(reason, *self._secrets), permanent=False)

    async def close(self) -> None:
        """Nothing to give back: each request of Apprise has its own connection."""

    def _remembered(self, sent_as: str) -> set[int]:
        taken = self._taken.setdefault(sent_as, set())
        self._taken.move_to_end(sent_as)
        while len(self._taken) > REMEMBERED_MAX:
            self._taken.popitem(last=False)
        return taken


def services(urls: str) -> list[Apprise]:
    """Build one Apprise for each URL, so that each has an outcome of its own."""
    try:
        from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - an optional extra
    except ImportError:
        missing = "apprise: is not installed: pip install 'sidewatch[apprise]'"
        raise ExtraMissingError(missing) from None
    _quiet()
    built = []
    for number, url in enumerate(urls.split(), 1):
        asset = AppriseAsset(app_id="Sidewatch", app_desc="Sidewatch", async_mode=False)
        service: Any = Apprise.instantiate(url, asset=asset)
        if service is None:
            raise ValueError(f"apprise urls: number {number} is no URL that Apprise understands")
        service.retry = 0  # the outbox tries again, durably
        service.optional = False  # or Apprise would call a failure a success
        one = Apprise(asset=asset)
        one.add(service)
        built.append(one)
    if not 1 <= len(built) <= URLS_MAX:
        raise ValueError(f"apprise urls: must be 1 to {URLS_MAX}, separated by spaces")
    return built


def pieces(urls: str) -> tuple[str, ...]:
    """List what of the URLs an answer could give away, the longest first."""
    found = {urls}
    for url in urls.split():
        rest = url.partition("://")[2]
        values = (piece.partition("=")[2] or piece for piece in _PIECES.split(rest))
        found |= {url, rest, *(text for value in values for text in (value, unquote(value)))}
    long = (text for text in found if len(text) >= SECRET_CHARS_MIN)
    return tuple(sorted(long, key=len, reverse=True))


def _notify(service: Apprise, wording: Wording, notice: Notice) -> bool:
    """Let one service send; in a thread of its own. True if it was accepted."""
    from apprise import NotifyFormat, NotifyType  # noqa: PLC0415

    kinds = {
        "critical": NotifyType.FAILURE,
        "warning": NotifyType.WARNING,
        "info": NotifyType.INFO,
    }
    over = notice.over or notice.kind == "resolved"
    kind = NotifyType.SUCCESS if over else kinds[notice.severity]
    plugin: Any = service[0]
    title_max = plugin.title_maxlen or 256  # 0: Apprise puts the title above the body
    title = fit(inert(wording.title), title_max)
    # Half of the room: a service may count bytes, and escape.
    body = wording.below_title(max(200, plugin.body_maxlen // 2 - len(title)))
    return bool(
        service.notify(
            body=inert(body), title=title, notify_type=kind, body_format=NotifyFormat.TEXT
        )
    )


def inert(text: str) -> str:
    """Text in which no service finds a mention."""
    return _MENTION.sub("\\g<0>\u200b", text)


class _Ear(logging.Handler):
    """Keeps the last warnings, which hold the services' own answers."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        del self.lines[:-LINES_KEPT]


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Listen to what Apprise warns of, from whatever thread."""
    ear = _Ear()
    logger = logging.getLogger("apprise")
    logger.addHandler(ear)
    try:
        yield ear.lines
    finally:
        logger.removeHandler(ear)


def _quiet() -> None:
    """Keep URLs out of the log: Apprise and urllib3 write them at DEBUG, some plugins louder."""
    ours = logging.getLogger("apprise")
    ours.setLevel(logging.WARNING)
    ours.propagate = False
    logging.getLogger("urllib3").setLevel(logging.ERROR)

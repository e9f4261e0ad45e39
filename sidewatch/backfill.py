"""Import a trade history: read and judged whole by default, sent only when that is asked for.

Every line is held to the wire's own rules; what is refused is reported with its line and reason,
and the good ones are sent in batches. Sending twice is harmless: ids make duplicates.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import IO

import click
import httpx

from actors import codec, repeat
from actors.codec import BadBatch
from actors.messages import Trade
from config.names import printable
from config.settings import Settings
from sidewatch.lines import Line, lines, opened
from sidewatch.near import is_near
from sidewatch.operator import OperatorError, base_url, known_secret, unreachable
from sidewatch.refused import Refused

BATCH_LINES = 500
BATCH_BYTES_MAX = 512 * 1024
LINES_MAX = 5_000_000
SYMBOLS_SHOWN = 10
PASSED_MAX = 20
CONTENT = 2**32 - 1  # how much of a hash tells content apart
TRIES = 5
TIMEOUT_S = 60.0


@dataclass(slots=True)
class Report:
    """What a file holds, and what became of it. `since`: before that retention has settled all."""

    since: datetime | None = None
    settled: int = 0
    good: int = 0
    repeated: int = 0
    first: datetime | None = None
    last: datetime | None = None
    pnl: dict[str, Decimal] = field(default_factory=dict)
    symbols: Counter[str] = field(default_factory=Counter)
    bots: Counter[str] = field(default_factory=Counter)
    refused: Refused = field(default_factory=Refused)
    accepted: int = 0
    duplicates: int = 0
    passed: dict[str, None] = field(default_factory=dict)  # in the order they came

    def count(self, trade: Trade) -> None:
        """Count one good trade."""
        closed = trade.closed_at
        assert closed is not None  # `actors.codec` completes every trade
        self.good += 1
        self.settled += self.since is not None and closed < self.since
        self.first = closed if self.first is None else min(self.first, closed)
        self.last = closed if self.last is None else max(self.last, closed)
        currency = trade.currency or ""
        self.pnl[currency] = self.pnl.get(currency, Decimal(0)) + trade.pnl
        self.symbols[trade.symbol] += 1
        self.bots[trade.bot] += 1


# ---------------------------------------------------------------- reading


def batches(every: Iterator[Line], report: Report) -> Iterator[list[Line]]:
    """Return the readable lines in bounded batches; what cannot be read goes into the report.

    A batch is dealt with before the next is asked for: what was refused is settled in between.
    """
    batch: list[Line] = []
    size = 0
    for count, line in enumerate(every, 1):
        if count > LINES_MAX:
            raise OperatorError(f"more than {LINES_MAX} lines: split the file")
        if line.passed and len(report.passed) < PASSED_MAX:
            report.passed.update(dict.fromkeys(line.passed))
        full = len(batch) >= BATCH_LINES or size + len(line.data) > BATCH_BYTES_MAX
        if (batch and full) or report.refused.unsettled >= BATCH_LINES:
            if batch:
                yield batch
            report.refused.settle()
            batch, size = [], 0
        if line.error:
            report.refused.add(line.number, line.error)
        else:
            batch.append(line)
            size += len(line.data) + 1
    if batch:
        yield batch


def judged(batch: list[Line], report: Report, seen: dict[str, int], now: datetime) -> list[Line]:
    """Hold a batch to the wire's rules; returns the good lines, each id once.

    `seen` has of each id the line that it stood in first, and a hash of what it said.
    """
    good, bad = codec.read(b"\n".join(line.data for line in batch), codec.NDJSON, now)
    for item in bad:
        report.refused.add(batch[item.index].number, item.error)
    kept = []
    for index, event in good:
        assert isinstance(event, Trade)  # `tradefile` makes nothing else
        key = codec.key(event) or ""
        number = batch[index].number
        mine = number << 32 | hash(repeat.content(event)) & CONTENT
        first = seen.setdefault(key, mine)
        if first == mine:
            report.count(event)
            kept.append(batch[index])
        elif first & CONTENT == mine & CONTENT:
            report.repeated += 1
        else:
            known = f"id {event.id!r} stands in line {first >> 32} with other content"
            report.refused.add(number, f"{known}: {repeat.remedy(event)}")
    return kept


# ---------------------------------------------------------------- sending


class Sender:
    """Posts batches to a running Sidewatch; a busy one is tried again, TRIES times."""

    def __init__(self, settings: Settings, url: str | None) -> None:
        self._base = base_url(settings, url)
        token = known_secret(settings, "ingest_token")
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": codec.NDJSON,
        }
        near = is_near(self._base)
        self._client = httpx.Client(base_url=self._base, timeout=TIMEOUT_S, trust_env=not near)

    def send(self, batch: list[Line], report: Report) -> None:
        """Send one batch. Raises OperatorError; what was sent before stays."""
        body = b"\n".join(line.data for line in batch)
        answer = self._post(body)
        if answer.status_code not in (200, 422):
            raise OperatorError(f"{self._base}: {answer.status_code}: {answer.text[:200]}")
        try:
            result = answer.json()
            refused = [
                (batch[int(item["index"])].number, str(item["error"]))
                for item in [*result["rejected"], *result.get("conflicts", ())]
            ]
            accepted, duplicates = int(result["accepted"]), int(result["duplicates"])
        except (ValueError, LookupError, TypeError, AttributeError):
            said = f"{answer.status_code}: {answer.text[:200]}"
            raise OperatorError(f"{self._base}: {said}") from None
        report.accepted += accepted
        report.duplicates += duplicates
        for number, why in refused:
            report.refused.add(number, why)

    def _post(self, body: bytes) -> httpx.Response:
        waits_s = [2.0**attempt for attempt in range(TRIES - 1)]
        while True:
            try:
                answer = self._client.post("/api/v1/events", content=body, headers=self._headers)
            except (httpx.HTTPError, httpx.InvalidURL) as error:  # run again: ids make duplicates
                raise unreachable(self._base, error) from error
            if answer.status_code not in (429, 503) or not waits_s:
                return answer
            time.sleep(waits_s.pop(0))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


# ---------------------------------------------------------------- the command


def run(
    settings: Settings,
    path: Path,
    *,
    bot: str,
    zone: tzinfo | None,
    apply: bool,
    url: str | None,
    refused_path: Path | None,
) -> bool:
    """Import a file, or (without `apply`) only judge it; false where a line was refused.

    False, too, where there is no trade. Raises OperatorError.
    """
    if refused_path is not None and refused_path.exists() and refused_path.samefile(path):
        raise OperatorError(f"--refused {refused_path}: is the file to import")
    sender = Sender(settings, url) if apply else None
    with _listing(refused_path) as listed:
        report = Report(None if apply else _settled_before(settings), refused=Refused(listed))
        seen: dict[str, int] = {}
        try:
            with opened(path) as file:
                for batch in batches(lines(file, path, bot, zone), report):
                    _take(batch, report, seen, sender)
        finally:
            report.refused.settle()
            if sender is not None:
                sender.close()
                click.echo(f"sent: {report.accepted} accepted, {report.duplicates} known before")
    _show(report, path)
    if not apply:
        click.echo("dry run: nothing was sent; --apply sends it")
    return not report.refused.count and report.good > 0


def _settled_before(settings: Settings) -> datetime | None:
    """Before which instant a Sidewatch with these settings has settled everything."""
    if not settings.metrics.retention_days:
        return None
    from actors.metrics.horizon import Horizon  # noqa: PLC0415 - brings numpy, which takes long

    horizon = Horizon(settings.metrics.retention_days, settings.metrics.zone)
    horizon.move(datetime.now(UTC))
    return horizon.since


def _take(batch: list[Line], report: Report, seen: dict[str, int], sender: Sender | None) -> None:
    try:
        good = judged(batch, report, seen, datetime.now(UTC))
    except BadBatch as error:  # cannot be by what `batches` yields; said rather than lost
        raise OperatorError(f"line {batch[0].number}: {error}") from error
    if sender is not None and good:
        sender.send(good, report)


def _show(report: Report, path: Path) -> None:
    click.echo(f"{path.name}: {_count(report.good, 'trade')}{_span(report)}")
    for name, count in sorted(report.bots.items()):
        click.echo(f"  bot {name}: {count}")
    for currency, pnl in sorted(report.pnl.items()):
        click.echo(f"  P&L {pnl} {currency or '(no currency named)'}")
    shown = ", ".join(f"{s} {n}" for s, n in report.symbols.most_common(SYMBOLS_SHOWN))
    if shown:
        click.echo(f"  {_count(len(report.symbols), 'symbol')}: {printable(shown)}")
    for remark in _remarks(report):
        click.echo(f"  {remark}")
    refused = report.refused
    if refused.count:
        click.secho(f"refused: {refused.count}", fg="red", bold=True)
        for number, reason in refused.first:
            click.echo(f"  line {number}: {reason}")
        if refused.count > len(refused.first):
            more = refused.count - len(refused.first)
            click.echo(f"  and {more} more (--refused FILE lists all)")
    elif not report.good:
        what = "only a header" if path.suffix.lower() == ".csv" else "no line"
        click.secho(f"no trade: the file has {what}", fg="red", bold=True)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _remarks(report: Report) -> Iterator[str]:
    if report.passed:
        names = ", ".join(name[:40] for name in list(report.passed)[:PASSED_MAX])
        yield f"passed over, as a trade has none: {printable(names)}"
    if report.repeated:
        yield f"{report.repeated} repeat an id of the file, and are left out"
    if report.settled and report.since is not None:
        told = f"closed before {report.since.isoformat()}: refused where they are not known, by"
        yield f"{report.settled} {told} metrics.retention_days"


def _span(report: Report) -> str:
    if report.first is None or report.last is None:
        return ""
    return f", closed {report.first.isoformat()} to {report.last.isoformat()}"


@contextmanager
def _listing(path: Path | None) -> Iterator[IO[str] | None]:
    """Open the list of refused lines, where one is wanted; raises OperatorError naming it."""
    if path is None:
        yield None
        return
    try:
        with path.open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise OperatorError(f"--refused {path}: {error.strerror}") from None

"""The record: every attempt to send, append-only and redacted, the newest 20,000 of them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from runtime.store import Entry, Tx

STREAM = "attempt"
KEPT = 20_000
SHOWN_MAX = 500


class Attempt(Struct, frozen=True):
    """One attempt, as the record keeps it. `answer` is redacted."""

    notice: str
    alert: str
    channel: str
    attempt: int
    ok: bool
    answer: str
    ms: float


class Made(Struct, frozen=True):
    """One attempt as history shows it: when, on which channel, and what the provider said."""

    at: datetime
    notice: str
    channel: str
    attempt: int
    ok: bool
    answer: str
    ms: float


_attempt = msgspec.json.Decoder(Attempt)


def append(tx: Tx, attempt: Attempt, at: float) -> None:
    """Add an attempt made at that unix second."""
    tx.journal.append([Entry(STREAM, msgspec.json.encode(attempt), at)])


def of_alert(tx: Tx, alert_id: str) -> list[Made]:
    """Return the newest 500 attempts of one alert, oldest first."""
    mark = f'"{alert_id}"'.encode()
    made: list[Made] = []
    for row in tx.journal.last(STREAM, KEPT):
        if mark in row.data and len(made) < SHOWN_MAX:
            made.append(_made(_attempt.decode(row.data), row.at))
    return made[::-1]


def _made(attempt: Attempt, at: float) -> Made:
    return Made(
        at=datetime.fromtimestamp(at, UTC),
        notice=attempt.notice,
        channel=attempt.channel,
        attempt=attempt.attempt,
        ok=attempt.ok,
        answer=attempt.answer,
        ms=attempt.ms,
    )

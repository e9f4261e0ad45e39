"""Wording: a notice as text that is the same on every channel, printable and unescaped.

Control characters, bidirectional overrides and lone surrogates never reach a channel.
Every message carries the alert's short id, what was suppressed and what is held back.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from actors.messages import Notice

TITLE_CHARS_MAX = 256
FACTS_MAX = 40
ELLIPSIS = "…"

_SEVERITY = {"critical": "🔴 CRITICAL", "warning": "🟠 WARNING", "info": "🔵 INFO"}
_KIND = {"resolved": "🟢 RESOLVED", "digest": "📋 DIGEST", "test": "🧪 TEST"}
_BREAKS = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Wording(Struct, frozen=True):
    """The parts of a message in reading order; every part but `text` is a single line."""

    title: str
    text: str
    facts: list[tuple[str, str]]
    notes: list[str]
    footer: str
    url: str

    @property
    def closing(self) -> list[str]:
        """The lines that no cut may take: counts, the short id and instant, the link."""
        return [*self.notes, self.footer, *([self.url] if self.url else [])]

    def below_title(self, limit: int, size: Callable[[str], int] = len) -> str:
        """All but the title in at most `limit`, measured by `size`; cut before the closing."""
        closing = "\n".join(self.closing)
        middle = "\n".join(
            [
                *([self.text] if self.text else []),
                *(f"{name}: {value}" for name, value in self.facts),
            ]
        )
        room = limit - size(closing) - 1
        if not middle or room < 1:
            return fit(closing, limit, size)
        return f"{fit(middle, room, size)}\n{closing}"

    def plain(self, limit: int, size: Callable[[str], int] = len) -> str:
        """Join the whole message in at most `limit`, measured by `size`."""
        title = fit(self.title, limit, size)
        room = limit - size(title) - 1
        return f"{title}\n{self.below_title(room, size)}" if room > 0 else title


Words = Callable[[Notice], Wording]


def word(notice: Notice) -> Wording:
    """Put a notice into words."""
    facts = [(one_line(name), one_line(value)) for name, value in notice.facts[:FACTS_MAX]]
    notes = []
    if len(notice.facts) > FACTS_MAX:
        notes.append(f"{len(notice.facts) - FACTS_MAX} more facts on the page")
    notes += [one_line(remark) for remark in notice.remarks]
    if notice.suppressed:
        notes.append(_rolled_up(notice))
    if notice.held:
        notes.append(f"{notice.held} held back for a digest")
    return Wording(
        title=_title(notice),
        text=clean(notice.text).strip(),
        facts=facts,
        notes=notes,
        footer=f"Alert {one_line(notice.alert_id)} · {instant(notice.at)}",
        url=one_line(notice.url),
    )


def _rolled_up(notice: Notice) -> str:
    """Say what was only counted: "+37 in 5 min, worst: Drawdown 8.10% today"."""
    span = f"in {duration(notice.span_s)}" if notice.span_s >= 1 else "suppressed"
    worst = f", worst: {one_line(notice.worst)}" if notice.worst else ""
    return f"+{notice.suppressed} {span}{worst}"


def duration(seconds: float) -> str:
    """Write a time in its largest fitting unit: "40 s", "5 min", "3 h", "2 d"."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= (1.5 if unit == "min" else 2) * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clean(text: str) -> str:
    """Text without control characters (line breaks and tabs stay), overrides or surrogates."""
    if text.isascii() and text.isprintable():
        return text
    return _SURROGATE.sub("\ufffd", _UNPRINTABLE.sub("", _BREAKS.sub("\n", text)))


def one_line(text: str) -> str:
    """Clean text and bring it on one line, with single spaces."""
    return " ".join(clean(text).split())


def instant(at: datetime) -> str:
    """Write an instant in UTC to the second, such as "2026-11-24 08:21:03 UTC"."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def utf16_units(text: str) -> int:
    """Length as Slack's and Telegram's own clients count it: an emoji is two."""
    return len(text.encode("utf-16-le", "replace")) // 2


def fit(text: str, limit: int, size: Callable[[str], int] = len) -> str:
    """Keep as much of the beginning as has `size` <= `limit`, and mark where it was cut.

    `size` must grow by at least one with each character, and count the ellipsis as one.
    """
    text = text[: max(limit, 0) + 1]  # no more can fit: a huge text is measured no further
    if size(text) <= limit:
        return text
    if limit < 1:
        return ""
    lengths = range(len(text) + 1)
    kept = bisect_right(lengths, limit - 1, key=lambda length: size(text[:length])) - 1
    return text[:kept].rstrip() + ELLIPSIS


def mark(notice: Notice) -> str:
    """Say in a colour and a word what kind of message it is, or how severe.

    What is over is shown as resolved, also where one message tells its beginning and its end.
    """
    if notice.over:
        return _KIND["resolved"]
    if notice.kind == "reminder":
        return f"{_SEVERITY[notice.severity]} REMINDER"
    return _KIND.get(notice.kind, _SEVERITY[notice.severity])


def _title(notice: Notice) -> str:
    parts = [mark(notice), one_line(notice.bot), one_line(notice.title)]
    return fit(" · ".join(part for part in parts if part), TITLE_CHARS_MAX)

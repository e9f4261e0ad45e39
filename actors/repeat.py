"""Repeats: an id that came before is a duplicate, unless it now says something else.

What was said first stands; whoever says it differently is told so, rather than believed or ignored
in silence. Where what was said first is no longer known, the repeat counts as a plain duplicate.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from io import BytesIO
from itertools import islice

import msgspec

from actors import codec
from actors.messages import Event, Trade

EARLIER_BYTES_MAX = 2 * 1024 * 1024
PIECE = 250  # lines compared before others have their turn: 3 ms where all differ
SHOWN_CHARS_MAX = 40


class _Named(msgspec.Struct):
    """What the key of an event follows from; to read no more is a tenth of the whole."""

    type: str
    bot: str
    id: int | str
    revision: int = 0


_named = msgspec.json.Decoder(_Named)


def conflicts(
    repeated: Sequence[tuple[int, Event]], earlier: bytes
) -> Iterator[list[tuple[int, str]]]:
    """Find which of the repeated events differ from the journaled ones, and in what.

    `earlier` are journaled events, one a line, among them those that had these ids first. They are
    read a piece at a time, so that an event loop can see to others in between, and only those with
    these ids as a whole.
    """
    wanted: dict[str, list[tuple[int, Event]]] = {}
    for index, event in repeated:
        wanted.setdefault(codec.key(event) or "", []).append((index, event))
    lines = BytesIO(earlier)
    while wanted and (piece := list(islice(lines, PIECE))):
        found: list[tuple[int, str]] = []
        for line in piece:
            events = wanted.pop(_key(line), None)
            if events is not None:
                found += _differing(line.rstrip(b"\n"), events)
        yield found


def _key(line: bytes) -> str:
    try:
        named = _named.decode(line)
    except msgspec.MsgspecError:
        return "?"
    return f"{named.type}|{named.bot}|{named.id}|{named.revision}"


def _differing(line: bytes, events: list[tuple[int, Event]]) -> list[tuple[int, str]]:
    """Return those that say something else than the line that was journaled first."""
    suspects = [(index, event) for index, event in events if codec.encode(event) != line]
    first = codec.known(line) if suspects else None
    if first is None:
        return []
    return [
        (index, _error(event, other))
        for index, event in suspects
        if (other := differing(first, event))
    ]


def content(event: Event) -> Hashable:
    """Return what is equal for two events that say the same, however they write it."""
    return tuple(_value(event, name) for name in event.__struct_fields__)


def differing(first: Event, event: Event) -> list[str]:
    """Return the fields in which two events of one type differ."""
    names = event.__struct_fields__
    return [name for name in names if _value(first, name) != _value(event, name)]


def remedy(event: Event) -> str:
    """Return what to do about an event that was ignored since its id is known."""
    if isinstance(event, Trade):
        return "ignored; a correction needs a higher `revision`"
    return "ignored; another event needs an id of its own"


def _value(event: Event, name: str) -> Hashable:
    if name == "id":
        return str(getattr(event, name))
    if name == "at" and isinstance(event, Trade):
        return None  # closed_at has it
    value: Hashable = getattr(event, name)
    return value


def _error(event: Event, other: Sequence[str]) -> str:
    """Return the error; it keeps what was said first to itself: who sends may not read."""
    shown = str(getattr(event, "id", ""))[:SHOWN_CHARS_MAX]
    return f"id {shown!r} is known with another {', '.join(other)}: {remedy(event)}"

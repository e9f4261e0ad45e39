"""Repeats: an id that came before is a duplicate, unless it now says something else.

What was said first stands; whoever says it differently is told so, rather than believed or ignored
in silence. Where what was said first is no longer known, the repeat counts as a plain duplicate.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from actors import codec
from actors.messages import Event, Trade

EARLIER_BYTES_MAX = 2 * 1024 * 1024
SHOWN_CHARS_MAX = 40


def conflicts(repeated: Sequence[tuple[int, Event]], earlier: bytes) -> list[tuple[int, str]]:
    """Return which of the repeated events differ from the journaled ones, and in what.

    `earlier` are journaled events, one a line, among them those that had these ids first.
    """
    lines = set(earlier.split(b"\n"))
    suspects = [(index, e) for index, e in repeated if codec.encode(e) not in lines]
    if not suspects:
        return []
    known = {codec.key(e): e for line in lines if (e := codec.known(line)) is not None}
    found = []
    for index, event in suspects:
        first = known.get(codec.key(event))
        if first is not None and (other := differing(first, event)):
            found.append((index, _error(event, other)))
    return found


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

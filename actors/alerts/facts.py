"""Facts: what messages show beside their text, as (label, value) pairs a person can read."""

from __future__ import annotations

from datetime import UTC, datetime

from actors.messages import PositionState

SINCE = "Since"
LASTED = "Lasted"
OPEN_POSITIONS = "Open positions"


def places(positions: PositionState) -> str:
    """Return how many positions are open, of how many where that is known; "" where nobody said."""
    if positions.open is None:
        return ""
    return f"{positions.open} of {positions.limit}" if positions.limit else str(positions.open)


def open_positions(positions: PositionState) -> list[tuple[str, str]]:
    """Return the fact of the open positions; none where the bot has not told of any."""
    said = places(positions)
    return [(OPEN_POSITIONS, said)] if said else []


def instant(at: datetime | None) -> str:
    """Return an instant as a fact shows it, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at is not None else "never"


def span(seconds: float) -> str:
    """Return a time in its two largest units, such as "5 min 12 s"; never below zero."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part) or "0 s"

"""An alert's id: eight characters that sort by time and can be read aloud."""

from __future__ import annotations

from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: nothing to confuse when read aloud
_EPOCH_MS = 1_767_225_600_000  # 2026-01-01
_CLOCK_DIGITS = 8


def new_id(at: datetime, after: str) -> str:
    """Return a short id that sorts by time, and after the one given before."""
    number = max(0, int(at.timestamp() * 1_000) - _EPOCH_MS)
    if after:
        number = max(number, _number(after) + 1)
    digits = []
    for _ in range(_CLOCK_DIGITS):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def is_id(text: str) -> bool:
    """Say whether this can be an alert's id."""
    return len(text) == _CLOCK_DIGITS and set(text) <= set(_ALPHABET)


def _number(alert_id: str) -> int:
    number = 0
    for digit in alert_id:
        number = number * 32 + _ALPHABET.index(digit)
    return number

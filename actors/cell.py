"""A text in a spreadsheet's cell: never a formula, and read back as it was.

A program that opens a CSV file reckons what begins with = + - @, and what a tab or a line break
hides from its eyes; a symbol of somebody else's choice could call out from there. An apostrophe
before it makes it text (OWASP, CSV Injection). Numbers need none.
"""

from __future__ import annotations

import re

TEXTS = frozenset({"bot", "id", "symbol", "side", "currency"})  # columns

# Apostrophes of the text's own count in, so that one is taken off where one was put on.
_FORMULA = re.compile("'*[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]")


def shielded(text: str) -> str:
    """Return a text as a cell may hold it."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain(cell: str) -> str:
    """Return the text of a cell."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell, 1) else cell

"""A text in a spreadsheet's cell: never a formula, and read back as it was.

A program that opens a CSV file reckons what begins with = + - @, and what a tab or a line break
hides from its eyes; a symbol of somebody else's choice could call out from there. An apostrophe
before it makes it text (OWASP, CSV Injection). Numbers need none. A text with white space at an end
has one, too: without it an import takes that for what a person put around a comma.
"""

from __future__ import annotations

import re

TEXTS = frozenset({"bot", "id", "symbol", "side", "currency"})  # columns

_FORMULA = re.compile("[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]")


def shielded(text: str) -> str:
    """Return a text as a cell may hold it."""
    return f"'{text}" if _needs_shield(text) else text


def plain(cell: str) -> str:
    """Return the text of a cell, without the white space that a person may have put around it."""
    bare = cell.strip()
    for one in (cell, bare):
        if one.startswith("'") and _needs_shield(one[1:]):
            return one[1:]
    return bare


def _needs_shield(text: str) -> bool:
    bare = text.lstrip("'")  # so that of the text's own apostrophes none is taken for ours
    return bare != bare.strip() or _FORMULA.match(bare) is not None

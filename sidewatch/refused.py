"""Lines that an import refuses: counted all, in memory the first few, written down where asked.

`settle` ends a stretch of the file: what was refused in it comes in the order of its lines, and
before what the next stretch has.
"""

from __future__ import annotations

import json
from typing import IO

Refusal = tuple[int, str]
SHOWN = 20


class Refused:
    """What was refused, as (line, reason): `count` of them, `first` the first SHOWN.

    `file` takes every one as a JSON line. What is not settled yet is not in `first`.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        self.count = 0
        self.first: list[Refusal] = []
        self._file = file
        self._open: list[Refusal] = []

    def add(self, line: int, why: str) -> None:
        """Count one."""
        self.count += 1
        self._open.append((line, why))

    @property
    def unsettled(self) -> int:
        """How many wait to be put in order."""
        return len(self._open)

    def settle(self) -> None:
        """Put in order what was added, and write it. Raises OSError."""
        ordered, self._open = sorted(self._open), []
        self.first += ordered[: SHOWN - len(self.first)]
        if self._file is not None:
            for line, why in ordered:
                self._file.write(json.dumps({"line": line, "error": why}) + "\n")

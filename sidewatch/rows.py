"""Rows of a CSV file, of which a stray quote takes no more than its own line.

A quote that is not closed makes one cell of the lines behind it, as far as the next quote or the
longest cell. They may be good rows, so reading goes on with the second of them.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

CELL_MAX: Final = 65_536
TEXTS_MAX: Final = {"id": 128, "symbol": 64}  # what may have a line break in it at all
NOT_CLOSED: Final = "a quote that is not closed"


class RowsError(ValueError):
    """A row that cannot be read."""


class Rows(Iterator[str]):
    """Reads lines with their ends, a row at a time. `line` is the number of a row's first line."""

    def __init__(self, lines: Iterable[str]) -> None:
        csv.field_size_limit(CELL_MAX)
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._taken: list[str] = []  # of the last row
        self._before = 0
        self._reader = csv.reader(self, strict=True)

    def __next__(self) -> str:
        """Give the reader a line; at the end it may come back for those of a broken row."""
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        return line

    @property
    def line(self) -> int:
        """Where the last row began."""
        return self._before + 1

    def row(self) -> list[str] | None:
        """Return the cells of the next row, which has none where a line is empty; None at the end.

        Raises RowsError.
        """
        self._before += len(self._taken)
        self._taken.clear()
        try:
            return next(self._reader, None)
        except csv.Error as error:
            broken = len(self._taken) > 1 or "unexpected end" in str(error)
            raise self.broken() if broken else RowsError(str(error)) from None

    def broken(self) -> RowsError:
        """Return the error of a row whose lines, but the first, are to be read once more."""
        self._again.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]
        return RowsError(NOT_CLOSED)


def swallowed(row: Mapping[str, str]) -> bool:
    """Whether a trade's cell has a line break where no trade can have one."""
    return any(
        ("\n" in cell or "\r" in cell) and len(cell) > TEXTS_MAX.get(name, 0)
        for name, cell in ((name, cell.strip()) for name, cell in row.items())
    )

"""Lines of a trade history in a file: each as the wire would have it, or why it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import IO, Any, NamedTuple

from actors.sources import tradefile
from actors.sources.tradefile import RowError
from sidewatch.operator import OperatorError
from sidewatch.rows import Rows, RowsError, swallowed

LINE_BYTES_MAX = 65_536


class Line(NamedTuple):
    """One line of the file: its number, and its JSON for the wire or why there is none.

    `passed` are its columns that a trade does not have.
    """

    number: int
    data: bytes
    error: str = ""
    passed: Sequence[str] = ()


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """Open a text file; raises OperatorError naming it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError:
        raise OperatorError(f"{path}: line {_not_utf8(path)}: not UTF-8 text") from None
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}") from None


def _not_utf8(path: Path) -> int:
    """Return the first line that is no UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def lines(file: IO[str], path: Path, bot: str, zone: tzinfo | None) -> Iterator[Line]:
    """Return each line of a `.csv` or `.jsonl` file as the wire would have it."""
    if path.suffix.lower() == ".csv":
        return _csv_lines(file, path, bot, zone)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return _json_lines(file, bot, zone)
    raise OperatorError(f"{path}: needs to end in .csv, .jsonl or .ndjson")


def _csv_lines(file: IO[str], path: Path, bot: str, zone: tzinfo | None) -> Iterator[Line]:
    rows = Rows(file)
    try:
        header = [name.strip() for name in rows.row() or ()]
        tradefile.check_header(header, bot=bot)
    except (RowsError, RowError) as error:
        raise OperatorError(f"{path}: line 1: {error}") from None
    passed = tradefile.strays(header)
    while True:
        try:
            cells = rows.row()
            if cells is None:
                return
            if cells:
                yield Line(rows.line, _from_cells(rows, header, cells, bot, zone), passed=passed)
        except (RowsError, RowError) as error:
            yield Line(rows.line, b"", str(error))


def _from_cells(
    rows: Rows, header: list[str], cells: list[str], bot: str, zone: tzinfo | None
) -> bytes:
    row: dict[str | None, Any] = dict(zip(header, cells, strict=False))
    if swallowed({name: row[name] for name in tradefile.COLUMNS if name in row}):
        raise rows.broken()
    row[None] = cells[len(header) :]
    return tradefile.from_row(row, bot=bot, zone=zone)


def _json_lines(file: IO[str], bot: str, zone: tzinfo | None) -> Iterator[Line]:
    number = 0
    while text := file.readline(LINE_BYTES_MAX):
        number += 1
        if len(text) == LINE_BYTES_MAX and not text.endswith("\n"):
            while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith("\n"):
                pass
            yield Line(number, b"", f"longer than {LINE_BYTES_MAX} characters")
            continue
        if not text.strip():
            continue
        try:
            data, passed = tradefile.from_line(text.encode(), bot=bot, zone=zone)
            yield Line(number, data, passed=passed)
        except RowError as error:
            yield Line(number, b"", str(error))

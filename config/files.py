"""Reading a small file that an operator named: bounded, and never waiting for a pipe's writer."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from config.names import printable


class UnreadableError(ValueError):
    """Why a file cannot be read; the message holds neither its path nor its content."""


def read(path: Path | str, bytes_max: int) -> bytes:
    """Give a regular file's content. Raises UnreadableError, also beyond `bytes_max` bytes."""
    try:
        # O_NONBLOCK: to open a pipe that nobody writes to would hold up the start for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            raw = file.read(bytes_max + 1) if regular else b""
    except OSError as error:
        raise UnreadableError(error.strerror or "not readable") from None
    except ValueError:  # a NUL or a lone surrogate
        raise UnreadableError("not a path") from None
    if not regular:
        raise UnreadableError("not a regular file")
    if len(raw) > bytes_max:
        raise UnreadableError(f"more than {bytes_max} bytes")
    return raw


def text(path: Path | str, bytes_max: int) -> str:
    """Give a UTF-8 file's text, without its byte order mark. Raises UnreadableError."""
    raw = read(path, bytes_max)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"not UTF-8 text (at line {line})") from None


def expanded(path: Path, environ: Mapping[str, str]) -> Path:
    """Put the home in the place of a path's `~`. Raises UnreadableError."""
    first = path.parts[0] if path.parts else ""
    if not first.startswith("~"):
        return path
    if first != "~":
        raise UnreadableError(f"cannot expand {printable(first)}: write it in full")
    try:
        home = environ.get("HOME") or str(Path.home())
    except RuntimeError:  # neither HOME nor an entry in the user database
        home = ""
    if not home.startswith("/") or not home.isprintable():
        raise UnreadableError("cannot expand ~: HOME is not an absolute path")
    return Path(home, *path.parts[1:])

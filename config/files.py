"""Reading a small file that an operator named: bounded, and never waiting for a pipe's writer."""

from __future__ import annotations

import os
import stat
from pathlib import Path


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

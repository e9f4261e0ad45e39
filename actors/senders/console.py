"""Console: each notice as one block of lines on a terminal that no notice can control."""

from __future__ import annotations

import sys
from typing import TextIO

from actors.messages import Notice
from actors.senders.channel import Receipt, SendError
from actors.senders.wording import Wording, Words, word

LINES_CHARS_MAX = 20_000


class ConsoleChannel:
    """A text stream, standard error unless another is given; never closed by us.

    A weakness: a terminal or pipe that nobody reads blocks the writer, as it blocks the log.
    """

    name = "console"
    rate_s = 0.0

    def __init__(self, stream: TextIO | None = None, *, words: Words = word) -> None:
        self._stream = stream
        self._words = words

    async def send(self, notice: Notice) -> Receipt:
        """Write and flush one block; raises a transient SendError if the stream is gone."""
        stream = self._stream or sys.stderr
        block = lines(self._words(notice)).encode(stream.encoding or "utf-8", "backslashreplace")
        try:
            stream.write(block.decode(stream.encoding or "utf-8"))
            stream.flush()
        except (OSError, ValueError) as error:
            raise SendError(f"console: {type(error).__name__}", permanent=False) from None
        return Receipt(detail="written")

    async def close(self) -> None:
        """Leave the stream open: it belongs to the process."""


def lines(wording: Wording) -> str:
    """Lay a notice out: its title, indented lines and one empty line."""
    title, *rest = wording.plain(LINES_CHARS_MAX).split("\n")
    return "\n".join([title, *(f"    {line}".rstrip() for line in rest), "", ""])

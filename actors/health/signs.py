"""Signs of life that wait for health: the latest of each bot, however much else waits for it.

Whoever takes events in notes them here without waiting; health takes the news whenever it judges.
It outlives health's incarnations, so that a crash forgets nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.messages import Seen

NAMES_MAX = 1_024  # names, made up ones included; who was silent for longest makes room


class Signs:
    """The latest sign of each bot."""

    def __init__(self) -> None:
        self._of: dict[str, Seen] = {}
        self._news: dict[str, None] = {}

    def note(self, sign: Seen) -> None:
        """Take in a sign of life. What an earlier one said and this one does not still holds."""
        known = self._of.pop(sign.bot, None)
        if known is None and len(self._of) >= NAMES_MAX:
            gone = next(iter(self._of))
            del self._of[gone]
            self._news.pop(gone, None)
        self._of[sign.bot] = sign if known is None else _after(known, sign)
        self._news[sign.bot] = None

    def news(self) -> Iterator[Seen]:
        """Take what has been noted since the last time."""
        news, self._news = self._news, {}
        return (self._of[bot] for bot in news)

    def again(self) -> None:
        """Make news of everything, for a reader who has forgotten it."""
        self._news = dict.fromkeys(self._of)


def _after(known: Seen, sign: Seen) -> Seen:
    # Later is who comes later: the wall clock that stamps signs may have been set back.
    regular = known.regular or sign.regular
    return Seen(sign.bot, sign.at, sign.state or known.state, regular)

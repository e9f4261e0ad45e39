"""Hush: what is not to be told now, because it is silenced, or because it is a quiet time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from actors.alerts.commands import Silence, covers
from actors.alerts.quiet import Hours, is_quiet

QUIET = "held until the quiet hours end"
WINDOW = "held until the maintenance window ends"
LIMITED = "held by the hourly limit"
COMBINED = "held for a minute: more than 30 criticals in an hour"


class Hush:
    """The silences in force, the announced windows, and the quiet hours.

    `changed` says that a silence is to be written. Windows are the settings' and never are.
    """

    def __init__(self, quiet: Hours | None = None, windows: Iterable[Silence] = ()) -> None:
        self.quiet = quiet
        self.windows = list(windows)
        self.silences: dict[str, Silence] = {}
        self.changed = False

    def silence_of(self, trigger: str, bot: str, now: datetime) -> Silence | None:
        """Return the silence that keeps an alert quiet now."""
        silences = (s for s in self.silences.values() if not s.hold)
        return next((s for s in silences if covers(s, trigger, bot, now)), None)

    def waits(self, trigger: str, bot: str, now: datetime, *, count: bool = False) -> str:
        """Say why what is not critical about a bot's trigger waits now; empty: it goes.

        With `count`, what waits is counted on the window that makes it wait.
        """
        windows = [*self.windows, *(s for s in self.silences.values() if s.hold)]
        window = next((s for s in windows if covers(s, trigger, bot, now)), None)
        if window is not None and count:
            self.count(window)
        if window is not None:
            return WINDOW
        return QUIET if is_quiet(self.quiet, now) else ""

    def count(self, silence: Silence) -> None:
        """Count one message that a silence has kept."""
        if silence.id in self.silences:
            self.silences[silence.id] = replace(silence, kept=silence.kept + 1)
            self.changed = True
        else:
            self.windows = [
                replace(s, kept=s.kept + 1) if s.id == silence.id else s for s in self.windows
            ]

    def in_force(self, now: datetime) -> list[Silence]:
        """Return what has not ended, announced windows included; forget what has."""
        self.silences = {id_: s for id_, s in self.silences.items() if now < s.until}
        return [*(s for s in self.windows if now < s.until), *self.silences.values()]

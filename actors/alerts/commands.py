"""What people tell alerts to do: acknowledge, silence. Each is asked, and answered."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from runtime.ref import Declined

KEY = "silences"
SILENCES_MAX = 1_000


class Unknown(Declined):
    """There is no alert or silence of that id."""


class Invalid(Declined):
    """A field of a command says what cannot be meant."""


class NotStored(Declined):
    """The disk refuses: nothing has changed."""


class Acknowledge(Struct, frozen=True):
    """Stop the repeats of an open alert until it is resolved; answered with the Alert.

    Unknown where there is none of that id, Declined where it is over.
    """

    alert_id: str
    who: str = ""


class Silence(Struct, frozen=True):
    """Send nothing about what matches, from `since` until `until`. Empty trigger or bot: any.

    The kill switch is silenced only where `trigger` names it. With `hold` it is a maintenance
    window: what is not critical waits, and is told in one digest at its end; criticals pass.
    `kept` counts the messages that it kept quiet, or made wait.
    """

    id: str
    reason: str
    until: datetime
    created: datetime
    trigger: str = ""
    bot: str = ""
    since: datetime | None = None
    hold: bool = False
    kept: int = 0


class AddSilence(Struct, frozen=True):
    """Add a silence; answered with it. Its id is given by the actor."""

    reason: str
    until: datetime
    trigger: str = ""
    bot: str = ""
    since: datetime | None = None
    hold: bool = False


class RemoveSilence(Struct, frozen=True):
    """End a silence early; Unknown when there is none of that id."""

    id: str


class ListSilences(Struct, frozen=True):
    """Ask for the silences in force; answered with a list."""


def covers(silence: Silence, trigger: str, bot: str, now: datetime) -> bool:
    """Say whether a silence is about an alert now: keeps it quiet, or with `hold` lets it wait."""
    if now >= silence.until or (silence.since is not None and now < silence.since):
        return False
    if trigger == "kill_switch" and silence.trigger != "kill_switch":
        return False
    return silence.trigger in ("", trigger) and silence.bot in ("", bot)

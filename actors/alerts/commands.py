"""What people tell alerts to do: acknowledge, silence. Each is asked, and answered."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from actors.reason import FORMS
from config.oncall import REASON_CHARS_MAX
from config.rules import is_name
from runtime.ref import Declined

SILENCES_MAX = 1_000
SILENCE_MAX = timedelta(days=30)
ANY = "*"


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


class Commit(Struct, frozen=True):
    """Answered once all that earlier messages decided is on disk; NotStored where it is not."""


class AddSilence(Struct, frozen=True):
    """Add a silence; answered with it. Its id is given by the actor.

    A trigger or bot of "*" is any, as an empty one is. Invalid where a field cannot be meant.
    """

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


def checked(command: AddSilence, triggers: Sequence[str], now: datetime) -> AddSilence:
    """Return a silence as it is meant; raises Invalid naming the field. `triggers` are known."""
    command = replace(
        command,
        trigger="" if command.trigger == ANY else command.trigger,
        bot="" if command.bot == ANY else command.bot,
    )
    if not command.reason.strip():
        raise Invalid("reason: a silence needs one")
    if len(command.reason) > REASON_CHARS_MAX:
        raise Invalid(f"reason: needs at most {REASON_CHARS_MAX} characters")
    if command.bot and not is_name(command.bot):
        raise Invalid(f"bot: {FORMS['bot']}; {ANY} or nothing: any")
    if not now < command.until <= now + SILENCE_MAX:
        raise Invalid("until: needs to be within the next 30 days")
    if command.since is not None and command.since >= command.until:
        raise Invalid("since: needs to be before until")
    if command.trigger and command.trigger not in triggers:
        close = difflib.get_close_matches(command.trigger[:64], triggers, n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        known = ", ".join(triggers)
        raise Invalid(
            f"trigger: there is no {command.trigger[:64]!r}{hint} Known are {known};"
            f" {ANY} or nothing: any, but the kill switch only by its name"
        )
    return command


def covers(silence: Silence, trigger: str, bot: str, now: datetime) -> bool:
    """Say whether a silence is about an alert now: keeps it quiet, or with `hold` lets it wait."""
    if now >= silence.until or (silence.since is not None and now < silence.since):
        return False
    if trigger == "kill_switch" and silence.trigger != "kill_switch":
        return False
    return silence.trigger in ("", trigger) and silence.bot in ("", bot)

"""What routes and triggers must agree with: the channels that are on, and triggers that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from config.alerting import EVERYBODY, NOBODY, RESERVED, TRIGGERS, Routes, Rule, Trigger, chosen
from config.channels import CHANNELS
from config.names import Place, printable
from config.oncall import Window
from config.sections import Settings

Fault = tuple[Place, str]


def faults(settings: Settings) -> Iterator[Fault]:
    """Every fault of routes and triggers, each with the setting named."""
    on = settings.channels
    yield from _routes(("routes",), settings.routes, on)
    for name, trigger in settings.triggers.items():
        yield from _trigger(name, trigger)
        yield from _channels(("triggers", name, "channels"), trigger.channels, on)
    known = [*TRIGGERS, *settings.triggers]
    yield from _oncall(settings, on)
    for name, window in settings.maintenance.items():
        yield from _window(("maintenance", name), window, known)
    for bot, own in settings.bots.items():
        yield from _routes(("bots", bot, "routes"), own.routes, on)
        yield from _rules(("bots", bot, "triggers"), own.triggers, known, on)


def _oncall(settings: Settings, on: list[str]) -> Iterator[Fault]:
    yield from _channels(("oncall", "failover"), settings.oncall.failover, on)
    for name, rung in settings.escalation.items():
        if not rung.channels:
            yield ("escalation", name, "channels"), "is missing: who should hear of it?"
        yield from _channels(("escalation", name, "channels"), rung.channels, on)
    quiet = settings.quiet
    for key, other in (("start", "end"), ("end", "start")):
        if getattr(quiet, other) and not getattr(quiet, key):
            yield ("quiet", key), f"is missing, but quiet.{other} is set"
    if quiet.start and quiet.start == quiet.end:
        yield ("quiet", "end"), "is the same as quiet.start: would it ever end?"


def _window(place: Place, window: Window, known: list[str]) -> Iterator[Fault]:
    for key in ("start", "end", "reason"):
        if not getattr(window, key):
            yield (*place, key), "is missing"
            return
    if datetime.fromisoformat(window.end) <= datetime.fromisoformat(window.start):
        yield (*place, "end"), "must be after its start"
    if window.trigger and window.trigger not in known:
        hint = _hint(window.trigger, known)
        yield (*place, "trigger"), f"there is no trigger {printable(window.trigger)!r}{hint}"


def _routes(above: Place, routes: Routes, on: list[str]) -> Iterator[Fault]:
    for severity in routes.__struct_fields__:
        yield from _channels((*above, severity), getattr(routes, severity), on)


def _channels(place: Place, channels: list[str] | None, on: list[str]) -> Iterator[Fault]:
    for channel in chosen(channels, on) or ():
        if channel in (EVERYBODY, NOBODY):
            yield place, f"{channel} stands alone, without other channels"
        elif channel not in CHANNELS:
            yield place, f"there is no channel {printable(channel)!r}{_hint(channel, CHANNELS)}"
        elif channel not in on:
            yield place, f"{channel} is not switched on: set {channel}.enabled = true"


def _rules(
    above: Place, rules: Mapping[str, Rule], known: list[str], on: list[str]
) -> Iterator[Fault]:
    for name, rule in rules.items():
        if name not in known:
            yield (*above, name), f"there is no such trigger{_hint(name, known)}"
        yield from _channels((*above, name, "channels"), rule.channels, on)


def _trigger(name: str, trigger: Trigger) -> Iterator[Fault]:
    if name in RESERVED:
        yield ("triggers", name), "this name is taken: choose another"
        return
    if name not in TRIGGERS:
        if not trigger.when:
            hint = _hint(name, TRIGGERS)
            way = f"{hint or ';'} a trigger of your own needs `when`"
            yield ("triggers", name, "when"), f"is missing, and there is no such trigger{way}"
        return
    for key in ("when", "text", "bots"):
        if getattr(trigger, key):
            why = "is for triggers of your own, and this is one of Sidewatch's"
            yield ("triggers", name, key), why


def _hint(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word[:64], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""

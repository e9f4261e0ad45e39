"""The environment's settings: each variable is understood, or the start is refused.

Long names (`SIDEWATCH__SECTION__KEY`), short ones and, for secrets, either with `_FILE`. An empty
variable counts as not set, because that is how compose files pass on what nobody set. Everything
that does not start with `SIDEWATCH_` and is no short name belongs to others; what is nearly one is
told where somebody asks.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from config import files
from config.fields import Field
from config.names import (
    CASED,
    CONFIG_NAME,
    PATH_CHARS_MAX,
    PREFIX,
    SHORT,
    Place,
    SettingsError,
    printable,
)

SECRET_FILE_BYTES_MAX = 8_192
NAME_CHARS_MAX = 100
FILE_SUFFIX = "_FILE"
OURS = "SIDEWATCH_"
WORDS = ("ALERTS", "SLACK", "EMAIL", "TELEGRAM", "DISCORD", "PAGERDUTY", "NTFY", "APPRISE")
LIKE = 0.8  # of a name's letters; what is less like one is somebody else's

Lookup = Callable[[Place], Field | None]
"""The field at a place, None where there is no such setting."""

Names = Callable[[], Iterable[str]]
"""Every long name of the environment that is fixed."""


class Given(NamedTuple):
    """A raw value and the variable it came from (None: the TOML file)."""

    raw: object
    source: str | None = None


def read(environ: Mapping[str, str], lookup: Lookup, known: Names) -> dict[Place, Given]:
    """All settings of the environment; `known` gives the long names, for a hint.

    Raises SettingsError for an unknown `SIDEWATCH_` variable, for a secret's file that cannot be
    read, and for two variables that disagree about one setting.
    """
    found: dict[Place, Given] = {}
    for name in sorted(environ):
        named = _place(name, lookup, known)
        if named is None or not environ[name]:
            continue
        place, from_file = named
        raw = _file_content(name, environ[name]) if from_file else environ[name]
        earlier = found.setdefault(place, Given(raw, name))
        if earlier.raw != raw:
            raise SettingsError(f"{printable(name)}: contradicts {earlier.source}; keep one")
    return found


def strays(environ: Mapping[str, str], known: Names) -> Iterator[str]:
    """Yield a line for each variable that is nearly a short name, or a long one without its start.

    It may be somebody else's, so it is no mistake; but misspelt it would be passed over in silence.
    """
    names = {other.removeprefix(PREFIX).replace("__", "_"): other for other in known()}
    names |= {other: other for other in SHORT}
    for name in sorted(environ):
        typed, file = name, ""
        if name.endswith(FILE_SUFFIX):
            typed, file = name.removesuffix(FILE_SUFFIX), FILE_SUFFIX
        if not environ[name] or typed in SHORT or typed.partition("_")[0] not in WORDS:
            continue
        close = difflib.get_close_matches(typed[:NAME_CHARS_MAX], names, n=1, cutoff=LIKE)
        if close:
            meant = f"{names[close[0]]}{file}"
            yield f"{printable(name)} is passed over, as no setting has that name: {meant} is one"


def _place(name: str, lookup: Lookup, known: Names) -> tuple[Place, bool] | None:
    """The setting that a variable names, and whether through a file; None if it is not ours."""
    if name == CONFIG_NAME:
        return None
    place = _parse(name)
    if place is not None and lookup(place) is not None:
        return place, False
    if name.endswith(FILE_SUFFIX):
        place = _parse(name.removesuffix(FILE_SUFFIX))
        field = lookup(place) if place else None
        if place is not None and field is not None and field.secret:
            return place, True
        if field is not None:
            raise SettingsError(f"{printable(name)}: only a secret can be read from a file")
    if name.startswith(OURS):
        raise SettingsError(f"{printable(name)}: no such setting{_hint(name, known)}")
    return None


def _hint(name: str, known: Names) -> str:
    """The nearest name that there is. A typo in a bot's own name cannot be told."""
    file = FILE_SUFFIX if name.endswith(FILE_SUFFIX) else ""
    names = {other.removeprefix(OURS): other for other in (*known(), *SHORT, CONFIG_NAME)}
    typed = name.removeprefix(OURS).removesuffix(file)[:NAME_CHARS_MAX]
    close = difflib.get_close_matches(typed, names, n=1)
    return f"; did you mean {names[close[0]]}{file}?" if close else "; see docs/configuration.md"


def _parse(name: str) -> Place | None:
    """Where a variable would stand, by its name alone; the setting need not exist."""
    if name in SHORT:
        return SHORT[name]
    if not name.startswith(PREFIX):
        return None
    head, _, rest = name.removeprefix(PREFIX).partition("__")
    if not head.isupper():
        return None
    if not rest:
        return (head.lower(),)
    table = head.lower()
    if table not in CASED:
        return (table, *rest.lower().split("__")) if rest.isupper() else None
    return _item(table, rest)


def _item(table: str, rest: str) -> Place | None:
    """A place in a table whose names keep their case, and may themselves hold `__`."""
    above, _, key = rest.rpartition("__")
    name, _, inner = above.rpartition("__")
    bot, _, word = name.rpartition("__")
    place: Place = (table, above, key.lower())
    if inner == "ROUTES":
        place = (table, name, "routes", key.lower())
    elif word == "TRIGGERS" and inner.isupper():
        place = (table, bot, "triggers", inner.lower(), key.lower())
    return place if key.isupper() else None


def _file_content(name: str, path: str) -> str:
    """A secret's file without its final line ends; errors never quote what it holds."""
    shown = f"{printable(name)}: {printable(path, PATH_CHARS_MAX)}"
    try:
        text = files.read(path, SECRET_FILE_BYTES_MAX).decode().rstrip("\r\n")
    except files.UnreadableError as error:
        raise SettingsError(f"{shown}: {error}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{shown}: not UTF-8 text") from None
    if not text:
        raise SettingsError(f"{shown}: is empty")
    return text

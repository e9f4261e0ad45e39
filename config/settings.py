"""Settings: the TOML file, then the environment, which wins; a mistake anywhere stops the start.

`load` either answers frozen, checked Settings or raises SettingsError with one line that names
the setting and its variable. Secrets are never part of a message or a repr.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from config import environ as environment
from config import files
from config.crosscheck import check
from config.environ import TABLES, Given
from config.fields import BadValueError, Field, convert, fields_of
from config.names import (
    CONFIG_NAME,
    PATH_CHARS_MAX,
    Place,
    SettingsError,
    dotted,
    printable,
    refusal,
)
from config.rules import is_name
from config.secret import DATA_DIR, Auth, Secret
from config.sections import ITEMS, SECTIONS, Api, Bot, Settings, Storage, TopLevel

__all__ = ["Auth", "Bot", "Secret", "Settings", "SettingsError", "every_place", "load"]

FILE_BYTES_MAX = 1_048_576
ITEMS_MAX = {"bots": 256, "apis": 32}


def load(config_path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings: `config_path`, else the file SIDEWATCH_CONFIG names, then `environ`.

    Reads those files and secrets' files, and nothing else. Raises SettingsError.
    """
    named = environ.get(CONFIG_NAME) or None
    path = config_path if config_path is not None else named
    given: dict[Place, Given] = {}
    if path is not None:
        source = "--config" if config_path is not None else CONFIG_NAME
        given.update(_flatten(_read(path, source)))
    given.update(environment.read(environ, _field))
    settings = _build(_converted(given), environ)
    check(settings, {place: item.source for place, item in given.items()})
    return settings


def every_place() -> Iterator[tuple[Place, Field]]:
    """Every setting with its field; a bot's and an API's under the name `<name>`."""
    for key, field in fields_of(TopLevel).items():
        yield (key,), field
    for section, struct in SECTIONS.items():
        for key, field in fields_of(struct).items():
            yield (section, key), field
    for table, struct in ITEMS.items():
        for key, field in fields_of(struct).items():
            yield (table, "<name>", key), field


def _field(place: Place) -> Field | None:
    """The setting at a place, None where there is none."""
    match place:
        case (key,):
            return fields_of(TopLevel).get(key)
        case (section, key) if section in SECTIONS:
            return fields_of(SECTIONS[section]).get(key)
        case (table, name, key) if table in ITEMS and is_name(name):
            return fields_of(ITEMS[table]).get(key)
        case _:
            return None


# ---------------------------------------------------------------- the file


def _read(path: Path | str, source: str) -> dict[str, Any]:
    shown = f"{source}: {printable(str(path), PATH_CHARS_MAX)}"
    try:
        raw = files.read(path, FILE_BYTES_MAX)
    except files.UnreadableError as error:
        raise SettingsError(f"{shown}: {error}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{shown}: not UTF-8 text (at line {line})") from None
    try:
        return tomllib.loads(text, parse_float=_exact)
    except RecursionError:
        raise SettingsError(f"{shown}: nested too deeply") from None
    except ValueError as error:
        raise SettingsError(f"{shown}: not TOML: {' '.join(str(error).split())}") from None


def _exact(text: str) -> Decimal:
    """A TOML float without loss; what not even Decimal can hold is no finite number for us."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


def _flatten(table: Mapping[str, Any]) -> Iterator[tuple[Place, Given]]:
    """The file's settings by place; raises for tables, keys and names that do not exist."""
    for key, value in table.items():
        if key in SECTIONS:
            yield from _keys((key,), value)
        elif key in TABLES:
            for name, item in _table((key,), value).items():
                if not is_name(name):
                    why = "a name is 1 to 64 of A-Z a-z 0-9 _ . - and starts with a letter or digit"
                    raise SettingsError(f"{dotted((key, name))}: {why}")
                yield from _keys((key, name), item)
        else:
            yield from _keys((), {key: value})


def _keys(above: Place, value: object) -> Iterator[tuple[Place, Given]]:
    for key, raw in _table(above, value).items():
        place = (*above, key)
        if _field(place) is None:
            raise SettingsError(f"{dotted(place)}: no such setting{_hint(above, key)}")
        yield place, Given(raw)
    if above and above[0] in TABLES:
        yield above, Given({})  # a bot may be named only, and an API without a URL is seen


def _table(place: Place, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{dotted(place)}: must be a table, [{dotted(place)}]")
    return value


def _hint(above: Place, key: str) -> str:
    struct = (SECTIONS | ITEMS).get(above[0]) if above else None
    known = list(fields_of(struct)) if struct else [*fields_of(TopLevel), *SECTIONS, *ITEMS]
    close = difflib.get_close_matches(key[:64], known, n=1)
    return f"; did you mean {dotted((*above, close[0]))}?" if close else ""


# ---------------------------------------------------------------- building


def _converted(given: Mapping[Place, Given]) -> dict[Place, Any]:
    values: dict[Place, Any] = {}
    for place, item in given.items():
        field = _field(place)
        if field is None:
            values[place] = item.raw
            continue
        try:
            values[place] = convert(field, item.raw)
        except BadValueError as error:
            raise refusal(place, str(error), item.source) from None
    return values


def _build(values: Mapping[Place, Any], environ: Mapping[str, str]) -> Settings:
    top: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    items: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in ITEMS}
    for place, value in values.items():
        match place:
            case (key,):
                top[key] = value
            case (section, key) if section in SECTIONS:
                sections[section][key] = value
            case (table, name):
                items[table].setdefault(name, {})
            case (table, name, key):
                items[table].setdefault(name, {})[key] = value
            case _:
                raise AssertionError(place)
    for table, most in ITEMS_MAX.items():
        if len(items[table]) > most:
            raise SettingsError(f"{table}: at most {most}, got {len(items[table])}")
    _place_data(sections["storage"], environ)
    common = TopLevel(**top)
    built: dict[str, Any] = {name: struct(**sections[name]) for name, struct in SECTIONS.items()}
    own: dict[str, Any] = {"currency": common.currency}
    return Settings(
        starting_equity=common.starting_equity,
        currency=common.currency,
        bots={name: Bot(**(own | keys)) for name, keys in items["bots"].items()},
        apis={name: Api(**keys) for name, keys in items["apis"].items()},
        **built,
    )


def _place_data(storage: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Settle the data directory: as set, else below XDG_DATA_HOME, else below the home."""
    chosen: Path | None = storage.get("data_dir")
    shared = environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path there is invalid and ignored.
    if chosen is None and shared.startswith("/") and shared.isprintable():
        storage["data_dir"] = Path(shared, "sidewatch")
        return
    path = Storage().data_dir if chosen is None else chosen
    if path.parts[:1] == ("~",):
        path = Path(_home(environ), *path.parts[1:])
    elif not path.parts:
        raise refusal(DATA_DIR, "must be a directory, got ''")
    elif path.parts[0].startswith("~"):
        raise refusal(DATA_DIR, f"cannot expand {printable(path.parts[0])}: write it in full")
    storage["data_dir"] = path


def _home(environ: Mapping[str, str]) -> str:
    try:
        home = environ.get("HOME") or str(Path.home())
    except RuntimeError:  # neither HOME nor an entry in the user database
        home = ""
    if not home.startswith("/") or not home.isprintable():
        raise refusal(DATA_DIR, "cannot expand ~: HOME is not an absolute path")
    return home

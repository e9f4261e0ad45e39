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

from msgspec import Struct
from msgspec.structs import replace

from config import environ as environment
from config import files, templates
from config.alerting import TRIGGER_CHARS_MAX, Routes, Rule, Trigger, is_trigger_name
from config.channels import Template
from config.crosscheck import check
from config.environ import Given
from config.fields import BadValueError, Field, convert, fields_of
from config.names import (
    CONFIG_NAME,
    PATH_CHARS_MAX,
    Place,
    SettingsError,
    dotted,
    long_name,
    printable,
    refusal,
)
from config.oncall import Rung, Window
from config.rules import is_name
from config.secret import DATA_DIR, Auth, Secret
from config.sections import ITEMS, SECTIONS, Api, Bot, Settings, Storage, TopLevel

__all__ = ["Auth", "Bot", "Secret", "Settings", "SettingsError", "every_place", "load", "strays"]

FILE_BYTES_MAX = 1_048_576
ITEMS_MAX = {
    "bots": 256,
    "apis": 32,
    "triggers": 64,
    "escalation": 16,
    "maintenance": 64,
    "templates": 16,
}


def load(config_path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings: `config_path`, else the file SIDEWATCH_CONFIG names, then `environ`.

    Reads those files, secrets' and templates' files, and nothing else. Raises SettingsError.
    """
    named = environ.get(CONFIG_NAME) or None
    path = config_path if config_path is not None else named
    given: dict[Place, Given] = {}
    if path is not None:
        source = "--config" if config_path is not None else CONFIG_NAME
        given.update(_flatten(_read(path, source)))
    given.update(environment.read(environ, _field, _long_names))
    settings = _build(_converted(given), environ)
    sources = {place: item.source for place, item in given.items()}
    folder = Path(path).parent if path is not None else Path()
    settings = replace(
        settings, templates=templates.filled(settings.templates, folder, environ, sources)
    )
    check(settings, sources)
    return settings


def strays(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each variable that looks like a setting's misspelt name."""
    return environment.strays(environ, _long_names)


def every_place() -> Iterator[tuple[Place, Field]]:
    """Every setting with its field; what operators name stands as `<name>` and `<trigger>`."""
    tables: list[Place] = [(), *((section,) for section in SECTIONS)]
    tables += [(table, "<trigger>" if table == "triggers" else "<name>") for table in ITEMS]
    tables += [("bots", "<name>", "routes"), ("bots", "<name>", "triggers", "<trigger>")]
    for above in tables:
        struct = _struct(above)
        assert struct is not None
        for key, field in fields_of(struct).items():
            yield (*above, key), field


def _long_names() -> Iterator[str]:
    for place, _ in every_place():
        if not any(part.startswith("<") for part in place):
            yield long_name(place)


def _struct(above: Place) -> type[Struct] | None:
    """What stands at a place that holds settings, None where there is nothing."""
    match above:
        case ():
            return TopLevel
        case (section,):
            return SECTIONS.get(section)
        case (table, _):
            return ITEMS.get(table)
        case ("bots", _, "routes"):
            return Routes
        case ("bots", _, "triggers", _):
            return Rule
        case _:
            return None


def _field(place: Place) -> Field | None:
    """The setting at a place, None where there is none."""
    above = place[:-1]
    struct = _struct(above)
    if struct is None or not all(map(_can_name, above[1::2], above[::2])):
        return None
    return fields_of(struct).get(place[-1])


def _can_name(name: str, table: str) -> bool:
    return is_trigger_name(name) if table == "triggers" else is_name(name)


# ---------------------------------------------------------------- the file


def _read(path: Path | str, source: str) -> dict[str, Any]:
    shown = f"{source}: {printable(str(path), PATH_CHARS_MAX)}"
    try:
        text = files.text(path, FILE_BYTES_MAX)
    except files.UnreadableError as error:
        raise SettingsError(f"{shown}: {error}") from None
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
        elif key in ITEMS:
            yield from _items((key,), value)
        else:
            yield from _keys((), {key: value})


def _items(above: Place, value: object) -> Iterator[tuple[Place, Given]]:
    """What stands in a table of named items."""
    for name, item in _table(above, value).items():
        place = (*above, name)
        if not _can_name(name, above[-1]):
            raise SettingsError(f"{dotted(place)}: a name is {_NAMES[above[-1] == 'triggers']}")
        own = dict(_table(place, item))
        if above == ("bots",):
            yield from _keys((*place, "routes"), own.pop("routes", {}))
            yield from _items((*place, "triggers"), own.pop("triggers", {}))
        yield from _keys(place, own)
        yield place, Given({})  # a bot may be named only, and an API without a URL is seen


_NAMES = {
    False: "1 to 64 of A-Z a-z 0-9 _ . - and starts with a letter or digit",
    True: f"1 to {TRIGGER_CHARS_MAX} of a-z 0-9 _ and starts with a letter",
}


def _keys(above: Place, value: object) -> Iterator[tuple[Place, Given]]:
    for key, raw in _table(above, value).items():
        place = (*above, key)
        if _field(place) is None:
            raise SettingsError(f"{dotted(place)}: no such setting{_hint(above, key)}")
        yield place, Given(raw)


def _table(place: Place, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{dotted(place)}: must be a table, [{dotted(place)}]")
    return value


def _hint(above: Place, key: str) -> str:
    struct = _struct(above)
    known = list(fields_of(struct)) if struct else []
    if not above:
        known += [*SECTIONS, *ITEMS]
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
    tree: dict[str, Any] = {name: {} for name in (*SECTIONS, *ITEMS)}
    for place, value in values.items():
        _plant(tree, place, value)
    for table, most in ITEMS_MAX.items():
        if len(tree[table]) > most:
            raise SettingsError(f"{table}: at most {most}, got {len(tree[table])}")
    _place_data(tree["storage"], environ)
    common = TopLevel(**{key: tree[key] for key in fields_of(TopLevel) if key in tree})
    built: dict[str, Any] = {name: struct(**tree[name]) for name, struct in SECTIONS.items()}
    own: dict[str, Any] = {"currency": common.currency}
    return Settings(
        starting_equity=common.starting_equity,
        currency=common.currency,
        bots={name: _bot(own | keys) for name, keys in tree["bots"].items()},
        apis={name: Api(**keys) for name, keys in tree["apis"].items()},
        triggers={name: Trigger(**keys) for name, keys in tree["triggers"].items()},
        escalation={name: Rung(**keys) for name, keys in tree["escalation"].items()},
        maintenance={name: Window(**keys) for name, keys in tree["maintenance"].items()},
        templates={name: Template(**keys) for name, keys in tree["templates"].items()},
        **built,
    )


def _plant(tree: dict[str, Any], place: Place, value: Any) -> None:
    """Put a value where its place says, and an item that is only named beside its like."""
    *above, key = place
    for part in above:
        tree = tree.setdefault(part, {})
    if _struct(place) is not None and place[0] in ITEMS:
        tree.setdefault(key, {})
    else:
        tree[key] = value


def _bot(keys: dict[str, Any]) -> Bot:
    routes = Routes(**keys.pop("routes", {}))
    rules = {name: Rule(**rule) for name, rule in keys.pop("triggers", {}).items()}
    return Bot(**keys, routes=routes, triggers=rules)


def _place_data(storage: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Settle the data directory: as set, else below XDG_DATA_HOME, else below the home."""
    chosen: Path | None = storage.get("data_dir")
    shared = environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path there is invalid and ignored.
    if chosen is None and shared.startswith("/") and shared.isprintable():
        storage["data_dir"] = Path(shared, "sidewatch")
        return
    path = Storage().data_dir if chosen is None else chosen
    if not path.parts:
        raise refusal(DATA_DIR, "must be a directory, got ''")
    try:
        storage["data_dir"] = files.expanded(path, environ)
    except files.UnreadableError as error:
        raise refusal(DATA_DIR, str(error)) from None

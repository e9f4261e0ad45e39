"""Templates in files of their own: read once, with the settings, and held to the same rules.

`text_file` stands in the place of `text`, `title_file` in that of `title`; its path counts from the
settings file's directory. Whether it is a template at all is said where templates are compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from config import files
from config.channels import Template
from config.names import PATH_CHARS_MAX, Place, printable, refusal

KEYS = ("title", "text")
FILE_BYTES_MAX = 16_384


def filled(
    templates: Mapping[str, Template],
    folder: Path,
    environ: Mapping[str, str],
    sources: Mapping[Place, str | None],
) -> dict[str, Template]:
    """Return the templates with what their files say. `folder` is the settings file's.

    Raises SettingsError that names the setting, the file and, where there is one, the line.
    """
    return {
        name: _filled(("templates", name), template, folder, environ, sources)
        for name, template in templates.items()
    }


def _filled(
    above: Place,
    template: Template,
    folder: Path,
    environ: Mapping[str, str],
    sources: Mapping[Place, str | None],
) -> Template:
    for key in KEYS:
        setting, path = template.origin(key)
        if path is None:
            continue
        place = (*above, setting)
        if getattr(template, key):
            beside = ".".join((*above, key))
            raise refusal(place, f"{beside} is set, too: keep one", sources.get(place))
        shown = path
        try:
            shown = folder / files.expanded(path, environ)
            said = _read(shown)
        except files.UnreadableError as error:
            why = f"{printable(str(shown), PATH_CHARS_MAX)}: {error}"
            raise refusal(place, why, sources.get(place)) from None
        template = replace(template, **{key: said, setting: shown})
    return template


def _read(path: Path) -> str:
    """Give a file's template, its lines ended by LF. Raises UnreadableError."""
    said = files.text(path, FILE_BYTES_MAX).replace("\r\n", "\n")
    for number, line in enumerate(said.split("\n"), 1):
        if not line.replace("\t", "").isprintable():
            raise files.UnreadableError(f"must be printable text (at line {number})")
    if not said.strip():
        raise files.UnreadableError("is empty")
    return said

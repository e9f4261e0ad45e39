"""A wording in a file of its own: where it is looked for, and what stops the start."""

from __future__ import annotations

import errno
import os

import pytest

from config.settings import SettingsError, load
from config.templates import FILE_BYTES_MAX
from sidewatch import channels
from tests.fakes.notices import notice
from tests.settings import HOME, error, from_toml, toml_error

TOML = '[templates.all]\ntext_file = "own.j2"\n'
NAME = "templates.all.text_file (SIDEWATCH__TEMPLATES__ALL__TEXT_FILE)"
KEY = "k" + "3f9a1c77" * 4


def worded(settings, channel="slack"):
    channels.check(settings)
    return channels.words(settings, channel)(notice())


def refused(tmp_path, environ=HOME):
    """What a start says of `own.j2`, without the setting and the file, which it must name."""
    with pytest.raises(SettingsError) as caught:
        channels.check(from_toml(tmp_path, TOML, environ))
    said = str(caught.value)
    assert said.isprintable()
    assert said.startswith(f"{NAME}: {tmp_path}/own.j2: ")
    return said.removeprefix(f"{NAME}: {tmp_path}/own.j2: ")


def test_it_reads_a_wording_beside_the_settings_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "title.j2").write_text("{{ bot }}\r\n  {{ title }}\n")
    (tmp_path / "words" / "text.j2").write_text("\ufeffÄ {{ text }}\r\n\t€\n")
    settings = from_toml(
        tmp_path,
        '[templates.all]\ntitle_file = "words/title.j2"\ntext_file = "words/text.j2"\n',
    )
    wording = worded(settings)
    assert wording.title == "alpha Drawdown 12.4 %"
    assert wording.text == "Ä The drawdown passed its limit of 10 %.\n\t€"
    assert settings.templates["all"].text_file == tmp_path / "words" / "text.j2"


def test_it_takes_an_absolute_path_and_one_below_the_home(tmp_path):
    (tmp_path / "own.j2").write_text("mine")
    for path in (tmp_path / "own.j2", "~/own.j2"):
        settings = from_toml(
            tmp_path, f'[templates.slack]\ntext_file = "{path}"\n', {"HOME": str(tmp_path)}
        )
        assert worded(settings).text == "mine"
    said = toml_error(tmp_path, '[templates.all]\ntext_file = "~ann/own.j2"\n')
    assert said == f"{NAME}: ~ann/own.j2: cannot expand ~ann: write it in full"


def test_it_takes_a_path_from_the_environment(tmp_path, monkeypatch):
    variable = "SIDEWATCH__TEMPLATES__ALL__TEXT_FILE"
    (tmp_path / "own.j2").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert worded(load(None, HOME | {variable: "own.j2"})).text == "mine"
    assert worded(from_toml(tmp_path, TOML, HOME | {variable: "own.j2"})).text == "mine"
    said = error({variable: "other.j2"})
    assert said == f"templates.all.text_file ({variable}): other.j2: No such file or directory"


def test_it_prefers_a_channels_own_wording_wherever_it_stands(tmp_path):
    (tmp_path / "own.j2").write_text("{{ text }} all")
    settings = from_toml(tmp_path, f"{TOML}[templates.slack]\ntext = '{{{{ text }}}} slack'\n")
    assert worded(settings, "slack").text.endswith(" slack")
    assert worded(settings, "ntfy").text.endswith(" all")


def test_it_refuses_two_wordings_for_one_place(tmp_path):
    (tmp_path / "own.j2").write_text("mine")
    said = toml_error(tmp_path, f"{TOML}text = 'other'\n")
    assert said == f"{NAME}: templates.all.text is set, too: keep one"
    environ = HOME | {"SIDEWATCH__TEMPLATES__ALL__TEXT": "other"}
    assert toml_error(tmp_path, TOML, environ) == said
    assert worded(from_toml(tmp_path, f"{TOML}title = 'other'\n")).title == "other"


def test_it_says_that_the_file_is_missing(tmp_path):
    assert refused(tmp_path) == "No such file or directory"


def test_it_says_that_the_file_is_a_directory(tmp_path):
    (tmp_path / "own.j2").mkdir()
    assert refused(tmp_path) == "Is a directory"


def test_it_says_that_the_file_may_not_be_read(tmp_path, monkeypatch):
    opened = os.open

    def refusing(path, flags):  # root, who may run the tests, may read everything
        if str(path).endswith("own.j2"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags)

    monkeypatch.setattr("config.files.os.open", refusing)
    assert refused(tmp_path) == "Permission denied"


def test_it_waits_for_no_pipe(tmp_path):
    os.mkfifo(tmp_path / "own.j2")
    assert refused(tmp_path) == "not a regular file"


def test_it_bounds_the_file(tmp_path):
    (tmp_path / "own.j2").write_bytes(b"x" * FILE_BYTES_MAX)
    assert worded(from_toml(tmp_path, TOML)).text
    (tmp_path / "own.j2").write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    assert refused(tmp_path) == "more than 16384 bytes"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\n\xff", "not UTF-8 text (at line 2)"),
        (b"a\nb\x00c", "must be printable text (at line 2)"),
        ("a\u202eb".encode(), "must be printable text (at line 1)"),
        (b"", "is empty"),
        (b"\n \n\t", "is empty"),
        (b"\r\n\r\n{% if %}", "line 3: Expected an expression, got 'end of statement block'"),
        (b"a\nb\n{{ equity }}\n", "line 3: unknown variable 'equity'; there are: alert_id, at,"),
        (b"a\n{{ range(9) }}", "line 2: call is not allowed in a template"),
    ],
)
def test_it_says_what_is_wrong_and_where(tmp_path, content, reason):
    (tmp_path / "own.j2").write_bytes(content)
    assert refused(tmp_path).startswith(reason)


def test_it_names_the_files_setting_where_the_wording_fails(tmp_path):
    (tmp_path / "own.j2").write_text('{{ fact["Sharpe"] }}')
    assert "templates.all.text_file failed" in worded(from_toml(tmp_path, TOML)).notes[-1]


def test_it_tries_again_what_was_refused_once_the_wording_has_changed(tmp_path):
    def fingerprint(channel):
        settings = from_toml(tmp_path, TOML, HOME | {"SIDEWATCH_HMAC_KEY": KEY})
        return channels.fingerprint(settings, channel)

    (tmp_path / "own.j2").write_text("mine")
    before = fingerprint("slack")
    assert fingerprint("slack") == before
    (tmp_path / "own.j2").write_text("mine, other")
    assert fingerprint("slack") != before

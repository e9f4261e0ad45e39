"""What the settings' tests share: an environment, secrets to look for, and ways to load."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import SettingsError, load

ROOT = Path(__file__).parents[1]
HOME = {"HOME": "/home/ann"}
CANARY = "canary-4f1d9b7e23c85a60-QmXvLr2pTz-81"
SLACK = "https://hooks.slack.com/services/T0/B0/canary4f1d9b7e23c8"
BOT_TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
MAIL = {"EMAIL_SMTP_HOST": "mail.example.com", "EMAIL_FROM": "a@example.com", "EMAIL_TO": "b@x.org"}


def from_toml(tmp_path, text, environ=HOME):
    path = tmp_path / "sidewatch.toml"
    path.write_text(text)
    return load(path, environ)


def error(environ, path=None):
    with pytest.raises(SettingsError) as caught:
        load(path, HOME | environ)
    text = str(caught.value)
    assert "\n" not in text
    assert text.isprintable()
    return text


def outcome(environ, path=None):
    """The error's text, or the settings' repr behind "loaded: "; anything else escapes."""
    try:
        return f"loaded: {load(path, environ)!r}"
    except SettingsError as caught:
        return str(caught)


def toml_error(tmp_path, text, environ=HOME):
    with pytest.raises(SettingsError) as caught:
        from_toml(tmp_path, text, environ)
    assert "\n" not in str(caught.value)
    return str(caught.value)

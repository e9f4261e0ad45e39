"""Settings as a whole: channels, bots, the shipped file, and any environment at all."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.names import SHORT, dotted, long_name
from config.sections import Bot
from config.settings import Settings, every_place, load
from tests.settings import (
    BOT_TOKEN,
    CANARY,
    HOME,
    MAIL,
    ROOT,
    SLACK,
    error,
    from_toml,
    outcome,
)

# ---------------------------------------------------------------- channels


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"ALERTS_SLACK_ENABLED": "1"}, "SLACK_WEBHOOK_URL"),
        ({"ALERTS_EMAIL_ENABLED": "1"}, "EMAIL_SMTP_HOST"),
        ({"ALERTS_EMAIL_ENABLED": "1", "EMAIL_SMTP_HOST": "a"}, "EMAIL_FROM"),
        ({"ALERTS_EMAIL_ENABLED": "1", "EMAIL_SMTP_HOST": "a", "EMAIL_FROM": "a@b"}, "EMAIL_TO"),
        ({"ALERTS_EMAIL_ENABLED": "1", **MAIL, "EMAIL_SMTP_USER": "u"}, "EMAIL_SMTP_PASSWORD"),
        ({"ALERTS_EMAIL_ENABLED": "1", **MAIL, "EMAIL_SMTP_PASSWORD": "p"}, "EMAIL_SMTP_USER"),
        ({"ALERTS_TELEGRAM_ENABLED": "1"}, "TELEGRAM_BOT_TOKEN"),
        ({"ALERTS_TELEGRAM_ENABLED": "1", "TELEGRAM_BOT_TOKEN": BOT_TOKEN}, "TELEGRAM_CHAT_ID"),
    ],
)
def test_it_wants_a_channel_to_be_complete(environ, name):
    text = error(environ)
    assert text.startswith(
        f"{dotted(SHORT[name])} ({name} or {long_name(SHORT[name])}): is missing"
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"ALERTS_SLACK_ENABLED": "1", "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/XXX"},
        {
            "ALERTS_TELEGRAM_ENABLED": "1",
            "TELEGRAM_BOT_TOKEN": "YOUR_BOT_TOKEN",
            "TELEGRAM_CHAT_ID": "1",
        },
    ],
)
def test_it_refuses_the_examples_of_the_documentation(environ):
    assert "example" in error(environ)


def test_it_sends_mail_in_the_clear_only_to_this_machine():
    environ = {"ALERTS_EMAIL_ENABLED": "1", **MAIL, "EMAIL_SMTP_SECURITY": "none"}
    assert error(environ).startswith("email.security (EMAIL_SMTP_SECURITY): ")
    local = load(None, HOME | environ | {"EMAIL_SMTP_HOST": "127.0.0.1"})
    assert local.channels == ["email"]


def test_it_lists_channels_in_one_order():
    environ = {
        "SIDEWATCH__CONSOLE__ENABLED": "1",
        "ALERTS_TELEGRAM_ENABLED": "1",
        "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
        "TELEGRAM_CHAT_ID": "1",
        "ALERTS_SLACK_ENABLED": "1",
        "SLACK_WEBHOOK_URL": SLACK,
    }
    assert load(None, HOME | environ).channels == ["slack", "telegram", "console"]


# ---------------------------------------------------------------- bots


def test_it_fills_a_bots_defaults(tmp_path):
    text = """
        starting_equity = 1000.10
        currency = "EUR"
        [alerts]
        drawdown_day = 0.5
        [bots.alpha]
        drawdown_day = 0.03
        [bots.beta]
        starting_equity = "0.1"
        currency = "BTC"
        max_positions = 4
    """
    settings = from_toml(tmp_path, text)
    alpha, beta, other = (settings.bot(name) for name in ("alpha", "beta", "other"))
    assert (alpha.starting_equity, alpha.currency) == (Decimal("1000.10"), "EUR")
    assert (alpha.drawdown_day, alpha.drawdown_week) == (0.03, 0.10)
    assert (beta.starting_equity, beta.currency) == (Decimal("0.1"), "BTC")
    assert (beta.max_positions, beta.drawdown_day) == (4, 0.5)
    assert (other.starting_equity, other.currency) == (Decimal("1000.10"), "EUR")
    assert set(settings.bots) == {"alpha", "beta"}


def test_it_gives_each_bot_its_thresholds():
    settings = Settings(bots={"a": Bot(losses_in_a_row=3, silent_after_s=5.0)})
    assert settings.thresholds("a").losses_in_a_row == 3
    assert settings.thresholds("a").silent_after_s == 5.0
    assert settings.thresholds("a").drawdown_total == 0.20
    assert settings.thresholds("b").losses_in_a_row == 10


# ---------------------------------------------------------------- the default file, the document


def uncommented():
    text = (ROOT / "config" / "sidewatch.toml").read_text()
    return re.sub(r"^#(?=[a-z_]+ = |\[)", "", text, flags=re.MULTILINE)


def test_it_ships_a_file_that_changes_nothing():
    assert load(ROOT / "config" / "sidewatch.toml", HOME) == load(None, HOME)


def test_it_ships_a_file_that_shows_the_defaults(tmp_path):
    shown = from_toml(tmp_path, uncommented())
    plain = load(None, HOME)
    for name in ("server", "storage", "auth", "alerts", "slack", "email", "console", "health"):
        assert getattr(shown, name) == getattr(plain, name)
    assert (shown.metrics, shown.logging) == (plain.metrics, plain.logging)
    assert shown.thresholds("my-bot") == plain.thresholds("my-bot")


def test_it_ships_a_file_with_every_setting():
    table = tomllib.loads(uncommented())
    for place, _ in every_place():
        inner = table
        for part in place:
            inner = next(iter(inner.values())) if part[0] == "<" else inner[part]


@pytest.mark.parametrize("place", [place for place, _ in every_place()], ids=dotted)
def test_it_documents_every_setting(place):
    text = (ROOT / "docs" / "configuration.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith(f"| `{dotted(place)}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert f"`{long_name(place)}`" in cells[1]
    assert all(f"`{short}`" in cells[1] for short, at in SHORT.items() if at == place)
    assert len(cells) == 5
    assert all(cells)


# ---------------------------------------------------------------- whatever the environment holds

NAMES = [
    *SHORT,
    *(name + "_FILE" for name in SHORT),
    *(
        long_name(place).replace("<name>", "n").replace("<TRIGGER>", "SILENT")
        for place, _ in every_place()
    ),
    "SIDEWATCH_CONFIG",
    "HOME",
    "XDG_DATA_HOME",
]
TEXTS = st.one_of(
    st.text(st.characters(), max_size=40),
    st.sampled_from(
        ["1e999", "-0.0", "nan", "true", "http://[", "a@b", "\udc80", "/dev/zero", "~"]
    ),
    st.integers().map(str),
    st.floats().map(str),
)
ENVIRONMENTS = st.dictionaries(
    st.one_of(st.sampled_from(NAMES), st.text(max_size=20).map("SIDEWATCH_".__add__)),
    TEXTS,
    max_size=6,
)


@given(ENVIRONMENTS)
def test_it_raises_nothing_but_settings_errors(environ):
    text = outcome(environ)
    assert text.isprintable()
    assert text.startswith("loaded: ") or len(text) < 400


@given(st.text(max_size=200), st.binary(max_size=50))
def test_it_survives_any_file(tmp_path_factory, text, raw):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "replace") + raw)
    assert outcome(HOME, path).isprintable()


SECRET_NAMES = [
    *(name for name, place in SHORT.items() if dict(every_place())[place].secret),
    *(long_name(place) for place, field in every_place() if field.secret),
]
SECRETS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).map(CANARY.__add__)


@given(st.dictionaries(st.sampled_from(SECRET_NAMES), SECRETS, min_size=1), ENVIRONMENTS)
def test_it_never_tells_a_secret_whatever_else_is_set(secrets, environ):
    assert CANARY not in outcome(environ | secrets)

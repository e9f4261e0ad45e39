"""Settings: the file, then the environment; one clear line for each mistake."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from config.names import SHORT, dotted, long_name
from config.sections import Api
from config.settings import Secret, Settings, every_place, load, strays
from tests.settings import (
    BOT_TOKEN,
    CANARY,
    HOME,
    MAIL,
    SLACK,
    error,
    from_toml,
    toml_error,
)

# ---------------------------------------------------------------- defaults


def test_it_needs_no_setting():
    settings = load(None, HOME)
    assert settings.storage.data_dir == Path("/home/ann/.local/share/sidewatch")
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 5173)
    assert settings.channels == []
    assert settings.alerts.debounce_s == 300.0
    assert settings.auth == Settings().auth


def test_it_works_without_any_environment():
    assert load(None, {}).storage.data_dir.is_absolute()


def test_it_puts_data_where_xdg_says():
    assert load(None, HOME | {"XDG_DATA_HOME": "/data"}).storage.data_dir == Path("/data/sidewatch")
    relative = load(None, HOME | {"XDG_DATA_HOME": "data"})
    assert relative.storage.data_dir == Path("/home/ann/.local/share/sidewatch")
    chosen = load(None, HOME | {"XDG_DATA_HOME": "/data", "SIDEWATCH_DATA_DIR": "~/sw"})
    assert chosen.storage.data_dir == Path("/home/ann/sw")


def test_it_refuses_a_home_it_cannot_expand():
    assert error({"HOME": "ann"}).startswith("storage.data_dir (SIDEWATCH_DATA_DIR or ")
    assert "~bob" in error({"SIDEWATCH_DATA_DIR": "~bob/sw"})


# ---------------------------------------------------------------- the file and the environment


def test_it_lets_the_environment_win(tmp_path):
    text = "[server]\nport = 1\n[alerts]\nhourly_limit = 7\n"
    settings = from_toml(tmp_path, text, HOME | {"SIDEWATCH_PORT": "0"})
    assert (settings.server.port, settings.alerts.hourly_limit) == (0, 7)


def test_it_finds_the_file_by_environment_but_prefers_the_argument(tmp_path):
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text("[server]\nport = 1")
    two.write_text("\ufeff[server]\nport = 2")
    environ = HOME | {"SIDEWATCH_CONFIG": str(two)}
    assert load(None, environ).server.port == 2
    assert load(one, environ).server.port == 1


def test_it_takes_the_plans_names():
    settings = load(
        None,
        HOME
        | MAIL
        | {
            "ALERTS_SLACK_ENABLED": "true",
            "SLACK_WEBHOOK_URL": SLACK,
            "ALERTS_EMAIL_ENABLED": "true",
            "EMAIL_SMTP_PORT": "2525",
            "EMAIL_TO": "b@example.com, c@example.com",
            "EMAIL_SMTP_USER": "ann",
            "EMAIL_SMTP_PASSWORD": "pw",
            "EMAIL_SMTP_SECURITY": "tls",
            "ALERTS_TELEGRAM_ENABLED": "true",
            "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
            "TELEGRAM_CHAT_ID": "-1001234",
            "TELEGRAM_API_BASE": "http://127.0.0.1:8081",
            "SIDEWATCH_STARTING_EQUITY": "10000.50",
        },
    )
    assert settings.channels == ["slack", "email", "telegram"]
    assert settings.slack.webhook_url == Secret(SLACK)
    assert settings.email.to == ["b@example.com", "c@example.com"]
    assert (settings.email.smtp_port, settings.email.security) == (2525, "tls")
    assert settings.telegram.chat_id == "-1001234"
    assert settings.telegram.api_base == "http://127.0.0.1:8081"
    assert settings.starting_equity == Decimal("10000.50")


@pytest.mark.parametrize("place", [place for place, _ in every_place()], ids=dotted)
def test_it_knows_every_long_name(place):
    names = {"<name>": "my-bot_2", "<trigger>": "drawdown_day"}
    place = tuple(names.get(part, part) for part in place)
    text = error({long_name(place): "\x00"})
    assert text.startswith(f"{dotted(place)} ({long_name(place)}): ")


@pytest.mark.parametrize("name", SHORT)
def test_it_knows_every_short_name(name):
    assert error({name: "\x00"}).startswith(f"{dotted(SHORT[name])} ({name}): ")


def test_it_keeps_the_case_of_names():
    environ = {
        "SIDEWATCH__BOTS__Alpha__STARTING_EQUITY": "5",
        "SIDEWATCH__BOTS__a__b__CURRENCY": "EUR",
        "SIDEWATCH__APIS__Kraken.EU__URL": "https://api.example.com/ping",
    }
    settings = load(None, HOME | environ)
    assert settings.bots["Alpha"].starting_equity == 5
    assert settings.bots["a__b"].currency == "EUR"
    assert settings.apis == {"Kraken.EU": Api("https://api.example.com/ping")}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("1", True),
        ("YES", True),
        ("on", True),
        ("false", False),
        ("0", False),
        ("no", False),
        ("Off", False),
    ],
)
def test_it_reads_booleans(text, value):
    assert load(None, HOME | {"SIDEWATCH__CONSOLE__ENABLED": text}).console.enabled is value


def test_it_takes_an_empty_variable_for_unset(tmp_path):
    environ = HOME | {"SIDEWATCH_PORT": "", "SLACK_WEBHOOK_URL": "", "SIDEWATCH_READ_TOKEN": ""}
    settings = from_toml(tmp_path, "[server]\nport = 9", environ)
    assert (settings.server.port, settings.slack.webhook_url) == (9, None)


def test_it_refuses_two_variables_that_disagree():
    both = {"SIDEWATCH_READ_TOKEN": CANARY, "SIDEWATCH__AUTH__READ_TOKEN": CANARY + "x"}
    text = error(both)
    assert "SIDEWATCH_READ_TOKEN" in text
    assert "SIDEWATCH__AUTH__READ_TOKEN" in text
    assert CANARY not in text
    agreed = {"SIDEWATCH_PORT": "80", "SIDEWATCH__SERVER__PORT": "80"}
    assert load(None, HOME | agreed).server.port == 80


@pytest.mark.parametrize(
    "name",
    [
        "SIDEWATCH_PROT",
        "SIDEWATCH__SERVER__PROT",
        "SIDEWATCH__SERVER",
        "SIDEWATCH__",
        "SIDEWATCH_",
        "SIDEWATCH__server__port",
        "SIDEWATCH__BOTS__CURRENCY",
        "SIDEWATCH__BOTS____CURRENCY",
        "SIDEWATCH__BOTS__a b__CURRENCY",
        "SIDEWATCH__BOTS__x__NOTHING",
        "SIDEWATCH_\udc80\n",
    ],
)
def test_it_refuses_an_unknown_variable(name):
    assert "no such setting" in error({name: ""})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SIDEWATCH_PROT", "SIDEWATCH_PORT"),
        ("SIDEWATCH__SERVER__PROT", "SIDEWATCH__SERVER__PORT"),
        ("SIDEWATCH_INGEST_TOKN_FILE", "SIDEWATCH_INGEST_TOKEN_FILE"),
        ("SIDEWATCH_CONFG", "SIDEWATCH_CONFIG"),
        ("SIDEWATCH_SLACK_WEBHOOK_URL", "SLACK_WEBHOOK_URL"),
    ],
)
def test_it_names_the_variable_that_may_have_been_meant(name, meant):
    assert error({name: "1"}) == f"{name}: no such setting; did you mean {meant}?"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ALERTS_SLACK_ENABLE", "ALERTS_SLACK_ENABLED"),
        ("SLACK_WEBHOK_URL", "SLACK_WEBHOOK_URL"),
        ("EMAIL_SMTP_PASSWRD_FILE", "EMAIL_SMTP_PASSWORD_FILE"),
        ("TELEGRAM_THREAD_ID", "SIDEWATCH__TELEGRAM__THREAD_ID"),
        ("DISCORD_WEBHOOK_URL", "SIDEWATCH__DISCORD__WEBHOOK_URL"),
    ],
)
def test_it_tells_of_a_variable_that_is_nearly_one_and_passes_over_it(name, meant):
    given = HOME | {name: CANARY}
    assert load(None, given) == load(None, HOME)
    [line] = strays(given)
    assert line == f"{name} is passed over, as no setting has that name: {meant} is one"


def test_it_tells_of_no_variable_that_is_a_setting_empty_or_somebody_elses():
    others = ("DISCORD_TOKEN", "EMAIL", "SLACK_X", "SERVER_PORT", "PATH", "SLACK_WEBHOOK_URL_FILE")
    assert list(strays(dict.fromkeys((*SHORT, *others), "x") | {"EMAIL_TOO": ""})) == []


def test_it_guesses_at_no_variable_that_is_like_none():
    for name in ("SIDEWATCH_", "SIDEWATCH_QQQQ"):
        assert error({name: "1"}) == f"{name}: no such setting; see docs/configuration.md"


def test_it_leaves_others_variables_alone():
    assert load(None, HOME | {"EMAIL": "x", "SLACK_TOKEN": "y", "SIDEWATCHER": "z"})


# ---------------------------------------------------------------- secrets' files


@pytest.mark.parametrize("name", ["SIDEWATCH_READ_TOKEN_FILE", "SIDEWATCH__AUTH__READ_TOKEN_FILE"])
def test_it_reads_a_secrets_file(tmp_path, name):
    (tmp_path / "token").write_text(CANARY + "\r\n")
    settings = load(None, HOME | {name: str(tmp_path / "token")})
    assert settings.auth.read_token == Secret(CANARY)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff" + CANARY.encode(), CANARY.encode() * 500])
def test_it_refuses_a_secrets_file_it_cannot_use(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    text = error({"SIDEWATCH_READ_TOKEN_FILE": str(tmp_path / "token")})
    assert text.startswith("SIDEWATCH_READ_TOKEN_FILE: ")
    assert CANARY not in text


def test_it_refuses_a_file_that_is_not_there_or_is_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("missing", "pipe", ".", "nul\x00"):
        text = error({"SLACK_WEBHOOK_URL_FILE": str(tmp_path / path)})
        assert text.startswith("SLACK_WEBHOOK_URL_FILE: ")


def test_it_reads_only_secrets_from_files():
    assert "only a secret" in error({"SIDEWATCH_PORT_FILE": "/dev/null"})


# ---------------------------------------------------------------- the file's mistakes


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[server]\nport =\n", "line 2"),
        ("[server]\nport = 1\nport = 2\n", "line 3"),
        ("[servr]\nport = 1", "servr: no such setting; did you mean server?"),
        ("[server]\nprot = 1", "server.prot: no such setting; did you mean server.port?"),
        ("server = 5", "server: must be a table"),
        ("[bots]\na = 5", "bots.a: must be a table"),
        ('[bots."a b"]', "bots.a b: a name is"),
        ("[bots.a]\nurl = 1", "bots.a.url: no such setting"),
        ("[apis.a]", "apis.a.url"),
        ("x = " + "[" * 20_000, "nested too deeply"),
        ("[alerts]\ndebounce_s = nan", "alerts.debounce_s"),
        ("[alerts]\ndebounce_s = 1e999999999999999999999", "alerts.debounce_s"),
        ("[alerts]\ndebounce_s = inf", "alerts.debounce_s"),
        ("[alerts]\nresolved = 1", "must be true or false, got 1"),
        ("[server]\nport = 1.5", "must be a whole number, got 1.5"),
        ("[server]\nport = true", "must be a whole number, got true"),
        ("[server]\nport = 0x" + "f" * 9_000, "server.port"),
        ("[server]\nport = 1979-05-27", "got a date or time"),
        ("[server]\nhost = [1]", "must be text, got a list"),
        ("[email]\nto = {a = 1}", "must be a list, got a table"),
        ("starting_equity = 1e-999999999", "starting_equity"),
    ],
)
def test_it_names_the_place_of_a_mistake(tmp_path, text, part):
    assert part in toml_error(tmp_path, text)


def test_it_says_which_line_is_not_utf8(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"# a\n# \xff\n")
    assert "line 2" in error({"SIDEWATCH_CONFIG": str(tmp_path / "c.toml")})


def test_it_bounds_the_file(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"#" * 1_048_576)
    assert load(tmp_path / "c.toml", HOME)
    (tmp_path / "c.toml").write_bytes(b"#" * 1_048_577)
    assert "more than 1048576 bytes" in error({}, tmp_path / "c.toml")


def test_it_refuses_a_file_that_is_not_there(tmp_path):
    assert error({}, tmp_path / "no.toml").startswith("--config: ")
    assert error({"SIDEWATCH_CONFIG": str(tmp_path)}).startswith("SIDEWATCH_CONFIG: ")


def test_it_bounds_bots_and_apis(tmp_path):
    many = "".join(f"[bots.b{number}]\n" for number in range(257))
    assert "bots: at most 256" in toml_error(tmp_path, many)

"""Settings: the file, then the environment; one clear line for each mistake, and no secret."""

from __future__ import annotations

import os
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.names import SHORT, dotted, long_name
from config.sections import Api, Bot
from config.settings import Secret, Settings, SettingsError, every_place, load

ROOT = Path(__file__).parents[2]
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
    place = tuple("my-bot_2" if part == "<name>" else part for part in place)
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


# ---------------------------------------------------------------- good and bad values


def test_it_names_the_setting_its_variable_and_the_value():
    assert error({"SIDEWATCH__ALERTS__DEBOUNCE_S": "-5"}) == (
        "alerts.debounce_s (SIDEWATCH__ALERTS__DEBOUNCE_S): must be >= 0, got -5"
    )


GOOD = [
    ("SERVER__PORT", ["0", "65535"]),
    ("SERVER__HOST", ["::1", "localhost", "127.9.9.9"]),
    ("SERVER__ALLOWED_HOSTS", ["a.example:8443,[::1]:1,10.0.0.1", "localhost"]),
    ("SERVER__PUBLIC_URL", ["https://a.example/sw", "http://[::1]:80"]),
    ("SERVER__UNIX_SOCKET", ["/run/s.sock", "/" + "x" * 106]),
    ("SERVER__BACKEND", ["asyncio", "trio"]),
    ("ALERTS__DEBOUNCE_S", ["0", "604800", "1e2", ".5"]),
    ("ALERTS__DRAWDOWN_DAY", ["1", "0.0001"]),
    ("METRICS__ZONE", ["UTC", "Europe/Berlin", "America/Argentina/Salta"]),
    ("METRICS__RISK_FREE", ["-0.01", "0.05"]),
    ("METRICS__DDOF", ["0", "1"]),
    ("TELEGRAM__CHAT_ID", ["-100123", "42", "@my_channel"]),
    ("TELEGRAM__THREAD_ID", ["1"]),
    ("EMAIL__SENDER", ["ann+x@example.com", "root@localhost"]),
    ("STARTING_EQUITY", ["0.5", "1e6"]),
    ("CURRENCY", ["USDT"]),
    ("APIS__x__URL", ["https://api.example.com/v1?a=b"]),
    ("AUTH__HMAC_KEY", [CANARY, "ü" * 3 + CANARY]),
]
BAD = [
    ("SERVER__PORT", ["-1", "65536", "x", "1.0", "1_0", "٣", "tcp://10.0.0.1:5173", "9" * 5000]),
    ("SERVER__HOST", ["0.0.0.0", "::", "192.168.1.5", "example.com", "a b", "[::1]", "127.1", "*"]),
    ("SERVER__ALLOWED_HOSTS", ["*", "http://a", "a:0", "a:65536", "[1.2.3.4]", "a,,b c", "a\nb"]),
    ("SERVER__ALLOWED_HOSTS", [",".join(["a"] * 65)]),
    ("SERVER__PUBLIC_URL", ["a.example", "ftp://a", "http://", "http://u:p@a", "http://a?b"]),
    ("SERVER__PUBLIC_URL", ["http://a:99999", "http://[::1", "http://a b", "http://a:0"]),
    ("SERVER__UNIX_SOCKET", ["run/s.sock", "/" + "x" * 107]),
    ("SERVER__BACKEND", ["curio", "Asyncio"]),
    ("SERVER__BEHIND_PROXY", ["maybe", "2"]),
    ("SERVER__BODY_BYTES_MAX", ["0", "-1", "67108865"]),
    ("SERVER__DASHBOARDS_MAX", ["0", "10001"]),
    ("SERVER__CONNECTIONS_MAX", ["0", "65537"]),
    ("STORAGE__RETENTION_DAYS", ["-1", "36501"]),
    ("ALERTS__DEBOUNCE_S", ["-5", "nan", "inf", "1e999", "-0.1", "604801", "1e99999999999"]),
    ("ALERTS__HOURLY_LIMIT", ["0", "10001"]),
    ("ALERTS__DRAWDOWN_DAY", ["0", "1.01", "-0.1", "5%"]),
    ("ALERTS__DRAWDOWN_WEEK", ["0", "2"]),
    ("ALERTS__DRAWDOWN_TOTAL", ["0", "2"]),
    ("ALERTS__LOSSES_IN_A_ROW", ["0", "2.5"]),
    ("ALERTS__API_ERRORS_PER_MINUTE", ["0"]),
    ("ALERTS__SILENT_AFTER_S", ["0", "604801"]),
    ("HEALTH__PING_PERIOD_S", ["0", "-1", "86401"]),
    ("HEALTH__PING_TIMEOUT_S", ["0", "3601"]),
    ("METRICS__PERIODS_PER_YEAR", ["0", "367"]),
    ("METRICS__RISK_FREE", ["-1", "1.1"]),
    ("METRICS__DDOF", ["2", "-1"]),
    ("METRICS__ROLLING_TRADES", ["1"]),
    ("METRICS__ROLLING_DAYS", ["0"]),
    ("METRICS__ZONE", ["Mars/Base", "../etc/passwd", "europe/berlin", "America", "/UTC"]),
    ("LOGGING__LEVEL", ["loud"]),
    ("LOGGING__FORMAT", ["xml"]),
    ("EMAIL__SMTP_HOST", ["a b", "http://a", "-a"]),
    ("EMAIL__SMTP_PORT", ["0", "65536"]),
    (
        "EMAIL__SENDER",
        ["ann", "@a", "a@", "a@b@c", "Ann <a@b.org>", "a@b.org\r\nBcc: c@d", "a..b@c"],
    ),
    ("EMAIL__TO", ["a@b.org,c", ",".join(["a@b.org"] * 51)]),
    ("EMAIL__SECURITY", ["ssl"]),
    ("TELEGRAM__CHAT_ID", ["my chat", "@a", "1.5"]),
    ("TELEGRAM__THREAD_ID", ["0", "x"]),
    ("TELEGRAM__API_BASE", ["telegram.org", "https://a?b=c"]),
    ("STARTING_EQUITY", ["0", "-1", "nan", "1e16", "1e-9", "1.0000000000000000001"]),
    ("CURRENCY", ["US D", "x" * 17]),
    ("BOTS__x__MAX_POSITIONS", ["-1", "1000001"]),
    ("BOTS__x__DRAWDOWN_DAY", ["0"]),
    ("APIS__x__URL", ["api.example.com", "https://u@a.example"]),
]


@pytest.mark.parametrize(("name", "value"), [(name, one) for name, all_ in GOOD for one in all_])
def test_it_takes_a_good_value(name, value):
    assert load(None, HOME | {f"SIDEWATCH__{name}": value})


@pytest.mark.parametrize(("name", "value"), [(name, one) for name, all_ in BAD for one in all_])
def test_it_refuses_a_bad_value(name, value):
    text = error({f"SIDEWATCH__{name}": value})
    assert text.startswith(".".join(p if p == "x" else p.lower() for p in name.split("__")))
    assert f"(SIDEWATCH__{name}): " in text
    assert len(text) < 300


def test_it_never_quotes_an_address_that_may_hold_a_password():
    for name in ("APIS__x__URL", "SERVER__PUBLIC_URL", "TELEGRAM__API_BASE"):
        assert CANARY not in error({f"SIDEWATCH__{name}": f"https://ann:{CANARY}@a.example"})
        assert CANARY not in error({f"SIDEWATCH__{name}": f"https://a.example/\n{CANARY}"})


def test_it_opens_to_other_machines_only_behind_a_proxy():
    text = error({"SIDEWATCH__SERVER__HOST": "0.0.0.0"})
    assert "behind_proxy" in text
    environ = {"SIDEWATCH__SERVER__HOST": "0.0.0.0", "SIDEWATCH__SERVER__BEHIND_PROXY": "true"}
    assert load(None, HOME | environ).server.host == "0.0.0.0"


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIDEWATCH_READ_TOKEN", "short-canary-15"),
        ("SIDEWATCH_READ_TOKEN", "changemechangeme"),
        ("SIDEWATCH_INGEST_TOKEN", "a" * 40),
        ("SIDEWATCH_OPERATE_TOKEN", "with space in canary"),
        ("SIDEWATCH_OPERATE_TOKEN", "line-end-canary-1234\n"),
        ("SIDEWATCH_HMAC_KEY", "0123456789abcdef0123456789abcdef"),
        ("SIDEWATCH_HMAC_KEY", CANARY[:31]),
        ("SIDEWATCH_FREQTRADE_SECRET", "canary/with/slash/0"),
        ("SIDEWATCH_READ_TOKEN", CANARY * 200),
        ("SLACK_WEBHOOK_URL", "hooks.slack.com/canary"),
        ("TELEGRAM_BOT_TOKEN", "canary/../x"),
        ("EMAIL_SMTP_PASSWORD", "canary\x00"),
    ],
)
def test_it_refuses_a_weak_secret_without_telling_it(name, value):
    text = error({name: value})
    assert text.startswith(f"{dotted(SHORT[name])} ({name}): ")
    assert value not in text
    assert "canary" not in text


def test_it_wants_a_secret_of_its_own_for_each_scope():
    text = error({"SIDEWATCH_READ_TOKEN": CANARY, "SIDEWATCH_OPERATE_TOKEN": CANARY})
    assert "auth.operate_token" in text
    assert "auth.read_token" in text
    assert CANARY not in text


def test_it_never_prints_a_secret():
    secrets = {
        "SIDEWATCH_READ_TOKEN": CANARY,
        "SIDEWATCH_HMAC_KEY": CANARY + "k",
        "SLACK_WEBHOOK_URL": SLACK,
        "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
        "EMAIL_SMTP_PASSWORD": "canary-pw",
    }
    settings = load(None, HOME | secrets)
    assert "canary" not in repr(settings)
    assert BOT_TOKEN not in repr(settings)
    assert "***" in repr(settings)


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
            inner = next(iter(inner.values())) if part == "<name>" else inner[part]


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
    *(long_name(place).replace("<name>", "n") for place, _ in every_place()),
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


SECRET_NAMES = [name for name, place in SHORT.items() if dict(every_place())[place].secret]
SECRETS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).map(CANARY.__add__)


@given(st.dictionaries(st.sampled_from(SECRET_NAMES), SECRETS, min_size=1), ENVIRONMENTS)
def test_it_never_tells_a_secret_whatever_else_is_set(secrets, environ):
    assert CANARY not in outcome(environ | secrets)

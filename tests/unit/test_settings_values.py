"""Each setting's good and bad values; no secret is weak, and none is told."""

from __future__ import annotations

import pytest

from config.names import SHORT, dotted
from config.settings import load
from tests.settings import (
    BOT_TOKEN,
    CANARY,
    HOME,
    SLACK,
    error,
)

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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEGRAM_CHAT_ID", BOT_TOKEN),
        ("SIDEWATCH__SERVER__HOST", "https://hooks.slack.com/services/T0/B0/canary"),
        ("SIDEWATCH__METRICS__ZONE", "b7Qm2xV9kLr4Tz8WcYp6NdHs3FgJ5aEu"),
    ],
)
def test_it_quotes_no_secret_in_a_setting_that_is_none(name, value):
    refused = error({name: value})
    assert refused.endswith(", got what looks like a secret or an address")
    assert not any(part in refused for part in value.split(":"))


def test_it_quotes_a_long_name_that_is_no_secret():
    zone = "America/Argentina/Buenos_Airs"
    assert error({"SIDEWATCH__METRICS__ZONE": zone}).endswith(f", got '{zone}'")


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

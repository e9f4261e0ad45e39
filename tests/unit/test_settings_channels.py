"""The channels' settings: off until switched on, complete when they are, their secrets untold."""

from __future__ import annotations

import base64
import sys

import pytest

from config.channels import CHANNELS, NEEDED
from config.names import long_name
from config.sections import SECTIONS, Settings
from config.settings import SettingsError, load
from sidewatch import channels
from tests.settings import HOME, error

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

KEY = "canary0f1d9b7e23c85a60QmXvLr2pTz"
SIGNING = "whsec_" + base64.b64encode(b"canary" * 5).decode()
WHOLE = {
    "discord": {"WEBHOOK_URL": "https://discord.com/api/webhooks/1/canary-4f1d9b7e23c8"},
    "pagerduty": {"ROUTING_KEY": KEY},
    "ntfy": {"TOPIC": "canaryTopic-7f3a"},
    "apprise": {"URLS": "json://127.0.0.1:9/canary xml://127.0.0.1:9/canary"},
    "webhook": {"URL": "https://hook.example/canary", "SECRET": SIGNING},
}


def environment(name, **changes):
    keys = {"ENABLED": "true", **WHOLE[name], **changes}
    return {f"SIDEWATCH__{name.upper()}__{key}": value for key, value in keys.items()}


@pytest.mark.parametrize("name", CHANNELS)
def test_it_is_off_until_switched_on(name):
    assert not getattr(Settings(), name).enabled
    assert name in channels.CHANNELS
    assert name in SECTIONS


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.anyio
async def test_it_builds_what_is_switched_on_and_complete(anyio_backend, name):
    if name == "apprise":
        pytest.importorskip("apprise")
    settings = load(None, HOME | environment(name))
    assert settings.channels == [name]
    channel = channels.builders(settings)[name]()
    assert channel.name == name
    assert channel.rate_s > 0
    assert "canary" not in repr(channel) + repr(settings)
    await channel.close()


@pytest.mark.parametrize(("name", "key"), [(n, key) for n in WHOLE for key in NEEDED[n]])
def test_it_wants_a_channel_to_be_complete(name, key):
    text = error(environment(name, **{key.upper(): ""}))
    assert (
        text == f"{name}.{key} ({long_name((name, key))}): is missing, but {name}.enabled is true"
    )


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("discord", "WEBHOOK_URL", "discord.com/canary"),
        ("discord", "THREAD_ID", "0"),
        ("discord", "THREAD_ID", str(2**63)),
        ("pagerduty", "ROUTING_KEY", KEY[:31]),
        ("pagerduty", "ROUTING_KEY", KEY + "0"),
        ("pagerduty", "API_BASE", "events.pagerduty.com"),
        ("ntfy", "TOPIC", "canary/x"),
        ("ntfy", "TOKEN", "tk canary"),
        ("ntfy", "API_BASE", "https://ntfy.sh/?canary"),
        ("apprise", "URLS", "canary"),
        ("apprise", "URLS", "json://canary " * 9),
        ("apprise", "URLS", "json://canary\tjson://x"),
        ("webhook", "URL", "hook.example/canary"),
        ("webhook", "SECRET", SIGNING.removeprefix("whsec_")),
        ("webhook", "SECRET", "whsec_canary"),
        ("webhook", "SECRET_PREVIOUS", "whsec_canary"),
    ],
)
def test_it_refuses_a_bad_value_without_telling_a_secret(name, key, value):
    text = error(environment(name, **{key: value}))
    assert text.startswith(f"{name}.{key.lower()} (SIDEWATCH__{name.upper()}__{key}): ")
    assert "canary" not in text


@pytest.mark.parametrize("place", [(n, key) for n in WHOLE for key in WHOLE[n]])
def test_it_reads_each_secret_from_a_file(tmp_path, place):
    name, key = place
    (tmp_path / "secret").write_text(WHOLE[name][key] + "\n")
    variable = f"SIDEWATCH__{name.upper()}__{key}"
    environ = {f"{variable}_FILE": str(tmp_path / "secret")}
    settings = load(None, HOME | environment(name, **{key: ""}) | environ)
    assert getattr(getattr(settings, name), key.lower()).reveal() == WHOLE[name][key]


@pytest.mark.parametrize(
    ("name", "changes"),
    [("discord", {"WEBHOOK_URL": "https://discord.com/api/webhooks/WEBHOOK_ID/WEBHOOK_TOKEN"})],
)
def test_it_refuses_the_examples_of_the_documentation(name, changes):
    assert "example" in error(environment(name, **changes))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "[::1]", "[fc00::1]"])
def test_it_posts_to_a_private_address_only_where_that_is_allowed(host):
    url = f"http://{host}:8080/canary"
    text = error(environment("webhook", URL=url))
    assert text.startswith("webhook.url (SIDEWATCH__WEBHOOK__URL): is a private address")
    assert "canary" not in text
    settings = load(None, HOME | environment("webhook", URL=url, ALLOW_PRIVATE="1"))
    assert settings.channels == ["webhook"]


def test_it_refuses_to_start_without_the_extra(monkeypatch):
    settings = load(None, HOME | environment("apprise"))
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError) as caught:
        channels.check(settings)
    assert str(caught.value) == (
        "apprise.enabled (SIDEWATCH__APPRISE__ENABLED): "
        "is not installed: pip install 'sidewatch[apprise]'"
    )


def test_it_refuses_to_start_with_a_url_that_apprise_does_not_know():
    pytest.importorskip("apprise")
    settings = load(None, HOME | environment("apprise", URLS="json://a nosuch://canary"))
    with pytest.raises(SettingsError) as caught:
        channels.check(settings)
    assert str(caught.value) == (
        "apprise.urls (SIDEWATCH__APPRISE__URLS): number 2 is no URL that Apprise understands"
    )

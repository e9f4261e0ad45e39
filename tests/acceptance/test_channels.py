"""Every channel in one real process: each provider's own answer, an alert, and no secret told."""

import json

import pytest

from tests.acceptance.process import Sidewatch, instant
from tests.acceptance.test_web import signed
from tests.fakes import apprise, discord, ntfy, pagerduty, slack, telegram, webhook
from tests.fakes.apprise import FakeService
from tests.fakes.discord import FakeDiscord
from tests.fakes.http import Status, ThreadedFake
from tests.fakes.ntfy import FakeNtfy
from tests.fakes.pagerduty import FakePagerDuty
from tests.fakes.slack import FakeSlack
from tests.fakes.smtp import FakeSmtp
from tests.fakes.telegram import FakeTelegram
from tests.fakes.webhook import FakeWebhook

SECRETS = [
    slack.PATH,
    telegram.TOKEN,
    discord.SECRET,
    pagerduty.KEY,
    ntfy.TOPIC,
    ntfy.TOKEN,
    webhook.SECRET,
    "canaryHookPath",
    "canaryQuery",
    apprise.SECRET,
    "canaryPassword",
]
HTTP = {
    "slack": FakeSlack,
    "telegram": FakeTelegram,
    "discord": FakeDiscord,
    "pagerduty": FakePagerDuty,
    "ntfy": FakeNtfy,
    "webhook": FakeWebhook,
    "apprise": FakeService,
}


def environment(fakes, smtp):
    keys = {
        "SLACK": {"WEBHOOK_URL": fakes["slack"].url},
        "TELEGRAM": {
            "BOT_TOKEN": telegram.TOKEN,
            "CHAT_ID": "-77",
            "API_BASE": fakes["telegram"].url,
        },
        "DISCORD": {"WEBHOOK_URL": fakes["discord"].url},
        "PAGERDUTY": {"ROUTING_KEY": pagerduty.KEY, "API_BASE": fakes["pagerduty"].url},
        "NTFY": {"TOPIC": ntfy.TOPIC, "TOKEN": ntfy.TOKEN, "API_BASE": fakes["ntfy"].url},
        "WEBHOOK": {
            "URL": fakes["webhook"].url,
            "SECRET": webhook.SECRET,
            "ALLOW_PRIVATE": "true",
        },
        "APPRISE": {"URLS": fakes["apprise"].url},
        "EMAIL": {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp.port),
            "SECURITY": "none",
            "SENDER": "sidewatch@example.org",
            "TO": "owner@example.org",
        },
        "TEMPLATES__NTFY": {"TITLE": "{{ severity }}: {{ title }} of {{ bot }}"},
    }
    named = {f"SIDEWATCH__{s}__{k}": v for s, own in keys.items() for k, v in own.items()}
    on = {f"SIDEWATCH__{s}__ENABLED": "true" for s in keys if "__" not in s}
    return {**named, **on, "SIDEWATCH__LOGGING__LEVEL": "debug"}


@pytest.fixture
def providers():
    pytest.importorskip("apprise")
    fakes = {name: ThreadedFake(fake) for name, fake in HTTP.items()}
    with FakeSmtp() as smtp:
        entered = {}
        try:
            for name, fake in fakes.items():
                entered[name] = fake.__enter__()
            entered["telegram"].chats.add("-100999")
            entered["telegram"].moved["-77"] = -100999
            yield entered, smtp
        finally:
            for name in entered:
                fakes[name].__exit__(None, None, None)


def trial(sidewatch):
    """Test every channel; returns each one's answer."""
    path, body = "/api/v1/alerts/test", b'{"channel":"all","test_message":"hello"}'
    answer = sidewatch.client.post(path, content=body, headers=signed(path, body))
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def test_it_gives_each_providers_own_answer_and_tells_no_secret(tmp_path, providers):
    fakes, smtp = providers
    with Sidewatch(tmp_path / "data", environment(*providers)) as sidewatch:
        results = trial(sidewatch)
        details = {name: result["detail"] for name, result in results.items()}
        assert all(result["ok"] for result in results.values()), details
        test_id = fakes["pagerduty"].messages[0]["dedup_key"]
        assert details == {
            "slack": "200 ok",
            "email": "250 2.0.0 Ok: queued as 4XyZ",
            "telegram": "200 ok, message 1 "
            "(the chat -77 is now -100999: change chat_id in the settings)",
            "discord": "200 ok, message 1300000000000000001",
            "pagerduty": f"202 Event processed, dedup_key {test_id}",
            "ntfy": "200 ok, message hwQ2YpKdmg01",
            "webhook": "200 thanks",
            "apprise": "taken by 1 of 1",
        }

        for fake in fakes.values():
            fake.down = Status(404)
        smtp.data_reply = "554 5.7.1 not with us"
        results = trial(sidewatch)
        assert not any(result["ok"] for result in results.values()), results
        details = {name: result["detail"] for name, result in results.items()}
        assert details["slack"] == "404 no_service"
        assert details["email"] == "554 5.7.1 not with us"
        assert details["telegram"] == "404 Not Found"
        assert details["discord"] == "404 Unknown Webhook (10015)"
        assert details["ntfy"] == "404 page not found (40401)"
        assert details["webhook"] == "404"
        assert details["apprise"].startswith("taken by 0 of 1: ")

        for fake in fakes.values():
            fake.down = None
        smtp.data_reply = ""
        printed = "".join(sidewatch.log)
        sidewatch.restart_after_kill()
        switch = {
            "type": "kill_switch",
            "bot": "alpha",
            "at": instant(),
            "active": True,
            "reason": "@everyone <!channel>",
        }
        sidewatch.post(switch)
        for name, fake in fakes.items():
            # PagerDuty is also told that the test's incident is over.
            fake.wait_for_messages(3 if name == "pagerduty" else 2, 20)
            assert any("alpha" in json.dumps(message) for message in fake.messages), name
        smtp.wait_for_messages(2, 20)
        # The move was remembered over the kill: no request to the old chat.
        assert fakes["telegram"].requests == 4
        assert fakes["telegram"].messages[-1]["chat_id"] == "-100999"
        assert fakes["ntfy"].messages[-1]["title"] == "critical: Kill switch on of alpha"
        shown = json.dumps(sidewatch.get("/api/v1/alerts")) + json.dumps(
            sidewatch.get("/api/v1/supervisor")
        )
        sidewatch.stop()
        printed += "".join(sidewatch.log) + shown
        assert "canary" not in printed
        for secret in SECRETS:
            assert secret not in printed

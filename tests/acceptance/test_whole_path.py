"""The main job, end to end, over real processes and sockets."""

import json
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.acceptance.process import ROOT, TOKENS, Sidewatch, bearer, trade, until
from tests.fakes.http import Hang, Status, ThreadedFake
from tests.fakes.slack import FakeSlack
from tests.fakes.smtp import FakeSmtp
from tests.fakes.telegram import CHAT, TOKEN, FakeTelegram

DATA = ROOT / "tests" / "data"


def channels(slack, telegram, smtp):
    return {
        "ALERTS_SLACK_ENABLED": "true",
        "SLACK_WEBHOOK_URL": slack.url,
        "ALERTS_TELEGRAM_ENABLED": "true",
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_API_BASE": telegram.url,
        "ALERTS_EMAIL_ENABLED": "true",
        "EMAIL_SMTP_HOST": "127.0.0.1",
        "EMAIL_SMTP_PORT": str(smtp.port),
        "EMAIL_SMTP_SECURITY": "none",
        "EMAIL_FROM": "sidewatch@example.org",
        "EMAIL_TO": "owner@example.org",
        "SIDEWATCH_STARTING_EQUITY": "990",
        "SIDEWATCH__CURRENCY": "USDT",
    }


@pytest.fixture
def providers():
    with (
        ThreadedFake(FakeSlack) as slack,
        ThreadedFake(FakeTelegram) as telegram,
        FakeSmtp(security="none") as smtp,
    ):
        yield slack, telegram, smtp


def bodies(smtp):
    return [message.get_content() for message in smtp.messages]


def texts(messages):
    return [message["text"] for message in messages]


def test_it_carries_real_events_to_figures_page_and_every_channel(tmp_path, providers, browser):
    slack, telegram, smtp = providers
    with Sidewatch(tmp_path / "data", channels(*providers)) as sidewatch:
        with sidewatch.live() as socket:
            snapshot = until(socket, lambda m: m["type"] == "snapshot")
            assert snapshot["metrics"]["bots"] == {}

            # A real freqtrade's webhooks: six closed trades, a status sent twice.
            path = f"/api/v1/sources/freqtrade/ft/{TOKENS['SIDEWATCH_FREQTRADE_SECRET']}"
            for line in (DATA / "freqtrade-webhooks.jsonl").read_text().splitlines()[1:]:
                hook = json.loads(line)
                answer = sidewatch.client.post(path, json=hook["body"])
                assert answer.status_code == 200, answer.text
            update = until(
                socket,
                lambda m: (
                    m["type"] == "metrics_update"
                    and m["metrics"]["bots"].get("ft", {}).get("trades") == 6
                ),
            )
            figures = update["metrics"]["bots"]["ft"]
            assert figures["win_rate"] == 0.5
            assert figures["pnl_total"] == "-1.92011699"

            # The twelve trades of its REST API, as native events: its own drawdown.
            recorded = json.loads((DATA / "freqtrade-trades.json").read_text())
            sidewatch.post([native(t) for t in recorded["trades"]])
            update = until(
                socket,
                lambda m: (
                    m["type"] == "metrics_update"
                    and m["metrics"]["bots"].get("rest", {}).get("trades") == 12
                ),
            )
            figures = update["metrics"]["bots"]["rest"]
            assert figures["win_rate"] == pytest.approx(7 / 12)
            assert figures["pnl_total"] == "-0.30143426"
            assert figures["max_drawdown"] == pytest.approx(0.00729198, abs=5e-9)

            # The kill switch, then a breach of the daily drawdown.
            page = log_in(browser, sidewatch)
            now = trade(0, 0)["closed_at"]
            switch = {"type": "kill_switch", "bot": "native", "at": now, "active": True}
            sidewatch.post({**switch, "reason": "tested"})
            until(
                socket,
                lambda m: m["type"] == "health_update" and m["health"]["level"] == "CRITICAL",
            )
            sidewatch.post(trade(1, -60))
            fired = until(
                socket,
                lambda m: (
                    m["type"] == "alert_triggered" and m["alert"]["trigger"] == "drawdown_day"
                ),
            )["alert"]
            assert fired["value"] == pytest.approx(60 / 990)
            expect(page.get_by_test_id(f"alert-{fired['id']}")).to_be_visible(timeout=15_000)
            expect(page.get_by_test_id("health-level")).to_contain_text("CRITICAL")
            page.goto(f"{sidewatch.url}/#alert-{fired['id']}")  # as each message has it
            expect(page.get_by_test_id(f"alert-{fired['id']}")).to_be_in_viewport()

            # More of the same within the debounce: no second message.
            sidewatch.post([trade(2, "-0.01"), trade(3, "-0.01")])
            until(
                socket,
                lambda m: (
                    m["type"] == "alert_update"
                    and m["alert"]["id"] == fired["id"]
                    and len(m["alert"]["deliveries"]) == 3
                    and all(d["state"] == "delivered" for d in m["alert"]["deliveries"])
                ),
            )
        for sent in (texts(slack.messages), texts(telegram.messages), bodies(smtp)):
            assert len([text for text in sent if fired["id"] in text]) == 1
            assert len([text for text in sent if "Drawdown" in text.splitlines()[0]]) == 1
            assert len([text for text in sent if "Kill switch on" in text]) == 1
        code, seconds = sidewatch.stop()
        assert code == 0
        assert seconds < 5


def native(row):
    return {
        "type": "trade",
        "bot": "rest",
        "id": row["id"],
        "symbol": row["pair"],
        "side": "long",
        "quantity": "1",
        "opened_at": stamp(row["opened_ms"]),
        "closed_at": stamp(row["closed_ms"]),
        "pnl": row["pnl"],
    }


def stamp(ms):
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat()


def mailed(message):
    return message["type"] == "alert_update" and any(
        d["channel"] == "email" and d["state"] == "delivered"
        for d in message["alert"]["deliveries"]
    )


def log_in(browser, sidewatch):
    page = browser.new_page()
    page.goto(f"{sidewatch.url}/#login={TOKENS['SIDEWATCH_READ_TOKEN']}")
    expect(page.get_by_test_id("card-win-rate")).to_be_visible(timeout=15_000)
    return page


def test_it_loses_no_alert_to_outages_and_a_kill(tmp_path, providers):
    slack, telegram, smtp = providers
    slack.down, telegram.down = Status(500), Hang()
    with Sidewatch(tmp_path / "data", channels(*providers)) as sidewatch:
        marked = set()
        with sidewatch.live() as socket:
            for n in range(3):  # e-mail goes on while Slack fails and Telegram hangs
                at = trade(n, 0)["closed_at"]
                event = {"type": "circuit_breaker", "bot": f"b{n}", "at": at, "open": True}
                sidewatch.post({**event, "reason": f"trip {n}"})
            smtp.wait_for_messages(3, 10)
            while len(marked) < 3:  # a kill before the mark may send once more, as documented
                marked.add(until(socket, mailed)["alert"]["id"])
        assert slack.messages == telegram.messages == []
        sidewatch.restart_after_kill()
        alerts = sidewatch.get("/api/v1/alerts")["alerts"]
        ids = {a["id"] for a in alerts if a["trigger"] == "circuit_breaker"}
        assert len(ids) == 3
        slack.down = telegram.down = None
        for fake in (slack, telegram):
            fake.wait_for_messages(3, 30)
            for alert_id in ids:
                assert len([t for t in texts(fake.messages) if alert_id in t]) == 1
        for alert_id in ids:
            assert len([body for body in bodies(smtp) if alert_id in body]) == 1


def test_it_names_what_stops_the_start(tmp_path):
    with Sidewatch(tmp_path / "data") as first:
        port = first.url.rsplit(":", 1)[1]
        second = Sidewatch(tmp_path / "other", {"SIDEWATCH_PORT": port})
        with pytest.raises(AssertionError):
            second.start()
        assert second.process.wait(10) == 2
        second._reader.join(10)
        assert "server.port" in "".join(second.log)
        second.process.stdout.close()
        second.process.stderr.close()
        answer = first.client.get("/api/v1/supervisor", headers=bearer("READ"))
        assert answer.status_code == 200

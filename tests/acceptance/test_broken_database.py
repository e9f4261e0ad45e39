"""A broken database: set aside at the start, told as an alert, and the start goes on."""

import re
import sqlite3
import time
from contextlib import closing

import pytest

from tests.acceptance.process import STEP_S, Sidewatch, trade

CONSOLE = {"SIDEWATCH__CONSOLE__ENABLED": "true"}
UNSETTLED = "SELECT count(*) FROM state WHERE key = 'store/lost'"


def until_settled(folder):
    """Wait until the process has written down that its loss is told."""
    deadline = time.monotonic() + STEP_S
    with closing(sqlite3.connect(f"file:{folder / 'sidewatch.db'}?mode=ro", uri=True)) as link:
        while link.execute(UNSETTLED).fetchone()[0]:
            assert time.monotonic() < deadline, "the loss is told, and not settled"
            time.sleep(0.02)


@pytest.mark.parametrize("content", [b"\x17" * 8_192, b""], ids=["corrupt", "empty"])
def test_it_sets_a_broken_database_aside_and_tells(tmp_path, content):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "sidewatch.db").write_bytes(content)
    with Sidewatch(folder, CONSOLE) as running:
        with running.live() as live:
            alerts = []
            while not alerts:
                live.recv(timeout=15)  # each message is a reason to look again
                alerts = running.get("/api/v1/alerts")["alerts"]
        assert alerts[0]["trigger"] == "storage"
        assert "set aside" in alerts[0]["text"]
        assert running.post(trade(1, 1))["accepted"] == 1
        assert list(folder.glob("sidewatch.db.corrupt-*"))
        assert running.stop()[0] == 0


def test_it_tells_what_a_log_that_was_spoilt_after_a_kill_has_lost(tmp_path):
    folder = tmp_path / "data"
    with Sidewatch(folder, CONSOLE) as running:
        running.stop()  # the log goes to the file
    with Sidewatch(folder, CONSOLE) as running:
        for number in range(5):
            assert running.post(trade(number, 1))["accepted"] == 1
        running.process.kill()
        running.process.wait(10)
        log = folder / "sidewatch.db-wal"
        content = log.read_bytes()
        log.write_bytes(content[:32] + b"\x17" * 64 + content[96:])
        running.restart_after_kill()
        assert "lost" in running.get("/readyz")["remarks"][0]
        alerts = []
        with running.live() as live:
            while not any("history lost" in alert["title"] for alert in alerts):
                live.recv(timeout=15)
                alerts = running.get("/api/v1/alerts")["alerts"]
        [alert] = alerts
        assert (alert["trigger"], alert["severity"]) == ("storage", "critical")
        assert re.fullmatch(r"Sidewatch: history lost: \d+ events", alert["title"])
        assert int(alert["title"].split()[-2]) >= 5
        [kept] = folder.glob("sidewatch.db.lost-*-wal")
        assert kept.name in alert["text"]
        assert any("history lost" in line for line in running.log)
        until_settled(folder)
        running.restart_after_kill()  # nothing more is lost, and nothing more is told
        assert not any("lost" in remark for remark in running.get("/readyz")["remarks"])
        assert len(running.get("/api/v1/alerts")["alerts"]) == 1
        running.stop()


def test_it_tells_once_of_a_database_that_vanished(tmp_path):
    folder = tmp_path / "data"
    with Sidewatch(folder, CONSOLE) as running:
        assert running.get("/api/v1/alerts") == {"alerts": []}  # a first start misses nothing
        running.stop()
    created = (folder / "sidewatch.created").read_text().strip()
    for part in folder.glob("sidewatch.db*"):
        part.unlink()
    with Sidewatch(folder, CONSOLE) as running:
        with running.live() as live:
            alerts = []
            while not alerts:
                live.recv(timeout=15)
                alerts = running.get("/api/v1/alerts")["alerts"]
        assert (alerts[0]["trigger"], alerts[0]["severity"]) == ("storage", "critical")
        assert alerts[0]["title"] == "Sidewatch: the database is gone"
        assert created in alerts[0]["text"]
        running.stop()
    assert any("the database is gone" in line for line in running.log)
    with Sidewatch(folder, CONSOLE) as running:
        assert len(running.get("/api/v1/alerts")["alerts"]) == 1


def test_it_refuses_a_second_process_on_one_directory(tmp_path):
    with Sidewatch(tmp_path / "data") as first:
        second = Sidewatch(tmp_path / "data")
        with pytest.raises(AssertionError):
            second.start()
        assert second.process.wait(10) == 2
        second._reader.join(10)
        assert "in use by another Sidewatch" in "".join(second.log)
        second.process.stdout.close()
        second.process.stderr.close()
        assert first.get("/api/v1/alerts") == {"alerts": []}


def test_it_takes_a_bots_currency_from_its_first_trade(tmp_path):
    with Sidewatch(tmp_path / "data", {"SIDEWATCH_STARTING_EQUITY": "100"}) as running:
        running.post({**trade(1, -3), "currency": "USDT"})
        with running.live() as live:
            live.recv(timeout=15)
        figures = running.get("/api/v1/metrics/realtime")
        assert figures["bots"]["native"]["currency"] == "USDT"
        assert list(figures["portfolio"]) == ["USDT"]

"""A disk that refuses: nothing is acknowledged that is not on it, and alerts go out all the same.

The disk is full for the process alone (RLIMIT_FSIZE), its volume really is (a small tmpfs, where a
test may mount one), or another holds the database's lock. A bot
falls silent meanwhile, which needs no event: its alert leaves from memory, says so, and is in the
history, once, as soon as the disk takes writes again.
"""

import os
import resource
import sqlite3
import subprocess
from contextlib import contextmanager, suppress

import pytest

from tests.acceptance.process import Sidewatch, bearer, instant, trade
from tests.fakes.http import ThreadedFake
from tests.fakes.slack import FakeSlack

ANSWER_S = 30
VOLUME_MIB = 16


@contextmanager
def full(sidewatch):
    """Let no file of the process grow or be written beyond its first byte."""
    pid, unlimited = sidewatch.process.pid, resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, unlimited))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))


@contextmanager
def locked(sidewatch):
    """Hold the database's write lock in another process's place."""
    link = sqlite3.connect(sidewatch.data_dir / "sidewatch.db", isolation_level=None)
    link.execute("BEGIN IMMEDIATE")
    yield
    link.execute("ROLLBACK")
    link.close()


@contextmanager
def no_space(sidewatch):
    """Fill the volume to its last byte, as a log that nobody rotates would."""
    ballast = sidewatch.data_dir / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        for size in (1_048_576, 4_096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    assert os.statvfs(sidewatch.data_dir).f_bfree == 0
    yield
    ballast.unlink()


@pytest.fixture
def volume(tmp_path):
    """A volume of its own; skips where this process may not mount one."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={VOLUME_MIB}m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"no volume can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def refused(sidewatch, event):
    answer = sidewatch.client.post("/api/v1/events", json=event, headers=bearer("INGEST"))
    return answer.status_code


def environ(slack):
    return {
        "ALERTS_SLACK_ENABLED": "true",
        "SLACK_WEBHOOK_URL": slack.url,
        "SIDEWATCH__ALERTS__SILENT_AFTER_S": "3",
    }


def silent(sidewatch):
    alerts = sidewatch.get("/api/v1/alerts")["alerts"]
    return [alert for alert in alerts if alert["trigger"] == "silent"]


def is_told(alert):
    return [d["state"] for d in alert["deliveries"]] == ["delivered"]


@pytest.mark.parametrize("trouble", [full, locked])
def test_it_alerts_from_memory_and_loses_nothing_acknowledged(tmp_path, trouble):
    outlives(tmp_path / "data", trouble)


def test_it_outlives_a_volume_that_is_full(volume):
    outlives(volume / "data", no_space)


def outlives(data_dir, trouble):
    with ThreadedFake(FakeSlack) as slack, Sidewatch(data_dir, environ(slack)) as sidewatch:
        assert sidewatch.post(trade(1, 5))["accepted"] == 1
        sidewatch.post({"type": "heartbeat", "bot": "native", "at": instant()})
        with trouble(sidewatch):
            assert refused(sidewatch, trade(2, 7)) == 503
            first = wait_for_text(slack, "Bot silent")
        assert "Storage failed: sent from memory." in first
        with sidewatch.live() as live:
            while not (silent(sidewatch) and is_told(silent(sidewatch)[0])):
                live.recv(timeout=ANSWER_S)
            assert sidewatch.post(trade(2, 7))["accepted"] == 1
            assert sidewatch.post(trade(1, 5))["duplicates"] == 1
        [alert] = silent(sidewatch)
        assert f"Alert {alert['id']} " in first
        fired = [m["text"] for m in slack.messages if "CRITICAL" in m["text"].splitlines()[0]]
        assert len([text for text in fired if alert["id"] in text]) == 1
        assert sidewatch.stop()[0] == 0


def wait_for_text(fake, text):
    def found():
        return [message["text"] for message in fake.messages if text in message["text"]]

    with fake.changed:
        assert fake.changed.wait_for(found, ANSWER_S), fake.messages
    return found()[0]

"""kill -9 between the loss of a database and the alert of it: it is still told, and truly."""

import subprocess
import sys

import pytest

from tests.acceptance.process import ROOT, Sidewatch, environment

CONSOLE = {"SIDEWATCH__CONSOLE__ENABLED": "true"}
DIES = {**CONSOLE, "TEST_KILL_AT": "alert store.commit"}


def told(folder):
    """Start, and return the alerts once there is one; then stop in order."""
    with Sidewatch(folder, CONSOLE) as running, running.live() as live:
        alerts = []
        while not alerts:
            live.recv(timeout=15)  # each message is a reason to look again
            alerts = running.get("/api/v1/alerts")["alerts"]
        assert running.stop()[0] == 0
    return [(alert["trigger"], alert["title"], alert["text"]) for alert in alerts]


def known(folder):
    """Run once, until the database is the known one."""
    with Sidewatch(folder, CONSOLE) as first:
        with first.live() as live:
            while not (folder / "sidewatch.created").exists():
                live.recv(timeout=15)
        assert first.stop()[0] == 0


def die_starting(folder, point):
    command = [sys.executable, "-m", "tests.faults.killed", "run"]
    env = environment(folder, {**CONSOLE, "TEST_KILL_AT": point})
    assert subprocess.run(command, env=env, cwd=ROOT, timeout=30, check=False).returncode == -9


@pytest.mark.parametrize("point", ["store.set_aside", "store.created"])
def test_it_says_that_a_database_was_broken_where_it_died_setting_it_aside(tmp_path, point):
    folder = tmp_path / "data"
    known(folder)
    (folder / "sidewatch.db").write_bytes(b"\x17" * 8_192)
    die_starting(folder, point)
    assert (folder / "sidewatch.db").exists() == (point == "store.created")
    ((trigger, title, text),) = told(folder)
    assert (trigger, title) == ("storage", "Sidewatch: the database was broken")
    (aside,) = folder.glob("sidewatch.db.corrupt-*")
    assert aside.name in text
    assert aside.read_bytes() == b"\x17" * 8_192
    for part in folder.glob("sidewatch.db*"):
        part.unlink()
    ((_, title, _),) = told(folder)
    assert title == "Sidewatch: the database is gone"  # this one is: nobody set it aside


@pytest.mark.parametrize("kills", [1, 2])
@pytest.mark.parametrize("lost", ["gone", "broken"])
def test_it_tells_of_a_lost_database_at_the_next_start(tmp_path, lost, kills):
    folder = tmp_path / "data"
    known(folder)
    for part in folder.glob("sidewatch.db*"):
        part.unlink()
    if lost == "broken":
        (folder / "sidewatch.db").write_bytes(b"\x17" * 8_192)
    for _ in range(kills):
        with Sidewatch(folder, DIES, module="tests.faults.killed") as dying:
            assert dying.process.wait(20) == -9
    ((trigger, title, text),) = told(folder)
    assert (trigger, title.split()[-1]) == ("storage", lost)
    if lost == "broken":
        (aside,) = folder.glob("sidewatch.db.corrupt-*")
        assert aside.name in text
    with Sidewatch(folder, CONSOLE) as again:
        assert len(again.get("/api/v1/alerts")["alerts"]) == 1

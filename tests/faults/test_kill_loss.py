"""kill -9 between the opening of a new database and the alert of the lost one: it is still told."""

import pytest

from tests.acceptance.process import Sidewatch

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


@pytest.mark.parametrize("kills", [1, 2])
@pytest.mark.parametrize("lost", ["gone", "broken"])
def test_it_tells_of_a_lost_database_at_the_next_start(tmp_path, lost, kills):
    folder = tmp_path / "data"
    with Sidewatch(folder, CONSOLE) as first:
        with first.live() as live:
            while not (folder / "sidewatch.created").exists():
                live.recv(timeout=15)
        assert first.stop()[0] == 0
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

"""A start that takes long, in a real process: a signal ends it in order, and the next one works."""

import signal
import subprocess
import sys

import pytest

from tests.acceptance.process import ROOT, Sidewatch, environment, trade


def end_held(place, folder, number):
    """Start, wait until the start is held, send the signal; returns code, stdout, stderr."""
    held = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.held", "run"],
        env=environment(folder, {"TEST_HELD_AT": place}),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with held:
        for line in held.stderr:
            if line == "held\n":
                break
        held.send_signal(number)
        try:
            out, rest = held.communicate(timeout=30)
        finally:
            held.kill()
    return held.returncode, out, rest


@pytest.mark.parametrize(
    ("place", "number"),
    [
        ("settings", signal.SIGTERM),
        ("settings", signal.SIGINT),
        ("check", signal.SIGTERM),
        ("disk", signal.SIGTERM),
        ("replay", signal.SIGINT),
    ],
)
def test_it_ends_in_order(tmp_path, place, number):
    folder = tmp_path / "data"
    with Sidewatch(folder) as before:
        before.post(trade(1, 5))
        assert before.stop()[0] == 0
    code, out, rest = end_held(place, folder, number)
    assert (code, out) == (0, "")
    assert "Traceback" not in rest
    with Sidewatch(folder) as after:
        assert after.get("/api/v1/metrics/realtime")["bots"]["native"]["trades"] == 1
        assert after.get("/api/v1/alerts") == {"alerts": []}
        assert after.stop()[0] == 0

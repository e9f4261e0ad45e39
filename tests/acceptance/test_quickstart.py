"""docs/quickstart.md is true line by line: what it tells to type works, in a fresh home."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.process import ROOT, TOKENS, Sidewatch
from tests.fakes.http import ThreadedFake
from tests.fakes.slack import FakeSlack

BASH, CURL = shutil.which("bash"), shutil.which("curl")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FIRST_SHELL = re.compile(r"^(make setup|export PATH=.*|sidewatch run)\n", re.MULTILINE)
pytestmark = pytest.mark.skipif(not (BASH and CURL), reason="needs bash and curl")


def blocks():
    found = BLOCK.findall((ROOT / "docs" / "quickstart.md").read_text())
    return [text for language, text in found if not language]


def typed(script, folder, **environ):
    """Run what a reader types, each line of it; the first one that fails ends it."""
    env = {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **environ,
    }
    return subprocess.run(
        [BASH, "-euo", "pipefail", "-c", script],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_starts_with_what_the_first_shell_is_told(tmp_path):
    start, channels = [block for block in blocks() if "sidewatch run\n" in block]
    for block in (start, channels.replace("hooks.slack.com/services/...", "slack.example/x")):
        assert len(FIRST_SHELL.findall(block)) >= 1
        done = typed(FIRST_SHELL.sub("", block), tmp_path)
        assert done.returncode == 0, done.stderr
        assert "settings are good" in done.stdout
    assert "critical: slack, console" in done.stdout
    assert list(tmp_path.iterdir()) == []  # it looks only


def test_it_works_as_the_second_shell_is_told(tmp_path):
    data = tmp_path / ".local" / "share" / "sidewatch"
    unset = dict.fromkeys(TOKENS, "")
    with ThreadedFake(FakeSlack) as slack:
        channels = {"ALERTS_SLACK_ENABLED": "true", "SLACK_WEBHOOK_URL": slack.url}
        channels |= {"SIDEWATCH__CONSOLE__ENABLED": "true", "SIDEWATCH_STARTING_EQUITY": "10000"}
        with Sidewatch(data, channels | unset) as running:
            port = running.url.rsplit(":", 1)[1]
            told = ""
            for block in blocks():
                if "sidewatch run\n" in block:
                    continue
                done = typed(block.replace(":5173", f":{port}"), tmp_path, SIDEWATCH_PORT=port)
                assert done.returncode == 0, done.stdout + done.stderr
                told += done.stdout
            running.stop()
        assert len(slack.messages) == 3
    assert "slack: ok in" in told
    assert '"slack":{"ok":true' in told  # the signed line, through curl
    assert '{"accepted":1,"duplicates":0,"rejected":[]}' in told
    assert "sent: 2 accepted, 0 known before" in told

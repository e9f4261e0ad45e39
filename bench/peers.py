"""The peers that figures are paired with: looked up where `./dev bench-peers` has put them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.figure import emit, paired

HOME = Path(__file__).resolve().parents[1] / ".venv" / "peers"


class Missing(Exception):
    """A peer that is not installed, or does not work here; its text is the figure's `why`."""


def python(name: str) -> Path:
    """Return the interpreter of a peer's own environment. Raises Missing."""
    path = HOME / name / "bin" / "python"
    if not path.exists():
        raise Missing(f"{name} is not installed: ./dev bench-peers {name}")
    return path


def load(name: str, module: str | None = None) -> Any:
    """Import a peer into this process; what both need comes from our locked packages.

    Raises Missing.
    """
    home = python(name).parents[1]
    for site in home.glob("lib/python*/site-packages"):
        if str(site) not in sys.path:
            sys.path.append(str(site))
    try:
        return importlib.import_module(module or name)
    except ImportError as error:
        raise Missing(f"{name} does not import: {error}") from error


def emit_paired(
    figure: str,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    pairs: int,
    goal: str = "",
    *,
    against: str,
) -> None:
    """Emit the median ratio ours / theirs, or null with the reason where a peer is missing."""
    try:
        ratio, ratios = paired(ours, theirs, pairs)
    except Missing as missing:
        emit(figure, None, "x", goal, against=against, n=0, why=str(missing))
        return
    emit(figure, ratio, "x", goal, against=against, n=pairs, spread=ratios)

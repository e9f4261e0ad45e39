"""A figure is one JSON line: what was measured, in what unit, and whether it meets its goal."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Sequence

GOAL = re.compile(r"^(<=|>=) ([0-9.,]+)$")
SPAN = re.compile(r"^([0-9.]+) to ([0-9.]+)$")


def meets(value: float, goal: str) -> bool:
    """Say whether a value meets a goal: `<= x`, `>= x`, `x to y`, or one number to equal."""
    if found := GOAL.match(goal):
        bound = float(found[2].replace(",", ""))
        return value <= bound if found[1] == "<=" else value >= bound
    if found := SPAN.match(goal):
        return float(found[1]) <= value <= float(found[2])
    return value == float(goal.replace(",", ""))


def emit(
    figure: str,
    value: float | None,
    unit: str,
    goal: str,
    *,
    against: str = "",
    n: int = 1,
    spread: Sequence[float] | None = None,
    why: str = "",
) -> None:
    """Print a figure's line. `value` None says `why` there is none; no goal, "", is never met."""
    line: dict[str, object] = {
        "figure": figure,
        "value": None if value is None else float(f"{value:.4g}"),
        "unit": unit,
        "goal": goal,
        "met": None if value is None or not goal else meets(value, goal),
        "against": against,
        "n": n,
        "spread": [float(f"{edge:.4g}") for edge in (min(spread), max(spread))] if spread else None,
    }
    if why:
        line["why"] = why
    print(json.dumps(line), flush=True)


def paired(
    ours: Callable[[], float], theirs: Callable[[], float], pairs: int
) -> tuple[float, list[float]]:
    """Run A B A B and return the median of the pairs' ratios ours / theirs, and all of them.

    One round of each goes first and is not counted.
    """
    ours()
    theirs()
    ratios = [ours() / theirs() for _ in range(pairs)]
    return statistics.median(ratios), ratios


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]

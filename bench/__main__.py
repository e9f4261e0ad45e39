"""Run the bench: every figure or those named, one JSON line each to stdout and results.jsonl.

Each run writes results.jsonl anew. Each file runs in a process of its own, so that one leaves
nothing in another's heap. Returns 1 where a file failed or gave no line for a figure it promises,
2 for a name that no file gives.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.jsonl"
FILES = (
    "ack",
    "tell",
    "browser",
    "idle",
    "ready",
    "cli",
    "status",
    "metrics",
    "replay",
    "study",
    "retention",
    "conditions",
    "recompute",
    "stop",
    "alert",
    "hung",
    "storm",
    "outage",
    "kills",
    "unix",
)
FILE_S = 120
LONG_S = {"alert": 240, "kills": 900, "outage": 300}  # waits for a channel's own rate
BUSY = 0.5  # load average of the last minute; the bench itself needs two cores


def run(name: str) -> list[str]:
    """Run one file and return its figures' lines; none where it fails."""
    command = [sys.executable, "-m", f"bench.{name}"]
    limit_s = LONG_S.get(name, FILE_S)
    try:
        done = subprocess.run(
            command,
            cwd=HERE.parent,
            stdout=subprocess.PIPE,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"bench: {name}: no end after {limit_s} s", file=sys.stderr)
        return []
    if done.returncode:
        print(f"bench: {name}: exit code {done.returncode}", file=sys.stderr)
    return [line for line in done.stdout.splitlines() if line.startswith('{"figure"')]


def main(wanted: list[str]) -> int:
    figures = {name: importlib.import_module(f"bench.{name}").FIGURES for name in FILES}
    known = {figure for given in figures.values() for figure in given}
    if unknown := sorted(set(wanted) - known):
        print(f"bench: no file gives {', '.join(unknown)}", file=sys.stderr)
        print(f"bench: there are {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    if os.getloadavg()[0] > BUSY:
        print("bench: this machine is busy: the figures will be worse than it is", file=sys.stderr)
    missing: list[str] = []
    with RESULTS.open("w") as results:
        for name, given in figures.items():
            chosen = [figure for figure in given if not wanted or figure in wanted]
            lines = {json.loads(line)["figure"]: line for line in run(name)} if chosen else {}
            for figure in chosen:
                if figure in lines:
                    print(lines[figure], flush=True)
                    results.write(lines[figure] + "\n")
                    results.flush()
                else:
                    missing.append(figure)
    if missing:
        print(f"bench: no value for {', '.join(missing)}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

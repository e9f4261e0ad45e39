"""How long `sidewatch --help` takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.figure import emit

FIGURES = ("cli_help_ms",)
RUNS = 21


def took_ms(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1_000


def main() -> None:
    script = str(Path(sys.executable).with_name("sidewatch"))
    took_ms(script, "--help")
    bare = statistics.median(took_ms(sys.executable, "-c", "pass") for _ in range(RUNS))
    runs = [took_ms(script, "--help") for _ in range(RUNS)]
    emit(
        "cli_help_ms",
        statistics.median(runs),
        "ms",
        "<= 150",
        against=f"Python alone: {bare:.0f} ms",
        n=RUNS,
        spread=runs,
    )


if __name__ == "__main__":
    main()

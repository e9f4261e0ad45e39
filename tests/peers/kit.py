"""What the parity tests compare on: random and awkward series, and how alike is alike.

`make test-parity` runs each library's tests in a process of their own, because they load other
people's packages into it.
"""

from __future__ import annotations

import math
import os
import random

import numpy as np
import pytest

from bench import peers

RTOL = 1e-9

marks = [
    pytest.mark.skipif("SIDEWATCH_PARITY" not in os.environ, reason="needs make test-parity"),
    pytest.mark.filterwarnings("ignore"),
]


def loaded(name, module):
    try:
        return peers.load(name, module)
    except peers.Missing as missing:
        pytest.skip(str(missing))


def random_series():
    rng = np.random.default_rng(2026)
    for n in (2, 3, 30, 365, 1_000):
        yield f"normal {n}", rng.normal(0.0005, 0.02, n)
        yield f"mostly idle {n}", np.where(rng.random(n) < 0.7, 0.0, rng.normal(0.001, 0.01, n))
        yield f"heavy tails {n}", np.maximum(rng.standard_t(3, n) * 0.01, -0.9)


SERIES = {
    **dict(random_series()),
    "empty": np.zeros(0),
    "one": np.array([0.01]),
    "one loss": np.array([-0.01]),
    "idle": np.zeros(10),
    "equal": np.full(10, 0.01),
    "winning": np.array([0.01, 0.02, 0.015, 0.01]),
    "losing": np.array([-0.01, -0.02, -0.015, -0.01]),
    "ruin": np.array([0.01, -1.0, 0.0]),
    "recovery": np.array([-0.5, 1.0, -0.1, 0.2]),
    "tiny": np.array([1e-9, -2e-9, 3e-9]),
}


def same(ours, theirs, rtol=RTOL):
    theirs = float(theirs)
    if math.isnan(theirs) or math.isinf(theirs):
        return repr(float(ours)) == repr(theirs)
    return math.isclose(ours, theirs, rel_tol=rtol, abs_tol=1e-15)


def series(name, values):
    """A pandas Series of daily returns, of the pandas that this library uses."""
    pandas = loaded(name, "pandas")
    index = pandas.date_range("2025-01-01", periods=len(values), freq="D")
    return pandas.Series(values, index=index, dtype=float)


def random_trades():
    rng = random.Random(179)
    for n, scale in ((1, 10), (2, 10), (12, 5), (179, 20), (1_000, 2)):
        for mean in (-1.0, 0.0, 0.5):
            pnl = [round(rng.gauss(mean, scale), 8) for _ in range(n)]
            yield f"{n} of {mean}", pnl
    yield "draws", [0.0, 1.0, 0.0, -1.0]
    yield "no loss", [1.0, 2.0]
    yield "no win", [-1.0, -2.0]
    yield "equal", [5.0] * 3
    yield "idle", [0.0, 0.0]


TRADES = dict(random_trades())

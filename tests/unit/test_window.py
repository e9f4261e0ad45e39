"""The rolling window's drawdown is that of a walk over its equity, whatever was asked before."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.metrics.window import Window

TRADE, MARK, FLOW = "trade", "mark", "flow"
amounts = st.integers(-40, 60)
moves = st.lists(st.tuples(st.sampled_from([TRADE, TRADE, MARK, MARK, FLOW]), amounts), max_size=60)


def walked(steps, size):
    """The largest drawdown since just before the oldest of the last `size` trades."""
    trades = [place for place, (kind, *_) in enumerate(steps) if kind == TRADE][-size:]
    if not trades:
        return None
    peak, worst = None, Fraction(0)
    for kind, amount, before, after in steps[trades[0] :]:
        peak = before if peak is None else peak + (amount if kind == FLOW else 0)
        if peak > 0:
            worst = max(worst, Fraction(peak - after, peak))
        peak = max(peak, after)
    return float(worst)


@settings(max_examples=400, deadline=None)
@given(moves, st.integers(1, 6), st.integers(-20, 60), st.sets(st.integers(0, 59)))
def test_it_gives_the_drawdown_of_a_walk_below_zero_too(given_moves, size, equity, asked):
    window, steps = Window(size), []
    for place, (kind, amount) in enumerate(given_moves):
        before = equity
        equity = amount if kind == MARK else equity + amount
        if kind == TRADE:
            window.trade(place, amount, before, equity)
        elif kind == FLOW:
            window.flow(place, amount, equity)
        else:
            window.mark(equity)
        steps.append((kind, amount, before, equity))
        if place in asked:
            assert window.drawdown() == walked(steps, size)
    assert window.drawdown() == walked(steps, size)


def test_it_measures_a_debt_by_the_highest_peak_before_it():
    window = Window(5)
    window.trade(1, 100, 1_000, 1_100)
    window.trade(1, -600, 1_100, 500)
    for equity in (600, -110, 700, -90):
        window.mark(equity)
    assert window.drawdown() == pytest.approx(1.1)  # not 710 / 600

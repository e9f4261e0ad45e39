"""Money is exact whatever its size, and is written in as few digits as it needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.metrics.money import mean_money, micros, moment, money, scaled

scales = st.integers(0, 10).map(lambda step: 4 * step)
amounts = st.integers(-(10**60), 10**60) | st.integers(-(10**9), 10**9)


def shortest(amount):
    """Whether it is a whole number, or its last decimal is none that could be left out."""
    _, digits, exponent = amount.as_tuple()
    return exponent == 0 or (exponent < 0 and digits[-1] != 0)


@given(amounts, scales)
@example(10**36, 8)  # 29 digits, and a whole number
@example(10**28 + 1, 4)
@example(10**28 - 1, 4)
@example(0, 40)
def test_it_writes_an_amount_exactly_and_without_trailing_zeros(units, scale):
    amount = money(units, scale)
    assert Fraction(amount) == Fraction(units, 10**scale)
    assert "E+" not in str(amount)
    assert shortest(amount)


def test_it_tells_more_than_28_digits_from_a_number_that_28_hold():
    assert str(money(10**32 + 1, 4)) == "10000000000000000000000000000.0001"
    assert str(money(12345 * 10**30, 4)) == f"12345{'0' * 26}"


@given(st.integers(-(10**40), 10**40) | st.integers(-(10**9), 10**9), st.integers(1, 10**7), scales)
@example(10**29 - 1, 10, 0)  # rounds to a whole number
@example(300, 3, 0)
@example(10**27 * 3 + 1, 3, 4)
def test_it_rounds_a_mean_to_28_digits(units, count, scale):
    mean, exact = mean_money(units, count, scale), Fraction(units, count * 10**scale)
    assert abs(Fraction(mean) - exact) <= abs(exact) / 10**27 / 2
    if exact.denominator == 1 and abs(exact) < 10**28:
        assert mean == exact
    assert "E+" not in str(mean)
    assert shortest(mean)


@given(st.integers(-(10**34), 10**34), st.integers(0, 4), scales)
def test_it_takes_an_amount_in_or_says_that_the_unit_is_too_large(whole, decimals, scale):
    amount = Decimal(whole).scaleb(-decimals)
    if amount.adjusted() > 30:
        with pytest.raises(ValueError, match=r"^pnl: .* below 1e31"):
            scaled(amount, scale, "pnl")
        return
    units = Fraction(amount) * 10**scale
    assert scaled(amount, scale, "pnl") == (int(units) if units.denominator == 1 else None)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+31", "1E+999999"])
def test_it_refuses_what_is_no_amount_by_the_name_of_its_field(text):
    with pytest.raises(ValueError, match=r"^fee: "):
        scaled(Decimal(text), 4, "fee")


@given(st.integers(0, 7_258_118_400_000_000))
def test_it_counts_microseconds_exactly(when):
    assert micros(moment(when)) == when


def test_it_counts_microseconds_of_any_zone_and_of_before_1970():
    instant = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert micros(instant) == -1
    assert micros(instant.astimezone(None)) == -1
    assert micros(datetime(2026, 3, 2, tzinfo=UTC) + timedelta(microseconds=7)) % 1_000_000 == 7

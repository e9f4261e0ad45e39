"""Conditions: checked whole before the start with the place named, and never an error after it."""

import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.alerts.conditions import TOKENS_MAX, BadConditionError, read, reckoning

KINDS = {
    "drawdown": "a number",
    "trades": "a number",
    "equity": "a number",
    "sharpe": "a number",
    "silent": "true or false",
    "breaker_open": "true or false",
}
FIGURES = {
    "drawdown": 0.06,
    "trades": 12,
    "equity": Decimal("9000.10"),
    "sharpe": None,
    "silent": False,
    "breaker_open": True,
}


def holds(text, **figures):
    with reckoning():
        return read(text, KINDS).holds(FIGURES | figures)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("drawdown > 0.05 and trades >= 10", True),
        ("drawdown > 0.05 && trades >= 13", False),
        ("drawdown>.05||silent", True),
        ("drawdown > 0.06", False),
        ("drawdown >= 0.06", True),
        ("drawdown == 0.06", True),
        ("trades != 12", False),
        ("silent or breaker_open", True),
        ("!silent", True),
        ("not silent and not breaker_open", False),
        ("silent or breaker_open and trades > 100", False),
        ("(silent or breaker_open) and trades > 1e1", True),
        ("not trades > 100", True),
        ("equity == 9000.1", True),
        ("equity - 10 * trades < 8880.11 and equity - 10 * trades > 8880.09", True),
        ("-drawdown < -0.05 and 0.1 + 0.2 - 0.3 <= drawdown - 0.06", True),
        ("trades / 5 > 2.39 and trades / 5 < 2.41", True),
        ("breaker_open == true", True),
        ("silent != (trades > 1)", True),
        ("true or silent", True),
    ],
)
def test_it_reads_a_condition_as_a_trader_means_it(text, want):
    assert holds(text) is want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("sharpe > 1", False),
        ("sharpe <= 1", False),
        ("not (sharpe > 1)", False),
        ("sharpe != 1", False),
        ("sharpe > 1 or drawdown > 0.05", True),
        ("drawdown > 0.05 or sharpe > 1", True),
        ("sharpe > 1 and drawdown > 0.05", False),
        ("not (sharpe > 1 and silent)", True),
        ("sharpe * 0 == 0", False),
        ("trades / (trades - 12) > 1", False),
        ("not (trades / (trades - 12) > 1)", False),
    ],
)
def test_it_takes_what_is_said_of_an_undefined_figure_for_neither_true_nor_false(text, want):
    assert holds(text) is want


def test_it_names_its_figures_once_and_in_order():
    condition = read("trades > 1 and drawdown > 0.1 and trades < 9", KINDS)
    assert condition.order == ("trades", "drawdown")
    assert repr(condition) == "<Condition trades > 1 and drawdown > 0.1 and trades < 9>"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("drawdon > 1", "column 1: there is no figure 'drawdon'; did you mean drawdown?"),
        ("trades > 1 AND silent", "column 12: there is no figure 'AND'; did you mean and?"),
        ("trades > 1 and xyzzy", "column 16: there is no figure 'xyzzy'"),
        ("__import__('os')", "column 1: there is no figure '__import__'"),
        ("drawdown >", "column 11: something is missing at the end"),
        ("(trades > 1", "column 12: something is missing at the end"),
        ("trades > > 1", "column 10: this is not expected here"),
        ("trades > 1)", "column 11: this is not expected here"),
        ("0.01 < drawdown < 2", "column 17: this is not expected here"),
        ("trades ** 2 > 1", "column 9: this is not expected here"),
        ("and trades > 1", "column 1: this is not expected here"),
        ("drawdown = 1", "column 10: '=': equal is written =="),
        ("drawdown > 5%", "column 13: '%': a percentage is written as a fraction: 0.05 for 5 %"),
        ('trades > "1"', "column 10: '\"': there is no text in a condition"),
        ("trades.x > 1", "column 7: '.': this does not belong into a condition"),
        ("trades > 1;", "column 11: ';': this does not"),
        ("[trades]", "column 1: '[': this does not"),
        ("trades > 1_000", "column 10: '1': this does not"),
        ("drawdown and silent", "column 1: drawdown is a number where true or false is needed"),
        ("silent or  trades", "column 12: trades is a number where true or false is needed"),
        ("trades > 1 and silent > 2", "column 16: silent is true or false where a number is"),
        ("trades == silent", "column 11: silent is true or false where a number is needed"),
        ("silent == 1", "column 1: this is a number where true or false is needed"),
        ("drawdown > true", "column 1: this is true or false where a number is needed"),
        ("not drawdown", "column 5: drawdown is a number where true or false is needed"),
        ("-silent < 1", "column 2: silent is true or false where a number is needed"),
        ("drawdown + 1", "column 1: this is a number where true or false is needed"),
        ("trades", "column 1: trades is a number where true or false is needed"),
        ("1 > 0", "column 1: names no figure"),
        ("", "column 1: names no figure"),
        ("trades > 1 / 0", "column 1: cannot be reckoned"),
        ("1 > true and silent", "column 1: cannot be reckoned"),
    ],
)
def test_it_names_the_place_of_a_mistake(text, error):
    with pytest.raises(BadConditionError) as caught:
        read(text, KINDS)
    assert str(caught.value).startswith(error)


@pytest.mark.parametrize(
    "text",
    [
        "not " * (TOKENS_MAX - 1) + "silent",
        "-" * (TOKENS_MAX - 3) + "trades > 1",
        "(" * 70 + "trades" + ")" * 70 + " > 1",
        " or ".join(["silent"] * (TOKENS_MAX // 2)),
        "(" * 35 + "silent" + " == silent)" * 35,
        "+".join(["trades"] * 70) + " > 1",
        "trades > 1e99 * 1e99 * trades * trades",
    ],
)
def test_it_bears_the_longest_condition(text):
    assert read(text, KINDS).holds(FIGURES) in (True, False)


def test_it_bounds_a_condition():
    with pytest.raises(BadConditionError, match="more than 150 words and signs"):
        read("not " * TOKENS_MAX + "silent", KINDS)


# ---------------------------------------------------------------- for any condition, any figures

VALUES = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.decimals(allow_nan=True),
    st.just(Decimal("1E+999999")),
    st.booleans(),
)
number = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["drawdown", "trades", "equity", "sharpe", "0", "0.05", "1e99", ".5"]),
        st.tuples(number, st.sampled_from("+-*/"), number).map(lambda t: f"({' '.join(t)})"),
        number.map("-{}".format),
    )
)
truth = st.deferred(
    lambda: st.one_of(
        st.sampled_from(["silent", "breaker_open", "true"]),
        st.tuples(number, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), number).map(
            lambda t: f"({' '.join(t)})"
        ),
        st.tuples(truth, st.sampled_from(["and", "or", "==", "!="]), truth).map(
            lambda t: f"({' '.join(t)})"
        ),
        truth.map("(not {})".format),
    )
)


def outcome(text):
    """The condition, or why it is none."""
    try:
        return read(text, KINDS)
    except BadConditionError as error:
        return error


@given(truth, st.fixed_dictionaries(dict.fromkeys(KINDS, VALUES)))
def test_it_never_raises_when_it_judges(text, figures):
    condition = outcome(f"silent or {text}")
    if isinstance(condition, BadConditionError):
        assert "cannot be reckoned" in str(condition) or "more than" in str(condition)
    else:
        with reckoning():
            assert condition.holds(figures) in (True, False)


@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(
            st.sampled_from([*KINDS, "and", "or", "not", "(", ")", "<", "==", "-", "*", "1", "!"]),
            max_size=12,
        ).map(" ".join),
    )
)
def test_it_raises_nothing_but_its_own_error_when_it_reads(text):
    condition = outcome(text)
    if isinstance(condition, BadConditionError):
        assert 1 <= condition.column <= len(text) + 1
    else:
        assert condition.holds(FIGURES) in (True, False)


def test_it_loads_the_library_only_where_there_is_a_condition():
    code = "import sys, sidewatch.tree; sys.exit('rule_engine' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""A text in a cell: no spreadsheet reckons it, and the import reads what was exported."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.cell import plain, shielded

LEADS = [*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'=", " ", "' "]


@pytest.mark.parametrize("lead", LEADS)
def test_it_shields_what_a_spreadsheet_would_reckon(lead):
    assert shielded(f"{lead}cmd|calc") == f"'{lead}cmd|calc"


@pytest.mark.parametrize("text", ["", "BTC/USDT", "a=b", "'quoted", "7", "x-y", "a b"])
def test_it_leaves_other_texts_alone(text):
    assert shielded(text) == plain(text) == text


@pytest.mark.parametrize(
    ("cell", "text"), [(" BTC ", "BTC"), (" '=1", "=1"), (" 'a", "'a"), ("  ", ""), ("'7 ", "7 ")]
)
def test_it_drops_the_white_space_that_a_person_put_around_a_comma(cell, text):
    assert plain(cell) == text


@given(st.text(alphabet="'=-@a \t", max_size=6) | st.text())
def test_it_reads_back_what_it_has_shielded(text):
    assert plain(shielded(text)) == text

"""A notice in words."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.senders.wording import clean, fit, utf16_units, word
from tests.fakes.notices import notice


def test_it_says_everything_a_trader_needs():
    assert word(notice()).plain(4_096) == (
        "🔴 CRITICAL · alpha · Drawdown 12.4 %\n"
        "The drawdown passed its limit of 10 %.\n"
        "Equity: 8,760.00 USDT\n"
        "Peak: 10,000.00 USDT\n"
        "+37 in 5 min, worst: Drawdown 13.1 %\n"
        "3 held back for a digest\n"
        "Alert 7f3a · 2026-11-24 08:21:03 UTC\n"
        "https://watch.example/alerts/7f3a"
    )


def test_it_leaves_out_what_is_empty():
    bare = notice(bot="", text="", facts=[], suppressed=0, held=0, url="")
    assert word(bare).plain(4_096) == (
        "🔴 CRITICAL · Drawdown 12.4 %\nAlert 7f3a · 2026-11-24 08:21:03 UTC"
    )


@pytest.mark.parametrize(
    ("kind", "severity", "mark"),
    [
        ("fired", "critical", "🔴 CRITICAL · "),
        ("fired", "warning", "🟠 WARNING · "),
        ("fired", "info", "🔵 INFO · "),
        ("resolved", "critical", "🟢 RESOLVED · "),
        ("digest", "info", "📋 DIGEST · "),
        ("reminder", "critical", "🔴 CRITICAL REMINDER · "),
        ("test", "info", "🧪 TEST · "),
    ],
)
def test_it_marks_severity_and_kind_in_words_and_colour(kind, severity, mark):
    assert word(notice(kind=kind, severity=severity)).title.startswith(mark)


def test_it_marks_what_is_over_as_resolved_however_severe_it_was():
    told = notice(kind="fired", severity="critical", title="Kill switch on (over)", over=True)
    assert word(told).title == "🟢 RESOLVED · alpha · Kill switch on (over)"


def test_it_writes_instants_in_utc():
    at = datetime(2026, 11, 24, 1, 0, 0, tzinfo=timezone(timedelta(hours=9)))
    assert word(notice(at=at)).footer == "Alert 7f3a · 2026-11-23 16:00:00 UTC"


HOSTILE = "a\r\nBcc: x\x00\x1b[2J\u202e\u2066\ud800\u2028z\x9b"


def test_it_cleans_every_part():
    wording = word(
        notice(title=HOSTILE, bot=HOSTILE, text=HOSTILE, facts=[(HOSTILE, HOSTILE)], url=HOSTILE)
    )
    for line in wording.plain(10_000).split("\n"):
        assert not {unicodedata.category(char) for char in line} & {"Cc", "Cs", "Zl", "Zp"}
        assert "\u202e" not in line
        line.encode("utf-8")
    assert "\n" not in wording.title
    assert wording.facts == [("a Bcc: x[2J\ufffd z", "a Bcc: x[2J\ufffd z")]


@given(st.text(st.characters(codec=None, exclude_categories=[]), max_size=60))
def test_it_leaves_nothing_that_cannot_be_encoded_or_that_controls(text):
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert not any(unicodedata.category(char) == "Cc" and char not in "\n\t" for char in cleaned)


def test_it_cuts_the_middle_and_keeps_the_title_and_the_closing():
    text = word(notice(text="y" * 2_000)).plain(400)
    assert len(text) <= 400
    assert text.startswith("🔴 CRITICAL · alpha · Drawdown 12.4 %\nyyy")
    assert "y…\n+37 in 5 min" in text
    assert text.endswith("/alerts/7f3a")


@given(st.text(max_size=80), st.integers(1, 90))
def test_it_fits_a_limit_in_utf16_units_without_splitting_a_character(text, limit):
    cut = fit(text, limit, utf16_units)
    assert utf16_units(cut) <= limit
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


@given(st.integers(0, 300))
def test_it_is_within_any_limit(limit):
    assert len(word(notice(facts=[("n", "v")] * 50)).plain(limit)) <= limit


def test_it_shows_40_facts_and_counts_the_others():
    wording = word(notice(facts=[(f"n{i}", "v") for i in range(45)]))
    assert len(wording.facts) == 40
    assert "5 more facts on the page" in wording.notes

"""docs/metrics.md: every number of its example is what the product computes."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from actors.messages import Trade
from actors.metrics.definitions import DEFINITIONS
from actors.metrics.details import WANTED, details, record, study
from actors.metrics.families import FAMILIES, family
from actors.metrics.ledger import Ledger, LedgerOptions

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
NOW = datetime(2025, 3, 5, 23, tzinfo=UTC)
OPTIONS = LedgerOptions(starting_equity=Decimal(1_000))


def section(title):
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def rows(text):
    """The cells of a section's tables, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if not set("".join(row)) <= set("-")]


def instant(text):
    day, hour = text.split(" ")
    return datetime(2025, 3, int(day), int(hour[:2]), tzinfo=UTC)


def trades():
    for identity, opened, closed, pnl, _ in rows(section("An example by hand"))[1:6]:
        at = instant(closed)
        yield Trade("b", identity, "X", "long", Decimal(1), instant(opened), Decimal(pnl), at, at)


def shown(value, text):
    """A value rounded as the page shows it."""
    decimals = len(text.partition(".")[2])
    return f"{float(value):.{decimals}f}"


def computed():
    ledger = Ledger(OPTIONS)
    for trade in trades():
        ledger.apply(trade)
    of = study(ledger.sheet(*WANTED), NOW)
    return ledger.metrics(NOW), details(of, NOW), of


def by_hand():
    found = rows(section("An example by hand"))
    return [(row[0].strip("`"), row[2]) for row in found if len(row) == 3 and row[0][0] == "`"]


@pytest.mark.parametrize(("name", "text"), by_hand())
def test_it_computes_what_the_page_works_out_by_hand(name, text):
    metrics, detail, _ = computed()
    value = getattr(metrics, name) if hasattr(metrics, name) else getattr(detail, name)
    assert shown(value, text) == text


@pytest.mark.parametrize("row", rows(section("A fixed base"))[1:], ids=lambda row: row[0])
def test_it_computes_what_the_page_works_out_on_a_fixed_base(row):
    ledger = Ledger(msgspec.structs.replace(OPTIONS, base="fixed"))
    for trade in trades():
        ledger.apply(trade)
    name, _, text = row
    assert shown(getattr(ledger.metrics(NOW), name.strip("`")), text) == text


def test_it_computes_what_the_page_works_out_of_weekdays():
    ledger = Ledger(msgspec.structs.replace(OPTIONS, calendar="weekdays", periods_per_year=261))
    for trade, day in zip(trades(), (7, 8, 10, 11, 11), strict=True):
        then = trade.closed_at.replace(day=day)
        ledger.apply(msgspec.structs.replace(trade, closed_at=then, at=then, opened_at=then))
    found = ledger.metrics(NOW.replace(day=11))
    shows = [row for row in rows(section("Weekdays")) if len(row) == 3 and row[0][0] == "`"]
    assert len(shows) == 3
    for name, _, text in shows:
        assert shown(getattr(found, name.strip("`")), text) == text, name


def test_it_follows_equity_as_the_page_does():
    equity = Decimal(1_000)
    for row, trade in zip(rows(section("An example by hand"))[1:6], trades(), strict=True):
        equity += trade.pnl
        assert str(equity.normalize()) == row[4] or equity == Decimal(row[4])
    metrics, _, _ = computed()
    assert metrics.undefined["cagr"] == "needs 30 days"
    short = Ledger(LedgerOptions(starting_equity=Decimal(1_000), short_history_ratios=True))
    for trade in trades():
        short.apply(trade)
    assert round(short.metrics(NOW).cagr / 10) * 1_000 == 105_000


def test_it_shows_the_families_that_the_page_shows():
    metrics, _, of = computed()
    columns = record(of)
    found = {name: family(name, columns).figures for name in FAMILIES}
    head, *table = rows(section("Other projects' definitions"))[:6]
    compared = 0
    for row in table:
        name = row[0].strip("`")
        for project, text in zip(head[1:], row[1:], strict=True):
            value = getattr(metrics, name) if project == "ours" else found[project].get(name)
            if text:
                assert shown(value, text) == text, (name, project)
                compared += 1
            else:
                assert value is None
    assert compared == 23


def test_it_explains_what_the_definitions_explain():
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    counts = {"trades", "wins", "losses", "draws", "days", "equity", "peak_equity"}
    sums = {"pnl_total", "pnl_today", "pnl_week", "fees_total"}
    streaks = {"longest_win_streak", "longest_loss_streak"}
    assert set(DEFINITIONS) - named <= counts | sums | streaks

"""A snapshot's ratios are those of `figures`, and of the settings and the unit of now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Trade
from actors.metrics import figures, ratios
from actors.metrics.figures import Basis, Tally, Undefined
from actors.metrics.ledger import Ledger, LedgerOptions
from actors.metrics.moments import moments
from actors.metrics.options import terms_of
from actors.metrics.ratios import Terms

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
pnls = st.lists(st.integers(-(10**12), 10**12) | st.sampled_from([0, 5, -5]), max_size=12)
returns = st.integers(-900, 2_000).map(lambda parts: parts / 1_000)
bases = st.sampled_from([Basis(), Basis(252, 0.04, 0)])


def either(compute):
    try:
        return compute()
    except Undefined as reason:
        return str(reason)


@given(pnls)
def test_it_gives_the_figures_of_trades_as_they_are_defined(amounts):
    tally = Tally()
    for amount in amounts:
        tally.add(amount)
    undefined: dict[str, str] = {}
    win_rate, factor, _, sqn = ratios.of_trades(tally, 4, undefined, "rolling.")
    found = {"win_rate": win_rate, "profit_factor": factor, "sqn": sqn}
    for name, figure in found.items():
        reason = undefined.get(f"rolling.{name}")
        assert (reason if figure is None else figure) == either(
            lambda name=name: getattr(figures, name)(tally)
        )


@given(st.lists(returns, max_size=45), st.sampled_from([None, 0.0, 0.1]), bases)
def test_it_gives_the_figures_of_days_as_they_are_defined(days, fall, basis):
    known, undefined = moments(np.array(days, np.float64)), {}
    terms = Terms("USD", 4, basis, 90, 30, "needs 30 days")
    sharpe, stderr, sortino, calmar, cagr = ratios.of_days(known, fall, terms, undefined)
    assert (undefined.get("sharpe") if sharpe is None else sharpe) == either(
        lambda: figures.sharpe(known, basis)
    )
    assert (undefined.get("sharpe_stderr") if stderr is None else stderr) == either(
        lambda: figures.sharpe_stderr(known, basis)
    )
    assert (undefined.get("sortino") if sortino is None else sortino) == either(
        lambda: figures.sortino(known, basis)
    )
    growth = either(lambda: figures.cagr(known))
    assert (undefined.get("calmar") if cagr is None else cagr) == growth
    if isinstance(growth, float):
        assert (undefined.get("calmar") if calmar is None else calmar) == either(
            lambda: figures.calmar(growth, fall)
        )


def trade(number, pnl):
    closed = MONDAY + timedelta(minutes=number)
    return Trade("a", f"t{number}", "BTC", "long", Decimal(1), closed, Decimal(pnl), closed, closed)


def test_it_measures_in_the_unit_of_now():
    book = Ledger(LedgerOptions(starting_equity=Decimal(100)))
    book.apply(trade(1, "1.5"))
    assert book.metrics(MONDAY).expectancy == Decimal("1.5")
    book.apply(trade(2, "0.123456789"))  # a smaller unit
    figures = book.metrics(MONDAY)
    assert figures.pnl_total == Decimal("1.623456789")
    assert figures.expectancy == figures.avg_win == Decimal("0.8117283945")


def test_it_measures_by_the_settings_of_now():
    book = Ledger(LedgerOptions(starting_equity=Decimal(100)))
    for day in range(3):
        book.apply(trade(1_440 * day, day + 1))
    before = book.metrics(MONDAY + timedelta(days=2))
    book.options = msgspec.structs.replace(
        book.options, currency="EUR", periods_per_year=252, short_history_ratios=True
    )
    after = book.metrics(MONDAY + timedelta(days=2))
    assert before.sharpe is not None
    assert after.sharpe is not None
    assert (before.currency, after.currency) == ("USD", "EUR")
    assert after.sharpe < before.sharpe
    assert before.cagr is None
    assert after.cagr is not None
    assert book.terms() == terms_of(book.options, book.scale)


def test_it_takes_the_mean_win_and_loss_anew_when_a_trade_is_corrected():
    book = Ledger(LedgerOptions(starting_equity=Decimal(100)))
    for number, pnl in enumerate((3, -2, 5, -4)):
        book.apply(trade(number, pnl))
    averages = []
    for number, pnl in ((0, 6), (1, -8), (2, -5), (3, 0)):  # a win, a loss, one from win to loss
        figures = book.metrics(MONDAY)
        averages.append((figures.avg_win, figures.avg_loss))
        book.apply(msgspec.structs.replace(trade(number, pnl), revision=1))
    figures = book.metrics(MONDAY)
    averages.append((figures.avg_win, figures.avg_loss))
    assert averages == [
        (4, -3),
        (Decimal("5.5"), -3),
        (Decimal("5.5"), -6),
        (6, Decimal(-17) / 3),
        (6, Decimal("-6.5")),
    ]


def test_it_has_no_mean_win_once_the_only_one_was_corrected():
    book = Ledger(LedgerOptions())
    book.apply(trade(1, 3))
    assert book.metrics(MONDAY).avg_win == 3
    book.apply(msgspec.structs.replace(trade(1, -3), revision=1))
    figures = book.metrics(MONDAY)
    assert (figures.avg_win, figures.undefined["avg_win"]) == (None, "no win")
    assert figures.avg_loss == -3

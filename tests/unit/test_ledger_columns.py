"""What a ledger hands out for charts and tables: its history, columns and daily returns."""

import random
from decimal import Decimal

import pytest

from tests.unit.test_ledger import at, flow, ledger, trade


def test_it_draws_any_part_of_the_history():
    dice = random.Random(6)
    trades = [trade(i, at(0, 0, i), round(dice.gauss(0, 5), 2)) for i in range(3000)]
    book = ledger(*trades, start=10_000)
    every = book.series(5000)[1:]
    part = book.history(at(0, 5), at(1, 0, 7), 5000)
    assert part == [p for p in every if at(0, 5).timestamp() <= p.t < at(1, 0, 7).timestamp()]
    few = book.history(at(0, 5), at(1, 0, 7), 40)
    assert len(few) <= 40
    assert max(part, key=lambda p: p.drawdown) in few
    assert min(part, key=lambda p: p.equity) in few
    assert book.history(at(9), at(10)) == book.history(at(-9), at(-8)) == []
    with pytest.raises(ValueError, match=r"^points: "):
        book.history(at(0), at(1), 7)


def test_it_hands_out_columns_and_daily_returns():
    book = ledger(trade("a", at(0), 10, fee=Decimal("0.5")), flow(1, at(0), 5), trade(2, at(2), -5))
    columns = book.columns("kind", "amount", "fee", "ids", "symbol", "quantity", "opened")
    unit = 10**book.scale
    assert columns["kind"].tolist() == [0, 1, 1]
    assert [amount / unit for amount in columns["amount"].tolist()] == [5, 10, -5]
    assert [fee / unit for fee in columns["fee"].tolist()] == [0, 0.5, 0]
    assert [book.timeline.id(one) for one in columns["ids"].tolist()] == [1, "a", 2]
    assert columns["quantity"].tolist() == [0, 10**book.quantity_scale, 10**book.quantity_scale]
    assert columns["opened"].tolist()[1] == at(0, 11, 55).timestamp() * 1e6
    assert book.symbols() == ["BTC/USD"]
    first, days = book.daily_returns()
    assert first == at(0).toordinal()
    assert days == [pytest.approx(10 / 1005), 0.0, pytest.approx(-5 / 1015)]
    assert ledger().daily_returns() == (None, [])

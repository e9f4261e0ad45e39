"""Every default figure agrees with the oracle: money and counts exactly, ratios to 1e-12."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Equity, Flow, Trade
from actors.metrics import timeline
from actors.metrics.ledger import Ledger, LedgerOptions
from tests import oracle

FIRST = datetime(2024, 3, 1, tzinfo=UTC)  # summer time begins on the 31st in Europe
SPAN_S = 60 * 86_400
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")

cents = st.integers(-50_000, 50_000).map(lambda n: Decimal(n).scaleb(-2))
fine = st.integers(-(10**15), 10**15).map(lambda n: Decimal(n).scaleb(-14))
instants = st.integers(0, SPAN_S).map(lambda s: FIRST + timedelta(seconds=s))
coarse = st.integers(0, 60).map(lambda day: FIRST + timedelta(days=day))


@st.composite
def trades(draw, pnl):
    at = draw(instants | coarse)
    return Trade(
        "bot",
        draw(st.integers(1, 30) | st.sampled_from(["a", "b", "10x"])),
        draw(st.sampled_from(["BTC", "ETH"])),
        draw(st.sampled_from(["long", "short"])),
        Decimal(1),
        at - timedelta(minutes=7),
        draw(pnl),
        at,
        at,
        fee=abs(draw(cents)),
        revision=draw(st.integers(0, 2)),
    )


flows = st.builds(
    lambda at, n, amount: Flow("bot", at, n, amount),
    instants | coarse,
    st.integers(1, 5),
    cents.filter(bool),
)
marks = st.builds(
    lambda at, amount: Equity("bot", at, amount),
    instants | coarse,
    cents.map(lambda amount: amount + 1_000) | cents,  # the latter in debt, half of them
)
starts = st.sampled_from([None, Decimal(1_000), Decimal("0.01"), Decimal(1_000_000)])
choices = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(ZONES),
        "base": st.sampled_from(["compounding", "fixed"]),
        "calendar": st.sampled_from(["all", "weekdays"]),
    }
)


histories = st.lists(trades(cents | fine) | trades(cents) | flows | marks, max_size=40)


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """A few events fill several blocks of the timeline."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "BLOCK_MAX", 8)
        patch.setattr(timeline, "BLOCK_FILL", 6)
        yield


@given(histories, starts, choices, st.integers(0, 40), st.sets(st.integers(0, 40)))
@settings(max_examples=300, deadline=None)
def test_it_agrees_with_the_oracle_on_any_history(events, start, chosen, late, asked):
    now = FIRST + timedelta(seconds=SPAN_S, days=late)
    ledger = Ledger(LedgerOptions(starting_equity=start, rolling_trades=7, **chosen))
    for place, event in enumerate(events):
        ledger.apply(event)
        if place in asked:  # what is asked for in between changes nothing
            ledger.risk(now)
            if place % 2:
                ledger.metrics(now)
    wrong = oracle.differences(ledger.metrics(now), events, start, now, trades=7, **chosen)
    assert not wrong


@pytest.mark.parametrize("zone", ZONES)
def test_it_agrees_while_events_still_arrive(zone):
    ledger = Ledger(LedgerOptions(starting_equity=Decimal(1_000), zone=zone))
    events = []
    for n in range(1, 60):
        at = FIRST + timedelta(hours=13 * n % 200, days=n // 2)
        events.append(trade_at(n, at, Decimal((-1) ** n * (n % 7)).scaleb(-1)))
        ledger.apply(events[-1])
        now = max(event.closed_at for event in events) + timedelta(hours=1)
        wrong = oracle.differences(ledger.metrics(now), events, Decimal(1_000), now, zone=zone)
        assert not wrong, n


def trade_at(n, at, pnl):
    return Trade("bot", n, "BTC", "long", Decimal(1), at, pnl, at, at)

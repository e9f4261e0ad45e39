"""What the operator's own triggers add to each event: judged calm, beside the ledger's own work."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from actors.alerts import figures
from actors.alerts.conditions import read
from actors.alerts.watch import Own, Watch
from actors.messages import RiskUpdate, Trade
from actors.metrics.ledger import Ledger, LedgerOptions
from bench.figure import emit, percentile

FIGURES = ("own_triggers_10_us",)
WHEN = "drawdown > 0.05 and trades >= 10"
TRIGGERS = 10
EVENTS = 2_000
ROUNDS = 9
START = datetime(2026, 1, 1, tzinfo=UTC)


def trade(number: int) -> Trade:
    at = START + timedelta(minutes=number)
    pnl = Decimal(number % 7 - 3)
    return Trade("bench", number, "X", "long", Decimal(1), at, pnl, at, at)


def round_us() -> tuple[float, float]:
    """Return the microseconds an event costs the ledger, and then the triggers."""
    condition = read(WHEN, figures.KINDS)
    watch = Watch([Own(f"own{n}", condition) for n in range(TRIGGERS)], lambda _key: False)
    ledger = Ledger(LedgerOptions(starting_equity=Decimal(100_000), currency="USD"))
    began = time.perf_counter()
    updates = []
    for number in range(EVENTS):
        one = trade(number)
        ledger.apply(one)
        updates.append(RiskUpdate("bench", number, START, "USD", ledger.risk(START)))
    middle = time.perf_counter()
    for update in updates:
        watch.risk(update)
    ended = time.perf_counter()
    return (middle - began) * 1e6 / EVENTS, (ended - middle) * 1e6 / EVENTS


def main() -> None:
    """Print the figure."""
    rounds = [round_us() for _ in range(ROUNDS)]
    ours = [own for _, own in rounds]
    ledger = percentile([cost for cost, _ in rounds], 50)
    emit(
        "own_triggers_10_us",
        percentile(ours, 50),
        "us",
        "<= 100",
        against=f"the ledger's {ledger:.0f} us for the same event",
        n=ROUNDS,
        spread=ours,
    )


if __name__ == "__main__":
    main()

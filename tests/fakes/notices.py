"""A notice for tests, whole but for what a test changes."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from actors.messages import Notice

NOTICE = Notice(
    id="n-7f3a-1",
    alert_id="7f3a",
    kind="fired",
    severity="critical",
    bot="alpha",
    title="Drawdown 12.4 %",
    text="The drawdown passed its limit of 10 %.",
    at=datetime(2026, 11, 24, 8, 21, 3, tzinfo=UTC),
    facts=[("Equity", "8,760.00 USDT"), ("Peak", "10,000.00 USDT")],
    suppressed=37,
    held=3,
    span_s=300.0,
    worst="Drawdown 13.1 %",
    url="https://watch.example/alerts/7f3a",
)


def notice(**changes) -> Notice:
    return msgspec.structs.replace(NOTICE, **changes)

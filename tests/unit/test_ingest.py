"""The door: what is accepted is on disk, what is refused is kept for ops, duplicates count."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from actors import codec, ingest, repeat
from actors.codec import BadBatch
from actors.ingest import Accepted, Ingest, Rejected, RejectedEvent
from actors.messages import CircuitBreaker, Seen, Trade
from runtime.store import StoreError
from tests.fakes.bench import opened

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 1, 1, tzinfo=UTC)
JSON = "application/json"
BEAT = {"type": "heartbeat", "bot": "alpha", "at": NOW.isoformat(), "state": "running"}
CLOSED = {
    "msg_type": "exit_fill",
    "trade_id": "7",
    "pair": "AAA/USDT",
    "direction": "Long",
    "amount": "0.5",
    "open_date": "2025-12-31 18:00:00+00:00",
    "close_date": "2025-12-31 20:00:00+00:00",
    "profit_amount": "1.5",
    "is_final_exit": "True",
    "stake_currency": "USDT",
}


def trade(n, bot="alpha", **changes):
    at = (NOW - timedelta(hours=1)).isoformat()
    given = {"type": "trade", "bot": bot, "id": n, "symbol": "X", "side": "long", "quantity": "1"}
    return given | {"opened_at": at, "closed_at": at, "pnl": "1"} | changes


def switch(bot="alpha"):
    return {"type": "kill_switch", "bot": bot, "at": NOW.isoformat(), "active": True}


class Door:
    """An Ingest over an open store; `seen` is what it told health."""

    def __init__(self, store, clock):
        self.store = store
        self.seen = []
        self.ingest = Ingest(store, clock, self.seen.append)

    async def post(self, *events):
        return await self.ingest.events(json.dumps(events).encode(), JSON)

    async def webhook(self, bot="ft", **changes):
        return await self.ingest.freqtrade(bot, json.dumps(CLOSED | changes).encode(), JSON)

    async def events(self):
        rows = await self.store.read(lambda tx: tx.journal.read(0, 100, ingest.EVENT_STREAMS))
        return [codec.decode(row.data) for row in rows]

    async def rejected(self):
        rows = await self.store.read(lambda tx: tx.journal.last("rejected", 1_000))
        return [msgspec.json.decode(row.data, type=RejectedEvent) for row in rows]


@pytest.fixture
async def door(tmp_path, anyio_backend):
    async with opened(tmp_path) as (store, clock):
        yield Door(store, clock)


async def test_it_journals_before_it_accepts(door):
    assert await door.post(trade(1), switch()) == Accepted(2, 0, [])
    assert [type(event).__name__ for event in await door.events()] == ["Trade", "KillSwitch"]
    assert door.store.head() == 2


async def test_it_counts_duplicates_within_a_batch_and_over_batches(door):
    assert await door.post(trade(1), trade(1)) == Accepted(1, 1, [])
    assert await door.post(trade(1), trade(2)) == Accepted(1, 1, [])
    assert await door.post(trade(1, revision=1)) == Accepted(1, 0, [])
    assert len(await door.events()) == 3


async def test_it_tells_an_id_that_now_says_something_else_from_a_duplicate(door):
    flow = {"type": "flow", "bot": "alpha", "at": NOW.isoformat(), "id": "f", "amount": "5"}
    await door.post(trade(1), flow)
    answer = await door.post(
        switch(),
        trade(2),
        trade("1", pnl="7", fee=1),
        BEAT,
        trade(1, pnl="1.00"),
        flow | {"amount": 6},
    )
    assert (answer.accepted, answer.duplicates, answer.rejected) == (3, 3, [])
    told = [
        "id '1' is known with another pnl, fee: ignored; a correction needs a higher `revision`",
        "id 'f' is known with another amount: ignored; another event needs an id of its own",
    ]
    assert answer.conflicts == [Rejected(2, told[0]), Rejected(5, told[1])]
    kept = list(reversed(await door.rejected()))
    assert [(item.index, item.error) for item in kept] == [(2, told[0]), (5, told[1])]
    assert json.loads(kept[0].raw)["pnl"] == "7"
    assert await door.post(trade(1, pnl="7", revision=1)) == Accepted(1, 0, [])
    assert len(await door.events()) == 5


async def test_it_tells_apart_the_repeats_within_a_batch(door):
    answer = await door.post(trade(1), trade(1), trade(1, symbol="Y"), trade(2))
    assert (answer.accepted, answer.duplicates) == (2, 2)
    assert [(item.index, "another symbol" in item.error) for item in answer.conflicts] == [
        (2, True)
    ]
    assert "conflicts" not in json.loads(msgspec.json.encode(await door.post(trade(1))))


async def test_it_tells_a_conflict_with_an_event_of_a_run_beyond_the_bound(door, monkeypatch):
    monkeypatch.setattr(repeat, "EARLIER_BYTES_MAX", 1)
    await door.post(*(trade(n) for n in range(20)))
    answer = await door.post(trade(19, pnl="7"))
    assert [item.index for item in answer.conflicts] == [0]


async def test_it_lets_others_go_on_while_it_compares(door, monkeypatch):
    monkeypatch.setattr(repeat, "PIECE", 2)
    turns = []
    paused = ingest.checkpoint

    async def counted():
        turns.append(1)
        await paused()

    await door.post(*(trade(n) for n in range(8)))
    monkeypatch.setattr(ingest, "checkpoint", counted)
    answer = await door.post(*(trade(7 - n, pnl="7") for n in range(8)))
    assert [item.index for item in answer.conflicts] == list(range(8))
    assert len(turns) == 1 + 4  # reading, and a piece each


async def test_it_counts_a_plain_duplicate_where_the_first_is_no_longer_known(door):
    await door.post(trade(1))
    await door.store.write(lambda tx: tx.journal.trim("trade", 0))
    assert await door.post(trade(1, pnl="7")) == Accepted(0, 1, [])


async def test_it_keeps_good_items_beside_bad_ones(door):
    answer = await door.post(trade(1), {"type": "nonsense"}, trade(3, pnl="NaN"), trade(4))
    assert (answer.accepted, answer.duplicates) == (2, 0)
    assert [item.index for item in answer.rejected] == [1, 2]
    assert isinstance(answer.rejected[0], Rejected)
    assert "pnl" in answer.rejected[1].error
    newest, older = await door.rejected()
    assert (newest.index, older.index) == (2, 1)
    assert (newest.source, newest.at) == ("native", NOW)
    assert json.loads(newest.raw)["pnl"] == "NaN"
    assert older.raw == '{"type": "nonsense"}'


async def test_it_refuses_a_body_it_cannot_read_and_keeps_it(door):
    with pytest.raises(BadBatch):
        await door.ingest.events(b"[\xff", JSON)
    [kept] = await door.rejected()
    assert kept.raw == "[\\xff"
    assert await door.events() == []
    assert door.seen == []


async def test_it_bounds_what_it_keeps_of_refused_items(door, monkeypatch):
    await door.post(*[{"type": "x" * 9_000}] * 3)
    assert {len(item.raw) for item in await door.rejected()} == {ingest.REJECTED_RAW_BYTES_MAX}
    answer = await door.post(*[{"n": n} for n in range(ingest.REJECTED_PER_BATCH_MAX + 5)])
    assert len(answer.rejected) == ingest.REJECTED_PER_BATCH_MAX + 5
    assert len(await door.rejected()) == ingest.REJECTED_PER_BATCH_MAX + 3
    monkeypatch.setattr(ingest, "TRIM_EVERY", 2)
    monkeypatch.setattr(ingest, "REJECTED_KEPT", 7)
    await door.post({"n": 0}, {"n": 1})
    assert len(await door.rejected()) == 7


async def test_it_takes_heartbeats_without_writing(door):
    commits = door.store.stats().commits
    assert await door.post(BEAT) == Accepted(1, 0, [])
    assert door.store.stats().commits == commits
    assert door.seen == [Seen("alpha", NOW, "running")]


async def test_it_tells_health_of_every_bot_it_heard(door):
    await door.post(BEAT, trade(1), BEAT | {"state": "stopped"}, trade(1, bot="beta"))
    assert sorted(door.seen, key=lambda sign: sign.bot) == [
        Seen("alpha", NOW, "stopped"),
        Seen("beta", NOW, regular=False),
    ]


async def test_it_acknowledges_nothing_the_disk_refused(door):
    def full(point):
        if point == "store.commit":
            raise OSError("disk full")

    door.store.fault = full
    with pytest.raises(StoreError):
        await door.post(trade(1))
    assert door.seen == []
    door.store.fault = lambda _point: None
    assert await door.post(trade(1)) == Accepted(1, 0, [])


async def test_it_journals_a_freqtrade_trade_once(door):
    assert await door.webhook() == Accepted(1, 0, [])
    assert await door.webhook() == Accepted(0, 1, [])
    [event] = await door.events()
    assert isinstance(event, Trade)
    assert (event.bot, event.pnl) == ("ft", Decimal("1.5"))
    assert door.seen == [Seen("ft", NOW, regular=False)] * 2


async def test_it_takes_the_lock_and_the_state_of_freqtrade(door):
    await door.webhook(msg_type="protection_trigger_global", reason="max drawdown")
    [event] = await door.events()
    assert isinstance(event, CircuitBreaker)
    assert await door.webhook(msg_type="status", status="running") == Accepted(1, 0, [])
    assert door.seen[-1] == Seen("ft", NOW, "running", regular=False)


async def test_it_has_no_use_for_other_webhooks(door):
    assert await door.webhook(msg_type="entry") == Accepted(0, 0, [])
    assert (await door.events(), door.seen) == ([], [])


@pytest.mark.parametrize(
    ("bot", "changes", "field"),
    [
        ("ft", {"amount": "many"}, "amount"),
        ("ft", {"profit_amount": "NaN"}, "profit_amount"),
        ("ft", {"close_date": "1970-01-01"}, "closed_at"),
        ("ft", {"open_date": "0001-01-01T00:00:00+23:59"}, "open_date"),
        ("ft", {"pair": "X" * 65}, "symbol"),
        ("ft", {"stake_currency": "X" * 17}, "currency"),
        ("ft", {"trade_id": "7" * 128}, "id"),
        ("no name", {}, "bot"),
    ],
)
async def test_it_refuses_a_webhook_that_no_rebuild_could_read(door, bot, changes, field):
    with pytest.raises(BadBatch, match=field):
        await door.webhook(bot, **changes)
    assert (await door.events(), door.seen) == ([], [])
    [kept] = await door.rejected()
    assert kept.source == f"freqtrade:{bot}"


async def test_it_refuses_a_webhook_that_is_no_json(door):
    with pytest.raises(BadBatch, match="json body"):
        await door.ingest.freqtrade("ft", b"{", JSON)

"""The demo's bot: a sane and repeatable walk, and trades that outlive an outage."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise

import anyio
import httpx
import pytest

from actors import codec
from runtime.clock import LoopClock
from sidewatch import simulation
from sidewatch.exchange import PATH, Exchange
from sidewatch.simulation import Pending, Refused, simulate
from sidewatch.walk import BATCH_MAX, FIRST, STARTING_EQUITY, STEP_EVENTS_MAX, Walk, backfill

START = datetime(2026, 1, 2, 10, tzinfo=UTC)
SEEDS = [1, 7, 42, 2026]
URL, TOKEN = "http://sidewatch.test", "ingest-token"


def lived(walk, steps, first=0):
    return [e for n in range(first, first + steps) for e in walk.step(START + timedelta(seconds=n))]


def of(kind, events):
    return [event for event in events if event["type"] == kind]


def instants(events):
    return [datetime.fromisoformat(event["at"]) for event in events]


def losing_runs(events):
    trades = of("trade", events)
    runs = groupby(trades, key=lambda trade: Decimal(trade["pnl"]) < 0)
    return [len(list(run)) for lost, run in runs if lost]


def deepest_fall(equities):
    peak, deepest = equities[0], 0.0
    for equity in equities:
        peak = max(peak, equity)
        deepest = max(deepest, float(1 - equity / peak))
    return deepest


def equities(events):
    return [Decimal(event["equity"]) for event in of("equity", events)]


@pytest.mark.parametrize("seed", SEEDS)
def test_it_repeats_itself_for_the_same_seed(seed):
    one, two = Walk(seed, START), Walk(seed, START)
    assert list(backfill(one, 3, START)) == list(backfill(two, 3, START))
    assert lived(one, 300) == lived(two, 300)
    assert lived(Walk(seed, START), 60) != lived(Walk(seed + 1, START), 60)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_tells_only_events_that_sidewatch_takes(seed):
    walk = Walk(seed, START)
    events = [e for batch in backfill(walk, 30, START) for e in batch] + lived(walk, 2_000)
    good, bad = codec.read(json.dumps(events).encode(), codec.JSON, START + timedelta(hours=1))
    assert bad == []
    assert len(good) == len(events) > 2_000


@pytest.mark.parametrize("seed", SEEDS)
def test_it_shows_each_trouble_within_two_minutes(seed):
    events = lived(Walk(seed, START), 120)
    errors = instants(of("api_error", events))
    assert len(errors) > 3
    assert errors[-1] - errors[0] < timedelta(minutes=1)
    assert max(losing_runs(events)) >= 10
    assert deepest_fall(equities(events)) > 0.05
    [rejected] = of("position_rejected", events)
    [full] = [event for event in of("positions", events) if event["open"] == event["limit"] == 5]
    assert full["at"] == rejected["at"]
    [opened] = [event for event in of("circuit_breaker", events) if event["open"]]
    assert "losses in a row" in opened["reason"]


@pytest.mark.parametrize("seed", SEEDS)
def test_it_trades_nothing_while_the_breaker_is_open(seed):
    events = lived(Walk(seed, START), 180)
    assert [event["open"] for event in of("circuit_breaker", events)] == [False, True, False]
    started, opened, closed = instants(of("circuit_breaker", events))
    assert started == START
    assert closed - opened == timedelta(seconds=45)
    assert not [at for at in instants(of("trade", events)) if opened < at < closed]
    assert "paused" in {event["state"] for event in of("heartbeat", events)}


def test_it_begins_quietly():
    quiet = lived(Walk(7, START), int(FIRST[0][0]))
    [breaker] = of("circuit_breaker", quiet)
    assert not breaker["open"]
    usual = {"trade", "equity", "positions", "heartbeat", "circuit_breaker"}
    assert {event["type"] for event in quiet} == usual


def test_it_trades_each_2_to_3_s_and_beats_each_5_s():
    quiet = lived(Walk(7, START), 20)
    trades, beats = instants(of("trade", quiet)), instants(of("heartbeat", quiet))
    assert {(b - a).seconds for a, b in pairwise(trades)} == {2, 3}
    assert {(b - a).seconds for a, b in pairwise(beats)} == {5}


@pytest.mark.parametrize("seed", SEEDS)
def test_its_equity_is_exactly_what_it_earned(seed):
    walk = Walk(seed, START)
    events = [e for batch in backfill(walk, 5, START) for e in batch] + lived(walk, 200)
    earned = sum(Decimal(trade["pnl"]) for trade in of("trade", events))
    assert equities(events)[-1] == walk.equity == STARTING_EQUITY + earned


@pytest.mark.parametrize("seed", SEEDS)
def test_it_stays_sane_for_hours_and_repeats_its_troubles(seed):
    walk = Walk(seed, START)
    events = lived(walk, 6 * 3_600)
    assert 8_000 < min(equities(events)) < max(equities(events)) < 12_000
    openings = [event for event in of("circuit_breaker", events) if event["open"]]
    assert 15 <= len(openings) <= 30
    assert max(losing_runs(events)) < 20


def test_it_does_not_catch_up_on_trouble_after_a_long_sleep():
    walk = Walk(7, START)
    lived(walk, 120)
    later = lived(walk, 60, first=100_000)
    assert len(of("position_rejected", later)) == 1
    assert max(len(walk.step(START + timedelta(seconds=200_000 + n))) for n in range(50)) <= (
        STEP_EVENTS_MAX
    )


@pytest.mark.parametrize("seed", [*SEEDS, *range(100, 130)])
def test_its_history_alerts_nobody(seed):
    events = [e for batch in backfill(Walk(seed, START), 30, START) for e in batch]
    assert max(losing_runs(events)) < 10
    days = groupby(of("equity", events), key=lambda event: event["at"][:10])
    before = STARTING_EQUITY
    for _, day in days:
        seen = [before, *equities(list(day))]
        assert deepest_fall(seen) < 0.05
        before = seen[-1]
    assert deepest_fall(equities(events)) < 0.10


def test_its_history_is_ordered_past_and_in_small_batches():
    batches = list(backfill(Walk(7, START), 30, START))
    events = [event for batch in batches for event in batch]
    at = instants(events)
    assert at == sorted(at)
    assert START - timedelta(days=30) <= at[0] < at[-1] < START
    assert len(of("trade", events)) == 240
    assert max(map(len, batches)) <= BATCH_MAX
    assert list(backfill(Walk(7, START), 0, START)) == []


def test_it_never_reuses_an_id_after_a_restart():
    one = lived(Walk(7, START), 300)
    two = lived(Walk(7, START + timedelta(microseconds=1)), 300)
    ids = [event["id"] for event in one + two if "id" in event]
    assert len(ids) == len(set(ids)) > 100


def test_it_forgets_only_ticks_and_beats():
    pending = Pending(events_max=40)
    pending.add({"type": "trade", "n": n} for n in range(10))
    pending.add({"type": "equity", "n": n} for n in range(50))
    pending.add({"type": "trade", "n": n} for n in range(10, 14))
    kept = pending.first()
    assert len(pending) == 40
    assert [e["n"] for e in kept if e["type"] == "trade"] == list(range(14))
    assert [e["n"] for e in kept if e["type"] == "equity"] == list(range(24, 50))


def test_it_has_no_room_when_it_could_not_keep_a_step():
    pending = Pending(events_max=40)
    pending.add([{"type": "trade"}] * (40 - STEP_EVENTS_MAX))
    assert pending.room
    pending.add([{"type": "equity"}] * 99)
    assert pending.room
    pending.add([{"type": "trade"}])
    assert not pending.room
    pending.delivered(1)
    assert pending.room


class FakeSidewatch:
    """Take events as Sidewatch does, fail while `trouble` says so, and note each request's time."""

    def __init__(self, trouble=lambda at_s: None):
        self.trouble = trouble
        self.taken, self.keys, self.arrivals, self.stamps = [], set(), [], []
        self.transport = httpx.MockTransport(self.answer)

    def answer(self, request):
        at_s = anyio.current_time() - self.began_s
        self.arrivals.append(at_s)
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        assert (request.method, str(request.url)) == ("POST", f"{URL}/api/v1/events")
        trouble = self.trouble(at_s)
        if isinstance(trouble, Exception):
            raise trouble
        if trouble is not None:
            return httpx.Response(trouble)
        return httpx.Response(200, json=self.take(json.loads(request.content)))

    def take(self, events):
        duplicates = 0
        for event in events:
            key = (event["type"], event["id"]) if "id" in event else (event["type"], len(self.keys))
            if key in self.keys:
                duplicates += 1
            else:
                self.taken.append(event)
            self.keys.add(key)
        return {"accepted": len(events) - duplicates, "duplicates": duplicates, "rejected": []}

    async def watch(self, for_s, *, seed=7, days=0, clock=None, exchange=None):
        self.began_s = anyio.current_time()
        clock = clock or LoopClock(START)
        with anyio.move_on_after(for_s):
            await simulate(
                URL,
                TOKEN,
                seed=seed,
                days=days,
                transport=self.transport,
                clock=clock,
                exchange=exchange,
            )


def expected_trades(steps, seed=7):
    return [trade["id"] for trade in of("trade", lived(Walk(seed, START), steps))]


def told_trades(fake):
    return [trade["id"] for trade in of("trade", fake.taken)]


@pytest.mark.anyio
async def test_it_sends_history_first_and_then_a_step_each_second(anyio_backend):
    fake = FakeSidewatch()
    await fake.watch(30.5, days=30)
    assert len([i for i in told_trades(fake) if i.startswith("history-")]) == 240
    assert fake.taken[0]["id"] == "history-1"
    assert len(of("heartbeat", fake.taken)) == 7


@pytest.mark.anyio
@pytest.mark.parametrize("trouble", [503, 429, httpx.ConnectError("down")])
async def test_it_keeps_trades_over_an_outage(anyio_backend, trouble):
    fake = FakeSidewatch(lambda at_s: trouble if 5 <= at_s < 65 else None)
    await fake.watch(120.5)
    assert told_trades(fake) == expected_trades(121)
    assert len([at_s for at_s in fake.arrivals if 5 <= at_s < 65]) <= 15
    assert fake.arrivals[-1] >= 118


@pytest.mark.anyio
async def test_it_is_back_within_9_s_of_an_outages_end(anyio_backend):
    fake = FakeSidewatch(lambda at_s: 503 if at_s < 600 else None)
    await fake.watch(609.5)
    assert told_trades(fake) == expected_trades(610)[: len(told_trades(fake))]
    assert told_trades(fake)


@pytest.mark.anyio
async def test_it_stops_trading_rather_than_lose_a_trade(anyio_backend, monkeypatch):
    monkeypatch.setattr(simulation, "Pending", lambda: Pending(events_max=60))
    fake = FakeSidewatch(lambda at_s: 503 if at_s < 300 else None)
    await fake.watch(400)
    told = [at for at in instants(of("trade", fake.taken)) if at < START + timedelta(seconds=300)]
    assert len(told) >= 20
    assert told[-1] < START + timedelta(seconds=120)
    numbers = [int(e["id"].rsplit("-", 1)[1]) for e in fake.taken if "id" in e]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.anyio
async def test_it_tells_history_once_over_restarts(anyio_backend):
    fake = FakeSidewatch()
    await fake.watch(10, days=30)
    ticks = len(of("equity", fake.taken))
    await fake.watch(10, days=30, seed=8, clock=LoopClock(START + timedelta(hours=1)))
    history = [i for i in told_trades(fake) if i.startswith("history-")]
    assert len(history) == 240
    assert len(of("equity", fake.taken)) < ticks + BATCH_MAX


@pytest.mark.anyio
async def test_it_tells_all_history_when_the_first_answer_is_lost(anyio_backend):
    fake = FakeSidewatch()

    def lose_first(request):
        answer = FakeSidewatch.answer(fake, request)
        if len(fake.arrivals) == 1:
            raise httpx.ReadTimeout("lost")
        return answer

    fake.transport = httpx.MockTransport(lose_first)
    await fake.watch(10, days=30)
    assert len([i for i in told_trades(fake) if i.startswith("history-")]) == 240


@pytest.mark.anyio
@pytest.mark.parametrize("code", [401, 403, 404, 413])
async def test_it_ends_where_it_will_never_be_taken(anyio_backend, code):
    fake = FakeSidewatch(lambda at_s: code)
    with pytest.raises(Refused, match=f"answered {code}"):
        await fake.watch(60)
    assert len(fake.arrivals) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(422, json={"accepted": 0, "duplicates": 0, "rejected": [{"error": "pnl"}]}),
    ],
    ids=["not JSON", "not ours", "rejected"],
)
async def test_it_ends_at_an_answer_it_cannot_trust(anyio_backend, answer):
    fake = FakeSidewatch()
    fake.transport = httpx.MockTransport(lambda request: answer)
    with pytest.raises(Refused):
        await fake.watch(60)


def test_it_wants_its_token_from_the_environment(monkeypatch, capsys):
    monkeypatch.delenv("SIDEWATCH_INGEST_TOKEN", raising=False)
    with pytest.raises(SystemExit):
        simulation.main(["--url", URL])
    assert "SIDEWATCH_INGEST_TOKEN" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["ftp://a", "nonsense"])
def test_it_refuses_an_address_that_is_none(monkeypatch, capsys, url):
    monkeypatch.setenv("SIDEWATCH_INGEST_TOKEN", TOKEN)
    assert simulation.main(["--url", url]) == 1
    assert capsys.readouterr().err.startswith("sidewatch.simulation: ")


class Switch:
    """An exchange that notes when it went down and came back."""

    def __init__(self):
        self.changes = []
        self._up = True

    @property
    def up(self):
        return self._up

    @up.setter
    def up(self, now_up):
        if now_up != self._up:
            self.changes.append((now_up, anyio.current_time()))
        self._up = now_up


@pytest.mark.anyio
async def test_it_takes_its_exchange_down_for_8_s_and_up_again(anyio_backend):
    switch = Switch()
    await FakeSidewatch().watch(60, exchange=switch)
    [(down, went), (up, came)] = switch.changes
    assert (down, up) == (False, True)
    assert came - went == pytest.approx(8)


def test_its_exchange_answers_a_ping_but_for_outages():
    sock = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    with Exchange(sock) as exchange, httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get(PATH).status_code == 200
        assert client.get("/other").status_code == 404
        exchange.up = False
        assert client.get(PATH).status_code == 503
    with pytest.raises(httpx.ConnectError):
        httpx.get(url + PATH, trust_env=False)

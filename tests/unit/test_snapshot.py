"""Snapshots: the figures of a start that reads one are those of the whole journal, to the bit."""

import json
import random
from decimal import Decimal

import msgspec
import pytest

from actors.metrics import depot as room
from actors.metrics import keep
from actors.metrics.depot import Depot, Unusable
from actors.metrics.keep import MANIFEST, PREFIX, Keeper
from actors.metrics.ledger import LedgerOptions
from actors.metrics.ledgers import Ledgers
from actors.metrics.replay import replay
from actors.metrics.snapshot import pack, unpack
from actors.place import cursor_key
from tests.fakes.bench import opened
from tests.unit.test_bulk import NOW, history, journaled, options

pytestmark = pytest.mark.anyio
READER = "metrics"


@pytest.fixture(autouse=True)
def small(small_parts, monkeypatch):
    monkeypatch.setattr(keep, "SAVE_EVERY", 20)


def bits(ledgers):
    return msgspec.json.encode(ledgers.update(NOW), order="deterministic")


def built(events, choose=options):
    ledgers = Ledgers(choose)
    for event in events:
        ledgers.apply(event)
    return ledgers


def again(ledgers, choose, depot, parts=()):
    """Through bytes and back; `parts` are stored already."""
    packed = [json.loads(json.dumps(pack(ledger, depot))) for ledger in ledgers.of.values()]
    parts = {**dict(parts), **depot.fresh}
    restored = Ledgers(choose)
    fresh = Depot()
    restored.take_over(
        {one["name"]: unpack(one, choose(one["name"]), parts, fresh) for one in packed}, {}
    )
    return restored, parts


@pytest.mark.parametrize(
    "changes", [{}, {"base": "fixed"}, {"base": "fixed", "calendar": "weekdays"}]
)
@pytest.mark.parametrize("seed", range(40))
def test_it_gives_the_same_ledger_again(seed, changes):
    def choose(bot):
        return msgspec.structs.replace(options(bot), **changes)

    dice = random.Random(seed)
    events = history(dice, dice.choice([4, 60, 200]))
    cut = dice.randrange(len(events))
    ledgers = built(events[:cut], choose)
    depot = Depot()
    restored, parts = again(ledgers, choose, depot)
    assert bits(restored) == bits(ledgers)
    for event in events[cut:]:
        assert restored.apply(event) == ledgers.apply(event)
        assert restored.refused == ledgers.refused
    assert bits(restored) == bits(ledgers) == bits(built(events, choose))
    twice, _ = again(restored, choose, Depot(10_000), parts)
    assert bits(twice) == bits(ledgers)
    for bot, ledger in twice.of.items():
        assert ledger.series(300) == ledgers.of[bot].series(300)


@pytest.mark.parametrize("seed", range(20))
def test_it_follows_settings_that_changed_meanwhile(seed):
    dice = random.Random(seed)
    events = history(dice, 120)
    ledgers, base = built(events[:90]), dice.choice(["compounding", "fixed"])
    calendar = dice.choice(["all", "weekdays"])

    def other(bot):
        start = {"alpha": Decimal("777.123456789012345678"), "beta": Decimal(5000)}
        return LedgerOptions(
            starting_equity=start[bot],
            currency_is_set=False,
            zone="Asia/Tokyo",
            rolling_trades=7,
            ddof=0,
            base=base,
            calendar=calendar,
        )

    restored, _ = again(ledgers, other, Depot())
    assert bits(restored) == bits(built(events[:90], other))
    for event in events[90:]:
        restored.apply(event)
    assert bits(restored) == bits(built(events, other))


def test_it_refuses_a_snapshot_of_another_currency_or_with_a_broken_part():
    ledgers = built(history(random.Random(3), 50))
    depot = Depot()
    packed = pack(ledgers.of["alpha"], depot)
    with pytest.raises(Unusable, match="currency"):
        unpack(packed, LedgerOptions(currency="JPY"), depot.fresh, Depot())
    account = packed["account"]
    older = {**account, "scalars": {**account["scalars"], "cut_growth": 1.0}}
    with pytest.raises(Unusable, match="another version"):
        unpack({**packed, "account": older}, options("alpha"), depot.fresh, Depot())
    number = packed["groups"][0][0]
    *part, end = depot.fresh[number]
    broken = {**depot.fresh, number: bytes([*part, end ^ 1])}
    with pytest.raises(Unusable, match=f"part {number} is broken"):
        unpack(packed, options("alpha"), broken, Depot())
    del broken[number]
    with pytest.raises(Unusable, match=f"part {number} is missing"):
        unpack(packed, options("alpha"), broken, Depot())


def test_it_writes_a_part_of_the_ids_again_that_was_not_full():
    events = [e for e in history(random.Random(2), 300) if e.bot == "alpha"]
    ledgers, depot, parts = built(events[:9]), Depot(), {}
    for event in events[9:]:
        ledgers.apply(event)
        restored, parts = again(ledgers, options, depot, parts)
        heaps = [one.of["alpha"].timeline.heap.data for one in (restored, ledgers)]
        assert heaps[0] == heaps[1]
    assert len(heaps[0]) > 3 * room.HEAP_BYTES


def test_it_writes_again_only_what_changed():
    dice = random.Random(4)
    events = [e for e in history(dice, 600) if e.bot == "alpha"]
    ledgers = built(sorted(events, key=lambda event: event.at))
    depot = Depot()
    before = pack(ledgers.of["alpha"], depot)
    depot.fresh.clear()
    same = pack(ledgers.of["alpha"], depot)
    assert len(depot.fresh) <= 1  # the end of the heap
    assert same["groups"] == before["groups"]
    assert same["index"] == before["index"]
    depot.fresh.clear()
    late = next(event for event in history(random.Random(9), 50) if event.bot == "alpha")
    assert ledgers.apply(msgspec.structs.replace(late, id="late", currency=None))
    after = pack(ledgers.of["alpha"], depot)
    assert (
        len({tuple(ref) for ref in after["groups"]} - {tuple(ref) for ref in before["groups"]}) <= 3
    )
    assert len(before["groups"]) > 10


# ------------------------------------------------------------------ in the store


def journal(events):
    def append(tx):
        for run in journaled(events, 4):
            tx.journal.append_run(run.stream, 0.0, run.data, [None] * run.n)

    return append


async def save(keeper, store, ledgers, seq, left_out=frozenset()):
    await store.write(lambda tx: tx.state.put(cursor_key(READER), str(seq).encode()))
    for _ in range(60):
        await keeper.step(ledgers, seq, set(left_out))


async def start(store, until, left_out=frozenset()):
    """What a new process has: its ledgers, from which seq on it read, and why."""
    ledgers, keeper = Ledgers(options), Keeper(store, READER)
    after = await keeper.load(until, set(left_out), ledgers)
    await replay(store, ledgers.loader(), set(left_out), after=after, until=until)
    return ledgers, after, keeper


async def test_it_starts_from_a_snapshot_and_the_tail(tmp_path):
    events = history(random.Random(5), 150)
    async with opened(tmp_path) as (store, _clock):
        await store.write(journal(events))
        whole, after, keeper = await start(store, 60)
        assert after == 0
        await save(keeper, store, whole, 60)
        restored, after, keeper = await start(store, 150)
        assert after == 60
        assert bits(restored) == bits(built(events))
        await save(keeper, store, restored, 150)
        last, after, keeper = await start(store, 150)
        assert after == 150
        assert bits(last) == bits(built(events))
        keys = await store.read(lambda tx: tx.state.keys(PREFIX))
        manifest = json.loads(await store.read(lambda tx: tx.state.get(MANIFEST)))
        used = {ref[0] for bot in manifest["bots"] for ref in keep._refs(bot)}
        assert {int(key.removeprefix(PREFIX)) for key in keys if key != MANIFEST} == used


async def test_it_walks_a_tail_that_is_in_order(tmp_path):
    events = sorted(history(random.Random(11), 200), key=lambda event: event.at)
    async with opened(tmp_path) as (store, _clock):
        await store.write(journal(events))
        ledgers, _, keeper = await start(store, 150)
        await save(keeper, store, ledgers, 150)
        restored, after, _ = await start(store, 200)
        assert after == 150
        assert bits(restored) == bits(built(events))


async def test_it_lets_no_snapshot_count_before_alerts_have_come_as_far(tmp_path):
    events = history(random.Random(6), 80)
    async with opened(tmp_path) as (store, _clock):
        await store.write(journal(events))
        ledgers, _, keeper = await start(store, 80)
        for _ in range(60):
            await keeper.step(ledgers, 80, set())
        assert await store.read(lambda tx: tx.state.get(MANIFEST)) is None
        await save(keeper, store, ledgers, 80)
        assert (await start(store, 80))[1] == 80
        earlier, after, keeper = await start(store, 70)
        assert (after, keeper.passed_over) == (0, "it stands for seq 80, alerts for 70")
        assert bits(earlier) == bits(built(events[:70]))


def change(manifest, **values):
    return json.dumps({**json.loads(manifest), **values}).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: b"{}",
        lambda _: b'{"format": 3}',
        lambda manifest: change(manifest, format="0 little"),
        lambda manifest: change(manifest, bots=[{"name": "alpha"}]),
        lambda manifest: change(manifest, bots=7),
        lambda manifest: manifest[:-9],
    ],
)
async def test_it_replays_everything_where_a_snapshot_is_of_no_use(tmp_path, spoil):
    events = history(random.Random(7), 80)
    async with opened(tmp_path) as (store, _clock):
        await store.write(journal(events))
        ledgers, _, keeper = await start(store, 60)
        await save(keeper, store, ledgers, 60)
        manifest = await store.read(lambda tx: tx.state.get(MANIFEST))
        await store.write(lambda tx: tx.state.put(MANIFEST, spoil(manifest)))
        restored, after, keeper = await start(store, 80)
        assert after == 0
        assert keeper.passed_over
        assert bits(restored) == bits(built(events))
        await save(keeper, store, restored, 80)
        assert (await start(store, 80))[1] == 80


async def test_it_replays_everything_once_other_events_are_in_quarantine(tmp_path):
    events = history(random.Random(8), 60)
    async with opened(tmp_path) as (store, _clock):
        await store.write(journal(events))
        ledgers, _, keeper = await start(store, 60, {9})
        await save(keeper, store, ledgers, 60, {9})
        assert (await start(store, 60, {9, 61}))[1] == 60
        released, after, _ = await start(store, 60)
        assert after == 0
        assert bits(released) == bits(built(events))


async def test_it_tries_again_after_a_failed_write(tmp_path):
    events = history(random.Random(9), 60)
    async with opened(tmp_path) as (store, _clock):
        await store.write(journal(events))
        ledgers, _, keeper = await start(store, 60)
        await store.write(lambda tx: tx.state.put(cursor_key(READER), b"60"))
        failures = iter([True, False, True, True, False, False])

        def fault(point):
            if point == "store.commit" and next(failures, False):
                raise OSError("disk")

        store.fault = fault
        for _ in range(60):
            await keeper.step(ledgers, 60, set())
        assert (await start(store, 60))[1] == 60

"""A reader's place: read once from the store, kept over restarts, without what is poisoned."""

from datetime import UTC, datetime

import pytest

from actors.messages import Heartbeat, Recorded
from actors.place import Position, cursor_key, poison_key, poisoned
from tests.fakes.bench import opened

pytestmark = pytest.mark.anyio
BEAT = Heartbeat("alpha", datetime(2026, 1, 1, tzinfo=UTC))


def reader(name="metrics"):
    return Position(reader=name, streams=("trade",))


def keep(tx):
    tx.state.put(cursor_key("metrics"), b"12")
    for seq in (3, 7):
        tx.state.put(poison_key("metrics", seq), b"")
    tx.state.put(poison_key("health", 5), b"")


def new(place, *seqs):
    return [seq for seq in seqs if place.is_new(Recorded(seq, BEAT))]


async def test_it_finds_its_cursor_and_its_own_poison(tmp_path):
    async with opened(tmp_path) as (store, _):
        await store.write(keep)
        metrics, health = reader(), reader("health")
        assert (await metrics.find(store), metrics.poisoned) == (12, {3, 7})
        assert (await health.find(store), health.poisoned) == (0, {5})
        assert await poisoned(store, "metrics") == {3, 7}


async def test_it_goes_on_from_memory_in_a_later_life(tmp_path):
    async with opened(tmp_path) as (store, _):
        await store.write(keep)
        place = reader()
        place.begin(await place.find(store))
        place.handled = 20
        assert await place.find(store) == 20
        place.begin(0)
        assert (place.told, place.handled, place.last_told) == (12, 20, 12)


def test_it_knows_what_a_reader_still_needs():
    place = reader()
    assert new(place, 1) == [1]
    place.begin(5)
    place.poisoned.add(7)
    assert new(place, 4, 5, 6, 7, 8) == [6, 8]


def test_it_passes_over_a_message_in_quarantine():
    place = reader()
    place.begin(5)
    place.poison(6)
    assert (place.handled, new(place, 6, 7)) == (6, [7])
    place.poison(2)
    assert place.handled == 6

"""A reader's place: read once from the store, kept over restarts, without what is poisoned."""

from datetime import UTC, datetime

import pytest

from actors.messages import Heartbeat, Recorded, RecordedRun
from actors.place import (
    TOGETHER_MAX,
    TOGETHER_MIN,
    Position,
    cursor_key,
    poison_key,
    poisoned,
    settled,
    settled_key,
)
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
    return [seq for seq in seqs if list(place.news(Recorded(seq, BEAT)))]


def run(first, last):
    return RecordedRun(first, [BEAT] * (last - first + 1), first - 1)


async def test_it_finds_its_cursor_and_its_own_poison(tmp_path):
    async with opened(tmp_path) as (store, _):
        await store.write(keep)
        metrics, health = reader(), reader("health")
        assert (await metrics.find(store), metrics.poisoned) == (12, {3, 7})
        assert (await health.find(store), health.poisoned) == (0, {5})
        assert await poisoned(store, "metrics") == {3, 7}


async def test_it_forgets_none_of_many_events_that_came_too_late(tmp_path):
    seqs = range(9, 100_011)

    def keep_all(tx):
        for seq in seqs:
            tx.state.put(settled_key("metrics", seq), b"")

    async with opened(tmp_path) as (store, _):
        await store.write(keep_all)
        assert await settled(store, "metrics") == await poisoned(store, "metrics") == set(seqs)


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


def test_it_knows_what_of_a_run_a_reader_still_needs():
    place = reader()
    place.begin(5)
    place.poisoned.add(7)
    assert [seq for seq, _ in place.news(run(4, 8))] == [6, 8]
    for seq, _ in place.news(run(4, 8)):
        place.handled = seq
    assert list(place.news(run(4, 8))) == []


def test_it_isolates_the_event_that_crashed_its_reader_from_a_run():
    place = reader()
    place.begin(5)
    assert place.isolate(run(4, 8)) == (Recorded(6, BEAT, 3), RecordedRun(7, [BEAT] * 2, 6))
    place.poison(6)
    assert place.isolate(RecordedRun(7, [BEAT], 6)) == (Recorded(7, BEAT, 6), None)
    came = place.isolate(RecordedRun(7, [BEAT] * 2, 6, 9.5))
    assert came == (Recorded(7, BEAT, 6, 9.5), RecordedRun(8, [BEAT], 7, 9.5))
    single, query = Recorded(7, BEAT), object()
    assert place.isolate(single) == (single, None)
    assert place.isolate(query) == (query, None)
    place.handled = 8
    assert place.isolate(run(4, 8)) == (run(4, 8), None)


def test_it_takes_as_many_events_at_once_as_fit_into_a_millisecond():
    place = reader()
    place.took(64, 0.004)
    assert place.together_max == 16
    place.took(16, 0.1)
    assert place.together_max == TOGETHER_MIN
    place.took(1, 0.1)
    assert place.together_max == TOGETHER_MIN
    place.took(8, 0.00001)
    assert place.together_max == TOGETHER_MAX
    place.took(8, 0.0)
    assert place.together_max == TOGETHER_MAX


def test_it_knows_how_far_behind_the_journal_a_reader_is():
    place = reader()
    assert place.behind(9) == 9  # its state is not rebuilt yet
    place.begin(5)
    assert (place.behind(5), place.behind(9)) == (0, 4)
    place.sent = 8  # in its mailbox
    assert place.behind(9) == 4
    place.told = 9  # the last one is not for it
    assert place.behind(9) == 4
    place.handled = 7
    assert place.behind(9) == 2
    place.had(RecordedRun(6, [BEAT] * 3, 5))
    assert place.behind(9) == 0


def test_what_is_passed_over_is_not_waited_for():
    place = reader()
    place.begin(5)
    place.poisoned.add(6)
    place.sent = place.told = 6
    message = Recorded(6, BEAT)
    assert list(place.news(message)) == []
    place.had(message)
    assert place.behind(6) == 0
    place.had(Recorded(2, BEAT))
    assert place.handled == 6

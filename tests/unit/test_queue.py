"""The queue of one channel: what waits is found in order, at the same cost however much waits."""

import sqlite3

import pytest

from runtime.store import schema
from runtime.store.transaction import Queue

NOW = 1_000_000.0


@pytest.fixture
def link():
    link = sqlite3.connect(":memory:", isolation_level=None)
    schema.prepare(link, fresh=True)
    yield link
    link.close()


def fill(link, count, *, first=0):
    queue = Queue(link)
    for number in range(first, first + count):
        priority = number % 3
        created = NOW - 1_000 + number * 0.001
        queue.put("slack", f"n{number:06}", b"x" * 200, now=created, priority=priority)
    return queue


def steps(link, func):
    """Return how many instructions of SQLite's machine a call takes: no clock, no noise."""
    count = 0

    def step():
        nonlocal count
        count += 1

    link.set_progress_handler(step, 1)
    func()
    link.set_progress_handler(None, 1)
    return count


def plans(link, func):
    """Return how SQLite goes about each statement of a call."""
    statements = []
    link.set_trace_callback(statements.append)
    func()
    link.set_trace_callback(None)
    return [row[3] for sql in statements for row in link.execute(f"EXPLAIN QUERY PLAN {sql}")]


def test_it_claims_in_the_order_of_its_index(link):
    queue = fill(link, 30)
    plan = plans(link, lambda: queue.claim("slack", NOW))
    assert any("USING INDEX queue_order" in step for step in plan)
    assert not any("TEMP B-TREE" in step or "SCAN" in step for step in plan)


@pytest.mark.parametrize("what", ["claim", "hasten"])
def test_it_takes_no_longer_where_a_hundred_thousand_wait(link, what):
    calls = {"claim": lambda queue: queue.claim("slack", NOW)}
    calls["hasten"] = lambda queue: queue.hasten("slack", NOW, 1)
    call = calls[what]
    queue = fill(link, 300)
    few = steps(link, lambda: call(queue))
    fill(link, 99_700, first=300)
    many = steps(link, lambda: call(queue))
    assert many <= few * 1.1


def test_it_claims_the_most_urgent_then_the_oldest_whatever_is_not_due(link):
    queue = fill(link, 9)
    queue.retry("slack", "n000002", NOW, NOW + 60, "503")
    claimed = [queue.claim("slack", NOW)[0].id for _ in range(4)]
    assert claimed == ["n000005", "n000008", "n000001", "n000004"]


def test_it_hastens_only_what_is_not_due(link):
    queue = fill(link, 9)
    assert queue.hasten("slack", NOW, 1) == 0
    queue.retry("slack", "n000002", NOW, NOW + 60, "503")
    assert queue.hasten("slack", NOW, 1) == 1
    assert queue.claim("slack", NOW)[0].id == "n000002"

"""Sidewatch that kills itself with SIGKILL at one named step of a delivery: TEST_KILL_AT.

`python -m tests.faults.killed run` is `sidewatch run` but for the fault points. A commit is named
by what its transaction holds: the event, the alert with its deliveries, or a delivery's mark. The
store's own points name themselves.
"""

from __future__ import annotations

import os
import signal

from actors.alerts import disk
from actors.senders.actor import SenderActor
from runtime.store.database import Store
from runtime.store.transaction import Journal
from sidewatch.__main__ import main

POINT = os.environ["TEST_KILL_AT"]
STREAM = "circuit_breaker"
holds: set[str] = set()


def at(point: str) -> None:
    """Die here, if this is the point: nothing is flushed, nobody is told."""
    if point == POINT:
        os.kill(os.getpid(), signal.SIGKILL)


def at_store(point: str) -> None:
    at(point)
    for what in sorted(holds):
        at(f"{what} {point}")
    if point == "store.committed":
        holds.clear()


def append(journal, entries, *, real=Journal.append):
    entries = list(entries)
    if any(entry.stream == "attempt" for entry in entries):
        holds.add("mark")
    return real(journal, entries)


def append_run(journal, stream, *args, real=Journal.append_run):
    if stream == STREAM:
        holds.add("event")
    return real(journal, stream, *args)


def write(book, tx, steps, now, tick, *, real=disk.write):
    if any(step.notice is not None for step in steps):
        holds.add("alert")
    return real(book, tx, steps, now, tick)


def opened(store, *args, real=Store.__init__, **options):
    real(store, *args, **options)
    store.fault = at_store


Journal.append = append
Journal.append_run = append_run
disk.write = write
Store.__init__ = opened
SenderActor.__init__.__kwdefaults__["faults"] = at

if __name__ == "__main__":
    main()

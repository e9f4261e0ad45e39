"""Sidewatch whose start is held for ever at one place: TEST_HELD_AT. It says `held` on stderr.

`python -m tests.faults.held run` is `sidewatch run` but for that.
"""

from __future__ import annotations

import os
import sys
import threading

import anyio

from actors.metrics import actor as metrics
from config import settings
from runtime.store import database
from sidewatch.__main__ import main

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def say_held() -> None:
    print("held", file=sys.stderr, flush=True)  # noqa: T201


def load(*_given, **_options):
    say_held()
    threading.Event().wait()


def prepare(link, **_options):
    say_held()
    link.execute(ENDLESS).fetchall()


def hang(*_given, **_options):
    say_held()
    threading.Event().wait()


async def rebuild(*_given, **_options):
    say_held()
    await anyio.sleep_forever()


PLACES = {
    "settings": (settings, "load", load),
    "check": (database.schema, "prepare", prepare),
    "disk": (database.schema, "prepare", hang),
    "replay": (metrics, "rebuild", rebuild),
}

if __name__ == "__main__":
    setattr(*PLACES[os.environ["TEST_HELD_AT"]])
    main()

"""A disk that refuses a start: what was begun is gone, what was there stays."""

import sqlite3

import pytest

from runtime.clock import LoopClock
from runtime.store import Entry, Store, StoreError

pytestmark = pytest.mark.anyio


async def test_a_disk_that_is_full_at_the_first_start_leaves_no_broken_database(
    tmp_path, monkeypatch, anyio_backend
):
    path = tmp_path / "s.db"

    def full(link, *_args, **_options):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as disk:
        disk.setattr("runtime.store.schema.prepare", full)
        with pytest.raises(StoreError, match="disk is full"):
            await Store(path, LoopClock(), inline=True).open()
    store = Store(path, LoopClock(), inline=True)
    report = await store.open()
    await store.close()
    assert (report.fresh, report.set_aside) == (True, "")


async def test_a_disk_that_fails_at_a_later_start_costs_no_database(
    tmp_path, monkeypatch, anyio_backend
):
    path = tmp_path / "s.db"
    store = Store(path, LoopClock(), inline=True)
    await store.open()
    await store.write(lambda tx: tx.journal.append([Entry("trade", b"x", 1.0)]))
    await store.close()

    def full(link, *_args, **_options):
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as disk:
        disk.setattr("runtime.store.schema.prepare", full)
        with pytest.raises(StoreError, match="disk I/O error"):
            await Store(path, LoopClock(), inline=True).open()
    store = Store(path, LoopClock(), inline=True)
    assert (await store.open()).head == 1
    await store.close()

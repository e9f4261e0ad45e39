"""A broken file that makes room: told by its name, wherever a start dies at it."""

import sqlite3
from pathlib import Path

import pytest

from runtime.clock import LoopClock
from runtime.store import Entry, Store, StoreCorrupt, aside

pytestmark = pytest.mark.anyio
BROKEN = b"\x17" * 8_192


class DiedError(BaseException):
    """The process ends here."""


def die_at(point):
    def fault(reached):
        if reached == point:
            raise DiedError

    return fault


async def opened(path):
    store = Store(path, LoopClock(), inline=True)
    report = await store.open()
    return store, report


@pytest.fixture
async def path(tmp_path, anyio_backend):
    """A database with 3 entries, which was broken since."""
    store, _ = await opened(tmp_path / "s.db")
    await store.write(lambda tx: tx.journal.append([Entry("trade", b"x", 1.0)] * 3))
    assert await store.settle()
    await store.close()
    store.path.write_bytes(BROKEN)
    return store.path


def parts(path):
    return {part.name for part in path.parent.iterdir()} - {"s.db.lock", "s.db.head"}


async def check(path):
    """The next start tells what was set aside; once settled, the one after it nothing."""
    store, report = await opened(path)
    assert (report.fresh, report.head, report.lost) == (True, 0, 0)
    moved = path.with_name(report.set_aside)
    assert moved.read_bytes() == BROKEN
    assert [part.name for part in path.parent.glob("s.db.corrupt-*[0-9Z]")] == [moved.name]
    assert "s.db.aside" not in parts(path)
    assert await store.write(lambda tx: tx.journal.append([Entry("trade", b"y", 1.0)])) == [1]
    assert await store.settle()
    await store.close()
    store, report = await opened(path)
    assert (report.fresh, report.set_aside, report.head, report.lost) == (False, "", 1, 0)
    await store.close()
    return moved


@pytest.mark.parametrize("point", ["store.set_aside", "store.created", "no death"])
async def test_it_names_what_was_set_aside_where_a_start_died(path, point):
    store = Store(path, LoopClock(), inline=True)
    store.fault = die_at(point)
    if point != "no death":
        with pytest.raises(DiedError):
            await store.open()
    await check(path)


def dying_at(monkeypatch, suffix, path):
    """Begin to set a file aside, and die where the part with that suffix would move."""
    real = Path.replace

    def replace(part, target):
        if part.name == path.name + suffix:
            raise DiedError
        return real(part, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(DiedError):
            aside.set_aside(path, LoopClock().now())


async def test_it_moves_the_log_after_the_file_where_a_start_died_between_them(path, monkeypatch):
    path.with_name("s.db-wal").write_bytes(b"log")
    dying_at(monkeypatch, "-wal", path)
    assert {"s.db-wal", "s.db.aside"} <= parts(path)
    moved = await check(path)
    assert path.with_name(f"{moved.name}-wal").read_bytes() == b"log"


async def test_it_begins_again_where_a_start_died_before_the_move(path, monkeypatch):
    dying_at(monkeypatch, "", path)
    assert parts(path) == {"s.db", "s.db.aside"}
    await check(path)


@pytest.mark.parametrize("made", ["an empty file", "an empty database"])
async def test_it_completes_a_fresh_file_where_a_start_died_at_it(path, made):
    store = Store(path, LoopClock(), inline=True)
    store.fault = die_at("store.set_aside")
    with pytest.raises(DiedError):
        await store.open()
    path.touch()
    if made == "an empty database":
        link = sqlite3.connect(path)
        link.execute("PRAGMA journal_mode=WAL")
        link.close()
    await check(path)


@pytest.mark.parametrize("note", ["", "s.db.corrupt-1", "../s.db.corrupt-1", "other", b"\xff"])
async def test_it_believes_no_note_of_a_file_that_is_not_there(tmp_path, note):
    (tmp_path / "other").touch()
    (tmp_path / "s.db.aside").write_bytes(note if isinstance(note, bytes) else note.encode())
    store, report = await opened(tmp_path / "s.db")
    assert (report.fresh, report.set_aside) == (True, "")
    assert "s.db.aside" not in parts(store.path)
    await store.close()


async def test_it_counts_what_a_known_database_lost_whatever_note_is_left(tmp_path):
    path = tmp_path / "s.db"
    path.with_name("s.db.corrupt-1").write_bytes(BROKEN)
    store, _ = await opened(path)
    await store.write(lambda tx: tx.journal.append([Entry("trade", b"x", 1.0)] * 3))
    assert await store.settle()
    await store.close()
    path.with_name("s.db.aside").write_text("s.db.corrupt-1")
    path.with_name("s.db.head").write_text("00000000000000000005\n")
    store, report = await opened(path)
    assert (report.fresh, report.lost) == (False, 2)
    await store.close()


async def test_it_goes_on_without_a_note_that_the_disk_refuses(path):
    path.with_name("s.db.aside").mkdir()
    store, report = await opened(path)
    assert path.with_name(report.set_aside).read_bytes() == BROKEN
    await store.close()


async def test_it_says_what_it_cannot_move(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    path.touch()

    def refuses(*_):
        raise OSError("read-only")

    monkeypatch.setattr(Path, "replace", refuses)
    with pytest.raises(StoreCorrupt, match=r"s\.db is broken and cannot be moved: read-only"):
        aside.set_aside(path, LoopClock().now())

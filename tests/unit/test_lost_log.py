"""A log that lost its end: told where something acknowledged is gone, and only there."""

import os
import queue
import shutil
import struct
import threading

import anyio
import pytest

from runtime.clock import LoopClock, SystemClock
from runtime.store import Entry, Store, StoreError, mark, schema
from runtime.store.mark import Mark

pytestmark = pytest.mark.anyio

HEADER, FRAME = 32, 24 + 4_096
TOLD = 20  # commits of three entries each that somebody was told of


def entries(commit):
    return [Entry("trade", b"%d" % commit, float(commit), f"k{commit}-{n}") for n in range(3)]


async def commit(store, number):
    await store.write(lambda tx: tx.journal.append(entries(number)))


def killed(store, folder):
    """Copy what a process leaves that is killed now; returns the copy of the database."""
    folder.mkdir()
    for part in store.path.parent.glob(store.path.name + "*"):
        shutil.copy(part, folder / part.name)
    return folder / store.path.name


@pytest.fixture
async def left(tmp_path, anyio_backend):
    """The database of a killed process, all of whose commits are in the log."""
    store = Store(tmp_path / "s.db", LoopClock(), inline=True)
    await store.open()
    store._file.link.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    for number in range(TOLD):
        await commit(store, number)
    copy = killed(store, tmp_path / "killed")
    await store.close()
    return copy


def log_of(path):
    return path.with_name(path.name + "-wal")


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def commits(content):
    """Return where each transaction's last frame ends: the one that says how large the file is."""
    starts = range(HEADER, len(content), FRAME)
    return [at + FRAME for at in starts if struct.unpack_from(">I", content, at + 4)[0]]


async def opened(path):
    store = Store(path, LoopClock(), inline=True)
    report = await store.open()
    return store, report


SPOILT = {
    "its head": (lambda log: flipped(log, 16), TOLD),
    "its middle": (lambda log: flipped(log, commits(log)[9] + 100), TOLD - 10),
    "its last page": (lambda log: flipped(log, len(log) - 1), 1),
    "cut": (lambda log: log[: commits(log)[4] + 1_000], TOLD - 5),
    "zeros": (lambda log: log[: commits(log)[2]] + bytes(len(log) - commits(log)[2]), TOLD - 3),
    "empty": (lambda _: b"", TOLD),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_it_tells_how_much_a_spoilt_log_has_lost_and_keeps_it(left, what):
    spoil, gone = SPOILT[what]
    content = spoil(log_of(left).read_bytes())
    log_of(left).write_bytes(content)
    store, report = await opened(left)
    assert (report.lost, report.head) == (3 * gone, 3 * (TOLD - gone))
    assert store.stats().lost == report.lost
    assert not content or (left.parent / report.kept).read_bytes() == content
    await commit(store, 99)
    await store.close()
    again, reported = await opened(left)
    assert (reported.lost, reported.kept) == (report.lost, report.kept)  # until it is settled
    await commit(again, 100)
    assert await again.settle()
    await again.close()
    store, report = await opened(left)
    assert (report.lost, report.kept) == (0, "")
    await store.close()


async def test_it_tells_of_a_log_that_was_removed_and_of_an_older_copy(left, tmp_path):
    older = left.read_bytes()
    log_of(left).unlink()
    store, report = await opened(left)
    assert (report.lost, report.kept) == (3 * TOLD, "")
    await store.settle()
    await commit(store, 1)
    await commit(store, 2)
    await store.close()
    left.write_bytes(older)
    store, report = await opened(left)
    assert report.lost == 6
    await store.close()


async def test_it_tells_of_no_loss_after_a_kill(left):
    store, report = await opened(left)
    assert (report.lost, report.head) == (0, 3 * TOLD)
    await store.close()


@pytest.mark.parametrize(
    "tear",
    [
        lambda log, last: log[: last + 500],
        lambda log, last: flipped(log, last + 300),
        lambda log, last: log[:last] + bytes(FRAME) + log[last + FRAME :],
        lambda log, last: log[:last],
    ],
    ids=["half a frame", "a torn page", "written out of order", "nothing"],
)
async def test_it_tells_of_no_loss_where_nobody_was_told_of_the_torn_commit(tmp_path, tear):
    store = Store(tmp_path / "s.db", LoopClock(), inline=True)
    await store.open()
    await commit(store, 1)
    last = len(log_of(store.path).read_bytes())

    def power_cut(point):
        if point == "store.committed":  # the fsync was under way: nobody has the answer
            raise SystemExit

    store.fault = power_cut
    with pytest.raises(SystemExit):
        await commit(store, 2)
    left = killed(store, tmp_path / "killed")
    log = log_of(left).read_bytes()
    assert len(log) > last + FRAME
    log_of(left).write_bytes(tear(log, last))
    again, report = await opened(left)
    assert (report.lost, report.head) == (0, 3)
    await again.close()
    store.fault = lambda _: None
    await store.close()


async def test_it_tells_of_no_loss_with_the_older_mark_that_a_power_cut_leaves(left):
    for text in (b"00000000000000000007\n", b"\0" * 21, b"", b"-5", b"what"):
        left.with_name(left.name + ".head").write_bytes(text)
        store, report = await opened(left)
        assert report.lost == 0
        await store.close()


async def test_it_marks_nothing_before_it_is_on_disk(tmp_path):
    store = Store(tmp_path / "s.db", LoopClock(), inline=True)
    await store.open()
    await commit(store, 1)
    await store.note(lambda tx: tx.journal.append(entries(2)))  # waits for no fsync
    assert Mark(store.path).read() == 3
    store.fault = lambda _: (_ for _ in ()).throw(OSError("disk"))
    with pytest.raises(StoreError):
        await commit(store, 3)
    assert Mark(store.path).read() == 3
    store.fault = lambda _: None
    await commit(store, 4)
    assert Mark(store.path).read() == store.head() == 9
    await store.close()


@pytest.mark.real_time
async def test_it_brings_the_mark_to_disk_by_itself_and_lets_nobody_wait(tmp_path, monkeypatch):
    head = tmp_path / "s.db.head"
    on_disk, asked, disk = queue.Queue(), threading.Event(), threading.Semaphore(0)

    def sync(handle):
        asked.set()
        disk.acquire()  # a disk that hangs, until it is let go
        assert os.fstat(handle).st_ino == head.stat().st_ino
        on_disk.put(int(head.read_text()))
        raise OSError("and refuses at last")

    monkeypatch.setattr(mark, "sync_data", sync)
    monkeypatch.setattr(mark, "SYNC_EVERY_S", 0.0)
    store = Store(tmp_path / "s.db", SystemClock())
    await store.open()
    [thread] = [one for one in threading.enumerate() if one.name == "store-mark"]
    # at once: where another database was there, its mark is ahead
    assert await anyio.to_thread.run_sync(asked.wait, 20)
    await commit(store, 1)
    await commit(store, 2)  # nobody waits for the thread that hangs
    for _ in range(20):
        disk.release()
    while await anyio.to_thread.run_sync(on_disk.get, True, 20) < 6:
        pass
    await store.close()
    await anyio.to_thread.run_sync(thread.join, 20)
    assert not thread.is_alive()


async def test_it_works_on_where_the_mark_cannot_be_written(tmp_path):
    (tmp_path / "s.db.head").mkdir()
    store, report = await opened(tmp_path / "s.db")
    await commit(store, 1)
    assert (report.lost, store.head()) == (0, 3)
    await store.close()


async def test_it_marks_a_fresh_file_anew(tmp_path):
    store, _ = await opened(tmp_path / "s.db")
    await commit(store, 1)
    await store.close()
    store.path.write_bytes(b"\x17" * 8_192)
    store, report = await opened(store.path)
    assert (report.fresh, report.lost) == (True, 0)
    await store.close()
    store, report = await opened(store.path)
    assert report.lost == 0
    await store.close()


def test_it_keeps_no_half_of_a_log(tmp_path, monkeypatch):
    log_of(tmp_path / "s.db").write_bytes(b"log")

    def full(_source, target):
        target.write_bytes(b"l")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(schema.shutil, "copyfile", full)
    assert schema.keep_log(tmp_path / "s.db", SystemClock().now()) == ""
    assert [part.name for part in tmp_path.iterdir()] == ["s.db-wal"]

import sqlite3
import threading
from contextlib import suppress

import anyio
import pytest

from runtime.clock import LoopClock, SystemClock
from runtime.store import Entry, Store, StoreClosed, StoreError, StoreFull, journal, transaction

pytestmark = pytest.mark.anyio


def entry(n, key=None, stream="trade"):
    return Entry(stream, b"%d" % n, float(n), key)


@pytest.fixture
async def store(tmp_path, anyio_backend):
    store = Store(tmp_path / "s.db", LoopClock(), inline=True)
    await store.open()
    yield store
    await store.close()


async def test_it_appends_in_order_and_skips_duplicates(store):
    seqs = await store.write(
        lambda tx: tx.journal.append([entry(1, "a"), entry(2, "a"), entry(3), entry(4)])
    )
    assert seqs == [1, None, 2, 3]
    rows = await store.read(lambda tx: tx.journal.read(1, 10))
    assert [(row.seq, row.data) for row in rows] == [(2, b"3"), (3, b"4")]
    assert store.head() == 3
    assert await store.read(lambda tx: tx.journal.count("trade")) == 3


async def test_it_reads_only_the_streams_asked_for(store):
    await store.write(lambda tx: tx.journal.append([entry(1), entry(2, stream="equity"), entry(3)]))
    rows = await store.read(lambda tx: tx.journal.read(0, 10, ["equity"]))
    assert [row.stream for row in rows] == ["equity"]


@pytest.mark.real_time
@pytest.mark.parametrize("inline", [True, False])
async def test_it_reads_on_while_others_go_on(tmp_path, inline):
    store = Store(tmp_path / "ahead.db", SystemClock(), inline=inline)
    with pytest.raises(StoreClosed):
        await store.begin(lambda tx: tx.journal.head())()
    await store.open()
    await store.write(lambda tx: tx.journal.append([entry(1), entry(2)]))
    first = store.begin(lambda tx: tx.journal.read(0, 1))
    failing = store.begin(lambda tx: tx.state.no_such_method())
    assert [row.data for row in await first()] == [b"1"]
    with pytest.raises(AttributeError):
        await failing()
    await store.close()


async def test_it_refuses_what_would_be_written_to_a_file_that_is_gone(store):
    await store.write(lambda tx: tx.state.put("k", b"1"))
    aside = store.path.with_suffix(".aside")
    store.path.rename(aside)
    with pytest.raises(StoreError, match="the database file is gone"):
        await store.write(lambda tx: tx.state.put("k", b"2"))
    store.path.write_bytes(b"")
    with pytest.raises(StoreError, match="another file took the place of the database"):
        await store.write(lambda tx: tx.state.put("k", b"2"))
    assert "another file" in store.stats().last_error
    aside.rename(store.path)
    await store.write(lambda tx: tx.state.put("k", b"3"))
    assert await store.read(lambda tx: tx.state.get("k")) == b"3"
    assert store.stats().last_error == ""


async def test_it_undoes_only_the_function_that_failed(store):
    def bad(tx):
        tx.state.put("k", b"bad")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.write(bad)
    await store.write(lambda tx: tx.state.put("other", b"1"))
    assert await store.read(lambda tx: (tx.state.get("k"), tx.state.get("other"))) == (None, b"1")


async def test_it_fails_every_waiter_of_a_batch_the_disk_refused(store):
    def full(point):
        if point == "store.commit":
            raise sqlite3.OperationalError("database or disk is full")

    store.fault = full
    with pytest.raises(StoreError, match="disk is full"):
        await store.write(lambda tx: tx.journal.append([entry(1)]))
    assert "full" in store.stats().last_error
    store.fault = lambda _point: None
    assert await store.write(lambda tx: tx.journal.append([entry(1)])) == [1]
    assert store.stats().last_error == ""


def undone(tx):
    tx.state.put("k", b"1")
    raise ValueError("no")


@pytest.mark.parametrize("idle", [lambda tx: tx.state.get("k"), undone])
async def test_a_commit_that_changes_nothing_does_not_say_that_the_disk_works(store, idle):
    def full(point):
        if point == "store.commit":
            raise sqlite3.OperationalError("database or disk is full")

    store.fault = full
    with pytest.raises(StoreError, match="disk is full"):
        await store.write(lambda tx: tx.journal.append([entry(1)]))
    store.fault = lambda _point: None
    with suppress(ValueError):
        await store.write(idle)
    assert "full" in store.stats().last_error
    await store.write(lambda tx: tx.state.put("k", b"2"))
    assert store.stats().last_error == ""


async def test_it_waits_for_the_disk_only_where_asked(store):
    calls, seen = ["note", "write", "note"], []

    def look(point):
        if point == "store.commit":
            seen.append(store._file.link.execute("PRAGMA synchronous").fetchone()[0])

    store.fault = look
    for number, call in enumerate(calls):
        await getattr(store, call)(lambda tx, n=number: tx.state.put(f"k{n}", b"v"))
    assert seen == [1, 2, 1]  # 1 is NORMAL, 2 is FULL
    assert len(await store.read(lambda tx: list(tx.state.scan("k")))) == len(calls)


@pytest.mark.real_time
async def test_it_waits_for_the_disk_when_one_of_a_batch_asks(tmp_path):
    seen = []

    def look(point):
        if point == "store.commit":
            seen.append(store._file.link.execute("PRAGMA synchronous").fetchone()[0])

    store = Store(tmp_path / "s.db", SystemClock())
    await store.open()
    store.fault = look
    begun, go = threading.Event(), threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.read, lambda _tx: begun.set() or go.wait(10))
        await anyio.to_thread.run_sync(begun.wait)
        tasks.start_soon(store.note, lambda tx: tx.state.put("a", b""))
        tasks.start_soon(store.write, lambda tx: tx.state.put("b", b""))
        await anyio.wait_all_tasks_blocked()
        go.set()
    assert seen == [2]
    await store.close()


@pytest.mark.real_time
@pytest.mark.parametrize("error", [RuntimeError("a bug"), MemoryError(), UnicodeError("odd")])
async def test_its_thread_outlives_any_error(tmp_path, error):
    def fail(point):
        if point == "store.commit":
            raise error

    store = Store(tmp_path / "s.db", SystemClock())
    await store.open()
    store.fault = fail
    with anyio.fail_after(10), pytest.raises(StoreError, match="the write failed"):
        await store.write(lambda tx: tx.state.put("k", b"1"))
    store.fault = lambda _point: None
    with anyio.fail_after(10):
        await store.write(lambda tx: tx.state.put("k", b"2"))
        assert await store.read(lambda tx: tx.state.get("k")) == b"2"
    await store.close()


@pytest.mark.real_time
async def test_it_reads_what_is_on_disk_beside_a_write_that_failed(tmp_path):
    def full(point):
        if point == "store.commit":
            raise sqlite3.OperationalError("database or disk is full")

    store = Store(tmp_path / "s.db", SystemClock())
    await store.open()
    await store.write(lambda tx: tx.state.put("k", b"old"))
    store.fault = full
    begun, go, seen = threading.Event(), threading.Event(), []

    async def fails():
        with pytest.raises(StoreError, match="disk is full"):
            await store.write(lambda tx: tx.state.put("k", b"new"))

    async def reads():
        seen.append(await store.read(lambda tx: tx.state.get("k")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.read, lambda _tx: begun.set() or go.wait(10))
        await anyio.to_thread.run_sync(begun.wait)
        tasks.start_soon(fails)
        tasks.start_soon(reads)
        await anyio.wait_all_tasks_blocked()
        go.set()
    assert seen == [b"old"]
    await store.close()


async def test_it_claims_the_most_urgent_first_and_only_once(store):
    def fill(tx):
        tx.queue.put("slack", "a", b"", now=1.0)
        tx.queue.put("slack", "b", b"", now=2.0, priority=2)
        tx.queue.put("slack", "c", b"", now=3.0, priority=2)
        tx.queue.put("slack", "later", b"", now=1.0, due=99.0)
        return tx.queue.put("slack", "a", b"again", now=4.0)

    assert await store.write(fill) is False
    jobs = await store.write(lambda tx: tx.queue.claim("slack", 5.0, 2))
    assert [(job.id, job.attempts, job.state) for job in jobs] == [
        ("b", 1, "inflight"),
        ("c", 1, "inflight"),
    ]
    assert [j.id for j in await store.write(lambda tx: tx.queue.claim("slack", 5.0, 9))] == ["a"]
    assert await store.read(lambda tx: tx.queue.next_due("slack")) == 99.0


async def test_it_releases_what_was_in_flight_at_the_next_start(store, tmp_path):
    await store.write(lambda tx: tx.queue.put("t", "a", b"", now=1.0))
    await store.write(lambda tx: tx.queue.claim("t", 2.0))
    assert await store.settle()
    await store.close()
    with pytest.raises(StoreClosed):
        await store.read(lambda tx: tx.journal.head())
    again = Store(tmp_path / "s.db", LoopClock(), inline=True)
    report = await again.open()
    assert (report.fresh, report.set_aside, report.released) == (False, "", 1)
    job = await again.read(lambda tx: tx.queue.get("t", "a"))
    assert (job.state, job.attempts) == ("queued", 1)
    await again.close()


async def test_it_scans_state_by_prefix_both_ways(store):
    def fill(tx):
        for key in ("a/1", "a/2", "a/3", "b/1"):
            tx.state.put(key, key.encode())

    await store.write(fill)
    newest = await store.read(lambda tx: list(tx.state.scan("a/", 2, newest=True)))
    assert [key for key, _ in newest] == ["a/3", "a/2"]
    older = await store.read(lambda tx: list(tx.state.scan("a/", 2, newest=True, before="a/2")))
    assert [key for key, _ in older] == ["a/1"]


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100])
async def test_it_sets_a_broken_file_aside(tmp_path, content):
    path = tmp_path / "s.db"
    path.write_bytes(content)
    store = Store(path, LoopClock(), inline=True)
    report = await store.open()
    assert report.fresh
    assert (tmp_path / report.set_aside).read_bytes().startswith(content or b"SQLite")
    assert await store.write(lambda tx: tx.journal.append([entry(1)])) == [1]
    await store.close()
    assert await store.open() == report._replace(head=1)  # as long as nobody has settled it
    assert await store.settle()
    await store.close()
    assert await store.open() == report._replace(fresh=False, set_aside="", head=1)
    await store.close()


async def test_it_refuses_a_newer_schema_and_keeps_the_file(tmp_path):
    path = tmp_path / "s.db"
    store = Store(path, LoopClock(), inline=True)
    await store.open()
    await store.close()
    link = sqlite3.connect(path)
    link.execute("PRAGMA user_version=99")
    link.close()
    with pytest.raises(StoreError, match="schema 99"):
        await Store(path, LoopClock(), inline=True).open()
    assert path.exists()


async def test_it_says_when_the_directory_is_not_writable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open"):
        await Store(tmp_path / "file" / "s.db", LoopClock(), inline=True).open()


@pytest.mark.real_time
async def test_it_commits_many_writers_together(tmp_path):
    store = Store(tmp_path / "s.db", SystemClock())
    heads = []
    store.on_commit(heads.append)
    await store.open()
    seqs = []

    async def one(n):
        seqs.extend(await store.write(lambda tx: tx.journal.append([entry(n)])))

    async with anyio.create_task_group() as tasks:
        for n in range(500):
            tasks.start_soon(one, n)
    assert sorted(seqs) == list(range(1, 501))
    assert heads[-1] == 500
    assert store.stats().commits < 100
    await store.close()


@pytest.mark.real_time
async def test_it_pushes_back_when_too_many_writes_wait(tmp_path, monkeypatch):
    monkeypatch.setattr("runtime.store.database.QUEUED_OPS_MAX", 0)
    store = Store(tmp_path / "s.db", SystemClock())
    await store.open()
    with pytest.raises(StoreFull):
        await store.write(lambda tx: None)
    await store.close()


async def test_it_refuses_a_file_that_another_has_open(store, tmp_path):
    with pytest.raises(StoreError, match="in use by another"):
        await Store(tmp_path / "s.db", LoopClock(), inline=True).open()
    assert await store.write(lambda tx: tx.journal.append([entry(1)])) == [1]


@pytest.mark.parametrize("call", ["transaction.Queue.release_inflight", "journal.Journal.head"])
async def test_it_leaves_neither_lock_nor_connection_where_opening_fails(
    tmp_path, monkeypatch, call
):
    def breaks(*_args):
        raise sqlite3.OperationalError("disk I/O error")

    place, kind, name = call.split(".")
    where = {"transaction": transaction, "journal": journal}[place]
    store = Store(tmp_path / "s.db", LoopClock(), inline=True)
    with monkeypatch.context() as patch:
        patch.setattr(getattr(where, kind), name, breaks)
        with pytest.raises(StoreError, match=r"cannot open .*s\.db: disk I/O error"):
            await store.open()
    with pytest.raises(StoreClosed):
        await store.read(lambda tx: tx.journal.head())
    again = Store(tmp_path / "s.db", LoopClock(), inline=True)
    assert (await again.open()).head == 0
    await again.close()


@pytest.mark.real_time
@pytest.mark.parametrize("inline", [True, False])
async def test_it_goes_on_where_one_who_hears_of_commits_fails(tmp_path, caplog, inline):
    heads = []

    def fails(_head):
        raise RuntimeError("no")

    store = Store(tmp_path / "s.db", SystemClock(), inline=inline)
    store.on_commit(fails)
    store.on_commit(heads.append)
    await store.open()
    assert await store.write(lambda tx: tx.journal.append([entry(1)])) == [1]
    assert await store.write(lambda tx: tx.journal.append([entry(2)])) == [2]
    assert heads == [1, 2]
    assert caplog.text.count("a callback of the application failed") == 2
    await store.close()


@pytest.mark.real_time
@pytest.mark.parametrize("inline", [True, False])
async def test_it_tells_the_outcome_ahead_of_the_commit(tmp_path, caplog, inline):
    loop = threading.get_ident()
    told, at_commit = [], []
    known = threading.Event()

    def ahead(value):
        told.append((value, threading.get_ident() == loop))
        known.set()

    def wait(point):
        if point == "store.commit":  # the loop is free meanwhile
            assert known.wait(10)
            at_commit.append(list(told))

    store = Store(tmp_path / "s.db", SystemClock(), inline=inline)
    await store.open()
    store.fault = wait
    assert await store.write(lambda tx: tx.journal.append([entry(1)]), ahead=ahead) == [1]
    assert at_commit == [[([1], True)]]

    def stumbles(_value):
        known.set()
        raise RuntimeError("no")

    known.clear()
    assert await store.write(lambda tx: tx.journal.append([entry(2)]), ahead=stumbles) == [2]
    assert caplog.text.count("could not prepare for a commit") == 1
    await store.close()


async def test_it_tells_nothing_ahead_of_a_function_that_failed(store):
    told = []
    with pytest.raises(ZeroDivisionError):
        await store.write(lambda _tx: 1 / 0, ahead=told.append)
    assert told == []

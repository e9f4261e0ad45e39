"""A database that breaks while it is in use: SQLite says so, alerts go on, nothing is half done."""

import sqlite3

import anyio
import pytest

from actors.alerts.triggers import Internal
from actors.keeper import LOOK_EVERY_S, StoreActor, Unwritten
from runtime.clock import LoopClock
from runtime.store import Entry, Store, StoreError
from tests.fakes.bench import bench
from tests.fakes.delivery import World

pytestmark = pytest.mark.anyio

PAGE = 4_096


def on_disk(store):
    """Bring everything from the log and the cache to the file, and forget the cache."""
    store._file.link.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    store._file.link.execute("PRAGMA shrink_memory")
    return store.path.read_bytes()


def overwrite(path, content):
    """Change the file in place, as a bad sector would: whoever has it open sees it."""
    with path.open("r+b") as file:
        file.write(content)


def broken(content):
    """Spoil every page but the first, in which the schema is."""
    return content[:PAGE] + b"\x17" * (len(content) - PAGE)


@pytest.fixture
async def store(tmp_path, anyio_backend):
    store = Store(tmp_path / "s.db", LoopClock(), inline=True)
    await store.open()
    await store.write(lambda tx: tx.journal.append([entry(n) for n in range(2_000)]))
    yield store
    await store.close()


def entry(number):
    return Entry("trade", b"%d" % number * 20, float(number), f"k{number}")


async def test_it_refuses_what_it_cannot_write_or_read_and_goes_on_once_it_can(store):
    sound = on_disk(store)
    overwrite(store.path, broken(sound))
    for _ in range(2):
        with pytest.raises(StoreError, match="malformed"):
            await store.write(lambda tx: tx.journal.append([entry(9_999)]))
        with pytest.raises(StoreError, match="malformed"):
            await store.read(lambda tx: tx.journal.read(0, 10))
    assert "malformed" in store.stats().last_error
    overwrite(store.path, sound)
    store._file.link.execute("PRAGMA shrink_memory")
    assert await store.write(lambda tx: tx.journal.append([entry(9_999)])) == [2_001]
    assert len(await store.read(lambda tx: tx.journal.read(0, 5_000))) == 2_001
    assert store.stats().last_error == ""


@pytest.mark.parametrize("reads", [True, False])
async def test_it_says_that_a_spoilt_file_needs_a_restart(store, reads):
    overwrite(store.path, broken(on_disk(store)))
    assert store.stats().broken == ""
    use = store.read if reads else store.write
    with pytest.raises(StoreError, match="malformed"):
        await use(lambda tx: tx.journal.append([entry(1)]))
    assert "malformed" in store.stats().broken
    assert "restart Sidewatch" in store.stats().broken
    assert bool(store.stats().last_error) is not reads
    await store.close()
    report = await store.open()
    assert report.fresh
    assert store.stats().broken == ""


async def test_a_full_disk_needs_no_restart(store):
    def full(_point):
        raise sqlite3.OperationalError("database or disk is full")

    store.fault = full
    with pytest.raises(StoreError, match="full"):
        await store.write(lambda tx: tx.state.put("k", b""))
    assert store.stats().broken == ""


async def test_the_keeper_tells_of_a_spoilt_file_by_itself(tmp_path):
    def start(table):
        return StoreActor(table.store, table.ref("alerts"), Unwritten())

    def fill(tx):
        tx.journal.append([entry(n) for n in range(2_000)])

    async with bench(tmp_path, start, neighbours=("alerts",), prepare=fill) as table:
        await anyio.sleep(LOOK_EVERY_S + 1)
        table.heard["alerts"].clear()
        sound = on_disk(table.store)
        overwrite(table.store.path, broken(sound))
        assert not await table.store.try_write(lambda tx: tx.journal.append([entry(9_999)]))
        await anyio.sleep(LOOK_EVERY_S)
        told = {trouble.subject: trouble for trouble in table.heard["alerts"]}
        assert told["file"].title == "Sidewatch: the database is broken, restart it"
        assert "sets a broken database aside" in told["file"].text
        assert (told["file"].severity, told["file"].holds) == ("critical", True)
        assert told["disk"].holds
        overwrite(table.store.path, sound)
        table.store._file.link.execute("PRAGMA shrink_memory")
        await anyio.sleep(2 * LOOK_EVERY_S)
        after = [(trouble.subject, trouble.holds) for trouble in table.heard["alerts"]]
        assert after[2:] == [("disk", False)]  # what was spoilt once is not trusted again


async def test_it_is_set_aside_at_the_next_start_with_all_that_is_left_of_it(store, tmp_path):
    content = broken(on_disk(store))
    overwrite(store.path, content)
    await store.close()
    again = Store(store.path, LoopClock(), inline=True)
    report = await again.open()
    assert report.fresh
    assert (tmp_path / report.set_aside).read_bytes() == content
    assert await again.write(lambda tx: tx.journal.append([entry(1)])) == [1]
    await again.close()


async def test_alerts_go_out_from_memory_while_it_is_broken_and_are_written_later(tmp_path):
    world = World(tmp_path / "world", 2)
    slack = world.providers["slack"]
    async with world.living() as life:
        await happen(life, "before")
        sound = on_disk(life.store)
        overwrite(life.store.path, broken(sound))
        await happen(life, "during")
        said = [notice for _, notice in slack.taken if notice.title == "Trouble during"]
        assert len(said) == 1
        assert "Storage failed: sent from memory." in said[0].text
        assert "malformed" in said[0].text
        overwrite(life.store.path, sound)
        life.store._file.link.execute("PRAGMA shrink_memory")
        await happen(life, "after")
        jobs = (await life.jobs())["slack"]
        assert {job.state for job, _ in jobs} == {"done"}
        titles = [notice.title for _, notice in slack.taken]
        assert titles == [f"Trouble {name}" for name in ("before", "during", "after")]


async def happen(life, subject):
    title = f"Trouble {subject}"
    await life.ref("alerts").tell(Internal("happened", subject, "critical", title, "x", once=True))
    await anyio.sleep(10)

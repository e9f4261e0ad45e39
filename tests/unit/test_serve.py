"""Serving: a signal ends a run wherever it is, also in a start that takes long, and loses nothing.

What holds the start sends the signal itself, so that nothing here depends on time.
"""

import os
import signal
import threading

import anyio
import pytest
from msgspec.structs import replace

from actors.keeper import StoreActor
from actors.metrics import actor as metrics
from actors.metrics import replay
from config.settings import Settings, load
from runtime.clock import SystemClock
from runtime.store import Entry, Store, StoreCorrupt, StoreError, database
from sidewatch import serve
from sidewatch.lasting import DATABASE

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def tell_to_stop():
    os.kill(os.getpid(), signal.SIGTERM)


def writers():
    return [thread for thread in threading.enumerate() if thread.name == "store-writer"]


@pytest.fixture
def settings(tmp_path, anyio_backend_name) -> Settings:
    settings = load(None, {"SIDEWATCH_DATA_DIR": str(tmp_path / "data"), "SIDEWATCH_PORT": "0"})
    return replace(settings, server=replace(settings.server, backend=anyio_backend_name))


@pytest.fixture
async def journal(settings):
    """A database with an event; returns how many there are in all."""

    async def count(append=0):
        store = Store(settings.storage.data_dir / DATABASE, SystemClock())
        report = await store.open()
        if append:
            await store.write(lambda tx: tx.journal.append([Entry("note", b"{}", 0.0)]))
        await store.close()
        return report.head

    await count(append=1)
    return count


async def run(settings, *, once_serving=lambda: None):
    """Serve until something sends a signal; returns the code and what was announced."""
    announced = []

    def announce(address, _settings):
        announced.append(address)
        once_serving()

    with anyio.fail_after(30):
        return await serve.serve(settings, announce), announced


async def served(settings):
    return await run(settings, once_serving=tell_to_stop)


async def test_it_ends_in_order_while_it_serves(settings):
    code, announced = await served(settings)
    assert (code, len(announced)) == (0, 1)
    assert writers() == []


@pytest.mark.parametrize("cut_short", [None, StoreCorrupt("Page 7 is never used")])
async def test_it_ends_while_the_database_is_checked(settings, journal, monkeypatch, cut_short):
    prepare = database.schema.prepare

    def slow(link, **options):
        prepare(link, **options)
        tell_to_stop()
        try:
            link.execute(ENDLESS).fetchall()
        except Exception:
            if cut_short is not None:
                raise cut_short from None
            raise

    with monkeypatch.context() as held:
        held.setattr(database.schema, "prepare", slow)
        assert await run(settings) == (0, [])
    assert writers() == []
    folder = settings.storage.data_dir
    assert {path.name for path in folder.iterdir()} == {
        DATABASE,
        f"{DATABASE}.head",
        f"{DATABASE}.lock",
    }
    assert await journal() == 1
    assert (await served(settings))[0] == 0


async def test_it_ends_where_the_disk_does_not_answer(settings, journal, monkeypatch):
    answers = threading.Event()

    def dead(*_, **__):
        tell_to_stop()
        answers.wait(30)

    with monkeypatch.context() as held:
        held.setattr(database, "GIVE_UP_S", 0.01)
        held.setattr(database.schema, "prepare", dead)
        assert await run(settings) == (0, [])
        (left,) = writers()
        answers.set()
        left.join(10)
    assert writers() == []
    assert await journal() == 1
    assert (await served(settings))[0] == 0


async def test_it_ends_in_order_while_the_journal_is_read(settings, journal, monkeypatch):
    ends = []

    async def endless(*_, **__):
        tell_to_stop()
        await anyio.sleep_forever()

    async def stopping(keeper, *, real=StoreActor.stopping):
        ends.append("store")
        await real(keeper)

    with monkeypatch.context() as held:
        held.setattr(metrics, "rebuild", endless)
        held.setattr(StoreActor, "stopping", stopping)
        assert await run(settings) == (0, [])
    assert ends == ["store"]
    assert writers() == []
    assert await journal() == 1
    assert (await served(settings))[0] == 0


async def test_it_ends_while_a_read_of_the_journal_does_not(settings, journal, monkeypatch):
    answers = threading.Event()

    def dead(*_):
        tell_to_stop()
        answers.wait(30)

    with monkeypatch.context() as held:
        held.setattr(serve, "CLOSE_S", 0.01)
        held.setattr(replay, "_joined", dead)
        assert await run(settings) == (0, [])
        (left,) = writers()
        answers.set()
        left.join(10)
    assert await journal() == 1
    assert (await served(settings))[0] == 0


async def test_it_ends_where_the_signal_comes_as_the_tree_is_built(settings, monkeypatch):
    ensure = serve.secret.ensure

    def signalled(*given):
        tell_to_stop()
        return ensure(*given)

    monkeypatch.setattr(serve.secret, "ensure", signalled)
    assert (await run(settings))[0] == 0
    assert writers() == []


async def test_it_draws_no_secret_where_another_has_the_directory(settings, tmp_path):
    other = Store(settings.storage.data_dir / DATABASE, SystemClock())
    await other.open()
    before = {path.name for path in settings.storage.data_dir.iterdir()}
    with pytest.raises(StoreError, match="in use by another Sidewatch"):
        await run(settings)
    assert {path.name for path in settings.storage.data_dir.iterdir()} == before
    await other.close()

"""A database that nobody has open: what is wrong with it is said, and nothing of it changed."""

import pytest

from runtime.clock import LoopClock
from runtime.store import Entry, Store, examine

pytestmark = pytest.mark.anyio


@pytest.fixture
async def left(tmp_path, anyio_backend):
    """A store that is closed, with one entry."""
    store = Store(tmp_path / "s.db", LoopClock(), inline=True)
    await store.open()
    await store.write(lambda tx: tx.journal.append([Entry("trade", b"x" * 9_000, 1.0, "k")]))
    await store.close()
    return store


def everything(folder):
    return {part.name: part.read_bytes() for part in folder.iterdir()}


async def test_it_has_nothing_to_say_of_a_sound_one(left):
    before = everything(left.path.parent)
    assert examine(left.path) == ""
    assert everything(left.path.parent) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty, or not a Sidewatch database"),
        (b"\x17" * 8_192, "file is not a database"),
    ],
)
async def test_it_says_what_is_wrong_and_changes_nothing(left, content, said):
    left.path.write_bytes(content)
    before = everything(left.path.parent)
    assert said in examine(left.path)
    assert everything(left.path.parent) == before


async def test_it_sees_a_spoilt_page(left):
    content = left.path.read_bytes()
    left.path.write_bytes(content[:8_192] + b"\x17" * 4_096 + content[12_288:])
    assert examine(left.path).startswith(str(left.path))


async def test_it_leaves_what_is_in_use_or_has_a_log_to_a_start(left, tmp_path):
    await left.open()
    left.path.write_bytes(b"")
    assert examine(left.path) == ""
    await left.close()
    assert examine(left.path)
    left.path.with_name("s.db-wal").write_bytes(b"log")
    assert examine(left.path) == ""
    assert examine(tmp_path / "none.db") == ""

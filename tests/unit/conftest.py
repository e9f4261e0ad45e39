"""What several unit tests set up alike."""

import pytest

from actors.metrics import depot, snapshot, timeline


@pytest.fixture
def small_blocks(monkeypatch):
    """So small that a short history has many blocks, with seams between them."""
    monkeypatch.setattr(timeline, "BLOCK_MAX", 8)
    monkeypatch.setattr(timeline, "BLOCK_FILL", 6)


@pytest.fixture
def small_parts(small_blocks, monkeypatch):
    """Beside the blocks, so small that a snapshot of a short history has many parts."""
    monkeypatch.setattr(snapshot, "GROUP_BLOCKS", 3)
    monkeypatch.setattr(depot, "HEAP_BYTES", 64)
    monkeypatch.setattr(depot, "RUN_ENTRIES", 16)

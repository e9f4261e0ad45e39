"""The start: what goes wrong is one line that names why, and an exit code."""

import pytest

from config.settings import load
from runtime.store import StoreError
from runtime.supervisor import StartFailed
from sidewatch import start
from web.server import AddressError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (AddressError("server.port: taken"), 2, "sidewatch: server.port: taken"),
        (StoreError("no room"), 2, "sidewatch: storage.data_dir: no room"),
        (
            StartFailed("core/metrics", ValueError("cursor: 'x'")),
            1,
            "sidewatch: core/metrics failed to start: ValueError: cursor: 'x'",
        ),
    ],
)
def test_it_says_in_one_line_why_it_cannot_start(monkeypatch, capsys, error, code, line):
    async def serve(_settings, _announce):
        raise error

    monkeypatch.setattr(start, "serve", serve)
    monkeypatch.setattr(start, "configure_logs", lambda _settings: None)
    monkeypatch.setattr(start.os, "umask", lambda _mask: 0)
    assert start.start(load(None, {})) == code
    assert capsys.readouterr().err.splitlines() == [line]

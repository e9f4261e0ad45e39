"""The console's promise: one block of lines, and no control over the terminal."""

from __future__ import annotations

import io

import pytest

from actors.senders.channel import SendError
from actors.senders.console import ConsoleChannel
from tests.fakes.notices import notice

pytestmark = pytest.mark.anyio


async def test_it_writes_one_block_to_standard_error(anyio_backend, capsys):
    receipt = await ConsoleChannel().send(notice())
    assert receipt.detail == "written"
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "🔴 CRITICAL · alpha · Drawdown 12.4 %\n"
        "    The drawdown passed its limit of 10 %.\n"
        "    Equity: 8,760.00 USDT\n"
        "    Peak: 10,000.00 USDT\n"
        "    +37 in 5 min, worst: Drawdown 13.1 %\n"
        "    3 held back for a digest\n"
        "    Alert 7f3a · 2026-11-24 08:21:03 UTC\n"
        "    https://watch.example/alerts/7f3a\n"
        "\n"
    )


async def test_it_strips_control_characters(anyio_backend):
    stream = io.StringIO()
    await ConsoleChannel(stream).send(notice(title="a\x1b]0;owned\x07\r\nb", text="c\x9b2J\u202ed"))
    written = stream.getvalue()
    assert "a]0;owned b\n" in written
    assert "    c2Jd\n" in written
    assert all(char == "\n" or char.isprintable() for char in written)


async def test_it_writes_what_the_terminal_cannot_show_in_ascii(anyio_backend):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    await ConsoleChannel(stream).send(notice())
    assert raw.getvalue().startswith(b"\\U0001f534 CRITICAL \\xb7 alpha")


async def test_it_reports_a_closed_stream(anyio_backend):
    stream = io.StringIO()
    stream.close()
    with pytest.raises(SendError, match="console: ValueError") as caught:
        await ConsoleChannel(stream).send(notice())
    assert not caught.value.permanent


async def test_it_leaves_the_stream_open(anyio_backend):
    stream = io.StringIO()
    channel = ConsoleChannel(stream)
    await channel.close()
    assert not stream.closed

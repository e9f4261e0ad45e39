"""What a page may say on the live WebSocket, and what it is told where it says something else."""

import anyio
import pytest

from actors.hub import Client, Hub
from runtime.clock import LoopClock
from runtime.ref import AskTimeout, MailboxFull
from runtime.store import StoreClosed, StoreError
from web import live
from web.live import ClientMessage, Ending, Nonsense, read


def test_it_reads_what_a_page_may_say():
    assert read('{"type": "resume", "seq": 7}') == ClientMessage("resume", 7)
    assert read('{"type": "ack"}') == ClientMessage("ack")


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        (b'{"type": "ack"}', 1003, "binary"),
        ("", 1007, "not JSON"),
        ("nonsense", 1007, "not JSON"),
        ("[" * 4_000, 1008, "object"),
        ('{"type": "ack", "more": ' + "[" * 4_000, 1007, "not JSON"),
        ("\ud800", 1007, "not JSON"),
        ("{}", 1008, "type"),
        ('{"type": "shout"}', 1008, "shout"),
        ('{"type": "ack", "seq": 1.5}', 1008, "$.seq"),
    ],
)
def test_it_says_what_was_wrong(said, code, reason):
    with pytest.raises(Nonsense) as found:
        read(said)
    assert found.value.code == code
    assert reason in found.value.reason


def test_it_closes_with_as_much_of_a_reason_as_a_frame_holds():
    ending = Ending()
    assert ending.code == 1001
    ending.because(Nonsense(1008, "ü" * 100))
    assert (ending.code, ending.reason) == (1008, "ü" * 61)


class Socket:
    """A browser that says nothing, and keeps what it is told."""

    def __init__(self):
        self.closed = None

    async def receive(self):
        await anyio.sleep_forever()

    async def send(self, _text):
        raise AssertionError("there is nothing to send")

    async def close(self, code, reason):
        self.closed = (code, reason)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StoreError("the read failed: disk I/O error"), "the storage cannot be read: come back"),
        (StoreClosed("the store is not open"), "the storage cannot be read: come back"),
        (AskTimeout("metrics: no answer within 5 s"), "not ready: come back"),
        (MailboxFull("metrics: mailbox is full (1)"), "not ready: come back"),
    ],
)
async def test_it_asks_a_page_back_later_where_there_is_no_snapshot_now(monkeypatch, error, reason):
    async def fails(_services):
        raise error

    socket, client = Socket(), Client(Hub(LoopClock()))
    monkeypatch.setattr(live, "websocket", socket)
    monkeypatch.setattr(live, "_send_snapshot", fails)
    await live._serve(None, client)
    assert socket.closed == (1013, reason)
    assert client.closed

"""What a page may say on the live WebSocket, and what it is told where it says something else."""

import pytest

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

"""The insides of Hypercorn that web/frames.py leans on: with others, it would close silently."""

import pytest
from hypercorn.protocol import h11
from hypercorn.protocol.ws_stream import WebsocketBuffer, WSStream

from web import frames


@pytest.mark.parametrize("name", ["buffer", "connection", "send", "stream_id"])
def test_it_keeps_what_a_stream_that_tells_why_it_closes_reads(name):
    assert name in WSStream.__init__.__code__.co_names + WSStream.handle.__code__.co_names


def test_it_bounds_a_message_by_the_name_that_is_told():
    assert "max_length" in WebsocketBuffer.__init__.__code__.co_names


@pytest.mark.parametrize("name", ["_accept", "_send_wsproto_event", "_handle_events"])
def test_it_calls_what_is_replaced(name):
    inside = [code for code in vars(WSStream).values() if hasattr(code, "__code__")]
    assert any(name in one.__code__.co_names for one in inside)


def test_it_builds_each_websocket_by_the_name_that_is_replaced(monkeypatch):
    monkeypatch.setattr(h11, "WSStream", WSStream)
    frames.install()
    assert h11.WSStream is frames.TellingStream
    inside = [code for code in vars(h11.H11Protocol).values() if hasattr(code, "__code__")]
    assert any("WSStream" in one.__code__.co_names for one in inside)

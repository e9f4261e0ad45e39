"""The pinger: each period one answer, connected or not, how fast, and why not."""

from itertools import pairwise

import anyio
import httpx
import pytest

from actors.health.pinger import BODY_BYTES_MAX, DETAIL_CHARS_MAX, Pinger
from actors.messages import Pinged
from tests.fakes.bench import bench

pytestmark = pytest.mark.anyio
URL = "https://exchange.example/time"


class Endless(httpx.AsyncByteStream):
    """A body that never ends; `read` counts what was taken of it."""

    def __init__(self, chunk=b"x" * 1_024, wait_s=0.0):
        self.chunk = chunk
        self.wait_s = wait_s
        self.read = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        await anyio.sleep(self.wait_s)
        self.read += len(self.chunk)
        return self.chunk


def answered(status, headers=()):
    """An answer whose body is still to be read, as from a socket."""
    known = {"content-length": "2"} | dict(headers)
    return httpx.Response(status, stream=httpx.ByteStream(b"ok"), headers=known)


def pinging(tmp_path, handler, **options):
    def start(table):
        transport = httpx.MockTransport(handler)
        return Pinger("kraken", URL, table.ref("health"), transport=transport, **options)

    return bench(tmp_path, start, neighbours=("health",))


async def first(tmp_path, handler, within_s=0.5, **options):
    async with pinging(tmp_path, handler, **options) as table:
        await anyio.sleep(within_s)
        [ping] = table.heard["health"]
        assert table.actor("tested").restarts_total == 0
        return ping


async def test_it_pings_at_once_and_then_every_period(tmp_path):
    asked = []

    def answer(request):
        asked.append((request.method, str(request.url)))
        return answered(200)

    async with pinging(tmp_path, answer, period_s=30.0) as table:
        await anyio.sleep(95)
        assert asked == [("GET", URL)] * 4
        times = [ping.at for ping in table.heard["health"]]
        gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
        assert gaps == [pytest.approx(30.0, abs=0.01)] * 3


async def test_it_measures_the_latency(tmp_path):
    async def answer(_request):
        await anyio.sleep(0.125)
        return answered(200)

    ping = await first(tmp_path, answer)
    assert isinstance(ping, Pinged)
    assert (ping.api, ping.connected, ping.detail) == ("kraken", True, "HTTP 200")
    assert ping.latency_ms == pytest.approx(125.0, abs=1)


@pytest.mark.parametrize(
    ("status", "connected"), [(204, True), (301, True), (399, True), (400, False), (503, False)]
)
async def test_it_takes_any_answer_below_400_as_connected(tmp_path, status, connected):
    ping = await first(tmp_path, lambda _request: answered(status))
    assert (ping.connected, ping.detail) == (connected, f"HTTP {status}")
    assert (ping.latency_ms is not None) == connected


async def test_it_follows_no_redirect(tmp_path):
    asked = []

    def answer(request):
        asked.append(str(request.url))
        return answered(302, headers={"location": "https://elsewhere.example/"})

    assert (await first(tmp_path, answer)).connected
    assert asked == [URL]


async def test_it_tells_why_there_was_no_answer(tmp_path):
    def refuse(request):
        raise httpx.ConnectError("connection refused " + "x" * 500, request=request)

    ping = await first(tmp_path, refuse)
    assert (ping.connected, ping.latency_ms) == (False, None)
    assert ping.detail.startswith("ConnectError: connection refused")
    assert len(ping.detail) == DETAIL_CHARS_MAX


async def test_it_gives_up_an_answer_that_trickles(tmp_path):
    body = Endless(chunk=b"x", wait_s=1.0)

    def trickle(_request):
        return httpx.Response(200, stream=body, headers={"content-length": "1000"})

    ping = await first(tmp_path, trickle, within_s=11, timeout_s=10.0)
    assert not ping.connected
    assert ping.detail.startswith("TimeoutError")
    assert 8 <= body.read <= 10


@pytest.mark.parametrize(
    "headers", [{}, {"content-length": str(BODY_BYTES_MAX + 1)}, {"content-length": "many"}]
)
async def test_it_reads_no_body_of_unknown_or_great_length(tmp_path, headers):
    body = Endless()

    def answer(_request):
        return httpx.Response(200, stream=body, headers=headers)

    ping = await first(tmp_path, answer)
    assert (ping.connected, body.read) == (True, 0)


async def test_it_closes_its_connections(tmp_path):
    async with pinging(tmp_path, lambda _request: answered(200)) as table:
        await anyio.sleep(1)
        client = table.ref("tested")._slot.incarnation.actor._client
        assert not client.is_closed
    assert client.is_closed

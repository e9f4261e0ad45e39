"""One kept connection: when it is used again, and what becomes of every way that it can fail."""

import socket
import ssl
import struct
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
import trustme
from anyio.abc import SocketAttribute

from actors.senders import direct
from actors.senders.channel import SendError, http_client, post_json
from actors.senders.direct import Direct
from tests.fakes.webhook import PATH, FakeWebhook

pytestmark = [pytest.mark.anyio, pytest.mark.real_time]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
UNSIGNED = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}
ATTEMPT = {"timeout": {"connect": 5.0, "read": 5.0}}


class Server:
    """Answers the n-th request of all with the n-th script.

    Of its steps "close" closes, "reset" resets and "hang" waits.
    """

    def __init__(self, *script):
        self.script = list(script)
        self.connections = 0
        self.requests = []
        self.closed = anyio.Event()

    async def serve(self, stream):
        self.connections += 1
        async with stream:
            while self.script:
                try:
                    self.requests.append(await stream.receive())
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    self.closed.set()
                    return
                for step in self.script.pop(0):
                    if step == "close":
                        return
                    if step == "hang":
                        await anyio.sleep_forever()
                    if step == "reset":
                        reset(stream)
                        return
                    await stream.send(step)
            try:
                await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                self.closed.set()


def reset(stream):
    """Let the close that follows tell the other side that the connection is gone (RST)."""
    raw = stream.extra(SocketAttribute.raw_socket)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@asynccontextmanager
async def served(*script):
    """Serve; gives the server, the transport and a function that posts."""
    server, transport = Server(*script), Direct(ssl.create_default_context())
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    server.port = port = listener.extra(SocketAttribute.local_port)

    async def post(scheme="http", extensions=ATTEMPT):
        url = f"{scheme}://127.0.0.1:{port}/hook"
        request = httpx.Request("POST", url, content=b'{"a":1}', extensions=extensions)
        answer = await transport.handle_async_request(request)
        return answer.status_code, b"".join([part async for part in answer.stream])

    async with listener, transport, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve)
        yield server, transport, post
        tasks.cancel_scope.cancel()


async def test_it_sends_a_request_as_one_piece_and_reads_the_answer(anyio_backend):
    async with served([OK]) as (server, _, post):
        assert await post() == (200, b"ok")
        [request] = server.requests
        assert request.startswith(b"POST /hook HTTP/1.1\r\n")
        assert request.endswith(b'\r\n\r\n{"a":1}')


async def test_a_post_is_just_these_bytes(anyio_backend):
    async with served([OK]) as (server, transport, _):
        port = server.port
        where = direct.target(f"http://127.0.0.1:{port}/a%20b?c=d")
        assert where.authority == f"127.0.0.1:{port}"
        headers = [(b"host", where.authority.encode()), (b"x-y", b"z")]
        answer = await transport.post(where, headers, b"body", connect_s=5.0, read_s=5.0)
        assert (answer.status_code, await answer.aread()) == (200, b"ok")
        assert server.requests == [
            b"POST /a%%20b?c=d HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nx-y: z\r\n"
            b"content-length: 4\r\n\r\nbody" % port
        ]


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"a\0b"])
async def test_a_header_cannot_smuggle_in_another(anyio_backend, value):
    async with served([OK]) as (server, transport, _):
        where = direct.target(f"http://127.0.0.1:{server.port}/")
        with pytest.raises(httpx.LocalProtocolError, match="line break"):
            await transport.post(where, [(b"x", value)], b"", connect_s=5.0, read_s=5.0)
        assert server.connections == 0


async def test_it_uses_a_connection_again(anyio_backend):
    async with served([OK], [OK], [OK]) as (server, _, post):
        assert [await post() for _ in range(3)] == [(200, b"ok")] * 3
        assert server.connections == 1


async def readable(transport):
    """Wait until the other side of the kept connection has closed, or spoken."""
    with transport._kept.stream.extra(SocketAttribute.raw_socket).dup() as own:
        with anyio.fail_after(5):
            await anyio.wait_readable(own)


async def test_it_connects_anew_where_the_loop_has_closed_the_socket(anyio_backend):
    async with served([OK], [OK]) as (server, transport, post):
        assert await post() == (200, b"ok")
        raw = transport._kept.stream.extra(SocketAttribute.raw_socket)
        getattr(raw, "_sock", raw).close()  # asyncio gives its own wrapping
        assert await post() == (200, b"ok")
        assert server.connections == 2


@pytest.mark.parametrize(
    "first",
    [
        [OK, "close"],
        [OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")],
        [b"HTTP/1.0 200 OK\r\n\r\nok", "close"],
    ],
)
async def test_it_connects_anew_once_the_server_has_closed(anyio_backend, first):
    async with served(first, [OK]) as (server, transport, post):
        assert await post() == (200, b"ok")
        if transport._kept is not None:
            await readable(transport)
        assert await post() == (200, b"ok")
        assert server.connections == 2


async def test_it_does_not_trust_a_connection_for_ever(anyio_backend, monkeypatch):
    monkeypatch.setattr(direct, "KEPT_S", 0.0)
    async with served([OK], [OK]) as (server, _, post):
        assert [await post(), await post()] == [(200, b"ok")] * 2
        assert server.connections == 2


@pytest.mark.parametrize("unasked", [[OK, OK], [OK + OK]])
async def test_it_does_not_trust_a_server_that_speaks_unasked(anyio_backend, unasked):
    async with served(unasked, [OK]) as (server, transport, post):
        assert await post() == (200, b"ok")
        if transport._kept is not None:
            await readable(transport)
        assert await post() == (200, b"ok")
        assert server.connections == 2


async def test_it_reads_an_answer_in_chunks(anyio_backend):
    head = b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n"
    async with served([b"HTTP/1.1 100 Continue\r\n\r\n" + head, b"2\r\nok\r\n", b"0\r\n\r\n"]) as (
        _,
        _,
        post,
    ):
        assert await post() == (202, b"ok")


async def test_it_cuts_an_answer_without_end(anyio_backend, monkeypatch):
    monkeypatch.setattr(direct, "BODY_BYTES_MAX", 1_000)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"
    async with served([head + b"x" * 2_000]) as (server, _, post):
        status, body = await post()
        assert (status, len(body) <= 2_000) == (200, True)
        with anyio.fail_after(5):
            await server.closed.wait()


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (["close"], "without an answer"),
        (["reset"], "the connection broke before the answer"),
        ([OK[:-1], "close"], "without sending complete message body"),
        ([b"garbage\r\n\r\n"], "illegal status line"),
        ([b"HTTP/1.1 200 OK\r\nx: " + b"y" * 140_000], "Receive buffer too long"),
    ],
)
async def test_it_says_that_an_answer_is_none(anyio_backend, script, error):
    async with served(script) as (_, _, post):
        with pytest.raises(httpx.TransportError, match=error):
            await post()


async def test_it_gives_up_on_a_server_that_hangs(anyio_backend):
    async with served(["hang"]) as (_, _, post):
        with pytest.raises(httpx.ReadTimeout):
            await post(extensions={"timeout": {"connect": 5.0, "read": 0.05}})


async def test_it_gives_up_on_a_handshake_that_hangs(anyio_backend):
    async with served(["hang"]) as (_, _, post):
        with pytest.raises(httpx.ConnectTimeout):
            await post("https", {"timeout": {"connect": 0.05, "read": 5.0}})


async def test_it_says_that_nobody_listens(anyio_backend):
    async with served() as (_, transport, _):
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(SocketAttribute.local_port)
        await listener.aclose()
        request = httpx.Request(
            "POST", f"http://127.0.0.1:{port}/", content=b"", extensions=ATTEMPT
        )
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(request)


async def test_it_closes_the_connection_of_a_request_that_is_cancelled(anyio_backend):
    async with served(["hang"]) as (server, _, post):
        with anyio.move_on_after(0.05):
            await post()
        assert len(server.requests) == 1
        server.script.append([OK])
        assert await post() == (200, b"ok")
        assert server.connections == 2


async def test_it_asks_for_the_certificate_of_the_name(anyio_backend):
    authority = trustme.CA()
    fake = FakeWebhook()
    fake.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("hook.example").configure_cert(fake.tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with fake, httpx.AsyncClient(transport=Direct(trust)) as client:
        url = f"https://127.0.0.1:{fake.port}{PATH}"
        for _ in range(2):
            answer = await post_json(
                client, url, b"{}", secrets=(), headers=UNSIGNED, hostname="hook.example"
            )
            assert answer.status == 401
        with pytest.raises(SendError, match="certificate refused"):
            await post_json(client, url, b"{}", secrets=(), hostname="other.example")


async def test_it_leaves_a_proxy_of_the_environment_to_httpx(anyio_backend, monkeypatch):
    async with FakeWebhook() as proxy:
        monkeypatch.setenv("http_proxy", proxy.base)
        client = http_client()
        answer = await post_json(client, "http://hook.example/x", b"{}", secrets=())
        assert answer.status == 404
        assert proxy.requests == 1
        await client.aclose()

"""A signed request whose headers tell enough is refused before its body has come."""

import json
import socket
import time

import pytest

from tests.acceptance.process import Sidewatch
from tests.acceptance.test_web import signed

PATH = "/api/v1/alerts/test"
BODY = b'{"channel":"console","test_message":"x"}'
BODY_BYTES_MAX = 65_536


@pytest.fixture(scope="module")
def sidewatch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unsent")
    with Sidewatch(folder / "data", {"SIDEWATCH__CONSOLE__ENABLED": "true"}) as running:
        yield running


def used(sidewatch):
    headers = signed(PATH, BODY)
    assert sidewatch.client.post(PATH, content=BODY, headers=headers).status_code == 200
    return headers


def answer(sidewatch, headers, sent=b""):
    """Send headers, and of the body only `sent`; return the status and the error."""
    host, port = sidewatch.url.removeprefix("http://").split(":")
    lines = [f"POST {PATH} HTTP/1.1", f"Host: {host}:{port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((host, int(port)), timeout=30) as link:
        link.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
        got = b""
        while part := link.recv(65_536):
            got += part
    head, _, body = got.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize(
    ("headers", "length", "status", "error"),
    [
        (lambda _: {}, "9", 401, "X-HMAC-Signature: missing"),
        (
            lambda _: signed(PATH, BODY) | {"X-HMAC-Timestamp": str(int(time.time()) - 400)},
            "9",
            401,
            "X-HMAC-Timestamp: more than 300 s",
        ),
        (lambda _: signed(PATH, BODY) | {"X-HMAC-Nonce": "x"}, "9", 401, "X-HMAC-Nonce: missing"),
        (used, "9", 401, "X-HMAC-Nonce: used before"),
        (lambda _: signed(PATH, BODY), f"{BODY_BYTES_MAX + 1}", 413, "the body is larger than"),
    ],
    ids=["unsigned", "stale", "no nonce", "replayed", "too large"],
)
def test_it_waits_for_no_body_where_the_headers_tell(sidewatch, headers, length, status, error):
    got, said = answer(sidewatch, headers(sidewatch) | {"Content-Length": length})
    assert got == status
    assert said.startswith(error)


def test_it_bounds_a_body_that_does_not_say_its_length(sidewatch):
    chunk = b"%x\r\n%b\r\n" % (BODY_BYTES_MAX + 1, b"x" * (BODY_BYTES_MAX + 1))
    headers = signed(PATH, BODY) | {"Transfer-Encoding": "chunked"}
    status, error = answer(sidewatch, headers, chunk + b"0\r\n\r\n")
    assert (status, error.partition(":")[0]) == (413, "the body is larger than 65536 bytes")


def test_it_reads_no_more_of_an_endless_body_than_any_route_takes(sidewatch):
    chunk = b"%x\r\n%b\r\n" % (BODY_BYTES_MAX, b"x" * BODY_BYTES_MAX)
    headers = signed(PATH, BODY) | {"Transfer-Encoding": "chunked"}
    status, error = answer(sidewatch, headers, chunk * 17)  # server.batch_bytes_max, and more
    assert (status, error.partition(":")[0]) == (413, "the body is too large")

"""Bad input against a running server: each gets its own clear error, and nothing falls."""

import gzip
import json
import socket
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
import pytest

from tests.acceptance.process import TOKENS, Sidewatch, bearer, instant, trade

INGEST, READ, OPERATE = bearer("INGEST"), bearer("READ"), bearer("OPERATE")
EVENTS = "/api/v1/events"
FREQTRADE = f"/api/v1/sources/freqtrade/x/{TOKENS['SIDEWATCH_FREQTRADE_SECRET']}"
CLOSED = {
    "msg_type": "exit_fill",
    "trade_id": "1",
    "pair": "A/B",
    "direction": "Long",
    "stake_currency": "USDT",
    "amount": "1",
    "open_date": "2026-01-01 00:00:00+00:00",
    "close_date": "2026-01-01 00:00:00+00:00",
    "profit_amount": "1",
    "is_final_exit": "True",
}


@pytest.fixture(scope="module")
def sidewatch(tmp_path_factory):
    with Sidewatch(tmp_path_factory.mktemp("bad") / "data") as running:
        yield running
        status = running.get("/api/v1/supervisor")
        assert status["quarantine"] == 0
        assert restarts(status["root"]) == 0
        assert running.client.get("/livez").status_code == 200
        assert [line for line in running.log if "Traceback" in line] == []


def restarts(node):
    below = sum(map(restarts, node.get("children", [])))
    return node.get("restarts_total", 0) + below


def with_raw(**fields):
    """A trade with fields as they stand in JSON, which json.dumps would not write."""
    body = json.dumps({**trade("bad", 1), **{name: f"@{name}" for name in fields}})
    for name, raw in fields.items():
        body = body.replace(f'"@{name}"', raw)
    return body.encode()


def without(name):
    return json.dumps({key: value for key, value in trade("bad", 1).items() if key != name})


def event(kind, **fields):
    return json.dumps({"type": kind, "bot": "b", "at": instant(), **fields})


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (with_raw(pnl="1e999"), "pnl: the absolute value must be below"),
        (with_raw(pnl="1" + "0" * 400), "pnl: the absolute value must be below"),
        (with_raw(pnl="1e-999"), "pnl: more than 40 decimals"),
        (with_raw(pnl='"0e999999999"'), "pnl: 0E+999999999 is a strange way to write 0"),
        (with_raw(pnl='"1e99999999999999999999"'), "pnl: "),
        (with_raw(pnl='"' + "9" * 60_000 + '"'), "pnl: the absolute value must be below"),
        (with_raw(pnl="NaN"), "pnl: NaN is neither JSON nor a finite number"),
        (with_raw(pnl="-Infinity"), "pnl: -Infinity is neither"),
        (with_raw(pnl='"-Infinity"'), "pnl: -Infinity is not a finite number"),
        (with_raw(quantity="-1"), "quantity: -1 is negative"),
        (with_raw(id='"\\ud800"'), "id: `\\\\ud800` alone is no text"),
        (with_raw(bot='"a\\u0000b"'), "bot: "),
        (with_raw(bot='"a\\n"'), "bot: "),
        (with_raw(bot='"\\u202ea"'), "bot: "),
        (with_raw(id="1.5"), "id: "),
        (with_raw(id='""'), "id: "),
        (with_raw(symbol="[" * 60_000), "symbol: "),
        (with_raw(opened_at='"0001-01-01T00:00:00+23:59"'), "opened_at: "),
        (with_raw(closed_at='"9999-12-31T23:59:59-23:59"'), "closed_at: "),
        (with_raw(opened_at='"1970-01-01T00:00:00Z"'), "opened_at: 1970-01-01T00:00:00+00:00 is"),
        (with_raw(closed_at='"2099-01-01T00:00:00Z"'), "more than a day ahead of this clock"),
        (with_raw(closed_at="1766836800000"), "closed_at: "),
        (with_raw(closed_at='"2026-02-30T00:00:00Z"'), "closed_at: "),
        (with_raw(type="[]"), "type: "),
        (with_raw(type='"mystery"'), "type: expected one of trade, equity"),
        (with_raw(curency='"EUR"'), "unknown field `curency`: did you mean `currency`?"),
        (without("type"), "type: required"),
        (without("bot"), "bot: required"),
        (without("pnl"), "pnl: required"),
        (b'{"type":"equity",' + json.dumps(trade("bad", 1)).encode()[1:], "type: "),
        (event("equity", equity="NaN"), "equity: NaN is not a finite number"),
        (event("flow", id=1, amount=0), "amount: a flow of 0"),
        (event("positions", open=-1), "open: "),
        (event("positions", open=10**30), "open: "),
        (event("kill_switch", active="yes"), "active: "),
        (event("circuit_breaker", open=True, until="soon"), "until: "),
        (b"", "no event in the request"),
        (b"null", "object"),
        (b"[null]", "object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"x":' * 100_000, "nested too deeply"),
        (b'{"type":"trade","x":' + b"[" * 100_000, "unknown field `x`"),
        (b'{"type":"\xff"}', "type: not UTF-8 (byte 9)"),
        (json.dumps(trade("bad", 1)).encode() * 2, "more behind the first value; lines need"),
        (b'["' + b"\\" * 1_000_000, "truncated"),
        (b"[NaN," + b'"' * 1_000_000, "expected ',' or ']' (byte "),
        (b"[" + b"NaN," * 250_000 + b"1]", "NaN is neither JSON nor a finite number"),
        (b"[" + b"{}," * 10_000 + b"{}]", "more than 10000 events"),
    ],
    ids=map(str, count()),
)
def test_it_names_what_is_wrong_with_an_event(sidewatch, body, named):
    answer = sidewatch.client.post(EVENTS, content=body, headers=INGEST)
    assert answer.status_code == 422
    assert named in answer.text
    assert "bots" not in answer.text


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"\xc1", "malformed"),
        (b"\xdd\xff\xff\xff\xff", "truncated"),
        (b"\x91" * 5_000, "nested too deeply"),
        (msgspec.msgpack.encode({**trade("bad", 1), "pnl": float("inf")}), "pnl: Infinity"),
        (msgspec.msgpack.encode({**trade("bad", 1), "pnl": float("nan")}), "pnl: NaN"),
    ],
    ids=map(str, count()),
)
def test_it_names_what_is_wrong_with_a_packed_event(sidewatch, body, named):
    headers = INGEST | {"Content-Type": "application/msgpack"}
    answer = sidewatch.client.post(EVENTS, content=body, headers=headers)
    assert (answer.status_code, named in answer.text) == (422, True)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount": "1e999"}, "quantity: the absolute value"),
        ({"profit_amount": "nan"}, "profit_amount' is not a number: 'nan'"),
        ({"close_date": "0001-01-01T00:00:00+23:59"}, "close_date"),
        ({"open_date": "9999-12-31T23:59:59-23:59"}, "open_date"),
        ({"pair": "X" * 65}, "symbol: "),
        ({"trade_id": None}, "trade_id"),
        ({"trade_id": {}}, "field 'trade_id' is neither a text nor a number"),
    ],
    ids=map(str, count()),
)
def test_it_names_what_is_wrong_with_a_webhook(sidewatch, changes, named):
    answer = sidewatch.client.post(FREQTRADE, json=CLOSED | changes)
    assert (answer.status_code, named in answer.text) == (422, True)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("alerts?limit=1e9", "limit: "),
        ("alerts?limit=0", "limit: "),
        ("alerts?before=xx", "before: 'xx' is no alert's id"),
        ("alerts?before=1BQ7ZK3P", "before: '1BQ7ZK3P' is no alert's id"),
        ("alerts?before=1bq7zk3p%00", "before: "),
        ("metrics/realtime?bot=", "bot: is empty"),
        ("metrics/history?currency=", "currency: is empty"),
        ("alerts?limit=%C2%B2", "limit: "),
        ("metrics/realtime?at=2026-13-01T00:00:00Z", "at: "),
        ("metrics/realtime?at=0001-01-01T00:00:00%2B23:59", "at: "),
        ("metrics/realtime?at=9999-12-31T23:59:59-23:59", "at: "),
        ("metrics/realtime?at=2026-01-01", "at: needs its time zone"),
        (
            "metrics/realtime?at=9999-12-31T23:59:59Z",
            "at: 9999-12-31T23:59:59+00:00 is more than a",
        ),
        ("metrics/details?at=9999-12-31T23:59:59Z", "at: 9999-12-31T23:59:59+00:00 is more than a"),
        (
            "trades.csv?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "from: 2026-01-02T00:00:00",
        ),
        ("metrics/history?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from: 2026-01-02T0"),
    ],
)
def test_it_names_what_is_wrong_with_a_question(sidewatch, query, named):
    answer = sidewatch.client.get(f"/api/v1/{query}", headers=READ)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(named)


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "alerts?limt=5", 400, "unknown parameter 'limt': known are limit, before"),
        ("GET", "health/status?bot=b", 400, "unknown parameter 'bot': none is known here"),
        ("GET", "trades.csv?bot=a&bot=b", 400, "bot: given twice"),
        ("GET", "supervisor?=", 400, "unknown parameter '': none is known here"),
        ("POST", "events?bot=b", 400, "unknown parameter 'bot': none is known here"),
        ("GET", "nowhere?x=1", 404, "nothing is served at '/api/v1/nowhere'"),
        ("POST", "nowhere", 404, "nothing is served at '/api/v1/nowhere'"),
        ("GET", "events", 405, "GET is not for '/api/v1/events', which takes OPTIONS, POST"),
        ("BREW", "alerts", 405, "BREW is not for '/api/v1/alerts', which takes GET, HEAD, OPTIONS"),
    ],
)
def test_it_names_what_no_route_takes(sidewatch, method, path, status, error):
    body = json.dumps(trade("asked", 1)) if method == "POST" else None
    answer = sidewatch.client.request(
        method, f"/api/v1/{path}", headers=READ | INGEST, content=body
    )
    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert ("Allow" in answer.headers) == (status == 405)
    assert answer.headers.get("connection") == (
        None if (method, status) == ("GET", 404) else "close"
    )


@pytest.mark.parametrize(
    "path", ["metrics/realtime", "metrics/details", "metrics/history", "trades.csv"]
)
def test_it_says_that_nothing_is_known_of_a_bot(sidewatch, path):
    answer = sidewatch.client.get(f"/api/v1/{path}?bot=nope", headers=READ)
    assert (answer.status_code, answer.json()) == (404, {"error": "bot: nothing known of 'nope'"})


def test_it_goes_on_from_an_alert_that_is_gone_by_now(sidewatch):
    answer = sidewatch.get("/api/v1/alerts", before="00000000")
    assert answer == {"alerts": []}


def test_it_leaves_the_address_of_a_freqtrade_as_its_owner_has_it(sidewatch):
    answer = sidewatch.client.post(f"{FREQTRADE}?format=json", json={"type": "entry"})
    assert answer.status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "x" * 900])
def test_it_reads_no_compressed_body(sidewatch, coding):
    bomb = gzip.compress(b"[" + b" " * 50_000_000)
    headers = INGEST | {"Content-Encoding": coding}
    answer = sidewatch.client.post(EVENTS, content=bomb, headers=headers)
    assert (answer.status_code, coding[:40] in answer.json()["error"]) == (415, True)
    headers["Content-Encoding"] = "Identity"
    answer = sidewatch.client.post(EVENTS, content=bomb, headers=headers)
    [refused] = answer.json()["rejected"]
    assert refused["error"] == "looks like gzip: send plain UTF-8 (byte 0)"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"reson": "x"}, "unknown field `reson`: did you mean `reason`?"),
        ({"reason": "x", "minutes": "5"}, "minutes: expected `float | null`, got `str`"),
        ({"reason": "x", "bot": 5}, "bot: expected `str`, got `int`"),
        (
            {"reason": "x", "minutes": 5, "until": instant()},
            "minutes: until is given, too; keep one",
        ),
        ({}, "reason: required"),
        (None, "the request has no body"),
    ],
)
def test_it_names_what_is_wrong_with_a_silence(sidewatch, body, error):
    content = b"" if body is None else json.dumps(body).encode()
    answer = sidewatch.client.post("/api/v1/silences", content=content, headers=OPERATE)
    assert (answer.status_code, answer.json()) == (422, {"error": error})


@pytest.mark.parametrize("away", [None, timedelta(hours=23)])
def test_it_answers_as_of_the_first_and_the_last_instant(sidewatch, away):
    sidewatch.post(trade("edge", 1, bot="edge"))
    at = (datetime.now(UTC) + away).isoformat() if away else "0001-01-01T00:00:00Z"
    answer = sidewatch.client.get("/api/v1/metrics/realtime", params={"at": at}, headers=READ)
    assert answer.status_code == 200


def said(sidewatch, request):
    """Send bytes on a socket of their own; return what came until the server closed it."""
    host, port = sidewatch.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as link:
        link.sendall(request.replace(b"HOST", f"{host}:{port}".encode()))
        parts = []
        while part := link.recv(65_536):
            parts.append(part)
    return b"".join(parts)


POST = b"POST /api/v1/events HTTP/1.1\r\nHost: HOST\r\n" + (
    f"Authorization: {INGEST['Authorization']}\r\n".encode()
)
SMUGGLED = b"0\r\n\r\nGET /livez HTTP/1.1\r\nHost: HOST\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "error"),
    [
        (
            POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
            400,
            b"Content-Length and Transfer-Encoding",
        ),
        (
            POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + SMUGGLED,
            400,
            b"Content-Length and Transfer-Encoding",
        ),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345", 400, b""),
        (POST + b"Content-Length: -5\r\n\r\n", 400, b""),
        (POST + b"Content-Length: 1" + b"0" * 400 + b"\r\n\r\n", 400, b""),
        (POST + b"Content-Length: 99999999\r\n\r\n", 413, b"larger than 1048576 bytes"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc", 400, b""),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501, b""),
        (POST + b"X: " + b"a" * 17_000 + b"\r\n\r\n", 431, b"larger than 16384 bytes"),
        (POST + b"X: " + b"a" * 100_000 + b"\r\n\r\n", 431, b""),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400, b""),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, b""),
    ],
    ids=map(str, count()),
)
def test_it_refuses_a_request_that_is_none_and_hangs_up(sidewatch, request_, status, error):
    answer = said(sidewatch, request_)
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert error in answer
    assert answer.count(b"HTTP/1.1") == 1

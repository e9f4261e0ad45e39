"""The API as bots, browsers and attackers meet it, over a real process and socket."""

import json
import socket
import subprocess
import sys

import httpx
import pytest
from playwright.sync_api import expect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.acceptance.process import ROOT, TOKENS, Sidewatch, bearer, instant, trade, until
from web.guard import sign

READ = bearer("READ")
INGEST = bearer("INGEST")


@pytest.fixture(scope="module")
def sidewatch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    environ = {
        "SIDEWATCH_STARTING_EQUITY": "1000",
        "SIDEWATCH__CONSOLE__ENABLED": "true",
        "SIDEWATCH__SERVER__UNIX_SOCKET": str(folder / "events.sock"),
    }
    with Sidewatch(folder / "data", environ) as running:
        running.unix = str(folder / "events.sock")
        yield running


def signed(path, body, **changed):
    import secrets
    import time

    stamp, nonce = int(time.time()), secrets.token_hex(8)
    key = TOKENS["SIDEWATCH_HMAC_KEY"].encode()
    headers = {
        "X-HMAC-Signature": f"v1={sign(key, 'POST', path, stamp, nonce, body)}",
        "X-HMAC-Timestamp": str(stamp),
        "X-HMAC-Nonce": nonce,
    }
    return headers | changed


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/metrics/realtime",
        "/api/v1/health/status",
        "/api/v1/health/safety",
        "/api/v1/alerts",
        "/api/v1/silences",
        "/api/v1/supervisor",
        "/api/v1/supervisor/quarantine",
        "/api/v1/events/rejected",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/asyncapi.json",
    ],
)
def test_it_asks_for_a_token_on_every_route_but_livez(sidewatch, path):
    assert sidewatch.client.get(path).status_code == 401
    assert sidewatch.client.get(path, headers=INGEST).status_code == 401
    answer = sidewatch.client.get(path, headers=READ)
    assert answer.status_code == 200
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Server" not in answer.headers


def test_it_answers_livez_to_anyone(sidewatch):
    assert sidewatch.client.get("/livez").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{", 422, "truncated"),
        (b"[]", 422, "no event"),
        (b'{"type":"x"}', 422, "type"),
        (json.dumps({**trade("n", 1), "pnl": "NaN"}).encode(), 422, "pnl"),
        (b" " * 1_048_577, 413, "1048576"),
        (b"[" * 50_000, 422, ""),
    ],
)
def test_it_refuses_a_bad_body_with_a_clear_error(sidewatch, body, status, error):
    answer = sidewatch.client.post("/api/v1/events", content=body, headers=INGEST)
    assert answer.status_code == status
    assert error in answer.text


def test_it_keeps_refused_events_where_ops_can_read_them(sidewatch):
    answer = sidewatch.client.post(
        "/api/v1/events", json=[trade("good", 1), {"type": "mystery"}], headers=INGEST
    )
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"][0]["index"] == 1
    kept = sidewatch.get("/api/v1/events/rejected")["rejected"]
    assert any("mystery" in item["raw"] for item in kept)


def test_it_counts_duplicates_and_takes_corrections(sidewatch):
    first = trade("dup", "-5", bot="dups")
    assert sidewatch.post(first) == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert sidewatch.post(first)["duplicates"] == 1
    assert sidewatch.post({**first, "pnl": "-3", "revision": 1})["accepted"] == 1
    with sidewatch.live() as live:
        until(live, lambda m: m["type"] == "snapshot")
    figures = sidewatch.get("/api/v1/metrics/realtime", bot="dups")["bots"]["dups"]
    assert (figures["trades"], figures["pnl_total"]) == (1, "-3")


def test_it_answers_as_of_an_instant(sidewatch):
    sidewatch.post(trade("asof", "7", bot="past"))
    then = sidewatch.get("/api/v1/metrics/realtime", at="2020-01-01T00:00:00Z")
    assert then["bots"] == {}
    answer = sidewatch.client.get("/api/v1/metrics/realtime?at=yesterday", headers=READ)
    assert answer.status_code == 422
    assert "at:" in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Authorization": "Bearer wrong-token-wrong-token"}, 401),
    ],
)
def test_it_refuses_foreign_hosts_origins_and_tokens(sidewatch, headers, status):
    answer = sidewatch.client.post("/api/v1/events", json=trade("f", 1), headers=INGEST | headers)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_it_takes_signed_requests_once(sidewatch):
    path, body = "/api/v1/alerts/test", b'{"channel":"console","test_message":"hello"}'
    headers = signed(path, body)
    answer = sidewatch.client.post(path, content=body, headers=headers)
    assert answer.json()["results"]["console"]["ok"]
    assert "used before" in sidewatch.client.post(path, content=body, headers=headers).text
    assert sidewatch.client.post(path, content=body, headers=READ).status_code == 401
    wrong = sidewatch.client.post(path, content=body + b" ", headers=signed(path, body))
    assert wrong.status_code == 401
    unknown = b'{"channel":"pigeon","test_message":"hello"}'
    answer = sidewatch.client.post(path, content=unknown, headers=signed(path, unknown))
    assert answer.status_code == 422
    assert "pigeon" in answer.text


def test_it_logs_the_page_in_with_a_cookie(sidewatch):
    page = httpx.Client(base_url=sidewatch.url)
    token = {"token": TOKENS["SIDEWATCH_READ_TOKEN"]}
    assert page.post("/api/v1/session", json=token).status_code == 403
    for wrong in ("nope", TOKENS["SIDEWATCH_INGEST_TOKEN"]):
        answer = page.post("/api/v1/session", json={"token": wrong}, headers={"X-Sidewatch": "1"})
        assert answer.status_code == 401
    answer = page.post("/api/v1/session", json=token, headers={"X-Sidewatch": "1"})
    assert answer.status_code == 204
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert page.get("/api/v1/health/status").status_code == 200
    assert page.post("/api/v1/silences", json={"reason": "x", "minutes": 1}).status_code == 401
    page.close()


def test_it_tells_a_browser_that_its_token_is_not_valid(sidewatch, browser):
    page = browser.new_page()
    page.goto(sidewatch.url)
    problem = page.get_by_test_id("login-problem")
    expect(page.get_by_test_id("login")).to_contain_text("Please log in")
    expect(problem).to_be_empty()
    page.evaluate("location.hash = '#login=of-another-directory'")  # a link, opened in this page
    expect(problem).to_contain_text("This token is not valid")
    page.goto("about:blank")
    page.goto(f"{sidewatch.url}/#login=mistyped")
    expect(problem).to_contain_text("This token is not valid")
    page.get_by_label("Login link or token").fill(TOKENS["SIDEWATCH_READ_TOKEN"])
    page.get_by_role("button").click()
    expect(page.get_by_test_id("login")).not_to_be_visible()
    page.close()


def test_the_page_hides_no_kill_switch_of_a_bot_that_is_not_looked_at(tmp_path, browser):
    with Sidewatch(tmp_path / "data", {}) as running:
        for bot in ("alpha", "beta"):
            running.post(trade("1", "5", bot=bot))
        for kind, field in (("kill_switch", "active"), ("circuit_breaker", "open")):
            running.post({"type": kind, "bot": "beta", "at": instant(), field: True, "reason": "r"})
        page = browser.new_page()
        page.goto(f"{running.url}/#login={TOKENS['SIDEWATCH_READ_TOKEN']}")
        page.get_by_test_id("selector").select_option(label="alpha")
        expect(page.get_by_test_id("bots")).to_contain_text("alpha")
        expect(page.get_by_test_id("bots")).not_to_contain_text("beta")
        expect(page.get_by_test_id("kill-switch")).to_contain_text("ACTIVE")
        expect(page.get_by_test_id("kill-switch")).to_contain_text("beta: r")
        expect(page.get_by_test_id("breaker")).to_contain_text("beta: r")
        page.close()


def test_it_silences_and_acknowledges_for_operators(sidewatch):
    operate = bearer("OPERATE")
    switch = {"type": "kill_switch", "bot": "ops", "at": instant(), "active": True, "reason": "r"}
    with sidewatch.live() as live:
        until(live, lambda m: m["type"] == "snapshot")
        sidewatch.post(switch)
        fired = until(
            live, lambda m: m["type"] == "alert_triggered" and m["alert"]["bot"] == "ops"
        )["alert"]
    answer = sidewatch.client.post(f"/api/v1/alerts/{fired['id']}/ack", headers=operate)
    told = answer.json()["alert"]
    assert told["state"] == "acknowledged"
    assert [d["channel"] for d in told["deliveries"]] == ["console"]
    assert sidewatch.client.post("/api/v1/alerts/none/ack", headers=operate).status_code == 404
    late = {"reason": "maintenance", "until": "2099-01-01T00:00:00Z"}
    answer = sidewatch.client.post("/api/v1/silences", json=late, headers=operate)
    assert (answer.status_code, answer.json()["error"].startswith("until: ")) == (422, True)
    bad = {"reason": "maintenance", "minutes": 0}
    answer = sidewatch.client.post("/api/v1/silences", json=bad, headers=operate)
    assert "minutes" in answer.json()["error"]
    good = {"reason": "maintenance", "minutes": 5, "bot": "quiet"}
    silence = sidewatch.client.post("/api/v1/silences", json=good, headers=operate).json()
    assert sidewatch.get("/api/v1/silences")["silences"] == [silence["silence"]]
    path = f"/api/v1/silences/{silence['silence']['id']}"
    assert sidewatch.client.delete(path, headers=operate).status_code == 204
    assert sidewatch.client.delete(path, headers=operate).status_code == 404
    for naive in ("until", "since"):
        body = {**good, naive: "2026-12-01T22:00:00"}
        if naive == "until":
            del body["minutes"]
        answer = sidewatch.client.post("/api/v1/silences", json=body, headers=operate)
        assert (answer.status_code, naive in answer.json()["error"]) == (422, True)


def test_it_shows_one_alert_with_every_attempt(sidewatch):
    operate = bearer("OPERATE")
    switch = {"type": "kill_switch", "bot": "one", "at": instant(), "active": True, "reason": "r"}
    with sidewatch.live() as live:
        until(live, lambda m: m["type"] == "snapshot")
        sidewatch.post(switch)
        told = until(
            live,
            lambda m: (
                m["type"] == "alert_update"
                and m["alert"]["bot"] == "one"
                and all(d["state"] == "delivered" for d in m["alert"]["deliveries"])
            ),
        )["alert"]
    found = sidewatch.get(f"/api/v1/alerts/{told['id']}")
    assert found["alert"] == told
    assert {a["channel"] for a in found["attempts"]} == {d["channel"] for d in told["deliveries"]}
    assert all(a["ok"] and a["attempt"] == 1 and a["at"] for a in found["attempts"])
    assert sidewatch.client.get(f"/api/v1/alerts/{told['id']}").status_code == 401
    missing = sidewatch.client.get("/api/v1/alerts/none", headers=operate)
    assert (missing.status_code, "none" in missing.json()["error"]) == (404, True)


def test_it_takes_events_over_the_unix_socket_without_a_token(sidewatch):
    transport = httpx.HTTPTransport(uds=sidewatch.unix)
    with httpx.Client(transport=transport, base_url="http://sidewatch") as client:
        lines = "\n".join(json.dumps(trade(f"u{n}", 1, bot="unix")) for n in range(3))
        kind = {"Content-Type": "application/x-ndjson"}
        answer = client.post("/api/v1/events", content=lines, headers=kind)
        assert answer.json()["accepted"] == 3
        assert client.get("/api/v1/alerts").status_code == 401


def test_it_refuses_a_websocket_without_token_or_from_another_page(sidewatch):
    address = sidewatch.url.replace("http", "ws") + "/api/v1/live"
    for headers in ({}, READ | {"Origin": "http://evil.example"}):
        with pytest.raises(InvalidStatus):
            connect(address, additional_headers=headers)


def test_it_replays_alerts_to_a_client_that_comes_back(sidewatch):
    with sidewatch.live() as live:
        seq = until(live, lambda m: m["type"] == "snapshot")["seq"]
    breaker = {"type": "circuit_breaker", "bot": "back", "at": instant(), "open": True}
    with sidewatch.live() as live:
        until(live, lambda m: m["type"] == "snapshot")
        sidewatch.post({**breaker, "reason": "while away"})
        until(live, lambda m: m["type"] == "alert_triggered" and m["alert"]["bot"] == "back")
    with sidewatch.live() as live:
        live.send(json.dumps({"type": "resume", "seq": seq}))
        until(live, lambda m: m["type"] == "alert_triggered" and m["alert"]["bot"] == "back")


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        ("nonsense", 1007, "not JSON"),
        (b"{}", 1003, "binary"),
        ("{}", 1008, "`type`"),
        ('{"type": "shout"}', 1008, "$.type"),
        ('{"type": "resume", "seq": "x"}', 1008, "$.seq"),
        ('{"type": "resume", "seq": -1}', 1008, "`int` >= 0 - at `$.seq`"),
        (" " * 4_097, 1009, "too large: a message has at most 4096 bytes"),
    ],
)
def test_it_tells_a_client_that_talks_nonsense_what_was_wrong(sidewatch, said, code, reason):
    with sidewatch.live() as live:
        until(live, lambda m: m["type"] == "snapshot")
        live.send(said)
        with pytest.raises(ConnectionClosed) as closed:
            until(live, lambda _message: False)
    assert closed.value.rcvd.code == code
    assert reason in closed.value.rcvd.reason


def test_it_tells_a_client_whose_text_is_no_utf8(sidewatch):
    with sidewatch.live() as live:
        until(live, lambda m: m["type"] == "snapshot")
        live.send(b'{"type": "\xff\xff"}', text=True)
        with pytest.raises(ConnectionClosed) as closed:
            until(live, lambda _message: False)
    assert closed.value.rcvd.code == 1007
    assert closed.value.rcvd.reason.startswith("unreadable: ")


def test_it_counts_only_tests_and_says_when_the_next_may_be(tmp_path):
    path = "/api/v1/alerts/test"

    def ask(body):
        raw = json.dumps(body).encode()
        return running.client.post(path, content=raw, headers=signed(path, raw))

    with Sidewatch(tmp_path, {"SIDEWATCH__CONSOLE__ENABLED": "true"}) as running:
        for wrong in ({"channel": "pigeon"}, {"test_message": ""}, {"channel": 5}):
            assert [ask(wrong).status_code for _ in range(2)] == [422, 422]
        assert [ask({"channel": "console"}).status_code for _ in range(3)] == [200] * 3
        held_up = ask({"channel": "all"})
        assert held_up.status_code == 429
        wait_s = int(held_up.headers["Retry-After"])
        assert 30 < wait_s <= 60
        assert held_up.json()["error"] == f"too many: 3 in 60 s; try again in {wait_s} s"


def test_it_holds_up_whoever_guesses_tokens_and_nobody_else(tmp_path):
    def login(token, who):
        headers = {"X-Sidewatch": "1", "X-Forwarded-For": who}
        return running.client.post("/api/v1/session", json={"token": token}, headers=headers)

    with Sidewatch(tmp_path, {"SIDEWATCH__SERVER__BEHIND_PROXY": "true"}) as running:
        good = TOKENS["SIDEWATCH_READ_TOKEN"]
        for _ in range(8):
            assert login(good, "203.0.113.9").status_code == 204
        guesses = [login("a guess", "203.0.113.9").status_code for _ in range(6)]
        assert guesses == [401, 401, 401, 401, 401, 429]
        held_up = login(good, "203.0.113.9")
        assert (held_up.status_code, int(held_up.headers["Retry-After"]) > 30) == (429, True)
        assert login(good, "203.0.113.10").status_code == 204


def test_it_stops_soon_with_a_client_that_never_reads(tmp_path):
    with Sidewatch(tmp_path / "data") as running:
        host, port = running.url.removeprefix("http://").split(":")
        stuck = socket.create_connection((host, int(port)))
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
        request = (
            f"GET /api/v1/live HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nAuthorization: {READ['Authorization']}\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n"
        )
        stuck.sendall(request.encode())
        assert stuck.recv(12) == b"HTTP/1.1 101"
        with running.live() as live:
            until(live, lambda m: m["type"] == "snapshot")
            code, seconds = running.stop()
            with pytest.raises(ConnectionClosed) as closed:
                until(live, lambda _message: False)
        stuck.close()
    assert code == 0
    assert seconds < 6
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


@pytest.mark.parametrize("bot", ["a%20b", "x" * 65, "%F0%9F%92%A9", "..%2fx"])
def test_it_refuses_a_bot_name_that_is_none(sidewatch, bot):
    path = f"/api/v1/sources/freqtrade/{bot}/{TOKENS['SIDEWATCH_FREQTRADE_SECRET']}"
    answer = sidewatch.client.post(path, json={"event": "status", "status": "running"})
    assert answer.status_code in (404, 422)


def test_it_writes_no_secret_to_its_log(sidewatch):
    path = f"/api/v1/sources/freqtrade/x/{TOKENS['SIDEWATCH_FREQTRADE_SECRET']}"
    assert sidewatch.client.post(path, content=b"\xff").status_code == 422
    log = "".join(line for line in sidewatch.log if not line.startswith("Open "))
    for secret in TOKENS.values():
        assert secret not in log


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_serves_on_both_event_loops(tmp_path, backend):
    environ = {"SIDEWATCH__SERVER__BACKEND": backend, "SIDEWATCH_STARTING_EQUITY": "100"}
    with Sidewatch(tmp_path / "data", environ) as running:
        with running.live() as live:
            until(live, lambda m: m["type"] == "snapshot")
            running.post(trade(1, "-50"))
            until(live, lambda m: m["type"] == "alert_triggered")
        assert running.stop()[0] == 0


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"SIDEWATCH_PORT": "99999"}, "server.port"),
        ({"SIDEWATCH_NONSENSE": "1"}, "SIDEWATCH_NONSENSE"),
        ({"ALERTS_SLACK_ENABLED": "true"}, "SLACK_WEBHOOK_URL"),
        ({"SIDEWATCH_READ_TOKEN": "changeme"}, "SIDEWATCH_READ_TOKEN"),
        ({"SIDEWATCH_DATA_DIR": "/proc/nowhere"}, "storage.data_dir"),
    ],
)
def test_it_refuses_to_start_and_names_the_setting(tmp_path, environ, named):
    here = {"SIDEWATCH_PORT": "0", "SIDEWATCH_DATA_DIR": str(tmp_path)}
    env = {"PATH": "/usr/bin:/bin", **here, **TOKENS, **environ}
    done = subprocess.run(
        [sys.executable, "-m", "sidewatch", "run"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    environ = {
        "SIDEWATCH__SERVER__DASHBOARDS_MAX": "1",
        "SIDEWATCH__SERVER__BODY_BYTES_MAX": "1024",
        "SIDEWATCH__SERVER__BATCH_BYTES_MAX": "1024",
        "SIDEWATCH__SERVER__CONNECTIONS_MAX": "2",
    }
    with Sidewatch(tmp_path_factory.mktemp("small"), environ) as running:
        yield running


def test_it_names_the_setting_of_a_bound_that_is_met(small):
    answer = small.client.post("/api/v1/events", content=b" " * 1_025, headers=bearer("INGEST"))
    assert (answer.status_code, "server.batch_bytes_max" in answer.json()["error"]) == (413, True)
    with small.live() as first:
        until(first, lambda m: m["type"] == "snapshot")
        with small.live() as second, pytest.raises(ConnectionClosed) as closed:
            second.recv(timeout=10)
        assert closed.value.rcvd.code == 1013
        assert "server.dashboards_max" in closed.value.rcvd.reason
        # The page's connection and the server's own life are the two.
        answer = small.client.get("/livez")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert "server.connections_max" in answer.json()["error"]

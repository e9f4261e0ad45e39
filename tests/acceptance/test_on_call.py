"""On call, over real processes: a heartbeat elsewhere, and a critical that fails over."""

from __future__ import annotations

import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.acceptance.process import STEP_S, Sidewatch, instant, until

SECRET = "canary-of-the-heartbeat-7f3a"


class Heartbeat:
    """A heartbeat service on loopback; `next` waits for what it is asked."""

    def __enter__(self):
        asked, ring = deque(), threading.Semaphore(0)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                asked.append((self.command, self.path.partition(SECRET)[2], body))
                self.send_response(200)
                self.end_headers()
                ring.release()

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_arguments):
                pass

        self.asked, self.ring = asked, ring
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/ping/{SECRET}"
        return self

    def __exit__(self, *_exc):
        self.server.shutdown()
        self.server.server_close()

    def next(self):
        assert self.ring.acquire(timeout=STEP_S), "no beat"
        return self.asked.popleft()


@pytest.fixture
def heartbeat():
    with Heartbeat() as service:
        yield service


def watched(heartbeat):
    return {"SIDEWATCH__DEADMAN__URL": heartbeat.url, "SIDEWATCH__DEADMAN__PERIOD_S": "1"}


def test_it_beats_while_a_channel_is_healthy_and_tells_no_secret(tmp_path, heartbeat):
    environ = watched(heartbeat) | {"SIDEWATCH__CONSOLE__ENABLED": "1"}
    with Sidewatch(tmp_path / "data", environ) as sidewatch:
        assert [heartbeat.next() for _ in range(3)] == [
            ("GET", "/start", ""),
            ("GET", "", ""),
            ("GET", "", ""),
        ]
        assert sidewatch.stop()[0] == 0
        log = "".join(sidewatch.log)
    assert SECRET not in log


def test_it_fails_the_heartbeat_where_nobody_would_be_told(tmp_path, heartbeat):
    with Sidewatch(tmp_path / "data", watched(heartbeat)):
        assert heartbeat.next() == ("GET", "/start", "")
        assert heartbeat.next() == ("POST", "/fail", "channels: none is switched on")


def test_it_fails_over_to_the_next_channel(tmp_path):
    environ = {
        "ALERTS_SLACK_ENABLED": "1",
        "SLACK_WEBHOOK_URL": "http://127.0.0.1:9/services/nobody",
        "SIDEWATCH__CONSOLE__ENABLED": "1",
        "SIDEWATCH__ROUTES__CRITICAL": "slack",
        "SIDEWATCH__ONCALL__FAILOVER_AFTER_S": "1",
    }
    with Sidewatch(tmp_path / "data", environ) as sidewatch, sidewatch.live() as live:
        until(live, lambda m: m["type"] == "snapshot")
        sidewatch.post({"type": "kill_switch", "bot": "b", "at": instant(), "active": True})
        told = until(
            live,
            lambda m: (
                m["type"] == "alert_update"
                and ("console", "delivered")
                in {(d["channel"], d["state"]) for d in m["alert"]["deliveries"]}
            ),
        )["alert"]
        assert ("slack", "queued") in {(d["channel"], d["state"]) for d in told["deliveries"]}
        attempts = sidewatch.get(f"/api/v1/alerts/{told['id']}")["attempts"]
        assert [a["ok"] for a in attempts if a["channel"] == "console"] == [True]
    assert "Failover: not delivered by slack" in "".join(sidewatch.log)

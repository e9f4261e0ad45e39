"""The operator's commands: what is no answer of a Sidewatch is one clear line."""

import httpx
import pytest
from msgspec.structs import replace

from config.secret import Secret
from config.settings import load
from sidewatch import operator
from sidewatch.operator import Operator, OperatorError, _say, base_url

TOKEN = "canary-0123456789abcdef0123456789ab"


def settings(host="127.0.0.1"):
    found = load(None, {"SIDEWATCH_PORT": "5173"})
    auth = replace(found.auth, operate_token=Secret(TOKEN))
    return replace(found, auth=auth, server=replace(found.server, host=host))


def answering(monkeypatch, answer):
    asked = []

    def request(method, url, **_):
        asked.append((method, str(httpx.URL(url).raw_path, "ascii")))
        return answer

    monkeypatch.setattr(operator.httpx, "request", request)
    return asked


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:5173"),
        ("0.0.0.0", "http://127.0.0.1:5173"),
        ("::", "http://[::1]:5173"),
        ("::1", "http://[::1]:5173"),
        ("fd00::7", "http://[fd00::7]:5173"),
    ],
)
def test_it_knows_where_the_running_one_listens(host, url):
    assert base_url(settings(host), None) == url


def test_it_says_when_the_answer_is_not_sidewatchs(monkeypatch):
    answering(monkeypatch, httpx.Response(200, text="<html>a router</html>"))
    with pytest.raises(OperatorError, match=r"^http://127.0.0.1:5173: the answer is no JSON"):
        Operator(settings(), None).status()


@pytest.mark.parametrize(
    ("level", "failing", "good"),
    [
        ("HEALTHY", [], True),
        ("HEALTHY", ["storage: database or disk is full"], False),
        ("DEGRADED", [], False),
    ],
)
def test_its_status_says_what_keeps_it_from_being_ready(monkeypatch, capsys, level, failing, good):
    answers = {
        "/api/v1/health/status": (200, {"level": level, "reasons": []}),
        "/readyz": (503 if failing else 200, {"failing": failing, "remarks": ["history lost: 2"]}),
        "/api/v1/metrics/realtime": (200, {"bots": {}}),
        "/api/v1/alerts": (200, {"alerts": []}),
    }

    def request(_method, url, **_):
        status, body = answers[httpx.URL(url).path]
        return httpx.Response(status, json=body)

    monkeypatch.setattr(operator.httpx, "request", request)
    assert Operator(settings(), None).status() is good
    said = capsys.readouterr().out.splitlines()
    assert said == [level, *(f"  not ready: {reason}" for reason in failing), "  history lost: 2"]


def test_it_says_why_it_is_not_told_whether_it_is_ready(monkeypatch):
    def request(_method, url, **_):
        if url.endswith("/readyz"):
            return httpx.Response(503, json={"error": "it is stopping"})
        return httpx.Response(200, json={"level": "HEALTHY", "reasons": []})

    monkeypatch.setattr(operator.httpx, "request", request)
    with pytest.raises(OperatorError, match=r"^http://127.0.0.1:5173: 503: it is stopping$"):
        Operator(settings(), None).status()


@pytest.mark.parametrize("url", ["http://[half", "http://host:port", "http://a\x00b"])
def test_it_says_when_an_address_is_none(url):
    with pytest.raises(OperatorError) as error:
        Operator(settings(), url).status()
    assert str(error.value).startswith(f"{url}: ")
    assert TOKEN not in str(error.value)


def test_it_sends_an_id_as_one_piece_of_the_path(monkeypatch):
    asked = answering(monkeypatch, httpx.Response(204))
    Operator(settings(), None).acknowledge("../silences?x=1#")
    Operator(settings(), None).unsilence("a/b")
    assert asked == [
        ("POST", "/api/v1/alerts/..%2Fsilences%3Fx%3D1%23/ack"),
        ("DELETE", "/api/v1/silences/a%2Fb"),
    ]


def test_it_prints_nothing_that_a_terminal_would_obey(capsys):
    _say("esc: kill switch on: \x1b[2J\x1b]0;pwn\x07evil\r\nHEALTHY")
    assert capsys.readouterr().out == (
        "esc: kill switch on: \\x1b[2J\\x1b]0;pwn\\x07evil\\r\\nHEALTHY\n"
    )

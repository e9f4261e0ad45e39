"""The doctor: whom it gives a token, and what it says of whoever answers."""

import json

import httpx
import pytest
from msgspec.structs import replace

from config import secret
from config.secret import Auth
from config.settings import load
from sidewatch import doctor
from sidewatch.doctor import START

HERE, AWAY = "http://127.0.0.1:1", "http://192.0.2.7:8000"
NEAR = ("http://127.0.0.1:", "http://localhost:", "http://[::1]:")
GIVEN = "b7Qm2xV9kLr4Tz8WcYp6NdHs3FgJ5aEu"
TREE = {"root": {"children": [{"id": "senders", "children": [{"id": "slack"}]}]}}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two data directories with drawn secrets: this shell's and the demo's."""
    monkeypatch.setattr(doctor, "demo_dir", lambda _environ: tmp_path / "demo")
    return {folder: secret.ensure(tmp_path / folder, Auth()) for folder in ("own", "demo")}


@pytest.fixture
def told(tmp_path, monkeypatch, place):
    """Ask at a URL where `answer` answers; gives the findings and the tokens that it got."""

    def ask(url, answer, alive=lambda: httpx.Response(200), ready=is_ready, environ=()):
        tokens = []

        def get(asked, *, timeout, trust_env, headers=None):
            assert timeout == doctor.TIMEOUT_S
            assert trust_env is not asked.startswith(NEAR)  # no proxy for a server of this machine
            if asked.endswith("/livez"):
                return alive()
            if asked.endswith("/readyz"):
                assert headers["Authorization"] == f"Bearer {tokens[-1]}"
                return ready()
            tokens.append(headers["Authorization"].removeprefix("Bearer "))
            return answer(tokens[-1])

        monkeypatch.setattr(doctor.httpx, "get", get)
        settings = load(None, {"SIDEWATCH_DATA_DIR": str(tmp_path / "own"), **dict(environ)})
        auth = secret.look(tmp_path / "own", settings.auth)
        settings = replace(settings, auth=auth)
        return [f"{state} {text}" for state, text in doctor._findings(settings, url)], tokens

    return ask


def is_ready(*failing, remarks=()):
    told = {"ready": not failing, "failing": failing, "remarks": remarks}
    return httpx.Response(503 if failing else 200, json=told)


def channels(_token):
    return httpx.Response(200, json=TREE)


def raising(error):
    def answer(*_):
        raise error

    return answer


@pytest.mark.parametrize("url", [HERE, "http://localhost:1", "http://[::1]:1", None])
def test_it_speaks_to_this_machine_with_what_was_drawn(told, place, url):
    findings, tokens = told(url, channels)
    assert tokens == [place["own"].operate_token.reveal()]
    assert findings[-1] == "ok channels of the running Sidewatch: slack"


def test_it_tries_the_demos_token_where_its_own_is_not_taken(told, place):
    demo = place["demo"].operate_token.reveal()
    findings, tokens = told(HERE, lambda t: channels(t) if t == demo else httpx.Response(401))
    assert tokens == [place["own"].operate_token.reveal(), demo]
    assert findings[-2].startswith("note it is the demo")


@pytest.mark.parametrize(
    ("ready", "found"),
    [
        (is_ready, ["ok it is ready: it takes events, and its disk writes"]),
        (
            lambda: is_ready("storage: database or disk is full\x1b[2J", "health is busy"),
            [
                r"BAD it is not ready: storage: database or disk is full\x1b[2J",
                "BAD it is not ready: health is busy",
            ],
        ),
        (
            lambda: is_ready(remarks=["history lost: 12 events"]),
            [
                "ok it is ready: it takes events, and its disk writes",
                "note it remarks: history lost: 12 events",
            ],
        ),
        (lambda: httpx.Response(200, text="<html>"), [f"BAD {HERE}/readyz: JSONDecodeError"]),
        (lambda: httpx.Response(200, json=3), [f"BAD {HERE}/readyz: TypeError"]),
        (raising(httpx.ReadTimeout("")), [f"BAD {HERE}/readyz: ReadTimeout"]),
    ],
)
def test_it_says_whether_the_running_one_is_ready(told, ready, found):
    findings, _ = told(HERE, channels, ready=ready)
    serves = findings.index(f"ok Sidewatch serves at {HERE}")
    assert findings[serves + 1 : -1] == found


@pytest.mark.parametrize("url", [AWAY, "http://localhost.example:1", "http://127.0.0.1@evil.test"])
def test_it_gives_no_stored_token_to_another_machine(told, url):
    findings, tokens = told(url, channels)
    assert tokens == []
    assert findings[-1].startswith(f"note no stored token is sent to {url}: ")


def test_it_gives_another_machine_the_token_that_was_given_and_no_other(told):
    findings, tokens = told(
        AWAY, lambda _token: httpx.Response(401), environ={"SIDEWATCH_OPERATE_TOKEN": GIVEN}
    )
    assert tokens == [GIVEN]
    assert findings[-2].startswith("note it takes no token of")


def test_it_speaks_to_the_address_that_its_own_settings_serve_at(told, place):
    environ = {
        "SIDEWATCH__SERVER__HOST": "192.0.2.7",
        "SIDEWATCH__SERVER__BEHIND_PROXY": "true",
    }
    _, tokens = told(None, lambda _token: httpx.Response(401), environ=environ)
    assert tokens == [place["own"].operate_token.reveal()]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda _: httpx.Response(429), "HTTP 429: too many"),
        (lambda _: httpx.Response(500), "HTTP 500"),
        (lambda _: httpx.Response(503), "HTTP 503: it is starting"),
        (lambda _: httpx.Response(200, text="<html>"), "the answer is not Sidewatch's"),
        (lambda _: httpx.Response(200, text=json.dumps({"root": 3})), "the answer is not"),
        (raising(httpx.ReadTimeout("")), "no answer within 3 s"),
        (raising(httpx.ReadError("")), "ReadError"),
    ],
)
def test_it_says_what_went_wrong_and_asks_no_further(told, answer, why):
    findings, tokens = told(HERE, answer)
    assert findings[-1].startswith(f"BAD {HERE} was asked for its channels: {why}")
    assert len(tokens) == 1


@pytest.mark.parametrize(
    ("alive", "why"),
    [
        (lambda: httpx.Response(503), f"{HERE}/livez: HTTP 503: "),
        (lambda: httpx.Response(404), f"{HERE}/livez: HTTP 404"),
        (raising(httpx.ReadTimeout("")), f"{HERE} gives no answer within 3 s"),
        (
            raising(httpx.ConnectError("")),
            f"nothing serves at {HERE}: ConnectError; {START}",
        ),
    ],
)
def test_it_says_who_does_not_serve(told, alive, why):
    findings, tokens = told(HERE, channels, alive=alive)
    assert findings[-2].startswith(f"BAD {why}")
    assert tokens == []

"""The curl line of a signed request, and what is not worth a signature."""

import shlex

import pytest

from config.settings import load
from sidewatch.signing import SIGNED, Unsignable, curl_line
from web.contract import ROUTES

SETTINGS = load(None, {"SIDEWATCH_HMAC_KEY": "b7Qm2xV9kLr4Tz8WcYp6NdHs3FgJ5aEu-0192"})
ACK = "/api/v1/alerts/1bq7zk3p/ack"


def words(method, path, body=None):
    return shlex.split(curl_line(SETTINGS, "http://x", method, path, body))


def test_it_knows_every_route_that_takes_signatures():
    taking = {(method.upper(), path) for method, path, _, scope, *_ in ROUTES if "HMAC" in scope}
    assert taking == SIGNED.keys()


def test_it_sends_a_test_alert_unless_told_otherwise():
    assert words("POST", "/api/v1/alerts/test")[-1].startswith('{"channel":"all"')
    assert words("POST", "/api/v1/alerts/test", "{}")[-2:] == ["--data-binary", "{}"]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", ACK), ("DELETE", "/api/v1/silences/1bq7zk3p")]
)
def test_it_sends_no_body_where_none_is_needed(method, path):
    line = words(method, path)
    assert line[4] == f"http://x{path}"
    assert "--data-binary" not in line


@pytest.mark.parametrize("body", ["{bad", "{} {}", "[" * 100_000, "\udcff"])
def test_it_signs_nothing_that_is_no_json(body):
    with pytest.raises(Unsignable, match=r"^BODY: "):
        words("POST", "/api/v1/silences", body)


@pytest.mark.parametrize(
    "path", ["", "/", "/api/v1/alerts", f"{ACK}\n", f"{ACK}/", f"{ACK}#x", f"{ACK}?x"]
)
def test_it_signs_no_path_that_takes_no_signature(path):
    with pytest.raises(Unsignable, match=r"^--path: POST "):
        words("POST", path, "{}")

"""The curl line of a signed request: what the server would refuse for its form is not signed."""

from __future__ import annotations

import re
import shlex

import msgspec

from actors.reason import reason
from config.settings import Settings
from sidewatch.operator import base_url, signed_headers

TEST = "/api/v1/alerts/test"
TEST_BODY = '{"channel":"all","test_message":"Alert system test"}'
# What takes signatures, and whether it needs a body.
SIGNED = {
    ("POST", "/api/v1/events"): True,
    ("POST", TEST): True,
    ("POST", "/api/v1/alerts/{id}/ack"): False,
    ("POST", "/api/v1/silences"): True,
    ("DELETE", "/api/v1/silences/{id}"): False,
}


class Unsignable(ValueError):
    """The method, path or body is none that a signature is of use for; the message says which."""


def curl_line(settings: Settings, url: str | None, method: str, path: str, body: str | None) -> str:
    """Return the whole curl line of a signed request; it holds for 5 minutes, once.

    Without a body it is a test alert's where the path is. Raises Unsignable, OperatorError.
    """
    needs = _needs_body(method, path)
    body = (TEST_BODY if path == TEST else "") if body is None else body
    raw = _checked(body, path, needs=needs)
    headers = signed_headers(settings, method, path, raw)
    parts = ["curl", "-sS", "-X", method, base_url(settings, url) + path]
    for name, value in headers.items():
        parts += ["-H", f"{name}: {value}"]
    if body:
        parts += ["--data-binary", body]
    return " ".join(shlex.quote(part) for part in parts)


def _needs_body(method: str, path: str) -> bool:
    for (known, pattern), needs in SIGNED.items():
        form = pattern.replace("{id}", "[!-.0->@-~]+")  # printable, and no end of the path
        if method == known and re.fullmatch(form, path):
            return needs
    known = ", ".join(f"{method} {pattern}" for method, pattern in SIGNED)
    raise Unsignable(f"--path: {method} {path[:100]!r} takes no signature; what does: {known}")


def _checked(body: str, path: str, *, needs: bool) -> bytes:
    try:
        raw = body.encode()
    except UnicodeEncodeError:
        raise Unsignable("BODY: not UTF-8 text") from None
    if not raw.strip():
        if needs:
            raise Unsignable(f"BODY: {path} needs one")
        return raw
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unsignable(f"BODY: {reason(error, raw)}") from None
    return raw

"""The browser's session: a cookie that says until when, signed, so that it outlives a restart."""

from __future__ import annotations

import hashlib
import hmac

from web.guard import Scope

LIFE_S = 12 * 3_600
NAME = "sidewatch"
SECURE_NAME = "__Host-sidewatch"


class Sessions:
    """Makes and checks session cookies. `key` is the server's own secret."""

    def __init__(self, key: bytes, *, secure: bool) -> None:
        self._key = hmac.new(key, b"sidewatch session", hashlib.sha256).digest()
        self.secure = secure
        self.name = SECURE_NAME if secure else NAME

    def make(self, scope: Scope, now: float) -> str:
        """Return a cookie's value that holds for 12 h."""
        claim = f"{scope}.{int(now) + LIFE_S}"
        return f"{claim}.{self._sign(claim)}"

    def scope(self, value: str, now: float) -> Scope | None:
        """Return what a cookie permits, None when it is forged or over."""
        claim, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(claim).encode()):
            return None
        scope, _, until = claim.partition(".")
        if not until.isdigit() or now >= int(until):
            return None
        return "operate" if scope == "operate" else "read"

    def _sign(self, claim: str) -> str:
        return hmac.new(self._key, claim.encode(), hashlib.sha256).hexdigest()

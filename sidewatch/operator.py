"""The operator's commands: a client of the public API, with the tokens of the data directory."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any
from urllib.parse import quote

import click
import httpx

from config.names import printable
from config.secret import FILE_NAME
from config.settings import Secret, Settings
from sidewatch.near import is_near
from sidewatch.outline import outline
from web.guard import sign

TIMEOUT_S = 30.0
UNREADY = httpx.codes.SERVICE_UNAVAILABLE
LINE_CHARS_MAX = 4_000
LEVELS = {"HEALTHY": "green", "DEGRADED": "yellow", "CRITICAL": "red"}


class OperatorError(Exception):
    """The running Sidewatch cannot be reached, or refuses; one line."""


def base_url(settings: Settings, url: str | None) -> str:
    """Return where the running Sidewatch listens."""
    if url:
        return url.rstrip("/")
    server = settings.server
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104
    return f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}"


def unreachable(base: str, error: Exception) -> OperatorError:
    """Return the error for a Sidewatch that gave no answer."""
    hint = "; does `sidewatch run` run there?" if isinstance(error, httpx.ConnectError) else ""
    return OperatorError(f"{base}: {error or type(error).__name__}{hint}")


def known_secret(settings: Settings, name: str) -> str:
    """Return a secret of `[auth]`. Raises OperatorError where no start has drawn it yet."""
    secret: Secret | None = getattr(settings.auth, name)
    if secret is None:
        folder = settings.storage.data_dir
        raise OperatorError(
            f"auth.{name}: neither set nor in {folder}/{FILE_NAME}: `sidewatch run` draws it"
            " (SIDEWATCH_DATA_DIR names another place)"
        )
    return secret.reveal()


def signed_headers(settings: Settings, method: str, path: str, body: bytes) -> dict[str, str]:
    """Return the headers that sign a request now."""
    key = known_secret(settings, "hmac_key")
    stamp, nonce = int(time.time()), secrets.token_hex(8)
    signature = sign(key.encode(), method, path, stamp, nonce, body)
    return {
        "X-HMAC-Signature": f"v1={signature}",
        "X-HMAC-Timestamp": str(stamp),
        "X-HMAC-Nonce": nonce,
        "Content-Type": "application/json",
    }


class Operator:
    """Asks a running Sidewatch, and prints."""

    def __init__(self, settings: Settings, url: str | None) -> None:
        self._settings = settings
        self._base = base_url(settings, url)
        token = known_secret(settings, "operate_token")
        self._headers = {"Authorization": f"Bearer {token}"}

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        signed: bool = False,
        unready: bool = False,
    ) -> Any:
        """Return the answer's JSON. Raises OperatorError.

        `unready`: a 503 that says what is failing is an answer, too.
        """
        raw = b"" if body is None else json.dumps(body).encode()
        headers = dict(self._headers)
        if signed:
            headers = signed_headers(self._settings, method, path, raw)
        try:
            answer = httpx.request(
                method,
                self._base + path,
                content=raw,
                headers=headers,
                timeout=TIMEOUT_S,
                trust_env=not is_near(self._base),
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(self._base, error) from error
        told = unready and answer.status_code == UNREADY and '"failing"' in answer.text
        if answer.is_error and not told:
            try:
                reason = answer.json()["error"]
            except (ValueError, KeyError, TypeError):
                reason = answer.text[:200]
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                folder = self._settings.storage.data_dir
                reason += f"; the one of {folder} was sent: does it run on another data directory?"
            raise OperatorError(f"{self._base}: {answer.status_code}: {reason}")
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            reason = "the answer is no JSON: is it Sidewatch that runs there?"
            raise OperatorError(f"{self._base}: {reason}") from error

    def status(self) -> bool:
        """Print health, figures and open alerts; false unless healthy and ready."""
        health = self._call("GET", "/api/v1/health/status")
        ready = self._call("GET", "/readyz", unready=True)
        click.secho(health["level"], fg=LEVELS[health["level"]], bold=True)
        for reason in health["reasons"]:
            _say(f"  {reason}")
        for reason in ready["failing"]:
            _say(f"  not ready: {reason}")
        for remark in ready["remarks"]:
            _say(f"  {remark}")
        for name, figures in self._call("GET", "/api/v1/metrics/realtime")["bots"].items():
            line = f"{figures['trades']} trades, P&L {figures['pnl_total']} {figures['currency']}"
            if figures["drawdown"] is not None:
                line += f", drawdown {figures['drawdown']:.2%}"
            _say(f"{name}: {line}")
        for alert in self._call("GET", "/api/v1/alerts?limit=100")["alerts"]:
            if alert["state"] != "resolved":
                _say(_alert_line(alert))
        return health["level"] == "HEALTHY" and not ready["failing"]

    def actors(self) -> bool:
        """Print the actor tree."""
        tree = self._call("GET", "/api/v1/supervisor")
        for line in outline(tree):
            _say(line)
        if tree["blocked"]:
            click.secho(printable(f"blocked by {tree['blocked']}", LINE_CHARS_MAX), fg="red")
        return True

    def alerts(self, limit: int) -> bool:
        """Print alerts, newest first."""
        for alert in self._call("GET", f"/api/v1/alerts?limit={limit}")["alerts"]:
            _say(_alert_line(alert))
            for delivery in alert["deliveries"]:
                tries = f"{delivery['attempts']} attempts"
                what = f"    {delivery['channel']} {delivery['kind']}: {delivery['state']}, {tries}"
                _say(f"{what}  {delivery['detail']}".rstrip())
        return True

    def acknowledge(self, alert_id: str) -> bool:
        """Acknowledge an alert."""
        self._call("POST", f"/api/v1/alerts/{quote(alert_id, safe='')}/ack")
        _say(f"{alert_id}: acknowledged")
        return True

    def silence(self, **wanted: Any) -> bool:
        """Add a silence."""
        given = {key: value for key, value in wanted.items() if value is not None}
        silence = self._call("POST", "/api/v1/silences", given)["silence"]
        _say(_silence_line(silence))
        return True

    def silences(self) -> bool:
        """Print the silences and maintenance windows in force."""
        silences = self._call("GET", "/api/v1/silences")["silences"]
        for silence in silences:
            _say(_silence_line(silence))
        if not silences:
            _say("no silence is in force")
        return True

    def unsilence(self, silence_id: str) -> bool:
        """End a silence."""
        self._call("DELETE", f"/api/v1/silences/{quote(silence_id, safe='')}")
        _say(f"{silence_id}: ended")
        return True

    def alert(self, alert_id: str) -> bool:
        """Print one alert with every attempt to deliver it."""
        found = self._call("GET", f"/api/v1/alerts/{quote(alert_id, safe='')}")
        _say(_alert_line(found["alert"]))
        for line in found["alert"]["text"].split("\n"):
            _say(f"    {line}")
        for attempt in found["attempts"]:
            mark = "ok" if attempt["ok"] else "FAILED"
            _say(
                f"    {attempt['at'][:19]}  {attempt['channel']} attempt {attempt['attempt']}:"
                f" {mark} in {attempt['ms']:.0f} ms: {attempt['answer']}"
            )
        return True

    def test(self, channel: str, message: str) -> bool:
        """Send a test alert; false where a channel failed."""
        body = {"channel": channel, "test_message": message}
        results = self._call("POST", "/api/v1/alerts/test", body, signed=True)["results"]
        for name, result in results.items():
            mark = "ok" if result["ok"] else "FAILED"
            _say(f"{name}: {mark} in {result['ms']:.0f} ms: {result['detail']}")
        return all(result["ok"] for result in results.values())


def _say(line: str) -> None:
    """Print one line. What came with events may hold what a terminal would obey."""
    click.echo(printable(line, LINE_CHARS_MAX))


def _alert_line(alert: dict[str, Any]) -> str:
    line = f"{alert['id']}  {alert['opened'][:19]}  {alert['severity']:8}  {alert['state']:12}"
    suppressed = f"  (+{alert['suppressed']})" if alert["suppressed"] else ""
    if alert["silenced"]:
        suppressed += f"  (silenced: {alert['silenced']})"
    whose = f"{alert['bot']}: " if alert["bot"] else ""
    return f"{line}  {whose}{alert['title']}{suppressed}"


def _silence_line(silence: dict[str, Any]) -> str:
    about = " ".join(f"{key}={silence[key]}" for key in ("trigger", "bot") if silence[key])
    kind = "maintenance" if silence["hold"] else "silence"
    since = f" from {silence['since'][:19]}" if silence["since"] else ""
    kept = f"  ({silence['kept']} kept)" if silence["kept"] else ""
    span = f"{since} until {silence['until'][:19]} UTC"
    return f"{silence['id']}  {kind}{span}  {about or 'everything'}  {silence['reason']}{kept}"

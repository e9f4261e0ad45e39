"""The routes: events in, figures out, and what people may do. docs/api.md describes each."""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct
from quart import Blueprint, Response, request

from actors.alerts import ids, outbox, record
from actors.alerts.commands import Acknowledge, AddSilence, ListSilences, RemoveSilence
from actors.codec import BadBatch
from actors.health.actor import HealthQuery
from actors.ingest import RejectedEvent
from actors.reason import reason
from web import guard
from web.app import Door, answer, read_body, scoped
from web.guard import Refusal
from web.services import Services
from web.trial import choose, send_tests

HISTORY_MAX = 500
ASK_S = 5.0
MINUTES_MAX = 30 * 24 * 60


class TestRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /api/v1/alerts/test."""

    __test__ = False  # not a pytest class

    channel: str = "all"
    test_message: str = "Sidewatch test alert"


class SilenceRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /api/v1/silences: `until`, or `minutes` from now; `since` to begin later.

    `hold` makes it a maintenance window: what is not critical waits for a digest at its end.
    """

    reason: str
    until: datetime | None = None
    minutes: float | None = None
    trigger: str = ""
    bot: str = ""
    since: datetime | None = None
    hold: bool = False


class SessionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /api/v1/session: the token of the login link."""

    token: str


def body_as(kind: type[Struct], body: bytes) -> object:
    """Decode a JSON body; raises Refusal 422 naming the field."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = reason(error, body, kinds={"": kind})
        raise Refusal(422, why if body.strip() else "the request has no body") from error


def events(door: Door, services: Services) -> Blueprint:
    """Routes that bots post to."""
    routes = Blueprint("events", __name__)

    @routes.post("/api/v1/events")
    async def post_events() -> Response:
        limit = door.limits.batch_bytes_max
        with services.ingest.rush.arrival():
            if "X-HMAC-Signature" in request.headers:
                body = await door.need_signed(limit)
            else:
                door.need(request, "ingest")
                body = await read_body(limit)
            kind = request.headers.get("Content-Type", "")
            try:
                result = await services.ingest.events(body, kind)
            except BadBatch as error:
                raise Refusal(422, str(error)) from error
        nothing = not result.accepted and not result.duplicates
        return answer(result, 422 if nothing else 200)

    @routes.post("/api/v1/sources/freqtrade/<bot>/<secret>")
    async def post_freqtrade(bot: str, secret: str) -> Response:
        known = door.access.freqtrade_secret
        if not hmac.compare_digest(secret.encode(), known.encode()):
            raise Refusal(401, "the secret in the path is not auth.freqtrade_secret")
        body = await read_body(door.limits.body_bytes_max)
        try:
            kind = request.headers.get("Content-Type", "")
            result = await services.ingest.freqtrade(bot, body, kind)
        except BadBatch as error:
            raise Refusal(422, str(error)) from error
        return answer(result)

    @routes.get("/api/v1/events/rejected")
    @scoped(door, "read")
    async def get_rejected() -> Response:
        limit = _limit(100)
        rows = await services.store.read(lambda tx: tx.journal.last("rejected", limit))
        kept = [msgspec.json.decode(row.data, type=RejectedEvent) for row in rows]
        return answer({"rejected": kept})

    return routes


def reading(door: Door, services: Services) -> Blueprint:
    """Routes that answer with health, alerts and the tree."""
    routes = Blueprint("reading", __name__)

    @routes.get("/api/v1/health/status")
    @scoped(door, "read")
    async def get_health() -> Response:
        return answer(await services.health.ask(HealthQuery(), timeout_s=ASK_S))

    @routes.get("/api/v1/health/safety")
    @scoped(door, "read")
    async def get_safety() -> Response:
        health = await services.health.ask(HealthQuery(), timeout_s=ASK_S)
        return answer(
            {
                "at": health.at,
                "bots": {
                    name: {
                        "kill_switch": bot.kill_switch,
                        "circuit_breaker": bot.circuit_breaker,
                        "positions": bot.positions,
                    }
                    for name, bot in health.bots.items()
                },
            }
        )

    @routes.get("/api/v1/alerts")
    @scoped(door, "read")
    async def get_alerts() -> Response:
        limit, before = _limit(100), _before()
        alerts = await services.store.read(lambda tx: outbox.history(tx, limit, before))
        return answer({"alerts": alerts})

    @routes.get("/api/v1/alerts/<alert_id>")
    @scoped(door, "read")
    async def get_alert(alert_id: str) -> Response:
        alert, attempts = await services.store.read(
            lambda tx: (outbox.view(tx, alert_id), record.of_alert(tx, alert_id))
        )
        if alert is None:
            raise Refusal(404, f"there is no alert {alert_id[:64]!r}")
        return answer({"alert": alert, "attempts": attempts})

    @routes.get("/api/v1/supervisor")
    @scoped(door, "read")
    async def get_supervisor() -> Response:
        return answer(services.status())

    @routes.get("/api/v1/supervisor/quarantine")
    @scoped(door, "read")
    async def get_quarantine() -> Response:
        return answer({"quarantine": services.quarantined()})

    return routes


def operating(door: Door, services: Services) -> Blueprint:
    """Routes that change something."""
    routes = Blueprint("operating", __name__)

    @routes.post("/api/v1/alerts/test")
    async def post_test() -> Response:
        body = await door.need_signed()
        wanted = body_as(TestRequest, body)
        assert isinstance(wanted, TestRequest)
        chosen = choose(services.senders, wanted.channel, wanted.test_message)
        door.tests.take(services.clock.monotonic())  # what is no test spends no turn
        return answer({"results": await send_tests(services, chosen, wanted.test_message)})

    @routes.post("/api/v1/alerts/<alert_id>/ack")
    async def post_ack(alert_id: str) -> Response:
        await door.need_operator()
        alert = await services.alerts.ask(Acknowledge(alert_id), timeout_s=ASK_S)
        shown = await services.store.read(lambda tx: outbox.view(tx, alert_id))
        return answer({"alert": shown or alert})

    @routes.post("/api/v1/session")
    async def post_session() -> Response:
        if request.headers.get(guard.LOGIN_HEADER) != "1":
            raise Refusal(403, f"{guard.LOGIN_HEADER}: 1 is missing: this is for the page alone")
        who = door.who(request)
        wanted = body_as(SessionRequest, await read_body(door.limits.body_bytes_max))
        assert isinstance(wanted, SessionRequest)
        scope = door.login(wanted.token, who)
        response = Response(status=204)
        door.set_cookie(response, scope)
        return response

    return routes


def silencing(door: Door, services: Services) -> Blueprint:
    """Routes that silence alerts."""
    routes = Blueprint("silencing", __name__)

    @routes.get("/api/v1/silences")
    @scoped(door, "read")
    async def get_silences() -> Response:
        return answer({"silences": await services.alerts.ask(ListSilences(), timeout_s=ASK_S)})

    @routes.post("/api/v1/silences")
    async def post_silence() -> Response:
        body = await door.need_operator()
        wanted = body_as(SilenceRequest, body)
        assert isinstance(wanted, SilenceRequest)
        until = _until(wanted, services.clock.now())
        if wanted.since is not None and wanted.since.tzinfo is None:
            raise Refusal(422, "since: needs its time zone")
        command = AddSilence(
            wanted.reason,
            until,
            wanted.trigger,
            wanted.bot,
            since=wanted.since,
            hold=wanted.hold,
        )
        return answer({"silence": await services.alerts.ask(command, timeout_s=ASK_S)}, 201)

    @routes.delete("/api/v1/silences/<silence_id>")
    async def delete_silence(silence_id: str) -> Response:
        await door.need_operator()
        await services.alerts.ask(RemoveSilence(silence_id), timeout_s=ASK_S)
        return Response(status=204)

    return routes


def _until(wanted: SilenceRequest, now: datetime) -> datetime:
    if wanted.until is not None and wanted.minutes is not None:
        raise Refusal(422, "minutes: until is given, too; keep one")
    if wanted.until is not None and wanted.until.tzinfo is not None:
        return wanted.until
    if wanted.minutes is None:
        raise Refusal(422, "until: needed with its time zone, or minutes")
    if not 0 < wanted.minutes <= MINUTES_MAX:
        raise Refusal(422, f"minutes: needs to be above 0 and at most {MINUTES_MAX}")
    return now + timedelta(minutes=wanted.minutes)


def _limit(default: int) -> int:
    raw = request.args.get("limit", str(default))
    if not re.fullmatch(r"[0-9]{1,9}", raw) or not 1 <= int(raw) <= HISTORY_MAX:
        raise Refusal(422, f"limit: needs to be 1 to {HISTORY_MAX}")
    return int(raw)


def _before() -> str | None:
    """Return the id to go on from: one that is gone by now is still a place in time."""
    before = request.args.get("before")
    if before is not None and not ids.is_id(before):
        raise Refusal(422, f"before: {before[:40]!r} is no alert's id")
    return before


def instant(name: str, text: str) -> datetime:
    """Read a query's instant; raises Refusal 422 naming the parameter."""
    try:
        given = datetime.fromisoformat(text.replace(" ", "+"))
        utc = given.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal(422, f"{name}: not an RFC 3339 instant: {text[:40]!r}") from None
    if given.tzinfo is None:
        raise Refusal(422, f"{name}: needs its time zone, as in 2026-01-01T00:00:00Z")
    return utc


def given(name: str) -> datetime | None:
    """Return a query's instant, None where it is not given; raises Refusal 422."""
    text = request.args.get(name)
    return None if text is None else instant(name, text)


def span() -> tuple[datetime | None, datetime | None]:
    """Return a query's `from` and `to`; raises Refusal 422, too, where they stand the other way."""
    first, last = given("from"), given("to")
    if first is not None and last is not None and first > last:
        raise Refusal(422, f"from: {first.isoformat()} is after `to`, {last.isoformat()}")
    return first, last

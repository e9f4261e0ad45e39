"""The page's files and the probes: what a browser, a load balancer or Prometheus asks for."""

from __future__ import annotations

import mimetypes

import anyio
from quart import Blueprint, Response

from actors.health.actor import HealthQuery
from actors.rush import FEW
from runtime.ref import AskFailed, AskTimeout, MailboxFull, NoSuchActor
from web.app import STATIC, Door, answer, scoped
from web.contract import asyncapi, openapi
from web.exposition import exposition
from web.guard import Refusal
from web.services import Services

READY_S = 2.0
YEAR = "public, max-age=31536000, immutable"


def _load() -> dict[str, tuple[bytes, str]]:
    """Read the built page once: path below the root -> content and type."""
    files = {}
    for path in sorted(STATIC.rglob("*")) if STATIC.is_dir() else ():
        if path.is_file():
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            files[path.relative_to(STATIC).as_posix()] = (path.read_bytes(), kind)
    return files


def pages() -> Blueprint:
    """The page and its assets; they hold no data, so they need no login."""
    routes = Blueprint("pages", __name__)
    files = _load()

    @routes.get("/")
    async def index() -> Response:
        await anyio.lowlevel.checkpoint()
        if "index.html" not in files:
            raise Refusal(503, "the dashboard is not built: run `make setup`")
        return Response(files["index.html"][0], content_type="text/html; charset=utf-8")

    @routes.get("/assets/<path:name>")
    async def asset(name: str) -> Response:
        await anyio.lowlevel.checkpoint()
        if f"assets/{name}" not in files:
            raise Refusal(404, "no such file")
        content, kind = files[f"assets/{name}"]
        response = Response(content, content_type=kind)
        response.headers["Cache-Control"] = YEAR
        return response

    return routes


def probes(door: Door, services: Services) -> Blueprint:
    """Liveness, readiness, Prometheus and the contracts."""
    routes = Blueprint("probes", __name__)

    @routes.get("/livez")
    async def livez() -> Response:
        await anyio.lowlevel.checkpoint()
        return answer({"status": "ok"})

    @routes.get("/readyz")
    @scoped(door, "read")
    async def readyz() -> Response:
        failing, stored = [], services.store.stats()
        if stored.broken or stored.last_error:
            failing.append(f"storage: {stored.broken or stored.last_error}")
        try:
            await services.health.ask(HealthQuery(), timeout_s=READY_S)
        except (AskTimeout, AskFailed, NoSuchActor, MailboxFull) as error:
            failing.append(str(error))
        told = {"ready": not failing, "failing": failing, "remarks": remarks(services)}
        return answer(told, 503 if failing else 200)

    @routes.get("/metrics")
    @scoped(door, "read")
    async def metrics() -> Response:
        text = await exposition(services)
        return Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/openapi.json")
    @scoped(door, "read")
    async def get_openapi() -> Response:
        await anyio.lowlevel.checkpoint()
        return answer(openapi(services.version))

    @routes.get("/asyncapi.json")
    @scoped(door, "read")
    async def get_asyncapi() -> Response:
        await anyio.lowlevel.checkpoint()
        return answer(asyncapi(services.version))

    return routes


def remarks(services: Services) -> list[str]:
    """What a start has found, how far its figures are, and that nobody would hear of an alert.

    Nothing of that keeps it from being ready. A few events more or less are no remark: they come
    and are read all the time.
    """
    lost, head, unread = services.store.stats().lost, services.store.head(), services.unread()
    told = [f"history lost: {lost} events"] if lost else []
    if unread > FEW:
        told.append(f"figures still read: {head - unread} of {head} entries of the journal")
    if not services.senders:
        told.append("no channel is on: no alert leaves this machine")
    return told

"""The web application: the guard before every route, safe headers after it, errors as JSON."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, cast

import anyio
import msgspec
from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from actors.alerts.commands import Invalid, NotStored, Unknown
from runtime.ref import AskFailed, AskTimeout, Declined, MailboxFull, NoSuchActor
from runtime.store import StoreError
from web import guard
from web.guard import Failures, Nonces, Rate, Refusal, Scope
from web.services import Access, Limits, Services
from web.session import LIFE_S, Sessions

P = ParamSpec("P")
STATIC = Path(__file__).parent / "static"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

UNREAD = frozenset({400, 401, 403, 405, 408, 413, 415, 421, 429, 431})
NOT_FOUND = 404
BUSY = 503
TOO_LARGE = "see server.body_bytes_max, and for events server.batch_bytes_max"
TEXTS = {413: f"the body is too large: {TOO_LARGE}", 408: "the body did not come in time"}
API = "/api/"
SOURCES = "/api/v1/sources/"  # a bot cannot mend its owner's address, and would lose the event
SHOWN_CHARS_MAX = 100

_encode = msgspec.json.Encoder().encode


class Door:
    """Who may come in. One for an application, shared by HTTP and WebSocket."""

    def __init__(self, access: Access, limits: Limits, services: Services) -> None:
        self.access = access
        self.limits = limits
        self.clock = services.clock
        self.sessions = Sessions(access.hmac_keys[0], secure=access.secure)
        self.nonces = Nonces(services.started.timestamp())
        self.failed_logins = Failures(limits.login_per_minute, 60.0)
        self.tests = Rate(limits.test_per_minute, 60.0)

    def scope(self, source: Any) -> Scope | None:
        """Return what this request's token or cookie permits."""
        token = guard.bearer(source.headers.get("Authorization"))
        if token is not None:
            return guard.scope_of(token, self.access.tokens)
        cookie = source.cookies.get(self.sessions.name)
        return None if cookie is None else self.sessions.scope(cookie, self._now())

    def need(self, source: Any, needed: Scope) -> None:
        """Refuse a request without the scope."""
        if local(source) and needed == "ingest":
            return  # the Unix socket's file mode is the check
        if not guard.permits(self.scope(source), needed):
            raise Refusal(
                401, f"a token with the scope {needed!r} is needed (Authorization: Bearer)"
            )

    def login(self, token: str, who: str) -> Scope:
        """Return the scope of a token that may read; counts a wrong one against its address."""
        now = self.clock.monotonic()
        self.failed_logins.check(who, now)
        scope = guard.scope_of(token, self.access.tokens)
        if scope not in ("read", "operate"):
            self.failed_logins.add(who, now)
            raise Refusal(401, "token: not one that may read")
        return scope

    def who(self, source: Any) -> str:
        """Return the address that a request comes from."""
        client = source.scope.get("client")
        forwarded = source.headers.get("X-Forwarded-For") if self.access.behind_proxy else None
        return guard.address(client[0] if client else "", forwarded)

    def set_cookie(self, response: Response, scope: Scope) -> None:
        """Give the browser a session that holds for 12 h."""
        response.set_cookie(
            self.sessions.name,
            self.sessions.make(scope, self._now()),
            max_age=LIFE_S,
            path="/",
            secure=self.sessions.secure,
            httponly=True,
            samesite="Strict",
        )

    async def need_signed(self, bytes_max: int | None = None) -> bytes:
        """Refuse a request that is not signed; returns its body.

        What its headers alone tell is looked at before a byte of the body is waited for.
        """
        signed = guard.claim(request.headers)
        now = self._now()
        self.nonces.check_time(signed, now)
        self.nonces.check_unused(signed.nonce, now)
        body = await read_body(bytes_max or self.limits.body_bytes_max)
        guard.verify(
            signed, self.access.hmac_keys, method=request.method, path=raw_path(), body=body
        )
        self.nonces.use(signed.nonce, now)
        return body

    async def need_operator(self) -> bytes:
        """Refuse a request that has neither the operate scope nor a signature."""
        if "X-HMAC-Signature" in request.headers:
            return await self.need_signed()
        self.need(request, "operate")
        return await read_body(self.limits.body_bytes_max)

    def check(self, source: Any, *, unsafe: bool) -> None:
        """Check the headers, Host, and Origin where something may change."""
        guard.check_headers(source.scope["headers"])
        if local(source):
            return
        guard.check_host(source.headers.get("Host", ""), self.access.hosts)
        if unsafe:
            guard.check_origin(
                source.headers.get("Origin"),
                source.headers.get("Sec-Fetch-Site"),
                self.access.origins,
            )

    def _now(self) -> float:
        return self.clock.now().timestamp()


def local(source: Any) -> bool:
    """Say whether a request came over the Unix socket."""
    return source.scope.get("client") is None and source.scope.get("server") is None


def raw_path() -> str:
    """Return the path as it was sent, with its query."""
    path: str = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    query: str = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def read_body(bytes_max: int) -> bytes:
    """Read a bounded body; raises Refusal 413, 415."""
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.lower() != "identity":
        raise Refusal(415, f"Content-Encoding {coding[:40]!r} is not read: send the body as it is")
    if (request.content_length or 0) > bytes_max:
        raise too_large(bytes_max)
    body = cast("bytes", await request.get_data(cache=True, as_text=False))
    if len(body) > bytes_max:
        raise too_large(bytes_max)
    return body


def too_large(bytes_max: int) -> Refusal:
    """Return the refusal of a body; the settings that bound it are named."""
    return Refusal(413, f"the body is larger than {bytes_max} bytes: {TOO_LARGE}")


def answer(value: object, status: int = 200) -> Response:
    """Return any message as JSON."""
    return Response(_encode(value), status=status, content_type="application/json")


def refuse(refusal: Refusal) -> Response:
    """Return an error as JSON."""
    response = answer({"error": refusal.error}, refusal.status)
    missed = refusal.status == NOT_FOUND and request.method not in guard.SAFE_METHODS
    if (missed or refusal.status in UNREAD) and request.http_version.startswith("1"):
        # The body may be unread, and then the server ends the connection: say so, or the
        # client's next request on it is lost.
        response.headers["Connection"] = "close"
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(guard.whole_s(refusal.retry_after_s))
    if refusal.status == 401:  # noqa: PLR2004
        response.headers["WWW-Authenticate"] = 'Bearer realm="sidewatch"'
    return response


def new_app(backend: str) -> Quart:
    """Return the bare application for an event loop."""
    if backend == "trio":
        from quart_trio import QuartTrio  # noqa: PLC0415 - an optional extra

        return QuartTrio(__name__, static_folder=None)
    return Quart(__name__, static_folder=None)


def protect(app: Quart, door: Door, queries: Mapping[str, Sequence[str]]) -> None:
    """Put the guard before every route, and safe headers and JSON errors after it.

    `queries` are the parameters that each route of the API reads.
    """
    app.config["MAX_CONTENT_LENGTH"] = door.limits.batch_bytes_max
    app.config["BODY_TIMEOUT"] = door.limits.body_s

    async def before() -> Response | None:
        try:
            door.check(request, unsafe=request.method not in guard.SAFE_METHODS)
            rule = request.url_rule.rule if request.url_rule else ""
            if rule.startswith(API) and not rule.startswith(SOURCES):
                guard.check_query(request.args.items(multi=True), queries.get(rule, ()))
        except Refusal as refusal:
            return refuse(refusal)
        return None

    async def after(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers[name] = value
        if "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "no-store"
        return response

    app.before_request(before)
    app.after_request(after)
    app.register_error_handler(Exception, _failed)


async def _failed(error: Exception) -> Response:
    """Map an exception to an answer; what nobody foresaw stays Quart's plain 500."""
    refusal = error if isinstance(error, Refusal) else _refusal_of(error)
    if refusal is None:
        raise error
    response = refuse(refusal)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return response


ANSWERS: tuple[tuple[tuple[type[Exception], ...], int], ...] = (
    ((Unknown,), 404),
    ((Invalid,), 422),
    ((NotStored,), 503),
    ((Declined,), 409),
    ((AskTimeout, AskFailed, NoSuchActor, MailboxFull), 503),
)


def _refusal_of(error: Exception) -> Refusal | None:
    if isinstance(error, NotFound):
        return Refusal(NOT_FOUND, f"nothing is served at {request.path[:SHOWN_CHARS_MAX]!r}")
    if isinstance(error, MethodNotAllowed):
        methods = ", ".join(sorted(error.valid_methods or ()))
        where = request.path[:SHOWN_CHARS_MAX]
        return Refusal(405, f"{request.method} is not for {where!r}, which takes {methods}")
    if isinstance(error, HTTPException):
        code = error.code or 500
        return Refusal(code, TEXTS.get(code) or error.description or error.name)
    if isinstance(error, StoreError):
        return Refusal(BUSY, f"storage: {error}", 1.0)
    for kinds, status in ANSWERS:
        if isinstance(error, kinds):
            return Refusal(status, str(error), 1.0 if status == BUSY else None)
    return None


def scoped(door: Door, needed: Scope) -> Callable[[Callable[P, Awaitable[Any]]], Any]:
    """Decorate a route that needs a scope."""

    def decorate(route: Callable[P, Awaitable[Any]]) -> Any:
        @functools.wraps(route)
        async def checked(*args: P.args, **kwargs: P.kwargs) -> Any:
            door.need(request, needed)
            await anyio.lowlevel.checkpoint()
            return await route(*args, **kwargs)

        return checked

    return decorate

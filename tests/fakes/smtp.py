"""A submission server on loopback (aiosmtpd), in clear, with STARTTLS or with implicit TLS."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import threading
from typing import Self

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


class FakeSmtp:
    """Serve while entered with `with`; `messages` are the accepted mails, parsed.

    `refuse` maps a recipient to the reply it gets; `data_reply`, `auth_reply` and `starttls_reply`
    answer that command when not empty. `logins` are the credentials that were given.
    `certificate_for` is the host that the throwaway certificate names; `trust` is a client's
    context that trusts its authority.
    """

    def __init__(
        self,
        *,
        security: str = "none",
        certificate_for: str = "127.0.0.1",
        login: tuple[str, str] | None = None,
        port: int = 0,
    ) -> None:
        authority = trustme.CA()
        served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(certificate_for).configure_cert(served)
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        self.messages: list[email.message.EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.over_tls: list[bool] = []
        self.refuse: dict[str, str] = {}
        self.data_reply = ""
        self.auth_reply = ""
        self.starttls_reply = ""
        self.logins: list[object] = []
        self.hang_on_data = False
        self.hang_on_quit = False
        self.changed = threading.Condition()
        self._login = login
        self._controller = _Controller(
            self,
            hostname="127.0.0.1",
            port=port,
            tls_context=served if security == "starttls" else None,
            ssl_context=served if security == "tls" else None,
            require_starttls=security == "starttls",
            authenticator=self._authenticate if login else None,
            auth_required=login is not None and security == "starttls",
            auth_require_tls=security == "starttls",
        )

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *exc_info) -> None:
        self._controller.hang_up()
        self._controller.stop()

    @property
    def port(self) -> int:
        return self._controller.port

    def wait_for_messages(self, count: int, timeout_s: float):
        """Block the calling thread until `count` mails were accepted."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.messages) >= count, timeout_s):
                raise AssertionError(f"{len(self.messages)} of {count} mails in {timeout_s} s")
            return list(self.messages)

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.hang_on_data:
            await asyncio.Event().wait()
        if self.data_reply:
            return self.data_reply
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        with self.changed:
            self.messages.append(message)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
            self.over_tls.append(server.transport.get_extra_info("sslcontext") is not None)
            self.changed.notify_all()
        return "250 2.0.0 Ok: queued as 4XyZ"

    async def handle_QUIT(self, server, session, envelope):  # noqa: N802
        if self.hang_on_quit:
            await asyncio.Event().wait()
        return "221 2.0.0 Bye"

    def _authenticate(self, server, session, envelope, mechanism, data) -> AuthResult:
        self.logins.append(data)
        if self.auth_reply:
            return AuthResult(success=False, handled=False, message=self.auth_reply)
        given = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False)


class _Controller(Controller):
    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self._sessions = []

    def factory(self):
        session = super().factory()

        async def refuse(_argument: str) -> None:
            await session.push(self.handler.starttls_reply)

        if self.handler.starttls_reply:
            session._smtp_methods["STARTTLS"] = refuse
        self._sessions.append(session)
        return session

    def hang_up(self) -> None:
        """End what clients left open, which stopping does not."""
        for session in self._sessions:
            if session.transport is not None:
                self.loop.call_soon_threadsafe(session.transport.abort)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

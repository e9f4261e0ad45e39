"""E-mail: a notice over SMTP, never in clear unless the owner says so.

STARTTLS is required where it is configured: a server that does not offer it gets nothing. The
Message-ID is the same over all retries of a notice, so that mailboxes drop a repeated one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import partial
from ipaddress import ip_address
from typing import Any, Literal, TypeVar

import aiosmtplib
import anyio.to_thread

from actors.messages import Notice
from actors.senders.channel import (
    ATTEMPT_S,
    CONNECT_S,
    Receipt,
    SendError,
    certificate_fault,
    deadline,
    redact,
    sent_as,
)
from actors.senders.wording import Words, word

Security = Literal["starttls", "tls", "none"]

RECIPIENTS_MAX = 50
BODY_CHARS_MAX = 20_000
QUIT_S = 1.0
PERMANENT_CLASS = 5  # the first digit of a reply code (RFC 5321, 4.2.1)

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.\[\]:-]{1,255}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_T = TypeVar("_T")


class EmailChannel:
    """One SMTP submission account and its recipients; at most one message a second.

    `security` is "starttls" (usually port 587), "tls" (465) or "none". `tls_context` replaces the
    system's trust store; it must verify. Raises ValueError naming a malformed parameter.
    """

    name = "email"
    rate_s = 1.0

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        recipients: list[str],
        *,
        user: str | None = None,
        password: str | None = None,
        security: Security = "starttls",
        tls_context: ssl.SSLContext | None = None,
        words: Words = word,
    ) -> None:
        if not host or _CONTROL.search(host):
            raise ValueError("email host: must be a host name or address")
        if not 1 <= len(recipients) <= RECIPIENTS_MAX:
            raise ValueError(f"email recipients: must be 1 to {RECIPIENTS_MAX}")
        if security == "none" and password and not _loopback(host):
            raise ValueError("email security: 'none' would send the password in clear")
        self._words = words
        self._host = host
        self._port = port
        self._sender = sender
        self._envelope_sender = _address("sender", sender)
        self._recipients = [_address("recipients", recipient) for recipient in recipients]
        self._user = user
        self._password = password
        self._security: Security = security
        self._tls = None if security == "none" else _verifying(tls_context)

    def __repr__(self) -> str:
        return f"<EmailChannel {self._host}:{self._port} {self._security}>"

    async def send(self, notice: Notice) -> Receipt:
        """Hand the notice to the server; refused recipients of an accepted mail are named."""
        message = compose(notice, self._sender, self._recipients, self._words)
        # The attempt keeps its own 10 s; this one is for a thread that cannot be stopped.
        with deadline(ATTEMPT_S + 2 * QUIT_S):
            return await _on_asyncio(partial(self._attempt, message))

    async def close(self) -> None:
        """Nothing to give back: each attempt has its own connection."""

    async def _attempt(self, message: EmailMessage) -> Receipt:
        client = self._client()
        with contextlib.ExitStack() as connection:
            try:
                async with asyncio.timeout(ATTEMPT_S):
                    await self._connect(client, connection)
                    refused, answer = await client.send_message(
                        message, sender=self._envelope_sender, recipients=self._recipients
                    )
            except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                failure = self._failure(error)
            else:
                await _take_leave(client)
                return self._receipt(refused, answer)
        # Raised outside the handler, so that no traceback quotes the server at length.
        raise failure

    async def _connect(self, client: aiosmtplib.SMTP, connection: contextlib.ExitStack) -> None:
        """Connect, upgrade and log in; `connection` gets what ends the transport at once.

        Step by step instead of by `connect`, which forgets its transport when a step fails.
        """
        connection.callback(client.close)
        await client.connect(timeout=CONNECT_S)
        _abort_at_exit(client, connection)
        if self._security == "starttls":
            await client.ehlo()
            if not client.supports_extension("starttls"):
                raise aiosmtplib.SMTPNotSupported(
                    "STARTTLS is not offered; nothing was sent in clear"
                )
            await client.starttls(tls_context=self._tls)
            _abort_at_exit(client, connection)
        if self._user is not None:
            await client.login(self._user, self._password or "")

    def _receipt(self, refused: Mapping[str, aiosmtplib.SMTPResponse], answer: str) -> Receipt:
        remark = "".join(
            f"; refused {address}: {response.code} {response.message}"
            for address, response in refused.items()
        )
        return Receipt(detail=redact(f"250 {answer}{remark}", self._password or ""))

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            # An address literal (RFC 5321, 4.1.3): looking our own name up may take seconds.
            local_hostname="[127.0.0.1]",
            timeout=ATTEMPT_S,
            use_tls=self._security == "tls",
            start_tls=False,
            tls_context=self._tls,
        )

    def _failure(self, error: Exception) -> SendError:
        reason = certificate_fault(error) or _reason(error)
        permanent = _code(error) // 100 == PERMANENT_CLASS
        return SendError(redact(reason, self._password or ""), permanent=permanent)


def compose(
    notice: Notice, sender: str, recipients: Sequence[str], words: Words = word
) -> EmailMessage:
    """Write the notice as a 7-bit plain-text mail; `sender` may be "Name <address>"."""
    wording = words(notice)
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = wording.title
    message["Date"] = format_datetime(notice.at)
    address = parseaddr(sender)[1]
    message["Message-ID"] = message_id(sent_as(notice), address)
    first = message_id(f"{notice.alert_id}.1", address)
    if first != message["Message-ID"]:  # what follows about an alert stands below its first mail
        message["In-Reply-To"] = message["References"] = first
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(wording.plain(BODY_CHARS_MAX), cte="quoted-printable")
    return message


def message_id(notice_id: str, sender: str) -> str:
    """Derive the Message-ID of a notice: a digest, because an id may hold any character."""
    digest = hashlib.sha256(notice_id.encode("utf-8", "replace")).hexdigest()[:32]
    return f"<{digest}.sidewatch@{sender.rpartition('@')[2]}>"


def _abort_at_exit(client: aiosmtplib.SMTP, connection: contextlib.ExitStack) -> None:
    abort = getattr(client.transport, "abort", None)
    if abort is not None:
        connection.callback(abort)


async def _take_leave(client: aiosmtplib.SMTP) -> None:
    """Say QUIT. The mail is accepted: a failure from here on must not make a second one."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=QUIT_S)


async def _on_asyncio(attempt: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run on asyncio, which aiosmtplib needs; under trio on a loop and thread of its own.

    A cancelled thread is left behind, and ends by its own deadline.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        return await attempt()
    return await anyio.to_thread.run_sync(lambda: asyncio.run(attempt()), abandon_on_cancel=True)


def _verifying(context: ssl.SSLContext | None) -> ssl.SSLContext:
    if context is None:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ValueError("email tls_context: must verify certificates and host names")
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        raise ValueError("email tls_context: must require TLS 1.2 or newer")
    return context


def _address(field: str, value: str) -> str:
    address = parseaddr(value)[1]
    if _CONTROL.search(value) or not _ADDRESS.fullmatch(address):
        raise ValueError(f"email {field}: {value!r} is not an address such as me@example.org")
    return address


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _code(error: Exception) -> int:
    """Find the reply code that decides: a transient one, where any recipient got that."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return min(refusal.code for refusal in error.recipients)
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else 0


def _reason(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        refusals = (f"{one.recipient}: {one.code} {one.message}" for one in error.recipients)
        return f"every recipient refused: {'; '.join(refusals)}"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}"
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return error.message
    if isinstance(error, aiosmtplib.SMTPConnectTimeoutError):
        return f"no connection within {CONNECT_S:g} s"
    if isinstance(error, TimeoutError):
        return f"no answer within {ATTEMPT_S:g} s"
    return f"{type(error).__name__}: {error}"

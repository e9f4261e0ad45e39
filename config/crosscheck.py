"""What no setting can promise alone: pairs that must agree, and channels that must be complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from config import alertcheck
from config.channels import CHANNELS, NEEDED, Email, Webhook
from config.names import Place, refusal
from config.rules import is_address, is_loopback, is_public
from config.secret import Secret, check_distinct
from config.sections import Server, Settings

EVERY = "all"  # the templates of every channel that has no own
EXAMPLES = ("your_bot_token", "your-bot-token")
EXAMPLE_ENDS = (
    ".slack.com/services/xxx",
    ".slack.com/services/...",
    "/webhooks/...",
    "/webhooks/webhook_id/webhook_token",
)

Fault = tuple[Place, str]


def check(settings: Settings, sources: Mapping[Place, str | None]) -> None:
    """Raise SettingsError for the first fault; `sources` says which variable set a setting."""
    for place, reason in faults(settings):
        raise refusal(place, reason, sources.get(place))
    check_distinct(settings.auth)


def faults(settings: Settings) -> Iterator[Fault]:
    """Every fault of settings that are good one by one."""
    yield from _server(settings.server)
    for name in settings.channels:
        yield from _incomplete(name, getattr(settings, name))
    yield from _email(settings.email)
    yield from _webhook(settings.webhook)
    for name in settings.templates:
        if name not in (EVERY, *CHANNELS):
            known = ", ".join((EVERY, *CHANNELS))
            yield ("templates", name), f"is no channel; there are: {known}"
    for name, api in settings.apis.items():
        if not api.url:
            yield ("apis", name, "url"), "is missing: what should be pinged?"
    yield from alertcheck.faults(settings)


def _server(server: Server) -> Iterator[Fault]:
    if not is_loopback(server.host) and not server.behind_proxy:
        way = "keep 127.0.0.1, or set server.behind_proxy = true where a proxy adds TLS"
        yield ("server", "host"), f"{server.host} is open to other machines: {way}"


def _incomplete(name: str, channel: Struct) -> Iterator[Fault]:
    """What a channel that is switched on lacks, or has copied from a documentation."""
    for key in NEEDED.get(name, ()):
        value = getattr(channel, key)
        if not value:
            yield (name, key), f"is missing, but {name}.enabled is true"
        elif isinstance(value, Secret) and _is_example(value.reveal()):
            yield (name, key), "is the documentation's example: put in your own"


def _is_example(text: str) -> bool:
    plain = text.lower().rstrip("/")
    return plain in EXAMPLES or plain.endswith(EXAMPLE_ENDS)


def _email(email: Email) -> Iterator[Fault]:
    if email.security == "none" and email.smtp_host and not is_loopback(email.smtp_host):
        yield (
            ("email", "security"),
            f"none is for a server on this machine, not for {email.smtp_host}: starttls or tls",
        )
    if not email.enabled:
        return
    if email.user and email.password is None:
        yield ("email", "password"), "is missing, but email.user is set"
    if email.password is not None and not email.user:
        yield ("email", "user"), "is missing, but email.password is set"


def _webhook(webhook: Webhook) -> Iterator[Fault]:
    if webhook.url is None or webhook.allow_private:
        return
    host = urlsplit(webhook.url.reveal()).hostname or ""
    if is_loopback(host) or (is_address(host) and not is_public(host)):
        yield ("webhook", "url"), "is a private address: set webhook.allow_private = true if meant"

"""What no setting can promise alone: pairs that must agree, and channels that must be complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from config.names import Place, refusal
from config.rules import is_loopback
from config.secret import check_distinct
from config.sections import Email, Server, Settings, Slack, Telegram

EXAMPLE_WEBHOOKS = ("https://hooks.slack.com/services/xxx", "https://hooks.slack.com/services/...")
EXAMPLE_TEXTS = ("your_bot_token", "your-bot-token", "your_chat_id", "your-chat-id")

Fault = tuple[Place, str]


def check(settings: Settings, sources: Mapping[Place, str | None]) -> None:
    """Raise SettingsError for the first fault; `sources` says which variable set a setting."""
    for place, reason in faults(settings):
        raise refusal(place, reason, sources.get(place))
    check_distinct(settings.auth)


def faults(settings: Settings) -> Iterator[Fault]:
    """Every fault of settings that are good one by one."""
    yield from _server(settings.server)
    if settings.slack.enabled:
        yield from _slack(settings.slack)
    yield from _email(settings.email)
    if settings.telegram.enabled:
        yield from _telegram(settings.telegram)
    for name, api in settings.apis.items():
        if not api.url:
            yield ("apis", name, "url"), "is missing: what should be pinged?"


def _server(server: Server) -> Iterator[Fault]:
    if not is_loopback(server.host) and not server.behind_proxy:
        way = "keep 127.0.0.1, or set server.behind_proxy = true where a proxy adds TLS"
        yield ("server", "host"), f"{server.host} is open to other machines: {way}"


def _slack(slack: Slack) -> Iterator[Fault]:
    url = slack.webhook_url
    if url is None:
        yield ("slack", "webhook_url"), _missing("slack")
    elif url.reveal().lower().rstrip("/") in EXAMPLE_WEBHOOKS:
        yield ("slack", "webhook_url"), "is the documentation's example: put in your own"


def _email(email: Email) -> Iterator[Fault]:
    if email.security == "none" and email.smtp_host and not is_loopback(email.smtp_host):
        yield (
            ("email", "security"),
            f"none is for a server on this machine, not for {email.smtp_host}: starttls or tls",
        )
    if not email.enabled:
        return
    for key in ("smtp_host", "sender", "to"):
        if not getattr(email, key):
            yield ("email", key), _missing("email")
    if email.user and email.password is None:
        yield ("email", "password"), "is missing, but email.user is set"
    if email.password is not None and not email.user:
        yield ("email", "user"), "is missing, but email.password is set"


def _telegram(telegram: Telegram) -> Iterator[Fault]:
    if telegram.bot_token is None:
        yield ("telegram", "bot_token"), _missing("telegram")
    elif telegram.bot_token.reveal().lower() in EXAMPLE_TEXTS:
        yield ("telegram", "bot_token"), "is the documentation's example: put in your own"
    if not telegram.chat_id:
        yield ("telegram", "chat_id"), _missing("telegram")


def _missing(channel: str) -> str:
    return f"is missing, but {channel}.enabled is true"

"""The channels' settings: each is off until it is switched on, and holds one address or account.

Secrets print as `***`. What a channel needs once it is on stands in `NEEDED`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct

from config import rules
from config.secret import (
    ACCESS_TOKEN,
    APPRISE,
    BOT_TOKEN,
    PASSWORD,
    ROUTING_KEY,
    SIGNING_KEY,
    TOPIC,
    Secret,
)

CHANNELS = (
    "slack",
    "email",
    "telegram",
    "discord",
    "pagerduty",
    "ntfy",
    "webhook",
    "apprise",
    "console",
)
NEEDED: dict[str, tuple[str, ...]] = {
    "slack": ("webhook_url",),
    "email": ("smtp_host", "sender", "to"),
    "telegram": ("bot_token", "chat_id"),
    "discord": ("webhook_url",),
    "pagerduty": ("routing_key",),
    "ntfy": ("topic",),
    "webhook": ("url", "secret"),
    "apprise": ("urls",),
}


class Slack(Struct, frozen=True, forbid_unknown_fields=True):
    """A Slack incoming webhook; its URL is a secret."""

    enabled: bool = False
    webhook_url: Annotated[Secret, rules.URL] | None = None


class Email(Struct, frozen=True, forbid_unknown_fields=True):
    """Mail over SMTP. `security` "none" is for a server on this machine only."""

    enabled: bool = False
    smtp_host: Annotated[str, rules.or_empty(rules.HOST)] = ""
    smtp_port: Annotated[int, rules.at_least(1), rules.at_most(rules.PORT_MAX)] = 587
    sender: Annotated[str, rules.or_empty(rules.EMAIL)] = ""
    to: Annotated[list[Annotated[str, rules.EMAIL]], rules.items_at_most(50)] = []
    user: str = ""
    password: Annotated[Secret, PASSWORD] | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"


class Telegram(Struct, frozen=True, forbid_unknown_fields=True):
    """A Telegram bot and the chat it writes to."""

    enabled: bool = False
    bot_token: Annotated[Secret, BOT_TOKEN] | None = None
    chat_id: Annotated[str, rules.or_empty(rules.CHAT)] = ""
    thread_id: Annotated[int, rules.at_least(1), rules.at_most(2**53 - 1)] | None = None
    api_base: Annotated[str, rules.BASE] = "https://api.telegram.org"


class Discord(Struct, frozen=True, forbid_unknown_fields=True):
    """A Discord webhook; its URL is a secret. `thread_id` is a thread of its channel."""

    enabled: bool = False
    webhook_url: Annotated[Secret, rules.URL] | None = None
    thread_id: Annotated[int, rules.at_least(1), rules.at_most(2**63 - 1)] | None = None


class PagerDuty(Struct, frozen=True, forbid_unknown_fields=True):
    """An Events API v2 integration of a PagerDuty service."""

    enabled: bool = False
    routing_key: Annotated[Secret, ROUTING_KEY] | None = None
    api_base: Annotated[str, rules.BASE] = "https://events.pagerduty.com"


class Ntfy(Struct, frozen=True, forbid_unknown_fields=True):
    """A topic of an ntfy server. Who knows a public server's topic can read it, so it is secret."""

    enabled: bool = False
    topic: Annotated[Secret, TOPIC] | None = None
    token: Annotated[Secret, ACCESS_TOKEN] | None = None
    api_base: Annotated[str, rules.BASE] = "https://ntfy.sh"


class Webhook(Struct, frozen=True, forbid_unknown_fields=True):
    """A server of one's own that takes Standard Webhooks. `secret` signs."""

    enabled: bool = False
    url: Annotated[Secret, rules.URL] | None = None
    secret: Annotated[Secret, SIGNING_KEY] | None = None
    secret_previous: Annotated[Secret, SIGNING_KEY] | None = None
    allow_private: bool = False


class Apprise(Struct, frozen=True, forbid_unknown_fields=True):
    """Services that Apprise knows (the extra `sidewatch[apprise]`), by URLs that are secrets."""

    enabled: bool = False
    urls: Annotated[Secret, APPRISE] | None = None


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A user's own wording, in Jinja2; "" for the built-in one. `text` may have several lines.

    Where it stands in a file of its own, `config.templates` puts what that says beside its path.
    """

    title: str = ""
    title_file: Path | None = None
    text: Annotated[str, rules.LINES] = ""
    text_file: Path | None = None

    def origin(self, key: str) -> tuple[str, Path | None]:
        """Return which setting gave the title or the text, and the file that it stands in."""
        path: Path | None = getattr(self, f"{key}_file")
        return key if path is None else f"{key}_file", path


class Console(Struct, frozen=True, forbid_unknown_fields=True):
    """Alerts on standard error."""

    enabled: bool = False

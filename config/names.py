"""A setting's names: each has one place in the TOML file and one long name in the environment.

`("alerts", "debounce_s")` is `alerts.debounce_s` in the file and
`SIDEWATCH__ALERTS__DEBOUNCE_S` in the environment. Some have a short name as well.
"""

from __future__ import annotations

PREFIX = "SIDEWATCH__"
CONFIG_NAME = "SIDEWATCH_CONFIG"
SHOWN_CHARS_MAX = 60
PATH_CHARS_MAX = 200

CASED = (
    "bots",
    "apis",
    "escalation",
    "maintenance",
)  # tables whose names are others', and keep their case

Place = tuple[str, ...]
"""Where a setting stands: `(key,)`, `(section, key)` or `(table, name, key)`, and within a bot
`("bots", name, "routes", key)` or `("bots", name, "triggers", trigger, key)`."""

SHORT: dict[str, Place] = {
    "ALERTS_SLACK_ENABLED": ("slack", "enabled"),
    "SLACK_WEBHOOK_URL": ("slack", "webhook_url"),
    "ALERTS_EMAIL_ENABLED": ("email", "enabled"),
    "EMAIL_SMTP_HOST": ("email", "smtp_host"),
    "EMAIL_SMTP_PORT": ("email", "smtp_port"),
    "EMAIL_SMTP_USER": ("email", "user"),
    "EMAIL_SMTP_PASSWORD": ("email", "password"),
    "EMAIL_SMTP_SECURITY": ("email", "security"),
    "EMAIL_FROM": ("email", "sender"),
    "EMAIL_TO": ("email", "to"),
    "ALERTS_TELEGRAM_ENABLED": ("telegram", "enabled"),
    "TELEGRAM_BOT_TOKEN": ("telegram", "bot_token"),
    "TELEGRAM_CHAT_ID": ("telegram", "chat_id"),
    "TELEGRAM_API_BASE": ("telegram", "api_base"),
    "SIDEWATCH_PORT": ("server", "port"),
    "SIDEWATCH_DATA_DIR": ("storage", "data_dir"),
    "SIDEWATCH_READ_TOKEN": ("auth", "read_token"),
    "SIDEWATCH_INGEST_TOKEN": ("auth", "ingest_token"),
    "SIDEWATCH_OPERATE_TOKEN": ("auth", "operate_token"),
    "SIDEWATCH_HMAC_KEY": ("auth", "hmac_key"),
    "SIDEWATCH_HMAC_KEY_PREVIOUS": ("auth", "hmac_key_previous"),
    "SIDEWATCH_FREQTRADE_SECRET": ("auth", "freqtrade_secret"),
    "SIDEWATCH_STARTING_EQUITY": ("starting_equity",),
}

_SHORT_OF = {place: name for name, place in SHORT.items()}


class SettingsError(ValueError):
    """The start is refused: one line that names the setting, never a secret's value."""


def long_name(place: Place) -> str:
    """The environment's long name; a bot's or an API's name keeps its case."""
    parts = [part.upper() for part in place]
    if place[0] in CASED and len(place) > 1:
        parts[1] = place[1]
    return PREFIX + "__".join(parts)


def short_name(place: Place) -> str | None:
    """The environment's short name, where the setting has one."""
    return _SHORT_OF.get(place)


def dotted(place: Place) -> str:
    """The TOML name, printable whatever the operator typed."""
    return ".".join(printable(part) for part in place)


def refusal(place: Place, reason: str, source: str | None = None) -> SettingsError:
    """One line: the TOML name, then the variable it came from (or all that could set it)."""
    names = [source] if source else [short_name(place), long_name(place)]
    variables = " or ".join(printable(name, PATH_CHARS_MAX) for name in names if name)
    return SettingsError(f"{dotted(place)} ({variables}): {reason}")


def printable(text: str, chars_max: int = SHOWN_CHARS_MAX) -> str:
    """The start of `text` on one line, without control characters or surrogates."""
    if len(text) > chars_max:
        text = text[:chars_max] + "..."
    return text if text.isprintable() else repr(text)[1:-1]

"""The table of channels: a new one is one file in actors/senders and one line here."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator

from actors.senders.channel import Channel
from actors.senders.wording import Words
from config.channels import Template
from config.names import PATH_CHARS_MAX, printable, refusal
from config.settings import Secret, Settings
from config.templates import KEYS

Builder = Callable[[], Channel]


def words(settings: Settings, channel: str) -> Words:
    """Give a channel's words: its own templates, else those of all channels, else the built-in."""
    from actors.senders.templates import worded  # noqa: PLC0415

    return worded({key: (name, source) for key, name, source in _templates(settings, channel)})


def _templates(settings: Settings, channel: str) -> Iterator[tuple[str, str, str]]:
    """Which template stands for the title and for the text, and where it is set."""
    for key in KEYS:
        for name in (channel, "all"):
            template = settings.templates.get(name, Template())
            source = getattr(template, key)
            if source:
                yield key, f"templates.{name}.{template.origin(key)[0]}", source
                break


def _slack(settings: Settings) -> Channel:
    from actors.senders.slack import SlackChannel  # noqa: PLC0415 - only what is switched on

    url = settings.slack.webhook_url
    assert url is not None  # config checks it
    return SlackChannel(url.reveal(), any_host=True, words=words(settings, "slack"))


def _email(settings: Settings) -> Channel:
    from actors.senders.email import EmailChannel  # noqa: PLC0415

    email = settings.email
    return EmailChannel(
        email.smtp_host,
        email.smtp_port,
        email.sender,
        list(email.to),
        user=email.user or None,
        password=email.password.reveal() if email.password is not None else None,
        security=email.security,
        words=words(settings, "email"),
    )


def _telegram(settings: Settings) -> Channel:
    from actors.senders.telegram import TelegramChannel  # noqa: PLC0415

    telegram = settings.telegram
    assert telegram.bot_token is not None  # config checks it
    return TelegramChannel(
        telegram.bot_token.reveal(),
        telegram.chat_id,
        thread_id=telegram.thread_id,
        api_base=telegram.api_base,
        words=words(settings, "telegram"),
    )


def _discord(settings: Settings) -> Channel:
    from actors.senders.discord import DiscordChannel  # noqa: PLC0415

    discord = settings.discord
    assert discord.webhook_url is not None  # config checks it
    return DiscordChannel(
        discord.webhook_url.reveal(),
        thread_id=discord.thread_id,
        words=words(settings, "discord"),
    )


def _pagerduty(settings: Settings) -> Channel:
    from actors.senders.pagerduty import PagerDutyChannel  # noqa: PLC0415

    pagerduty = settings.pagerduty
    assert pagerduty.routing_key is not None  # config checks it
    return PagerDutyChannel(
        pagerduty.routing_key.reveal(),
        api_base=pagerduty.api_base,
        words=words(settings, "pagerduty"),
    )


def _ntfy(settings: Settings) -> Channel:
    from actors.senders.ntfy import NtfyChannel  # noqa: PLC0415

    ntfy = settings.ntfy
    assert ntfy.topic is not None  # config checks it
    token = None if ntfy.token is None else ntfy.token.reveal()
    return NtfyChannel(
        ntfy.topic.reveal(), token=token, api_base=ntfy.api_base, words=words(settings, "ntfy")
    )


def _webhook(settings: Settings) -> Channel:
    from actors.senders.webhook import WebhookChannel  # noqa: PLC0415

    webhook = settings.webhook
    assert webhook.url is not None  # config checks it
    assert webhook.secret is not None
    previous = webhook.secret_previous
    return WebhookChannel(
        webhook.url.reveal(),
        webhook.secret.reveal(),
        previous=None if previous is None else previous.reveal(),
        allow_private=webhook.allow_private,
        words=words(settings, "webhook"),
    )


def _apprise(settings: Settings) -> Channel:
    from actors.senders.apprise import AppriseChannel  # noqa: PLC0415

    urls = settings.apprise.urls
    assert urls is not None  # config checks it
    return AppriseChannel(urls.reveal(), words=words(settings, "apprise"))


def _console(settings: Settings) -> Channel:
    from actors.senders.console import ConsoleChannel  # noqa: PLC0415

    return ConsoleChannel(words=words(settings, "console"))


CHANNELS: dict[str, Callable[[Settings], Channel]] = {
    "slack": _slack,
    "email": _email,
    "telegram": _telegram,
    "discord": _discord,
    "pagerduty": _pagerduty,
    "ntfy": _ntfy,
    "webhook": _webhook,
    "apprise": _apprise,
    "console": _console,
}


INCIDENTS = frozenset({"pagerduty"})  # each keeps an incident for each alert


def builders(settings: Settings) -> dict[str, Builder]:
    """Return how to build each channel that is switched on."""
    return {name: lambda name=name: CHANNELS[name](settings) for name in settings.channels}  # type: ignore[misc]


def fingerprint(settings: Settings, name: str) -> str:
    """Return what differs once a channel's settings do: a keyed hash, which tells no secret."""
    channel = getattr(settings, name)
    values = [getattr(channel, key) for key in channel.__struct_fields__]
    values += _templates(settings, name)  # what was refused may have been its wording
    shown = repr([value.reveal() if isinstance(value, Secret) else value for value in values])
    key = settings.auth.hmac_key
    assert key is not None  # `serve` has drawn one
    return hmac.new(key.reveal().encode(), shown.encode(), "sha256").hexdigest()


def check(settings: Settings) -> None:
    """Raise SettingsError for what only a channel's own code can tell, such as a missing extra."""
    for name, template in settings.templates.items():
        for key in KEYS:
            _check_template(name, template, key)
    if settings.apprise.enabled:
        from actors.senders.apprise import ExtraMissingError  # noqa: PLC0415

        try:
            _apprise(settings)
        except ExtraMissingError as error:
            raise refusal(("apprise", "enabled"), str(error).partition(": ")[2]) from None
        except ValueError as error:
            raise refusal(("apprise", "urls"), str(error).partition(": ")[2]) from None


def template_files(settings: Settings) -> Iterator[str]:
    """Say which wording stands in a file of its own, and in which."""
    for name, template in settings.templates.items():
        for key in KEYS:
            setting, path = template.origin(key)
            if path is not None:
                yield f"templates.{name}.{setting}: {printable(str(path), PATH_CHARS_MAX)}"


def _check_template(name: str, template: Template, key: str) -> None:
    from actors.senders.templates import BadTemplateError, compiled  # noqa: PLC0415

    setting, path = template.origin(key)
    source = getattr(template, key)
    try:
        if source:
            compiled(source)
    except BadTemplateError as error:
        where = "" if path is None else f"{printable(str(path), PATH_CHARS_MAX)}: "
        raise refusal(("templates", name, setting), f"{where}{error}") from None

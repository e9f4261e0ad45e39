"""The table of channels: a new one is one file in actors/senders and one line here."""

from __future__ import annotations

from collections.abc import Callable

from actors.senders.channel import Channel
from config.names import refusal
from config.settings import Settings

Builder = Callable[[], Channel]


def _slack(settings: Settings) -> Channel:
    from actors.senders.slack import SlackChannel  # noqa: PLC0415 - only what is switched on

    url = settings.slack.webhook_url
    assert url is not None  # config checks it
    return SlackChannel(url.reveal(), any_host=True)


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
    )


def _discord(settings: Settings) -> Channel:
    from actors.senders.discord import DiscordChannel  # noqa: PLC0415

    discord = settings.discord
    assert discord.webhook_url is not None  # config checks it
    return DiscordChannel(discord.webhook_url.reveal(), thread_id=discord.thread_id)


def _pagerduty(settings: Settings) -> Channel:
    from actors.senders.pagerduty import PagerDutyChannel  # noqa: PLC0415

    pagerduty = settings.pagerduty
    assert pagerduty.routing_key is not None  # config checks it
    return PagerDutyChannel(pagerduty.routing_key.reveal(), api_base=pagerduty.api_base)


def _ntfy(settings: Settings) -> Channel:
    from actors.senders.ntfy import NtfyChannel  # noqa: PLC0415

    ntfy = settings.ntfy
    assert ntfy.topic is not None  # config checks it
    token = None if ntfy.token is None else ntfy.token.reveal()
    return NtfyChannel(ntfy.topic.reveal(), token=token, api_base=ntfy.api_base)


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
    )


def _apprise(settings: Settings) -> Channel:
    from actors.senders.apprise import AppriseChannel  # noqa: PLC0415

    urls = settings.apprise.urls
    assert urls is not None  # config checks it
    return AppriseChannel(urls.reveal())


def _console(_settings: Settings) -> Channel:
    from actors.senders.console import ConsoleChannel  # noqa: PLC0415

    return ConsoleChannel()


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


def builders(settings: Settings) -> dict[str, Builder]:
    """Return how to build each channel that is switched on."""
    return {name: lambda name=name: CHANNELS[name](settings) for name in settings.channels}  # type: ignore[misc]


def check(settings: Settings) -> None:
    """Raise SettingsError for what only a channel's own code can tell, such as a missing extra."""
    if settings.apprise.enabled:
        from actors.senders.apprise import ExtraMissingError  # noqa: PLC0415

        try:
            _apprise(settings)
        except ExtraMissingError as error:
            raise refusal(("apprise", "enabled"), str(error).partition(": ")[2]) from None
        except ValueError as error:
            raise refusal(("apprise", "urls"), str(error).partition(": ")[2]) from None

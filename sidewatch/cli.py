"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sidewatch import __version__
from sidewatch.arguments import address, zone

if TYPE_CHECKING:
    from config.settings import Settings

BAD_SETTING = 2
SECRETS = {
    "ingest": "ingest_token",
    "read": "read_token",
    "operate": "operate_token",
    "hmac": "hmac_key",
    "freqtrade": "freqtrade_secret",
}
CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file; SIDEWATCH_CONFIG names it, too.",
)
URL = click.option(
    "--url", callback=address, help="Of a running Sidewatch; default: from the settings."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """Sidewatch watches a trading bot, and makes sure its owner hears about trouble."""


def _settings(config_path: Path | None) -> Settings:
    """Load settings with the secrets that there are; a mistake ends the process with 2.

    Changes nothing: only `serve` draws what is missing.
    """
    from msgspec.structs import replace  # noqa: PLC0415

    from config import secret  # noqa: PLC0415 - only where a command needs it
    from config.settings import SettingsError, load  # noqa: PLC0415
    from sidewatch import channels  # noqa: PLC0415

    try:
        settings = load(config_path, os.environ)
        channels.check(settings)
        _check_triggers(settings)
        auth = secret.look(settings.storage.data_dir, settings.auth)
    except SettingsError as error:
        click.echo(f"sidewatch: {error}", err=True)
        sys.exit(BAD_SETTING)
    return replace(settings, auth=auth)


def _end_when_told() -> None:
    """Let a signal end what is only beginning as it ends what serves: in order, with 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def _check_triggers(settings: Settings) -> None:
    """Refuse a condition that cannot be used, before anything starts."""
    if any(trigger.when for trigger in settings.triggers.values()):
        from sidewatch.policy import own_triggers  # noqa: PLC0415

        own_triggers(settings)


@main.command()
@CONFIG
def run(config_path: Path | None) -> None:
    """Watch: serve the API, the page and the channels.

    Prints its address, and on stderr a login link for the page. Ctrl-C or SIGTERM stops it.
    """
    _end_when_told()
    from sidewatch.start import leave, start  # noqa: PLC0415

    leave(start(_settings(config_path)))


@main.command()
@CONFIG
@click.option("--seed", type=int, default=7, show_default=True, help="Of the bot's random walk.")
@click.option(
    "--days",
    type=click.IntRange(0, 365),
    default=30,
    show_default=True,
    help="Of history before now, at the first start.",
)
def demo(config_path: Path | None, seed: int, days: int) -> None:
    """Watch a simulated bot, which runs as a process of its own.

    It has a data directory of its own unless SIDEWATCH_DATA_DIR names one.
    """
    _end_when_told()
    from sidewatch.demo import demonstrate  # noqa: PLC0415
    from sidewatch.start import leave  # noqa: PLC0415

    leave(demonstrate(config_path, seed, days))


@main.command("check-config")
@CONFIG
def check_config(config_path: Path | None) -> None:
    """Check the settings without starting.

    Says what alerts go where. Exits with 2, and one line that names the setting, where one is bad.
    """
    settings = _settings(config_path)
    from config.settings import strays  # noqa: PLC0415
    from sidewatch.channels import template_files  # noqa: PLC0415

    channels = ", ".join(settings.channels) or "none: no alert leaves this machine"
    click.echo(f"settings are good; channels: {channels}")
    for line in strays(os.environ):
        click.secho(line, fg="yellow")
    for line in template_files(settings):
        click.echo(line)
    if settings.channels:
        from sidewatch.policy import summary  # noqa: PLC0415

        click.echo(summary(settings))


@main.command()
@CONFIG
@URL
def status(config_path: Path | None, url: str | None) -> None:
    """Show health, figures and open alerts of a running Sidewatch.

    Says, too, what keeps it from being ready, such as a full disk. Exits with 1 unless it is
    HEALTHY and ready.
    """
    _operate(config_path, url, lambda o: o.status())


@main.command()
@CONFIG
@URL
def actors(config_path: Path | None, url: str | None) -> None:
    """Show the actor tree of a running Sidewatch."""
    _operate(config_path, url, lambda o: o.actors())


@main.command("import")
@CONFIG
@URL
@click.option("--bot", default="", help="Whose trades they are, where the file does not say.")
@click.option("--zone", callback=zone, help="IANA zone of instants that name none, such as UTC.")
@click.option("--apply", is_flag=True, help="Send; without it the file is only judged.")
@click.option(
    "--refused",
    "refused_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write every refused line and its reason here, as JSON lines.",
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def import_(config_path: Path | None, file: Path, url: str | None, **wanted: Any) -> None:
    """Import a history of trades from a .csv or .jsonl file.

    A dry run unless --apply is given. Columns are named as the fields of a trade on the wire
    (docs/api.md). Exits with 1 where a line was refused, or there is no trade.
    """
    from sidewatch.backfill import run as run_import  # noqa: PLC0415
    from sidewatch.operator import OperatorError  # noqa: PLC0415

    try:
        good = run_import(_settings(config_path), file, url=url, **wanted)
    except OperatorError as error:
        click.echo(f"sidewatch: {error}", err=True)
        sys.exit(1)
    sys.exit(0 if good else 1)


@main.group()
def alerts() -> None:
    """List, show, acknowledge, silence and test alerts."""


@alerts.command("ls")
@CONFIG
@URL
@click.option(
    "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="The most to list."
)
def alerts_ls(config_path: Path | None, url: str | None, limit: int) -> None:
    """List alerts, newest first, with each channel's delivery."""
    _operate(config_path, url, lambda o: o.alerts(limit))


@alerts.command("ack")
@CONFIG
@URL
@click.argument("alert_id")
def alerts_ack(config_path: Path | None, url: str | None, alert_id: str) -> None:
    """Acknowledge an open alert: no repeats until it is resolved.

    `alerts ls` shows its id.
    """
    _operate(config_path, url, lambda o: o.acknowledge(alert_id))


@alerts.command("silence")
@CONFIG
@URL
@click.option("--reason", required=True, help="Why; people read it on the page.")
@click.option("--minutes", type=float, help="A silence always ends: this, or --until.")
@click.option("--until", help="An instant such as 2026-12-01T22:00:00+01:00.")
@click.option("--since", help="An instant from which it holds; default: now.")
@click.option("--trigger", default="", help="Only this trigger; kill_switch only when named.")
@click.option("--bot", default="", help="Only this bot.")
@click.option(
    "--hold",
    is_flag=True,
    help="A maintenance window: criticals pass, the rest is one digest at its end.",
)
def alerts_silence(config_path: Path | None, url: str | None, **wanted: Any) -> None:
    """Keep alerts quiet for a while.

    All of them but kill switches, or what --trigger and --bot name.
    """
    _operate(config_path, url, lambda o: o.silence(**wanted))


@alerts.command("silences")
@CONFIG
@URL
def alerts_silences(config_path: Path | None, url: str | None) -> None:
    """List the silences and maintenance windows in force or to come.

    Says what each has kept quiet.
    """
    _operate(config_path, url, lambda o: o.silences())


@alerts.command("unsilence")
@CONFIG
@URL
@click.argument("silence_id")
def alerts_unsilence(config_path: Path | None, url: str | None, silence_id: str) -> None:
    """End a silence before its time.

    `alerts silences` shows its id.
    """
    _operate(config_path, url, lambda o: o.unsilence(silence_id))


@alerts.command("show")
@CONFIG
@URL
@click.argument("alert_id")
def alerts_show(config_path: Path | None, url: str | None, alert_id: str) -> None:
    """Show one alert, with every attempt to deliver it.

    Says what the provider answered. `alerts ls` shows its id.
    """
    _operate(config_path, url, lambda o: o.alert(alert_id))


@alerts.command("test")
@CONFIG
@URL
@click.option("--channel", default="all", show_default=True, help="One that is switched on.")
@click.option("--message", default="Sidewatch test alert", show_default=True, help="What it says.")
def alerts_test(config_path: Path | None, url: str | None, channel: str, message: str) -> None:
    """Send a test alert through the real channels.

    Shows the providers' answers; exits with 1 where one of them failed.
    """
    _operate(config_path, url, lambda o: o.test(channel, message))


@main.command()
@CONFIG
@URL
@click.option(
    "--method",
    type=click.Choice(["POST", "DELETE"], case_sensitive=False),
    default="POST",
    show_default=True,
    metavar="POST|DELETE",
    help="Of the request.",
)
@click.option(
    "--path",
    "path_",
    default="/api/v1/alerts/test",
    show_default=True,
    help="One that takes signatures (docs/api.md).",
)
@click.argument("body", required=False)
def sign(
    config_path: Path | None, url: str | None, method: str, path_: str, body: str | None
) -> None:
    """Print the whole signed curl line of a request.

    It holds for 5 minutes, once. BODY is its JSON; default: a test alert on every channel.
    """
    from sidewatch.signing import Unsignable, curl_line  # noqa: PLC0415

    settings = _settings(config_path)
    try:
        _say(lambda: curl_line(settings, url, method.upper(), path_, body))
    except Unsignable as error:
        raise click.UsageError(str(error)) from error


@main.command()
@CONFIG
@click.argument("which", type=click.Choice(list(SECRETS)), default="ingest")
def token(config_path: Path | None, which: str) -> None:
    """Print a token, for a bot or a script.

    The one that is set, else the one that was drawn. A bot needs `ingest`, the default; `hmac` is
    the key that signs.
    """
    from sidewatch.operator import known_secret  # noqa: PLC0415

    settings = _settings(config_path)
    _say(lambda: known_secret(settings, SECRETS[which]))


def _say(text: Callable[[], str]) -> None:
    """Print, or end with 1 and one line."""
    from sidewatch.operator import OperatorError  # noqa: PLC0415

    try:
        click.echo(text())
    except OperatorError as error:
        click.echo(f"sidewatch: {error}", err=True)
        sys.exit(1)


@main.command()
@CONFIG
@URL
def doctor(config_path: Path | None, url: str | None) -> None:
    """Say what is wrong, here or with a running Sidewatch.

    Looks at settings, data directory, channels. Exits with 1 where something is wrong.
    """
    from sidewatch.doctor import examine  # noqa: PLC0415

    sys.exit(examine(_settings(config_path), url))


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


def _operate(config_path: Path | None, url: str | None, act: Callable[[Any], bool]) -> None:
    from sidewatch.operator import Operator, OperatorError  # noqa: PLC0415

    settings = _settings(config_path)
    try:
        good = act(Operator(settings, url))
    except OperatorError as error:
        click.echo(f"sidewatch: {error}", err=True)
        sys.exit(1)
    sys.exit(0 if good else 1)

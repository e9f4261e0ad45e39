"""The demo: Sidewatch with its embedded defaults, and a simulated bot as a process of its own.

The bot talks to Sidewatch over the public API alone, as any bot would. It also plays its exchange,
which Sidewatch pings.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import click
from msgspec.structs import replace

from config.sections import Api, Bot, Settings
from config.settings import SettingsError, load
from sidewatch.exchange import PATH
from sidewatch.policy import own_triggers
from sidewatch.start import start

BOT = "demo"
STARTING_EQUITY = Decimal(10_000)
CURRENCY = "USDT"
DATA_DIR = "sidewatch-demo"
END_S = 5.0
BAD_SETTING = 2
PING_S = 3.0  # the scenario's outages last 10 s


def data_dir(environ: Mapping[str, str]) -> Path:
    """Return where the demo keeps its data, unless the environment names another place."""
    home = Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / DATA_DIR


def settings_of(config_path: Path | None, exchange_port: int) -> Settings:
    """Return the settings of the demo: the user's, with the bot, a console and its own data."""
    given = dict(os.environ)
    if "SIDEWATCH_DATA_DIR" not in given and "SIDEWATCH__STORAGE__DATA_DIR" not in given:
        given["SIDEWATCH_DATA_DIR"] = str(data_dir(given))
    settings = load(config_path, given)
    own_triggers(settings)
    bot = Bot(starting_equity=STARTING_EQUITY, currency=CURRENCY, max_positions=5)
    return replace(
        settings,
        bots={BOT: bot, **settings.bots},
        apis={"paper": Api(url=f"http://127.0.0.1:{exchange_port}{PATH}"), **settings.apis},
        health=replace(settings.health, ping_period_s=min(settings.health.ping_period_s, PING_S)),
        console=replace(settings.console, enabled=True),
    )


def demonstrate(config_path: Path | None, seed: int, days: int) -> int:
    """Run until a signal; returns the exit code."""
    with socket.create_server(("127.0.0.1", 0)) as exchange:
        try:
            settings = settings_of(config_path, exchange.getsockname()[1])
        except SettingsError as error:
            click.echo(f"sidewatch: {error}", err=True)
            return BAD_SETTING
        bots: list[subprocess.Popen[bytes]] = []
        try:
            return start(
                settings,
                lambda address, complete: bots.append(
                    _bot(complete, address, exchange, seed, days)
                ),
            )
        finally:
            for bot in bots:
                bot.terminate()
                with suppress(subprocess.TimeoutExpired):
                    bot.wait(END_S)
                bot.kill()


def _bot(
    settings: Settings, address: str, exchange: socket.socket, seed: int, days: int
) -> subprocess.Popen[bytes]:
    token = settings.auth.ingest_token
    assert token is not None  # `serve` has drawn one
    root = str(Path(__file__).resolve().parent.parent)
    command = [sys.executable, "-m", "sidewatch.simulation", "--url", address]
    command += ["--seed", str(seed), "--days", str(days)]
    command += ["--exchange-fd", str(exchange.fileno())]
    env = {**os.environ, "SIDEWATCH_INGEST_TOKEN": token.reveal()}
    bot = subprocess.Popen(  # noqa: S603 - our own module
        command, env=env, cwd=root, pass_fds=[exchange.fileno()]
    )
    exchange.close()  # the bot's alone: where it ends, the exchange does
    return bot

"""Every setting there is: its section, its type, its default and what a good value is.

Frozen structs, built by `config.settings.load` (which applies the rules in the annotations) or
directly in a test. Units stand last in a name: `_s` seconds, `_bytes_max` bytes. Drawdowns are
fractions of the peak, never percent.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from config import rules
from config.alerting import WEEK_S, Debounce, Routes, Rule, Trigger
from config.channels import (
    CHANNELS,
    Apprise,
    Console,
    Discord,
    Email,
    Ntfy,
    PagerDuty,
    Slack,
    Telegram,
    Template,
    Webhook,
)
from config.oncall import Oncall, Quiet, Rung, Window
from config.secret import Auth, Secret

DAY_S = 86_400

Port = Annotated[int, rules.at_least(0), rules.at_most(rules.PORT_MAX)]
Bytes = Annotated[int, rules.at_least(1_024), rules.at_most(67_108_864)]
Fraction = Annotated[float, rules.above(0), rules.at_most(1)]
Losses = Annotated[int, rules.at_least(1), rules.at_most(100_000)]
Rate = Annotated[int, rules.at_least(1), rules.at_most(100_000)]
Silence = Annotated[float, rules.above(0), rules.at_most(WEEK_S)]
Money = Annotated[Decimal, rules.MONEY]
Currency = Annotated[str, rules.CURRENCY]


class Server(Struct, frozen=True, forbid_unknown_fields=True):
    """Where Sidewatch listens, and how much it lets in. Port 0: any free one."""

    host: Annotated[str, rules.HOST] = "127.0.0.1"
    port: Port = 5173
    unix_socket: Annotated[str, rules.or_empty(rules.SOCKET)] = ""
    behind_proxy: bool = False
    allowed_hosts: Annotated[list[Annotated[str, rules.HOST_PORT]], rules.items_at_most(64)] = []
    public_url: Annotated[str, rules.or_empty(rules.BASE)] = ""
    body_bytes_max: Bytes = 65_536
    batch_bytes_max: Bytes = 1_048_576
    dashboards_max: Annotated[int, rules.at_least(1), rules.at_most(10_000)] = 32
    connections_max: Annotated[int, rules.at_least(1), rules.at_most(65_536)] = 256
    backend: Literal["asyncio", "trio"] = "asyncio"


class Storage(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the journal and drawn secrets live."""

    data_dir: Path = Path("~/.local/share/sidewatch")


class Alerts(Struct, frozen=True, forbid_unknown_fields=True):
    """When an alert fires, and how often it may."""

    debounce_s: Debounce = 300.0
    hourly_limit: Annotated[int, rules.at_least(1), rules.at_most(10_000)] = 10
    drawdown_day: Fraction = 0.05
    drawdown_week: Fraction = 0.10
    drawdown_total: Fraction = 0.20
    losses_in_a_row: Losses = 10
    api_errors_per_minute: Rate = 3
    silent_after_s: Silence = 120.0
    resolved: bool = True


class Deadman(Struct, frozen=True, forbid_unknown_fields=True):
    """A heartbeat URL (healthchecks-compatible), asked while alerts would arrive; a secret."""

    url: Annotated[Secret, rules.URL] | None = None
    period_s: Annotated[float, rules.at_least(1), rules.at_most(DAY_S)] = 60.0
    timeout_s: Annotated[float, rules.above(0), rules.at_most(60)] = 10.0


class Health(Struct, frozen=True, forbid_unknown_fields=True):
    """How exchange APIs are pinged."""

    ping_period_s: Annotated[float, rules.above(0), rules.at_most(DAY_S)] = 30.0
    ping_timeout_s: Annotated[float, rules.above(0), rules.at_most(3_600)] = 10.0


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """How figures are reckoned; definitions in docs/metrics.md.

    Periods None: as many as the calendar has. Retention 0: for ever.
    """

    periods_per_year: Annotated[int, rules.at_least(1), rules.at_most(366)] | None = None
    risk_free: Annotated[float, rules.above(-1), rules.at_most(1)] = 0.0
    ddof: Annotated[int, rules.at_least(0), rules.at_most(1)] = 1
    base: Literal["compounding", "fixed"] = "compounding"
    calendar: Literal["all", "weekdays"] = "all"
    rolling_trades: Annotated[int, rules.at_least(2), rules.at_most(100_000)] = 100
    rolling_days: Annotated[int, rules.at_least(1), rules.at_most(36_500)] = 90
    zone: Annotated[str, rules.ZONE] = "UTC"
    short_history_ratios: bool = False
    retention_days: Annotated[int, rules.at_least(0), rules.at_most(36_500)] = 0


class Logging(Struct, frozen=True, forbid_unknown_fields=True):
    """The log on standard error. `auto`: text on a terminal, else JSON."""

    level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class Api(Struct, frozen=True, forbid_unknown_fields=True):
    """An exchange API to ping: a public URL that answers GET with 2xx."""

    url: Annotated[str, rules.URL] = ""


class Bot(Struct, frozen=True, forbid_unknown_fields=True):
    """One bot's own settings. None: as for every bot; 0 positions: no limit known."""

    starting_equity: Money | None = None
    currency: Currency = "USD"
    max_positions: Annotated[int, rules.at_least(0), rules.at_most(1_000_000)] = 0
    drawdown_day: Fraction | None = None
    drawdown_week: Fraction | None = None
    drawdown_total: Fraction | None = None
    losses_in_a_row: Losses | None = None
    api_errors_per_minute: Rate | None = None
    silent_after_s: Silence | None = None
    routes: Routes = Routes()
    triggers: dict[str, Rule] = {}


class Thresholds(Struct, frozen=True):
    """What one bot's figures are compared with."""

    drawdown_day: float
    drawdown_week: float
    drawdown_total: float
    losses_in_a_row: int
    api_errors_per_minute: int
    silent_after_s: float


class TopLevel(Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for every bot that has no own: money in the account's currency."""

    starting_equity: Money | None = None
    currency: Currency = "USD"


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything an operator sets. `Settings()` has every default and no secret."""

    starting_equity: Decimal | None = None
    currency: str = "USD"
    server: Server = Server()
    storage: Storage = Storage()
    auth: Auth = Auth()
    alerts: Alerts = Alerts()
    routes: Routes = Routes()
    slack: Slack = Slack()
    email: Email = Email()
    telegram: Telegram = Telegram()
    discord: Discord = Discord()
    pagerduty: PagerDuty = PagerDuty()
    ntfy: Ntfy = Ntfy()
    webhook: Webhook = Webhook()
    apprise: Apprise = Apprise()
    console: Console = Console()
    oncall: Oncall = Oncall()
    quiet: Quiet = Quiet()
    deadman: Deadman = Deadman()
    health: Health = Health()
    metrics: Metrics = Metrics()
    logging: Logging = Logging()
    apis: dict[str, Api] = {}
    bots: dict[str, Bot] = {}
    triggers: dict[str, Trigger] = {}
    escalation: dict[str, Rung] = {}
    maintenance: dict[str, Window] = {}
    templates: dict[str, Template] = {}

    @property
    def channels(self) -> list[str]:
        """The enabled channels, always in the order of `CHANNELS`."""
        return [name for name in CHANNELS if getattr(self, name).enabled]

    def bot(self, name: str) -> Bot:
        """One bot's settings with every default filled in; also for a bot no setting mentions."""
        own = self.bots.get(name) or Bot(currency=self.currency)
        defaults = {
            "starting_equity": self.starting_equity,
            **msgspec.structs.asdict(self.thresholds(name)),
        }
        unset = {key: value for key, value in defaults.items() if getattr(own, key) is None}
        return msgspec.structs.replace(own, **unset)

    def thresholds(self, name: str) -> Thresholds:
        """One bot's alert thresholds: its own where set, else those of `[alerts]`."""
        own = self.bots.get(name)
        values = {}
        for key in Thresholds.__struct_fields__:
            override = getattr(own, key, None)
            values[key] = getattr(self.alerts, key) if override is None else override
        return Thresholds(**values)


SECTIONS: dict[str, type[Struct]] = {
    "server": Server,
    "storage": Storage,
    "auth": Auth,
    "alerts": Alerts,
    "routes": Routes,
    "slack": Slack,
    "email": Email,
    "telegram": Telegram,
    "discord": Discord,
    "pagerduty": PagerDuty,
    "ntfy": Ntfy,
    "webhook": Webhook,
    "apprise": Apprise,
    "console": Console,
    "oncall": Oncall,
    "quiet": Quiet,
    "deadman": Deadman,
    "health": Health,
    "metrics": Metrics,
    "logging": Logging,
}
ITEMS: dict[str, type[Struct]] = {
    "bots": Bot,
    "apis": Api,
    "triggers": Trigger,
    "escalation": Rung,
    "maintenance": Window,
    "templates": Template,
}

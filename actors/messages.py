"""The shared vocabulary: every typed message that actors, the wire and the page exchange.

Money is `Decimal` (encoded as a decimal string), ratios are floats (fractions of one, never
percent), instants are timezone-aware UTC datetimes. A figure that is undefined is None and
its reason stands in `undefined`; NaN and infinity never enter (`actors.ingest` refuses them).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

# `$` alone would let a line feed pass behind the name.
BotName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}(?!\n)$")]
EventId = Annotated[str, Meta(min_length=1, max_length=128)] | int
Instant = Annotated[datetime, Meta(tz=True)]
Short = Annotated[str, Meta(max_length=256)]
Text = Annotated[str, Meta(max_length=2_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]

# ---------------------------------------------------------------- events in


class _Wire(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="type"):
    """An event; an unknown field is refused: a misspelt `currency` would count as the bot's own."""


class Trade(_Wire, frozen=True, tag="trade"):
    """A closed trade. `pnl` is net and realised; `revision` > 0 corrects the same id.

    `risk` is what was at stake, entry to stop, in its currency: P&L / risk is the R multiple.
    """

    bot: BotName
    id: EventId
    symbol: Annotated[str, Meta(min_length=1, max_length=64)]
    side: Literal["long", "short"]
    quantity: Decimal
    opened_at: Instant
    pnl: Decimal
    at: Instant | None = None
    closed_at: Instant | None = None
    fee: Decimal = Decimal(0)
    currency: Annotated[str, Meta(min_length=1, max_length=16)] | None = None
    revision: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    risk: Decimal | None = None


class Equity(_Wire, frozen=True, tag="equity"):
    """The account's value, unrealised profit included."""

    bot: BotName
    at: Instant
    equity: Decimal


class Flow(_Wire, frozen=True, tag="flow"):
    """A deposit (> 0) or withdrawal (< 0): moves the base, never the profit."""

    bot: BotName
    at: Instant
    id: EventId
    amount: Decimal


class Positions(_Wire, frozen=True, tag="positions"):
    """How many positions are open, of how many allowed (0: no limit known)."""

    bot: BotName
    at: Instant
    open: Count
    limit: Count = 0


class PositionRejected(_Wire, frozen=True, tag="position_rejected"):
    """An order that the position limit refused."""

    bot: BotName
    at: Instant
    id: EventId
    reason: Text


class KillSwitch(_Wire, frozen=True, tag="kill_switch"):
    """The bot's kill switch was switched on or off."""

    bot: BotName
    at: Instant
    active: bool
    reason: Text = ""


class CircuitBreaker(_Wire, frozen=True, tag="circuit_breaker"):
    """The bot's circuit breaker opened (tripped) or closed; `until` when it closes by itself."""

    bot: BotName
    at: Instant
    open: bool
    reason: Text = ""
    until: Instant | None = None


class ApiError(_Wire, frozen=True, tag="api_error"):
    """One failed call of the bot to its exchange."""

    bot: BotName
    at: Instant
    message: Text
    id: EventId | None = None


class Heartbeat(_Wire, frozen=True, tag="heartbeat"):
    """The bot is alive. Kept as the latest only, never journaled."""

    bot: BotName
    at: Instant
    state: Short = ""


Event = (
    Trade
    | Equity
    | Flow
    | Positions
    | PositionRejected
    | KillSwitch
    | CircuitBreaker
    | ApiError
    | Heartbeat
)
EVENT_TYPES: dict[str, type[Event]] = {
    str(kind.__struct_config__.tag): kind for kind in get_args(Event)
}


class Recorded(Struct, frozen=True):
    """A journaled event on its way to metrics and health.

    `seq` is its place in the journal, `after` the seq that this reader was told before it: a
    reader that stands elsewhere knows what became of the ones between. `arrived`: unix seconds.
    """

    seq: int
    event: Event
    after: int = 0
    arrived: float = 0.0


class RecordedRun(Struct, frozen=True):
    """Several journaled events at once: the first has `seq`, each other the next one."""

    seq: int
    events: list[Event]
    after: int = 0
    arrived: float = 0.0


# ---------------------------------------------------------------- figures


class Ratios(Struct, frozen=True):
    """The ratios over one window; definitions in docs/metrics.md."""

    trades: int
    win_rate: float | None
    sharpe: float | None
    sharpe_stderr: float | None
    sortino: float | None
    calmar: float | None
    profit_factor: float | None
    expectancy: Decimal | None
    sqn: float | None
    max_drawdown: float | None


class Metrics(Struct, frozen=True):
    """Every figure of one bot (or of one currency's portfolio) at one instant.

    Drawdowns are positive fractions of the peak, `*_abs` and money are in `currency`.
    `streak` is positive for wins, negative for losses. `undefined` maps a field to why it is None.
    """

    at: datetime
    currency: str
    trades: int
    wins: int
    losses: int
    draws: int
    win_rate: float | None
    pnl_total: Decimal
    pnl_today: Decimal
    pnl_week: Decimal
    fees_total: Decimal
    equity: Decimal | None
    peak_equity: Decimal | None
    drawdown: float | None
    drawdown_today: float | None
    drawdown_week: float | None
    max_drawdown: float | None
    max_drawdown_abs: Decimal | None
    sharpe: float | None
    sharpe_stderr: float | None
    sortino: float | None
    calmar: float | None
    cagr: float | None
    profit_factor: float | None
    expectancy: Decimal | None
    sqn: float | None
    avg_win: Decimal | None
    avg_loss: Decimal | None
    streak: int
    longest_win_streak: int
    longest_loss_streak: int
    days: int
    rolling: Ratios
    undefined: dict[str, str]


class Family(Struct, frozen=True):
    """One account's figures by another project's definitions; see docs/metrics.md.

    `source` names the project, its version and files; `periods` its periods a year; `trades` and
    `days` are the sample. `figures` bear that project's signs (drawdowns may be negative) and its
    names; `undefined` maps a figure to why it is None.
    """

    source: str
    periods: int
    trades: int
    days: int
    figures: dict[str, float | None]
    undefined: dict[str, str]


class Risk(Struct, frozen=True):
    """The few figures that alert triggers need after each single event; cheap to compute."""

    trades: int
    streak: int
    pnl_total: Decimal
    pnl_today: Decimal
    equity: Decimal | None
    peak_equity: Decimal | None
    drawdown: float | None
    drawdown_today: float | None
    drawdown_week: float | None


class RiskUpdate(Struct, frozen=True):
    """metrics -> alerts, one for each journaled trade, equity or flow, and one at a day's turn.

    `seq` is the journal seq that caused it, 0 when the clock did.
    """

    bot: str
    seq: int
    at: datetime
    currency: str
    risk: Risk


class MetricsUpdate(Struct, frozen=True):
    """metrics -> broadcaster: the bots that changed, and the portfolios of their currencies.

    It holds no others, so none replaces another. To whoever asks: those that were asked for.
    """

    at: datetime
    bots: dict[str, Metrics]
    portfolio: dict[str, Metrics]


class Refresh(Struct, frozen=True):
    """alerts -> metrics and health: tell everything again, I have forgotten it."""


class EquityPoint(Struct, frozen=True, array_like=True):
    """One point of the page's chart: unix seconds, equity, drawdown (fraction)."""

    t: float
    equity: float
    drawdown: float


class EquitySeries(Struct, frozen=True):
    """A bot's chart, oldest first, downsampled to at most 500 points with its extremes kept."""

    bot: str
    points: list[EquityPoint]


# ---------------------------------------------------------------- health

Level = Literal["HEALTHY", "DEGRADED", "CRITICAL"]


class KillSwitchState(Struct, frozen=True):
    """Kill switch: since when so, and why; `out_of_order`: its stamp is earlier than the last."""

    active: bool = False
    reason: str = ""
    since: datetime | None = None
    out_of_order: bool = False


class BreakerState(Struct, frozen=True):
    """Circuit breaker: open means tripped; `until` by our clock, the others as KillSwitchState."""

    open: bool = False
    reason: str = ""
    since: datetime | None = None
    until: datetime | None = None
    out_of_order: bool = False


class PositionState(Struct, frozen=True):
    """Open positions of the limit; `open` is None where the bot never said, at `reported_at`.

    `utilization` is open / limit, None where one of the two is not known.
    """

    open: int | None = None
    limit: int = 0
    utilization: float | None = None
    last_rejection: str = ""
    last_rejection_at: datetime | None = None
    reported_at: datetime | None = None


class BotHealth(Struct, frozen=True):
    """One bot's safety controls and signs of life."""

    level: Level
    reasons: list[str]
    kill_switch: KillSwitchState
    circuit_breaker: BreakerState
    positions: PositionState
    last_seen: datetime | None
    silent: bool
    state: str
    api_errors_per_minute: int


class ApiHealth(Struct, frozen=True):
    """The last ping of one exchange API. `latency_ms` is None while disconnected."""

    connected: bool | None
    latency_ms: float | None
    checked_at: datetime | None
    detail: str = ""
    failures: int = 0


class Health(Struct, frozen=True):
    """Everything that `GET /api/v1/health/status` answers."""

    at: datetime
    level: Level
    reasons: list[str]
    bots: dict[str, BotHealth]
    apis: dict[str, ApiHealth]


class Pinged(Struct, frozen=True):
    """pinger -> health: the outcome of one ping."""

    api: str
    at: datetime
    connected: bool
    latency_ms: float | None
    detail: str = ""


class Seen(Struct, frozen=True):
    """ingest -> health: a sign of life (not journaled).

    `regular` marks a heartbeat that comes by the clock: only a bot that has sent one can be
    called silent. A freqtrade webhook comes when something happens, and proves nothing later.
    """

    bot: str
    at: datetime
    state: str = ""
    regular: bool = True


class HealthUpdate(Struct, frozen=True):
    """health -> alerts and broadcaster. `bot` is whose event caused it; `seq` as in RiskUpdate.

    `rejected` carries a position rejection, which is an event rather than a state.
    """

    bot: str
    seq: int
    health: Health
    rejected: str = ""


# ---------------------------------------------------------------- alerts

Severity = Literal["info", "warning", "critical"]
AlertState = Literal["open", "acknowledged", "resolved"]
DeliveryState = Literal["queued", "inflight", "delivered", "parked", "held"]
NoticeKind = Literal["fired", "resolved", "digest", "reminder", "acknowledged", "test"]


class Notice(Struct, frozen=True):
    """What one channel sends: everything a trader needs, channel-neutral and unescaped.

    `id` is the same over retries and restarts; `latest` is the newest one told within it, or "".
    `facts` are (label, value) pairs in reading order, `value` is its alert's figure: the greater,
    the worse. `suppressed` were counted within `span_s` seconds, the worst said `worst`; `fresh`:
    it tells one not among those. `remarks` say why it comes. `over`: it tells begin and end.
    """

    id: str
    alert_id: str
    kind: NoticeKind
    severity: Severity
    bot: str
    title: str
    text: str
    at: datetime
    facts: list[tuple[str, str]] = []
    suppressed: int = 0
    held: int = 0
    url: str = ""
    span_s: float = 0.0
    worst: str = ""
    trigger: str = ""
    remarks: list[str] = []
    over: bool = False
    fresh: bool = True
    value: float | None = None
    latest: str = ""


class Delivery(Struct, frozen=True):
    """One notice on one channel. `detail` is the last answer or error, redacted."""

    channel: str
    kind: NoticeKind
    state: DeliveryState
    attempts: int
    detail: str = ""
    updated: datetime | None = None
    due: datetime | None = None


class Alert(Struct, frozen=True):
    """An alert as history shows it. `id` is short and the same in every message about it.

    `silenced` is why its last message went to nobody: a silence's reason; empty where it went.
    """

    id: str
    trigger: str
    severity: Severity
    bot: str
    title: str
    text: str
    state: AlertState
    opened: datetime
    closed: datetime | None = None
    value: float | None = None
    threshold: float | None = None
    suppressed: int = 0
    updated: datetime | None = None
    facts: list[tuple[str, str]] = []
    deliveries: list[Delivery] = []
    silenced: str = ""


class AlertChanged(Struct, frozen=True):
    """alerts and senders -> broadcaster: `new` is true when it was just triggered."""

    alert: Alert
    new: bool


class Wake(Struct, frozen=True):
    """There may be work in the table; carries nothing, so it may be lost or repeated."""


class SendTest(Struct, frozen=True):
    """api -> sender, asked: send this through the real sender and its breaker."""

    notice: Notice


class TestResult(Struct, frozen=True):
    """The provider's own answer to a test notice."""

    __test__ = False  # not a pytest class
    ok: bool
    detail: str
    ms: float

"""Health, decided purely: what a bot's last known facts amount to.

CRITICAL: the kill switch is on, or a bot that sent heartbeats fell silent. DEGRADED: the circuit
breaker is open, the position limit is reached, the exchange is unreachable or answers errors.
The plan fixes the first of each; the others follow what its owner must do: act now, or look soon.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from actors.health.order import CLOSE_S, Order, Stamp, after, is_earlier
from actors.messages import (
    ApiError,
    ApiHealth,
    BotHealth,
    BreakerState,
    CircuitBreaker,
    Event,
    Health,
    KillSwitch,
    KillSwitchState,
    Level,
    Pinged,
    PositionRejected,
    Positions,
    PositionState,
    Seen,
)

ERRORS_KEPT = 200
MINUTE = timedelta(minutes=1)
GRACE = 0.25  # of the time after which a bot is silent, that it has at least when we are back
LAST_WORDS = frozenset({"process died"})  # freqtrade's at every exit; "running" follows a restart
RANK: dict[Level, int] = {"HEALTHY": 0, "DEGRADED": 1, "CRITICAL": 2}


class Rules(msgspec.Struct, frozen=True):
    """What one bot is judged by."""

    silent_after_s: float = 120.0
    api_errors_per_minute: int = 3
    positions_limit: int = 0


class Facts(msgspec.Struct, frozen=True):
    """The last known facts of one bot. `regular`: it has sent heartbeats, so silence means.

    `..._order` is the order in which each control was told of, `errors` when each API error was.
    `heard_s`: how long we had listened when it was last heard, or its silence last counted anew;
    `quiet_s`: how long it had been listened to in vain by then; `spared_s`: what of that it was
    spared. `last_seen` is a stamp for people: the clock that gave it may have been set since.
    """

    kill_switch: KillSwitchState = KillSwitchState()
    circuit_breaker: BreakerState = BreakerState()
    positions: PositionState = PositionState()
    last_seen: datetime | None = None
    regular: bool = False
    state: str = ""
    errors: tuple[Stamp, ...] = ()
    heard_s: float = 0.0
    quiet_s: float = 0.0
    spared_s: float = 0.0
    switch_order: Order | None = None
    breaker_order: Order | None = None
    positions_order: Order | None = None


def applied(facts: Facts, event: Event, arrived: datetime) -> Facts:
    """Return the facts after an event that came then. `order` decides whether it counts."""
    told = Stamp(event.at or arrived, arrived)
    if isinstance(event, KillSwitch):
        return _switched(facts, event, told)
    if isinstance(event, CircuitBreaker):
        return _tripped(facts, event, told)
    if isinstance(event, Positions):
        return _counted(facts, event, told)
    if isinstance(event, PositionRejected):
        rejected = replace(facts.positions, last_rejection=event.reason, last_rejection_at=event.at)
        return replace(facts, positions=rejected)
    if isinstance(event, ApiError):
        return replace(facts, errors=(*facts.errors, told)[-ERRORS_KEPT:])
    return facts


def _switched(facts: Facts, event: KillSwitch, told: Stamp) -> Facts:
    known, on = facts.switch_order, facts.kill_switch.active
    order = after(known, told, event.reason, danger=event.active, endangered=on)
    if order is None:
        return facts
    odd = known is not None and is_earlier(known, told)
    state = KillSwitchState(event.active, event.reason, event.at, odd)
    return replace(facts, kill_switch=state, switch_order=order)


def _tripped(facts: Facts, event: CircuitBreaker, told: Stamp) -> Facts:
    known, before = facts.breaker_order, expired(facts.circuit_breaker, told.arrived)
    order = after(known, told, event.reason, danger=event.open, endangered=before.open)
    if order is None:
        return facts
    until = _until(event, told)
    if order.stands is not told and until is not None:  # what stood holds as well
        until = max(until, before.until) if before.until is not None else None
    odd = known is not None and is_earlier(known, told)
    state = BreakerState(event.open, event.reason, event.at, until, odd)
    return replace(facts, circuit_breaker=state, breaker_order=order)


def _until(event: CircuitBreaker, told: Stamp) -> datetime | None:
    """Return when a breaker closes by our clock: of one told late, its whole time counts from then.

    Its sender's clock may be behind, and its end, too. An end that is none (not after its stamp)
    would hide it, so none is known then.
    """
    if event.until is None or event.until <= told.at:
        return None
    if told.lag_s <= CLOSE_S:
        return event.until
    try:
        return event.until + timedelta(seconds=told.lag_s)
    except OverflowError:  # "never" is told as the last day that there is
        return event.until


def _counted(facts: Facts, event: Positions, told: Stamp) -> Facts:
    """More positions are the danger, fewer the all-clear; so are as many, which tell of a clock."""
    known = facts.positions
    fuller = known.open is None or _fullness(event.open, event.limit) >= _fullness(
        known.open, known.limit
    )
    said = f"{event.open} of {event.limit}"
    order = after(facts.positions_order, told, said, danger=fuller, endangered=True)
    if order is None:
        return facts
    reported = replace(known, open=event.open, limit=event.limit, reported_at=event.at)
    return replace(facts, positions=reported, positions_order=order)


def _fullness(open_: int, limit: int) -> tuple[bool, int]:
    return bool(limit) and open_ >= limit, open_


def seen(facts: Facts, sign: Seen, listened_s: float) -> Facts:
    """Return the facts after a sign of life; the last to come counts, whatever its stamp."""
    return replace(
        facts,
        last_seen=sign.at,
        regular=facts.regular or sign.regular,
        state=sign.state or facts.state,
        heard_s=listened_s,
        quiet_s=0.0,
        spared_s=0.0,
    )


def knows(facts: Facts, sign: Seen) -> bool:
    """Say whether a sign of life tells nothing that the facts do not hold."""
    told = sign.state in ("", facts.state) and facts.regular >= sign.regular
    return facts.last_seen == sign.at and told


def expired(breaker: BreakerState, now: datetime) -> BreakerState:
    """Return a breaker as it is by now: closed where its time is over."""
    if breaker.open and breaker.until is not None and now >= breaker.until:
        return BreakerState(open=False, reason="its time is over", since=breaker.until)
    return breaker


def expects(facts: Facts) -> bool:
    """Say whether the bot is to be heard of, so that its silence means something."""
    return facts.regular or facts.state in LAST_WORDS


def quiet_s(facts: Facts, listened_s: float) -> float:
    """Return for how many seconds we have listened to a bot in vain, over our own restarts.

    While we were down, stopped or asleep nothing could be heard, so that does not count.
    """
    return facts.quiet_s + (listened_s - facts.heard_s)


def resumed(facts: Facts, rules: Rules, listened_s: float) -> Facts:
    """Return the facts once we listen again, after a start or a gap.

    A bot that was not silent yet has a quarter of its time at least: a sign of life may have met no
    listener. In one silence it is spared its whole time at most, however often we are away.
    """
    limit_s, unheard_s = rules.silent_after_s, quiet_s(facts, listened_s)
    spared_s = min(unheard_s - limit_s * (1 - GRACE), limit_s - facts.spared_s)
    if unheard_s > limit_s or spared_s <= 0:
        return facts
    return replace(
        facts,
        heard_s=listened_s,
        quiet_s=unheard_s - spared_s,
        spared_s=facts.spared_s + spared_s,
    )


def judged(facts: Facts, rules: Rules, now: datetime, listened_s: float) -> BotHealth:
    """Return a bot's level and its reasons. It is not silent before we could have heard it."""
    positions = _of_limit(facts.positions, rules.positions_limit)
    unheard_s = quiet_s(facts, listened_s)
    silent = expects(facts) and unheard_s > rules.silent_after_s
    errors = _errors_within_a_minute(facts.errors, now)
    breaker = expired(facts.circuit_breaker, now)
    reasons: list[tuple[Level, str]] = []
    if facts.kill_switch.active:
        reasons.append(("CRITICAL", _because("kill switch on", facts.kill_switch.reason)))
    if silent:
        reasons.append(("CRITICAL", f"silent for {unheard_s:.0f} s"))
    if breaker.open:
        reasons.append(("DEGRADED", _because("circuit breaker open", breaker.reason)))
    if positions.utilization is not None and positions.utilization >= 1:
        of = f"{positions.open} of {positions.limit}"
        reasons.append(("DEGRADED", f"position limit reached ({of})"))
    if errors > rules.api_errors_per_minute:
        reasons.append(("DEGRADED", f"{errors} API errors within a minute"))
    return BotHealth(
        level=_worst([level for level, _ in reasons]),
        reasons=[text for _, text in reasons],
        kill_switch=facts.kill_switch,
        circuit_breaker=breaker,
        positions=positions,
        last_seen=facts.last_seen,
        silent=silent,
        state=facts.state,
        api_errors_per_minute=errors,
    )


def _errors_within_a_minute(errors: tuple[Stamp, ...], now: datetime) -> int:
    """Count the API errors that came within the last minute, and were stamped within one.

    So a backlog of an hour is no rush, and a clock that is wrong hides none.
    """
    recent = sorted(e.at for e in errors if now - MINUTE < e.arrived <= now + MINUTE)
    return max((bisect_left(recent, at + MINUTE) - n for n, at in enumerate(recent)), default=0)


def _of_limit(positions: PositionState, own: int) -> PositionState:
    """Return the positions with the bot's limit, or our own, and how much of it is used."""
    limit = positions.limit or own
    used = positions.open / limit if limit and positions.open is not None else None
    return replace(positions, limit=limit, utilization=used)


def pinged(known: ApiHealth, ping: Pinged) -> ApiHealth:
    """Return an API's state after a ping."""
    return ApiHealth(
        connected=ping.connected,
        latency_ms=ping.latency_ms if ping.connected else None,
        checked_at=ping.at,
        detail=ping.detail,
        failures=0 if ping.connected else known.failures + 1,
    )


def overall(at: datetime, bots: Mapping[str, BotHealth], apis: Mapping[str, ApiHealth]) -> Health:
    """Return the whole: the worst level, with each reason and whose it is."""
    levels: list[Level] = [bot.level for bot in bots.values()]
    reasons = [f"{name}: {reason}" for name, bot in bots.items() for reason in bot.reasons]
    for name, api in apis.items():
        if api.connected is False:
            levels.append("DEGRADED")
            reasons.append(_because(f"{name}: API disconnected", api.detail))
    return Health(at, _worst(levels), reasons, dict(bots), dict(apis))


def _because(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what


def _worst(levels: list[Level]) -> Level:
    worst: Level = "HEALTHY"
    for level in levels:
        if RANK[level] > RANK[worst]:
            worst = level
    return worst

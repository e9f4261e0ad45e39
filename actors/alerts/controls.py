"""Controls, decided purely: what the health of bots and exchanges amounts to, as findings.

Of a bot: its kill switch, circuit breaker, silence, API errors, limit of positions, and the orders
that it rejects. Of an exchange: whether its API answers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from actors.alerts.facts import SINCE, instant, open_positions, places
from actors.alerts.triggers import KEYS_KEPT, Finding, Limits, key_of
from actors.messages import (
    ApiHealth,
    BotHealth,
    BreakerState,
    HealthUpdate,
    KillSwitchState,
    PositionState,
)

CONTROLS = ("kill_switch", "circuit_breaker", "silent", "api_errors", "position_limit")
PING_FAILURES = 2  # one lost ping is a blip on the page, two in a row are an alert
ORDER = "Order"
EARLIER = "stamped before what was told last: late, or the bot's clock was set back"

Facts = list[tuple[str, str]]


def is_well(health: BotHealth, limits: Limits) -> bool:
    """Say whether no control of a bot is wrong, without a word of text."""
    return not (
        health.kill_switch.active
        or health.circuit_breaker.open
        or health.silent
        or health.api_errors_per_minute > limits.api_errors_per_minute
        or _full(health.positions)
    )


def _full(positions: PositionState) -> bool:
    return bool(positions.limit) and (positions.open or 0) >= positions.limit


@functools.lru_cache(maxsize=KEYS_KEPT)
def control_keys(bot: str) -> tuple[str, ...]:
    """Return the debounce's keys of a bot's controls."""
    return tuple(key_of(trigger, bot) for trigger in CONTROLS)


def of_health(
    update: HealthUpdate,
    limits: Callable[[str], Limits],
    held: Callable[[Iterable[str]], bool] = lambda _keys: True,
) -> list[Finding]:
    """Return the findings of all bots' controls and all APIs, and of a rejected order.

    None of a bot that is well, unless one of the keys was `held` before.
    """
    found: list[Finding] = []
    for bot, health in update.health.bots.items():
        bounds = limits(bot)
        if not is_well(health, bounds) or held(control_keys(bot)):
            found += _controls(bot, health, bounds)
    found += [_api(name, api) for name, api in update.health.apis.items()]
    if update.rejected:
        found.append(_rejected(update))
    return found


def _controls(bot: str, health: BotHealth, limits: Limits) -> list[Finding]:
    """Return a finding of each of `CONTROLS`, in that order."""
    positions = open_positions(health.positions)
    return [
        _kill_switch(bot, health.kill_switch, positions),
        _circuit_breaker(bot, health.circuit_breaker, positions),
        _silent(bot, health, limits.silent_after_s, positions),
        _api_errors(bot, health.api_errors_per_minute, limits.api_errors_per_minute, positions),
        _position_limit(bot, health.positions),
    ]


def _kill_switch(bot: str, switch: KillSwitchState, positions: Facts) -> Finding:
    return Finding(
        trigger="kill_switch",
        bot=bot,
        band=int(switch.active),
        severity="critical",
        title="Kill switch on",
        text=switch.reason or "The kill switch was activated.",
        facts=[*_since(switch), *positions],
        transition=True,
        cleared="The kill switch is off.",
    )


def _circuit_breaker(bot: str, breaker: BreakerState, positions: Facts) -> Finding:
    until = [("Until", instant(breaker.until))] if breaker.open and breaker.until else []
    return Finding(
        trigger="circuit_breaker",
        bot=bot,
        band=int(breaker.open),
        severity="critical",
        title="Circuit breaker open",
        text=breaker.reason or "The circuit breaker tripped.",
        facts=[*_since(breaker), *until, *positions],
        transition=True,
        cleared="The circuit breaker is closed.",
    )


def _silent(bot: str, health: BotHealth, after_s: float, positions: Facts) -> Finding:
    return Finding(
        trigger="silent",
        bot=bot,
        band=int(health.silent),
        severity="critical",
        title="Bot silent",
        text=f"No sign of life for more than {after_s:.0f} s.",
        threshold=after_s,
        facts=[*positions, ("Last seen", instant(health.last_seen))],
        cleared="The bot is heard again.",
    )


def _api_errors(bot: str, errors: int, limit: int, positions: Facts) -> Finding:
    return Finding(
        trigger="api_errors",
        bot=bot,
        band=int(errors > limit),
        severity="warning",
        title=f"{errors} API errors within a minute",
        text=f"{errors} API errors within a minute, the limit is {limit}.",
        value=float(errors),
        threshold=float(limit),
        facts=[("API errors", str(errors)), ("Limit", str(limit)), *positions],
        cleared=f"Now {errors} API errors within a minute.",
    )


def _position_limit(bot: str, positions: PositionState) -> Finding:
    open_ = places(positions) or "an unknown number of"
    return Finding(
        trigger="position_limit",
        bot=bot,
        band=int(_full(positions)),
        severity="warning",
        title="Position limit reached",
        text=f"{open_} positions are open.",
        value=float(positions.open) if positions.open is not None else None,
        threshold=float(positions.limit) if positions.limit else None,
        facts=open_positions(positions),
        cleared=f"Now {open_} positions are open.",
    )


def _since(control: KillSwitchState | BreakerState) -> Facts:
    """Return since when a control is as it is; of one that is calm that would be its end."""
    holds = control.active if isinstance(control, KillSwitchState) else control.open
    if not holds or control.since is None:
        return []
    since = [(SINCE, instant(control.since))]
    return [*since, (ORDER, EARLIER)] if control.out_of_order else since


def _api(name: str, api: ApiHealth) -> Finding:
    return Finding(
        trigger="exchange_unreachable",
        bot="",
        subject=name,
        band=int(api.failures >= PING_FAILURES),
        severity="warning",
        title=f"Exchange {name} unreachable",
        text=f"The exchange's API does not answer: {api.detail or 'no detail'}.",
        value=float(api.failures),
        threshold=float(PING_FAILURES),
        facts=[
            ("Failed in a row", str(api.failures)),
            ("Last ping", instant(api.checked_at)),
        ],
        steady=True,
        cleared="The exchange's API answers again.",
    )


def _rejected(update: HealthUpdate) -> Finding:
    return Finding(
        trigger="position_rejected",
        bot=update.bot,
        band=1,
        severity="warning",
        title="Order rejected by the position limit",
        text=update.rejected,
        once=True,
    )

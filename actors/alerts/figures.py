"""The figures that a condition may name: every number and switch of a bot's metrics and health.

Names are those of `Metrics`; the rolling window's begin with `rolling_`. Where a bot's metrics or
health were not heard yet, its figures are missing; where one is undefined, it is None.
"""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

from actors.alerts.conditions import Kind, Value
from actors.messages import BotHealth, Metrics, Ratios, Risk

ROLLING = "rolling_"
SWITCHES = ("kill_switch_active", "breaker_open", "silent")
HEALTH = (
    *SWITCHES,
    "positions_open",
    "positions_limit",
    "positions_utilization",
    "api_errors_per_minute",
)


def _numbers(struct: type[Any]) -> tuple[str, ...]:
    numbers = []
    for name, hint in get_type_hints(struct).items():
        kinds = {part.__name__ for part in get_args(hint) or (hint,)}
        if kinds <= {"int", "float", "Decimal", "NoneType"}:
            numbers.append(name)
    return tuple(numbers)


RISK = (*_numbers(Risk), "losses_in_a_row")
RATIOS = _numbers(Ratios)
METRICS = tuple(name for name in _numbers(Metrics) if name not in RISK)
BEYOND_RISK = (*METRICS, *(ROLLING + name for name in RATIOS))
NO_METRICS: dict[str, Value] = dict.fromkeys((*RISK, *BEYOND_RISK))
NAMES = (*RISK, *BEYOND_RISK, *HEALTH)
KINDS: dict[str, Kind] = {
    name: "true or false" if name in SWITCHES else "a number" for name in NAMES
}


def of_risk(risk: Risk | Metrics) -> dict[str, Value]:
    """Return the figures that are told after each single event."""
    figures: dict[str, Value] = {name: getattr(risk, name) for name in RISK[:-1]}
    figures["losses_in_a_row"] = max(0, -risk.streak)
    return figures


def of_metrics(metrics: Metrics) -> dict[str, Value]:
    """Return every figure of a bot's metrics."""
    figures = of_risk(metrics)
    figures |= {name: getattr(metrics, name) for name in METRICS}
    return figures | {ROLLING + name: getattr(metrics.rolling, name) for name in RATIOS}


def of_health(health: BotHealth | None) -> dict[str, Value]:
    """Return the figures of a bot's health; None stands for one that never told anything."""
    if health is None:
        return _NEVER_TOLD
    places = health.positions
    return {
        "kill_switch_active": health.kill_switch.active,
        "breaker_open": health.circuit_breaker.open,
        "silent": health.silent,
        "positions_open": places.open,
        "positions_limit": places.limit or None,
        "positions_utilization": places.utilization,
        "api_errors_per_minute": health.api_errors_per_minute,
    }


_NEVER_TOLD: dict[str, Value] = {
    "kill_switch_active": False,
    "breaker_open": False,
    "silent": False,
    "positions_open": None,
    "positions_limit": None,
    "positions_utilization": None,
    "api_errors_per_minute": 0,
}


def shown(value: Value) -> str:
    """Return a figure as a message shows it."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = f"{value:f}" if not isinstance(value, int) else str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text

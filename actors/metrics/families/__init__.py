"""Parity families: other projects' figures, computed as those projects compute them.

They stand beside the default figures and never replace them. Each is a pure function of a Record;
what a project gives as infinity or NaN is shown as None with its reason, other oddities (-100, 0)
as they are there. Of an account whose equity was not positive, those that are measured on daily
returns have no figure at all: to leave out the days that have none would leave out the ruin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Final

import numpy as np

from actors.messages import Family
from actors.metrics.families import empyrical, freqtrade, nautilus, quantstats
from actors.metrics.families.record import Record
from actors.metrics.figures import NO_STARTING_EQUITY, NO_TRADES, NOT_POSITIVE

FAMILIES: Final[dict[str, ModuleType]] = {
    "freqtrade": freqtrade,
    "empyrical": empyrical,
    "quantstats": quantstats,
    "nautilus": nautilus,
}
OF_DAYS: Final = frozenset({"empyrical", "quantstats"})  # measured on daily returns alone
ALL: Final = "all"


def chosen(text: str) -> tuple[str, ...]:
    """The definitions that a request names, comma-separated or `all`, each once, in its order.

    Raises ValueError naming `definition` for an unknown one.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in FAMILIES and name != ALL:
            known = ", ".join(FAMILIES)
            raise ValueError(f"definition: {name[:40]!r} is none of {known} or {ALL}")
    return tuple(FAMILIES) if ALL in names else names


def family(definition: str, record: Record) -> Family:
    """The figures of one definition; KeyError for an unknown one."""
    module = FAMILIES[definition]
    compute: Callable[[Record], dict[str, float]] = module.figures
    with np.errstate(all="ignore"):
        raw = compute(record) if len(record.pnl) else {}
    if definition in OF_DAYS and np.isnan(record.days).any():
        raw = dict.fromkeys(raw, math.nan)
    found: dict[str, float | None] = {}
    undefined: dict[str, str] = {} if raw else {"figures": NO_TRADES}
    for name, value in raw.items():
        found[name] = value + 0.0 if math.isfinite(value) else None  # -0.0 is 0
        if found[name] is None:
            of_pnl = definition == "nautilus" and name in nautilus.OF_PNL
            missing = None if of_pnl else _missing(definition, record)
            undefined[name] = _why(definition, value, missing)
    return Family(
        source=module.SOURCE,
        periods=module.PERIODS,
        trades=len(record.pnl),
        days=len(record.days),
        figures=found,
        undefined=undefined,
    )


def _why(definition: str, value: float, missing: str | None) -> str:
    """Why a figure does not exist; `missing` is what there is not of the equity it needs."""
    if math.isinf(value):
        return f"infinite by {definition}'s definition"
    return missing or f"NaN by {definition}'s definition"


def _missing(definition: str, record: Record) -> str | None:
    """What there is not of the equity that a definition measures by, None: it has all."""
    if record.starting is None:
        return NO_STARTING_EQUITY
    if definition == "nautilus" and np.isnan(record.before).any():
        return NO_STARTING_EQUITY  # of trades before the first reported equity
    if np.isnan(record.days).any() or (definition == "nautilus" and (record.before <= 0).any()):
        return NOT_POSITIVE
    return None

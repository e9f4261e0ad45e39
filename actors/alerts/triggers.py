"""Triggers, decided purely: what the figures of a bot amount to, and our own trouble, as findings.

A finding says whether its condition holds now; whether that is worth a message is `debounce`'s
business. A drawdown or a streak has bands at 1, 2 and 4 times its threshold (5, 10 and 20 %), so
that a worse one is told at once.
"""

from __future__ import annotations

import functools

from msgspec import Struct

from actors.messages import Risk, RiskUpdate, Severity

BANDS = (1, 2, 4)
KEYS_KEPT = 1_024


class Limits(Struct, frozen=True):
    """What one bot's figures are compared with; fractions, counts and seconds."""

    drawdown_day: float = 0.05
    drawdown_week: float = 0.10
    drawdown_total: float = 0.20
    losses_in_a_row: int = 10
    api_errors_per_minute: int = 3
    silent_after_s: float = 120.0


class Finding(Struct, frozen=True):
    """One condition on one subject. `band` grows with badness; 0 means that it does not hold.

    `transition` marks what passes every debounce (kill switch, breaker). `once` marks something
    that happened rather than a state: it never resolves. `own` marks a trigger of the operator's.
    A state that merely still holds is no repeat: it is one where its figure is worse than before,
    unless the figure is `steady` (it grows by time alone), or where it is told `again`.
    """

    trigger: str
    bot: str
    band: int
    severity: Severity
    title: str
    text: str
    value: float | None = None
    threshold: float | None = None
    facts: list[tuple[str, str]] = []
    subject: str = ""
    transition: bool = False
    once: bool = False
    cleared: str = ""
    own: bool = False
    steady: bool = False
    again: bool = False

    @property
    def key(self) -> str:
        """The debounce's key: one for each trigger, bot and subject."""
        return key_of(self.trigger, self.bot, self.subject)


def key_of(trigger: str, bot: str, subject: str = "") -> str:
    """Return the debounce's key of a finding."""
    return f"{trigger}|{bot}|{subject}"


RISKS = ("drawdown_day", "drawdown_week", "drawdown_total", "losses_in_a_row")


def is_calm(risk: Risk, limits: Limits) -> bool:
    """Say whether no finding of `of_risk` would hold, without a word of text."""
    return (
        (risk.drawdown_today is None or risk.drawdown_today < limits.drawdown_day)
        and (risk.drawdown_week is None or risk.drawdown_week < limits.drawdown_week)
        and (risk.drawdown is None or risk.drawdown < limits.drawdown_total)
        and max(0, -risk.streak) < limits.losses_in_a_row
    )


@functools.lru_cache(maxsize=KEYS_KEPT)
def risk_keys(bot: str) -> tuple[str, ...]:
    """Return the debounce's keys of everything that `of_risk` may find for a bot."""
    return tuple(key_of(trigger, bot) for trigger in RISKS)


def of_risk(update: RiskUpdate, limits: Limits) -> list[Finding]:
    """Return the findings of a bot's figures; an undefined figure finds nothing."""
    risk = update.risk
    facts = _account(risk, update.currency)
    found = []
    for trigger, value, threshold, span in (
        ("drawdown_day", risk.drawdown_today, limits.drawdown_day, "today"),
        ("drawdown_week", risk.drawdown_week, limits.drawdown_week, "this week"),
        ("drawdown_total", risk.drawdown, limits.drawdown_total, "from the peak"),
    ):
        if value is not None:
            found.append(
                _drawdown(trigger, update.bot, value, threshold=threshold, span=span, facts=facts)
            )
    found.append(_streak(update.bot, -risk.streak, limits.losses_in_a_row, facts))
    return found


def _drawdown(
    trigger: str,
    bot: str,
    value: float,
    *,
    threshold: float,
    span: str,
    facts: list[tuple[str, str]],
) -> Finding:
    return Finding(
        trigger=trigger,
        bot=bot,
        band=_band(value, threshold),
        severity="critical",
        title=f"Drawdown {value:.2%} {span}",
        text=f"Drawdown {span} is {value:.2%}, the limit is {threshold:.2%}.",
        value=value,
        threshold=threshold,
        facts=[("Drawdown", f"{value:.2%}"), ("Limit", f"{threshold:.2%}"), *facts],
        cleared=f"Drawdown {span} is back at {value:.2%}, below {threshold:.2%}.",
    )


def _streak(bot: str, losses: int, threshold: int, facts: list[tuple[str, str]]) -> Finding:
    losses = max(0, losses)
    return Finding(
        trigger="losses_in_a_row",
        bot=bot,
        band=_band(losses, threshold),
        severity="warning",
        title=f"{losses} losses in a row",
        text=f"{losses} trades lost in a row, the limit is {threshold}.",
        value=float(losses),
        threshold=float(threshold),
        facts=[("Losses in a row", str(losses)), ("Limit", str(threshold)), *facts],
        cleared="The losing streak has ended.",
    )


def _band(value: float, threshold: float) -> int:
    return sum(value >= threshold * times for times in BANDS)


def _account(risk: Risk, currency: str) -> list[tuple[str, str]]:
    facts = [("P&L today", f"{risk.pnl_today:.2f} {currency}")]
    if risk.equity is not None:
        facts.append(("Equity", f"{risk.equity:.2f} {currency}"))
    facts.append(("Trades", str(risk.trades)))
    return facts


class Internal(Struct, frozen=True):
    """Sidewatch's own trouble, told to alerts: an actor gave up, a channel or the storage failed.

    `holds` is false once it is over; `once` marks what only happens.
    """

    trigger: str
    subject: str
    severity: Severity
    title: str
    text: str
    holds: bool = True
    once: bool = False


def of_internal(trouble: Internal) -> Finding:
    """Return the finding of our own trouble."""
    return Finding(
        trigger=trouble.trigger,
        bot="",
        subject=trouble.subject,
        band=int(trouble.holds),
        severity=trouble.severity,
        title=trouble.title,
        text=trouble.text,
        once=trouble.once,
        again=True,
        cleared="It is over." if trouble.holds else trouble.text,
    )

"""What a trader asks next about any alert of a bot: its equity, and what is still open."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from actors.alerts.facts import OPEN_POSITIONS, open_positions
from actors.alerts.triggers import Finding
from actors.messages import BotHealth, HealthUpdate, MetricsUpdate, RiskUpdate

EQUITY = "Equity"


class Accounts:
    """The latest equity and positions of each bot. Pure memory; says nothing it has not heard."""

    def __init__(self) -> None:
        self._equity: dict[str, tuple[Decimal, str]] = {}
        self._health: dict[str, BotHealth] = {}

    def hear(self, update: RiskUpdate | MetricsUpdate | HealthUpdate) -> None:
        """Remember what an update says of the accounts."""
        if isinstance(update, RiskUpdate):
            self._remember(update.bot, update.risk.equity, update.currency)
        elif isinstance(update, HealthUpdate):
            self._health = update.health.bots
        else:
            for bot, metrics in update.bots.items():
                self._remember(bot, metrics.equity, metrics.currency)

    def _remember(self, bot: str, equity: Decimal | None, currency: str) -> None:
        if equity is None:
            self._equity.pop(bot, None)
        else:
            self._equity[bot] = (equity, currency)

    def completed(self, finding: Finding) -> Finding:
        """Return a finding with its bot's account, as it stands now, among its facts."""
        if not finding.bot:
            return finding
        facts = list(finding.facts)
        labels = {label for label, _ in facts}
        if EQUITY not in labels and (known := self._equity.get(finding.bot)) is not None:
            facts.append((EQUITY, f"{known[0]:.2f} {known[1]}"))
        health = self._health.get(finding.bot)
        if OPEN_POSITIONS not in labels and health is not None:
            facts += open_positions(health.positions)
        return replace(finding, facts=facts)

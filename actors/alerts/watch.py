"""The operator's own triggers: keeps what it heard of each bot, and finds what holds of it.

A condition over the figures of `Risk` and health is judged after every single event; one that
names another figure, when metrics tell all of them, as for the page. Nothing is judged by figures
that were not heard yet, so that a restart neither fires nor resolves anything by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from actors.alerts import figures
from actors.alerts.conditions import Condition, Value, reckoning
from actors.alerts.triggers import Finding, key_of
from actors.messages import HealthUpdate, MetricsUpdate, RiskUpdate

WHEN_CHARS = 80
Figures = dict[str, Value]


class Own(Struct, frozen=True):
    """A trigger of the operator's own, for these bots (empty: for every one)."""

    name: str
    condition: Condition
    bots: frozenset[str] = frozenset()
    text: str = ""

    def uses(self, names: Iterable[str]) -> bool:
        """Whether it names any of these figures."""
        return not self.condition.names.isdisjoint(names)


class Watch:
    """What the figures of each bot amount to. Pure memory: no clock, no waiting.

    `held` says whether the finding of a key held before: what does not hold, and did not, is not
    worth its words.
    """

    def __init__(
        self, triggers: Sequence[Own], held: Callable[[str], bool] = lambda _key: True
    ) -> None:
        self._held = held
        self._at_once = [t for t in triggers if not t.uses(figures.BEYOND_RISK)]
        self._later = [t for t in triggers if t.uses(figures.BEYOND_RISK)]
        self._of_risk = [t for t in self._at_once if t.uses(figures.RISK)]
        self._health_at_once = [t for t in self._at_once if t.uses(figures.HEALTH)]
        self._health_later = [t for t in self._later if t.uses(figures.HEALTH)]
        self._risk: dict[str, Figures] = {}
        self._metrics: dict[str, Figures] = {}
        self._health: dict[str, Figures] = {}
        self._metrics_heard = False
        self._health_heard = False

    @property
    def wanted(self) -> bool:
        """Whether there is anything to watch for."""
        return bool(self._at_once or self._later)

    def risk(self, update: RiskUpdate) -> list[Finding]:
        """Hear of a bot's figures after one event."""
        if not self.wanted:
            return []
        self._risk[update.bot] = figures.of_risk(update.risk)
        return self._found(update.bot, self._of_risk, self._risk)

    def metrics(self, update: MetricsUpdate) -> list[Finding]:
        """Hear of every figure of some bots; the first time of all."""
        found: list[Finding] = []
        self._metrics_heard = True
        for bot, metrics in update.bots.items():
            new = bot not in self._risk
            self._metrics[bot] = figures.of_metrics(metrics)
            if new:
                self._risk[bot] = figures.of_risk(metrics)
                found += self._found(bot, self._of_risk, self._risk)
            found += self._found(bot, self._later, self._metrics)
        return found

    def health(self, update: HealthUpdate) -> list[Finding]:
        """Hear of the health of all bots; who is not among them never told anything."""
        found: list[Finding] = []
        if not (self._health_at_once or self._health_later):
            return found
        self._health_heard = True
        for bot in update.health.bots.keys() | self._risk.keys():
            told = figures.of_health(update.health.bots.get(bot))
            if told != self._health.get(bot):
                self._health[bot] = told
                found += self._found(bot, self._health_at_once, self._risk)
                found += self._found(bot, self._health_later, self._metrics)
        return found

    def _found(
        self, bot: str, triggers: Sequence[Own], metrics: Mapping[str, Figures]
    ) -> list[Finding]:
        """Judge triggers by a bot's metrics as they stood at one instant, and its health."""
        found: list[Finding] = []
        if not triggers:
            return found
        known = self._known(bot, metrics)
        with reckoning():
            for own in triggers:
                if (own.bots and bot not in own.bots) or not known.keys() >= own.condition.names:
                    continue
                holds = own.condition.holds(known)
                if holds or self._held(key_of(own.name, bot)):
                    found.append(self._finding(bot, own, known, holds=holds))
        return found

    def _known(self, bot: str, metrics: Mapping[str, Figures]) -> Figures:
        told = metrics.get(bot)
        if told is None:
            told = figures.NO_METRICS if self._metrics_heard else {}
        if not self._health_heard:
            return told
        return told | (self._health.get(bot) or figures.of_health(None))

    def _finding(self, bot: str, own: Own, known: Figures, *, holds: bool) -> Finding:
        condition = own.condition
        used = [(name, figures.shown(known[name])) for name in condition.order]
        when = condition.text
        if len(when) > WHEN_CHARS:
            when = when[: WHEN_CHARS - 3] + "..."
        told = ", ".join(f"{name} {value}" for name, value in used)
        return Finding(
            trigger=own.name,
            bot=bot,
            band=int(holds),
            severity="warning",
            title=f"{own.name.replace('_', ' ').capitalize()}: {when}",
            text=f"{own.text} Now: {told}.".strip(),
            facts=used,
            cleared=f"It no longer holds: {told}.",
            own=True,
        )

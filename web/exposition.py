"""Prometheus' view: the actor tree, the store, health and each bot's main figures."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from actors.health.actor import HealthQuery
from actors.messages import Health, MetricsUpdate
from actors.metrics.queries import MetricsQuery
from runtime.slot import HANDLING_BUCKETS_S
from runtime.status import ActorStatus, SupervisorStatus, SystemStatus
from runtime.store import StoreStats
from web.services import Services

LEVELS = {"HEALTHY": 0, "DEGRADED": 1, "CRITICAL": 2}
FIGURES = ("equity", "pnl_total", "pnl_today", "drawdown", "max_drawdown", "sharpe", "win_rate")
ASK_S = 5.0


async def exposition(services: Services) -> bytes:
    """Return everything in Prometheus' text format."""
    unread = services.unread()  # before the figures are: they may know a little more
    view = _View(
        services.status(),
        services.store.stats(),
        await services.health.ask(HealthQuery(), timeout_s=ASK_S),
        await services.metrics.ask(MetricsQuery(), timeout_s=ASK_S),
        unread,
    )
    registry = CollectorRegistry()
    registry.register(view)
    return generate_latest(registry)


class _View(Collector):
    """One moment, as metric families."""

    def __init__(
        self,
        status: SystemStatus,
        store: StoreStats,
        health: Health,
        metrics: MetricsUpdate,
        unread: int,
    ) -> None:
        self._actors = list(_actors(status.root)) if status.root is not None else []
        self._status = status
        self._store = store
        self._health = health
        self._metrics = metrics
        self._unread = unread

    def collect(self) -> Iterator[Metric]:
        yield from self._counters()
        yield from self._gauges()
        yield self._handling()
        yield from self._whole()
        yield from self._bots()

    def _counters(self) -> Iterator[Metric]:
        for field, what in (
            ("restarts_total", "Restarts"),
            ("handled", "Messages handled"),
            ("crashed", "Crashes"),
            ("quarantined", "Messages in quarantine"),
            ("dead_lettered", "Dead letters"),
        ):
            name = f"sidewatch_actor_{field.removesuffix('_total')}"
            family = CounterMetricFamily(name, what, labels=["actor"])
            for actor in self._actors:
                family.add_metric([actor.name], getattr(actor, field))
            yield family

    def _gauges(self) -> Iterator[Metric]:
        for name, what, value in (
            ("mailbox_depth", "Messages waiting", lambda actor: actor.mailbox),
            ("mailbox_high", "Most messages that ever waited", lambda actor: actor.mailbox_high),
            ("mailbox_capacity", "Messages it holds", lambda actor: actor.mailbox_capacity),
            ("in_hand_seconds", "Age of the message in hand", lambda actor: actor.in_hand_age_s),
            ("actor_up", "1 while it runs", lambda actor: int(actor.state == "running")),
            ("actor_stuck", "1 over its limit", lambda actor: int(actor.state == "stuck")),
        ):
            family = GaugeMetricFamily(f"sidewatch_{name}", what, labels=["actor"])
            for actor in self._actors:
                family.add_metric([actor.name], value(actor))
            yield family

    def _handling(self) -> Metric:
        family = HistogramMetricFamily(
            "sidewatch_handling_seconds", "Time to handle a message", labels=["actor"]
        )
        for actor in self._actors:
            total = 0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*HANDLING_BUCKETS_S, "+Inf"), actor.handling, strict=True):
                total += count
                buckets.append((str(bound), total))
            family.add_metric([actor.name], buckets, sum_value=actor.handling_s)
        return family

    def _whole(self) -> Iterator[Metric]:
        failing = int(bool(self._store.last_error or self._store.broken))
        for name, what, value in (
            ("sidewatch_health_level", "0 healthy, 1 degraded, 2 critical", None),
            ("sidewatch_store_queued", "Writes waiting for the disk", self._store.queued),
            ("sidewatch_store_failing", "1 while writes fail, or the file is broken", failing),
            ("sidewatch_figures_unread", "Journal entries figures have yet to read", self._unread),
            ("sidewatch_zombies", "Tasks that refused to end", self._status.zombies),
            ("sidewatch_loop_blocked", "1 while blocked", int(bool(self._status.blocked))),
        ):
            level = LEVELS[self._health.level] if value is None else value
            yield GaugeMetricFamily(name, what, value=level)
        up = GaugeMetricFamily("sidewatch_api_connected", "1 while connected", labels=["api"])
        for name, api in self._health.apis.items():
            up.add_metric([name], int(bool(api.connected)))
        yield up

    def _bots(self) -> Iterator[Metric]:
        for field in FIGURES:
            family = GaugeMetricFamily(f"sidewatch_bot_{field}", f"Metrics.{field}", labels=["bot"])
            for bot, figures in self._metrics.bots.items():
                value = getattr(figures, field)
                if value is not None:
                    family.add_metric([bot], float(value))
            yield family


def _actors(node: SupervisorStatus) -> Iterator[ActorStatus]:
    for child in node.children:
        if isinstance(child, ActorStatus):
            yield child
        else:
            yield from _actors(child)

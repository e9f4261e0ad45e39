"""What an operator sees of the tree: as text, and in Prometheus."""

from datetime import UTC, datetime

import anyio
import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from actors.messages import Health, MetricsUpdate
from runtime.store import StoreStats
from sidewatch.outline import outline
from tests.unit.supervision.kit import (
    Crash,
    crash,
    poison,
    running,
    supervisor,
    takes,
    worker,
)
from web.exposition import _View

pytestmark = pytest.mark.anyio
AT = datetime(2026, 1, 1, tzinfo=UTC)


def troubled():
    children = [worker("slow", [], stuck_after_s=5), worker("poisoned", []), worker("idle", [])]
    return supervisor(supervisor(*children, id="core", intensity=9, period_s=100.0))


async def trouble(run):
    await run.tell("core/slow", takes(0.05), takes(100), "x")
    await run.tell("core/poisoned", crash, poison)
    await anyio.sleep(10)


async def test_it_shows_the_tree_as_text():
    async with running(troubled()) as run:
        await trouble(run)
        lines = list(outline(msgspec.to_builtins(run.system.status())))
    core, slow, in_hand, *stack, poisoned, error, idle, total = lines[1:]
    assert lines[0] == "root  running  one_for_one, at most 1 restarts in 5 s"
    assert core == "  core  running  one_for_one, at most 9 restarts in 100 s"
    assert slow == "    slow  stuck  mailbox 2/1024, at most 3; handled 1"
    assert in_hand == "        in hand for 10.0 s: function"
    assert [line for line in stack if " takes.<locals>.wait" in line]
    assert poisoned == (
        "    poisoned  running  mailbox 0/1024, at most 2; handled 1, crashed 4, quarantined 1;"
        " restarts 4, 4 of them just now"
    )
    assert error == "        last error 2026-01-01T00:00:00: Crash: core/poisoned chokes on this"
    assert idle == "    idle  running  mailbox 0/1024, at most 0; handled 0"
    assert total == "quarantine 1, dead letters 0, zombies 0"


async def test_it_lets_no_error_write_to_a_terminal():
    async def spoof(_actor):
        raise Crash("\x1b[2Jall is\nwell")

    async with running(supervisor(worker("a", []))) as run:
        await run.tell("a", spoof)
        assert run.actor("a").last_error == "Crash:  [2Jall is well"


async def test_it_gives_prometheus_every_count_of_every_actor():
    async with running(troubled()) as run:
        await trouble(run)
        view = _View(
            run.system.status(),
            StoreStats(0, 0, 0, 0, ""),
            Health(AT, "HEALTHY", [], {}, {}),
            MetricsUpdate(AT, {}, {}),
            7,
        )
        registry = CollectorRegistry()
        registry.register(view)
        text = generate_latest(registry).decode()
    samples = {
        (sample.name, sample.labels.get("actor"), sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    assert samples["sidewatch_figures_unread", None, None] == 7

    def of(actor, *names):
        return [samples[f"sidewatch_{name}", f"core/{actor}", None] for name in names]

    counts = ("actor_handled_total", "actor_crashed_total", "actor_quarantined_total")
    assert of("poisoned", *counts) == [1, 4, 1]
    assert of("poisoned", "actor_restarts_total", "actor_dead_lettered_total") == [4, 0]
    assert of("slow", "mailbox_depth", "mailbox_high", "mailbox_capacity") == [2, 3, 1024]
    assert of("slow", "actor_up", "actor_stuck") == [0, 1]
    assert of("idle", "actor_up", "actor_stuck", "in_hand_seconds") == [1, 0, 0]
    assert of("slow", "in_hand_seconds")[0] > 9.9
    bounds = ("0.01", "0.1", "+Inf")
    name = "sidewatch_handling_seconds_bucket"
    assert [samples[name, "core/slow", bound] for bound in bounds] == [0, 1, 1]
    assert of("slow", "handling_seconds_count") == [1]
    assert of("slow", "handling_seconds_sum")[0] == pytest.approx(0.05)

"""What the runtime itself costs: a status tree, an idle actor, many children, a redelivery."""

from __future__ import annotations

import gc
import os
import statistics
import time

import anyio

from bench.figure import emit, percentile
from bench.process import rss_bytes
from runtime.actor import Actor
from runtime.spec import ChildSpec, DynamicSpec, SupervisorSpec
from runtime.system import System

FIGURES = (
    "status_100_actors_ms",
    "idle_actor_bytes",
    "children_10k_linearity",
    "redeliver_p50_us",
    "redeliver_p99_us",
)
STATUS_RUNS = 300
MANY = 10_000
FEW = 1_000
PAIRS = 3
CRASHES = 3_000


class Idle(Actor[None]):
    """Does nothing."""


class Fragile(Actor[int]):
    """Crashes on each message once, and notes how long until it has it again."""

    def __init__(self, crashed_at: list[float], took: list[float], done: anyio.Event) -> None:
        self._crashed_at = crashed_at
        self._took = took
        self._done = done

    async def receive(self, _message: int) -> None:
        if self.ctx.redelivered:
            self._took.append((time.perf_counter() - self._crashed_at.pop()) * 1e6)
            if len(self._took) == CRASHES:
                self._done.set()
            return
        self._crashed_at.append(time.perf_counter())
        raise RuntimeError("once")


async def status_ms() -> list[float]:
    children = [ChildSpec(id=f"a{n}", start=Idle) for n in range(100)]
    took = []
    async with System(SupervisorSpec(id="root", children=children)) as system:
        for _ in range(STATUS_RUNS):
            began = time.perf_counter()
            system.status()
            took.append((time.perf_counter() - began) * 1_000)
    return took


async def start_children(count: int) -> tuple[float, float]:
    """Start dynamic children; return the seconds, and the resident bytes that each added."""
    spec = DynamicSpec(id="root", template=ChildSpec(id="idle", start=Idle))
    async with System(spec) as system:
        root = system.supervisor("root")
        gc.collect()
        before = rss_bytes(os.getpid())
        began = time.perf_counter()
        for _ in range(count):
            await root.start_child()
        took = time.perf_counter() - began
        gc.collect()
        return took, (rss_bytes(os.getpid()) - before) / count


async def redeliver_us() -> list[float]:
    took: list[float] = []
    done = anyio.Event()
    child = ChildSpec(id="fragile", name="fragile", start=Fragile, args=([], took, done))
    # A short window: in life it holds a handful of restarts, not all of these thousands.
    spec = SupervisorSpec(id="root", intensity=CRASHES, period_s=0.005, children=[child])
    async with System(spec) as system:
        ref = system.ref("fragile")
        for number in range(CRASHES):
            await ref.tell(number)
        await done.wait()
    return took


def main() -> None:
    # First, while the heap is small: freed memory that is used again would not count.
    actor_bytes = anyio.run(start_children, MANY)[1]
    took = anyio.run(status_ms)
    emit(
        "status_100_actors_ms",
        statistics.median(took),
        "ms",
        "<= 1",
        against="median of a taken tree, not encoded",
        n=len(took),
        spread=took,
    )
    emit(
        "idle_actor_bytes",
        actor_bytes,
        "bytes",
        "<= 5000",
        against=f"resident memory, {MANY:,} dynamic children, asyncio",
    )
    ratios = []
    for _ in range(PAIRS):
        many = anyio.run(start_children, MANY)[0]
        few = statistics.median(anyio.run(start_children, FEW)[0] for _ in range(3))
        ratios.append(many / (few * MANY / FEW))
    emit(
        "children_10k_linearity",
        statistics.median(ratios),
        "x",
        "<= 1.2",
        against="10 x the time of 1,000 children",
        n=PAIRS,
        spread=ratios,
    )
    again = anyio.run(redeliver_us)
    against = "raise -> the same message in hand, asyncio, no backoff"
    for name, percent, goal in (
        ("redeliver_p50_us", 50, "<= 60"),
        ("redeliver_p99_us", 99, "<= 300"),
    ):
        value = percentile(again, percent)
        emit(name, value, "us", goal, against=against, n=len(again), spread=again)


if __name__ == "__main__":
    main()

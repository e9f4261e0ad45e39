"""What the runtime itself costs: a status tree, an idle actor, many children, a redelivery."""

from __future__ import annotations

import functools
import gc
import os
import statistics
import subprocess
import sys
import time

import anyio

from bench.figure import emit, paired, percentile
from bench.process import rss_bytes
from runtime.actor import Actor
from runtime.spec import ChildSpec, DynamicSpec, SupervisorSpec
from runtime.system import System

FIGURES = (
    "status_100_actors_ms",
    "idle_actor_bytes",
    "idle_actor_bytes_trio",
    "children_10k_linearity",
    "children_10k_linearity_trio",
    "redeliver_p50_us",
    "redeliver_p50_us_trio",
    "redeliver_p99_us",
    "redeliver_p99_us_trio",
)
STATUS_RUNS = 300
MANY = 10_000
FEW = 1_000
PAIRS = 3
CRASHES = 3_000


class Idle(Actor[None]):
    """Does nothing."""

    async def receive(self, _message: None) -> None:
        return


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


async def children_s(count: int) -> float:
    """Return the seconds to start that many dynamic children, and to stop them all."""
    spec = DynamicSpec(id="root", template=ChildSpec(id="idle", start=Idle))
    gc.collect()  # what another round left behind is not this one's
    began = time.perf_counter()
    async with System(spec) as system:
        root = system.supervisor("root")
        for _ in range(count):
            await root.start_child()
    return time.perf_counter() - began


async def idle_bytes(*, told: bool) -> float:
    """Return the resident bytes that each idle child adds, new or once `told` something."""
    spec = DynamicSpec(id="root", template=ChildSpec(id="idle", start=Idle))
    async with System(spec) as system:
        root = system.supervisor("root")
        gc.collect()
        before = rss_bytes(os.getpid())
        for _ in range(MANY):
            child = await root.start_child()
            if told and child.ref is not None:
                await child.ref.ask(None)
        gc.collect()
        return (rss_bytes(os.getpid()) - before) / MANY


def in_new_process(backend: str, *, told: bool) -> float:
    """Measure there: memory that this process has freed and uses again would not count."""
    code = "import anyio, bench.status as s; from functools import partial;"
    code += f"print(anyio.run(partial(s.idle_bytes, told={told}), backend={backend!r}))"
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


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
    for backend in ("asyncio", "trio"):
        on_trio = "_trio" if backend == "trio" else ""
        new, told = (in_new_process(backend, told=told) for told in (False, True))
        emit(
            f"idle_actor_bytes{on_trio}",
            max(new, told),
            "bytes",
            "<= 5000",
            against=f"resident memory, {MANY:,} dynamic children that had a message; spread: new",
            spread=(new, told),
        )
        run = functools.partial(anyio.run, children_s, backend=backend)
        ratio, ratios = paired(
            lambda run=run: run(MANY),  # type: ignore[misc]
            lambda run=run: MANY / FEW * statistics.median(run(FEW) for _ in range(3)),  # type: ignore[misc]
            PAIRS,
        )
        emit(
            f"children_10k_linearity{on_trio}",
            ratio,
            "x",
            "<= 1.2",
            against="10 x the time of 1,000 children, started and stopped",
            n=PAIRS,
            spread=ratios,
        )
    for backend in ("asyncio", "trio"):
        again = anyio.run(redeliver_us, backend=backend)
        on_trio = "_trio" if backend == "trio" else ""
        against = f"raise -> the same message in hand, {backend}, no backoff"
        for percent, goal in ((50, "<= 60"), (99, "<= 300")):
            name = f"redeliver_p{percent}_us{on_trio}"
            value = percentile(again, percent)
            wanted = goal if backend == "asyncio" else ""
            emit(name, value, "us", wanted, against=against, n=len(again), spread=again)


if __name__ == "__main__":
    main()

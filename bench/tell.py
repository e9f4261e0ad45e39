"""What a message to an actor costs, on both backends, against what else carries messages in Python.

asyncio.Queue and xoscar run on
asyncio, Pykka on threads, whatever our backend.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from bench import rivals
from bench.peers import emit_paired
from runtime.actor import Actor
from runtime.spec import ChildSpec, SupervisorSpec
from runtime.system import System

TELLS = 100_000
ASKS = 10_000
FEW = 10_000  # for xoscar, which takes its time
PAIRS = 5
BACKENDS = ("asyncio", "trio")
RIVALS = ("queue", "pykka", "xoscar")
FIGURES = tuple(
    f"{kind}_{rival}{suffix}"
    for kind in ("tell", "ask")
    for rival, suffixes in (
        ("ratio", ("_asyncio", "_trio")),
        *((f"vs_{rival}", ("", "_trio")) for rival in RIVALS),
    )
    for suffix in suffixes
)
GOALS = {
    "tell_ratio_asyncio": ">= 8",
    "tell_ratio_trio": ">= 8",
    "ask_ratio_asyncio": ">= 1",
    "ask_ratio_trio": ">= 1",
    "tell_vs_pykka": ">= 8",
    "tell_vs_pykka_trio": ">= 8",
}


class Counter(Actor[int]):
    """Counts, and says when `left` is used up."""

    def __init__(self, left: int, done: anyio.Event) -> None:
        self.left = left
        self.done = done

    async def receive(self, message: int) -> int:
        self.left -= 1
        if not self.left:
            self.done.set()
        return message


def tree(count: int, done: anyio.Event) -> SupervisorSpec:
    child = ChildSpec(id="counter", name="counter", start=Counter, args=(count, done))
    return SupervisorSpec(id="root", children=[child])


async def tells() -> float:
    done = anyio.Event()
    async with System(tree(TELLS, done)) as system:
        ref = system.ref("counter")
        began = time.perf_counter()
        for number in range(TELLS):
            await ref.tell(number)
        await done.wait()
        return TELLS / (time.perf_counter() - began)


async def asks() -> float:
    async with System(tree(ASKS + 1, anyio.Event())) as system:
        ref = system.ref("counter")
        began = time.perf_counter()
        for number in range(ASKS):
            await ref.ask(number)
        return ASKS / (time.perf_counter() - began)


OURS: dict[str, Callable[[], Awaitable[float]]] = {"tell": tells, "ask": asks}


def main() -> None:
    for kind, count in (("tell", TELLS), ("ask", ASKS)):
        for backend in BACKENDS:
            ours = partial(anyio.run, OURS[kind], backend=backend)
            on_trio = "_trio" if backend == "trio" else ""
            stream = getattr(rivals, f"stream_{kind}s")
            queue = getattr(rivals, f"queue_{kind}s")
            pykka = getattr(rivals, f"pykka_{kind}s")
            xoscar = getattr(rivals, f"xoscar_{kind}s")
            for figure, theirs, against in (
                (
                    f"{kind}_ratio_{backend}",
                    partial(anyio.run, stream, count, backend=backend),
                    f"anyio memory stream of {rivals.CAPACITY}" + " + Event" * (kind == "ask"),
                ),
                (f"{kind}_vs_queue{on_trio}", partial(anyio.run, queue, count), "asyncio.Queue"),
                (f"{kind}_vs_pykka{on_trio}", partial(pykka, count), "Pykka"),
                (f"{kind}_vs_xoscar{on_trio}", partial(anyio.run, xoscar, FEW), "xoscar"),
            ):
                emit_paired(figure, ours, theirs, PAIRS, GOALS.get(figure, ""), against=against)


if __name__ == "__main__":
    main()

"""What a message to an actor costs, against a raw anyio memory stream of the same capacity."""

from __future__ import annotations

import functools
import time
from typing import Any

import anyio

from bench.figure import emit, paired
from runtime.actor import Actor
from runtime.spec import ChildSpec, SupervisorSpec
from runtime.system import System

FIGURES = ("tell_ratio_asyncio", "tell_ratio_trio", "ask_ratio_asyncio", "ask_ratio_trio")
CAPACITY = 1_024  # that of a mailbox by default
TELLS = 100_000
ASKS = 10_000
PAIRS = 5


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


async def stream_tells() -> float:
    send, receive = anyio.create_memory_object_stream[int](CAPACITY)
    done = anyio.Event()

    async def count() -> None:
        left = TELLS
        async for _ in receive:
            left -= 1
            if not left:
                done.set()

    async with anyio.create_task_group() as tasks, send, receive:
        tasks.start_soon(count)
        await anyio.lowlevel.checkpoint()
        began = time.perf_counter()
        for number in range(TELLS):
            await send.send(number)
        await done.wait()
        took = time.perf_counter() - began
        tasks.cancel_scope.cancel()
    return TELLS / took


async def asks() -> float:
    async with System(tree(ASKS + 1, anyio.Event())) as system:
        ref = system.ref("counter")
        began = time.perf_counter()
        for number in range(ASKS):
            await ref.ask(number)
        return ASKS / (time.perf_counter() - began)


async def stream_asks() -> float:
    send, receive = anyio.create_memory_object_stream[list[Any]](CAPACITY)

    async def reply() -> None:
        async for question in receive:
            question[1] = question[0]
            question[2].set()

    async with anyio.create_task_group() as tasks, send, receive:
        tasks.start_soon(reply)
        await anyio.lowlevel.checkpoint()
        began = time.perf_counter()
        for number in range(ASKS):
            question = [number, None, anyio.Event()]
            await send.send(question)
            await question[2].wait()
        took = time.perf_counter() - began
        tasks.cancel_scope.cancel()
    return ASKS / took


def main() -> None:
    for kind, ours, theirs, goal in (
        ("tell", tells, stream_tells, ">= 8"),
        ("ask", asks, stream_asks, ">= 1"),
    ):
        for backend in ("asyncio", "trio"):
            run = functools.partial(anyio.run, backend=backend)
            ratio, ratios = paired(
                functools.partial(run, ours), functools.partial(run, theirs), PAIRS
            )
            against = f"anyio memory stream of {CAPACITY}" + (" + Event" if kind == "ask" else "")
            emit(
                f"{kind}_ratio_{backend}",
                ratio,
                "x",
                goal,
                against=against,
                n=PAIRS,
                spread=ratios,
            )


if __name__ == "__main__":
    main()

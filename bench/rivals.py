"""The same messages by other means: each function returns messages handled per second.

A tell is put and not waited for, then all are handled; an ask waits for each answer.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import anyio

from bench import peers

CAPACITY = 1_024  # that of a mailbox by default


async def stream_tells(count: int) -> float:
    send, receive = anyio.create_memory_object_stream[int](CAPACITY)
    done = anyio.Event()

    async def handle() -> None:
        left = count
        async for _ in receive:
            left -= 1
            if not left:
                done.set()

    async with anyio.create_task_group() as tasks, send, receive:
        tasks.start_soon(handle)
        await anyio.lowlevel.checkpoint()
        began = time.perf_counter()
        for number in range(count):
            await send.send(number)
        await done.wait()
        took = time.perf_counter() - began
        tasks.cancel_scope.cancel()
    return count / took


async def stream_asks(count: int) -> float:
    send, receive = anyio.create_memory_object_stream[list[Any]](CAPACITY)

    async def reply() -> None:
        async for question in receive:
            question[1] = question[0]
            question[2].set()

    async with anyio.create_task_group() as tasks, send, receive:
        tasks.start_soon(reply)
        await anyio.lowlevel.checkpoint()
        began = time.perf_counter()
        for number in range(count):
            question = [number, None, anyio.Event()]
            await send.send(question)
            await question[2].wait()
        took = time.perf_counter() - began
        tasks.cancel_scope.cancel()
    return count / took


async def queue_tells(count: int) -> float:
    queue: asyncio.Queue[int] = asyncio.Queue(CAPACITY)

    async def handle() -> None:
        for _ in range(count):
            await queue.get()

    task = asyncio.create_task(handle())
    began = time.perf_counter()
    for number in range(count):
        await queue.put(number)
    await task
    return count / (time.perf_counter() - began)


async def queue_asks(count: int) -> float:
    queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue(CAPACITY)

    async def reply() -> None:
        for _ in range(count):
            number, answer = await queue.get()
            answer.set_result(number)

    task = asyncio.create_task(reply())
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for number in range(count):
        question = (number, loop.create_future())
        await queue.put(question)
        await question[1]
    took = time.perf_counter() - began
    await task
    return count / took


def _pykka_counter(count: int) -> tuple[Any, threading.Event]:
    pykka = peers.load("pykka")
    done = threading.Event()

    class Counter(pykka.ThreadingActor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.left = count

        def on_receive(self, message: int) -> int:
            self.left -= 1
            if not self.left:
                done.set()
            return message

    return Counter.start(), done


def pykka_tells(count: int) -> float:
    ref, done = _pykka_counter(count)
    try:
        began = time.perf_counter()
        for number in range(count):
            ref.tell(number)
        done.wait()
        return count / (time.perf_counter() - began)
    finally:
        ref.stop()


def pykka_asks(count: int) -> float:
    ref, _ = _pykka_counter(count)
    try:
        began = time.perf_counter()
        for number in range(count):
            ref.ask(number)
        return count / (time.perf_counter() - began)
    finally:
        ref.stop()


async def _xoscar(count: int, *, waits: bool) -> float:
    xoscar = peers.load("xoscar")

    class Counter(xoscar.Actor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.left = count
            self.done = asyncio.Event()

        async def handle(self, message: int) -> int:
            self.left -= 1
            if not self.left:
                self.done.set()
            return message

        async def finished(self) -> None:
            await self.done.wait()

    async with await xoscar.create_actor_pool("127.0.0.1", n_process=0) as pool:
        ref = await xoscar.create_actor(Counter, address=pool.external_address)
        send = ref.handle if waits else ref.handle.tell
        began = time.perf_counter()
        for number in range(count):
            await send(number)
        await ref.finished()
        return count / (time.perf_counter() - began)


async def xoscar_tells(count: int) -> float:
    return await _xoscar(count, waits=False)


async def xoscar_asks(count: int) -> float:
    return await _xoscar(count, waits=True)

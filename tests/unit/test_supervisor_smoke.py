import anyio
import pytest

from runtime.actor import Actor
from runtime.clock import LoopClock
from runtime.spec import ChildSpec, SupervisorSpec
from runtime.system import System

pytestmark = pytest.mark.anyio


class Echo(Actor):
    def __init__(self, log):
        self.log = log

    async def started(self):
        self.log.append(f"{self.ctx.name}:{self.ctx.incarnation}")

    async def receive(self, message):
        if message == "boom" and not (self.ctx.redelivered and self.ctx.incarnation > 2):
            raise ValueError("boom")
        if message == "poison":
            raise ValueError("poison")
        self.log.append(message)
        return message


async def test_it_redelivers_the_message_that_crashed_it_first():
    log = []
    root = SupervisorSpec(
        id="root", children=[ChildSpec(id="a", start=Echo, args=(log,))], intensity=5
    )
    async with System(root, clock=LoopClock()) as system:
        ref = system.ref("a")
        for message in ("x", "boom", "poison", "z"):
            await ref.tell(message)
        assert await ref.ask("q") == "q"
        status = system.status()
        actor = status.root.children[0]
        assert log == ["a:1", "x", "a:2", "a:3", "boom", "a:4", "a:5", "a:6", "z", "q"]
        assert (actor.handled, actor.quarantined, actor.crashed) == (4, 1, 5)
        assert actor.accepted == 5
        assert "mailbox=0/1024" in repr(ref)
    assert system.root.exit.ending == "shutdown"


async def test_it_jumps_time():
    class Ticker(Actor):
        async def started(self):
            self.n = 0
            self.ctx.every(30.0, "tick")

        async def receive(self, message):
            self.n += message == "tick"
            return self.n

    root = SupervisorSpec(id="root", children=[ChildSpec(id="t", start=Ticker)])
    async with System(root, clock=LoopClock()) as system:
        await anyio.sleep(86_400.5)  # noqa: ASYNC116 - virtual
        assert await system.ref("t").ask("count") == 2880

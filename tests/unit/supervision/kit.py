"""Probe actors, messages that do things, and a system that is checked at every report.

Each report takes a status snapshot and checks every actor's accounts; leaving the system checks
that no task of it is left. So every case here is also a case of "status never raises".
"""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio

from runtime.actor import Actor, Ignore, Stop
from runtime.clock import LoopClock
from runtime.spec import ChildSpec, DynamicSpec, SupervisorSpec
from runtime.status import ActorStatus
from runtime.system import System

CHECKED_MAX = 50  # actors; a snapshot of thousands at each of thousands of reports takes minutes
SOON_S = 2.0**-10  # exact in binary: everything that can run now has run by then


class Crash(Exception):
    """What a probe raises when told to."""


class Probe(Actor):
    """Logs its life; does what a callable message says, echoes any other."""

    def __init__(self, log, *extra, starting=None, ending=None, down=None, info=None):
        self.log = log
        self.extra = extra
        self.starting = starting
        self.ending = ending
        self.on_down = down
        self.info = info
        self.seen = 0

    async def started(self):
        self.log.append(f"+{self.ctx.name}#{self.ctx.incarnation}")
        if self.starting is not None:
            await self.starting(self)

    async def receive(self, message):
        self.seen += 1
        if callable(message):
            return await message(self)
        self.log.append(f"{self.ctx.name}:{message}")
        return message

    async def down(self, message):
        self.log.append(f"{self.ctx.name} down {message.name}")
        if self.on_down is None:
            await super().down(message)

    async def stopping(self):
        self.log.append(f"-{self.ctx.name}")
        if self.ending is not None:
            await self.ending(self)


# ---------------------------------------------------------------- messages and hooks


async def crash(actor):
    """Crash once: redelivered, the message is harmless."""
    if not actor.ctx.redelivered:
        raise Crash(f"{actor.ctx.name} was told to")


async def poison(actor):
    raise Crash(f"{actor.ctx.name} chokes on this")


async def finish(_actor):
    raise Stop


async def shut(_actor):
    raise Stop("shutdown")


async def decline(_actor):
    raise Ignore


async def identity(actor):
    return actor.ctx.incarnation


async def state(actor):
    return actor.seen


async def stray(_actor):
    """Raise a cancellation that nobody asks for now, as a future does that was cancelled."""
    old = None
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as error:
            old = error
            raise
    raise old


def takes(seconds, *, says=None):
    """Return a message or hook that waits, then writes `says` to the log."""

    async def wait(actor):
        await anyio.sleep(seconds)
        if says is not None:
            actor.log.append(f"{actor.ctx.name}:{says}")

    return wait


def obstinate(seconds, *, says="done"):
    """Return a message or hook that refuses cancellation for that long."""

    async def refuse(actor):
        with anyio.CancelScope(shield=True):
            await anyio.sleep(seconds)
            actor.log.append(f"{actor.ctx.name}:{says}")

    return refuse


def raises(*errors):
    """Return a hook that raises these in turn, None for none, the last one for ever."""
    left = list(errors)

    async def hook(_actor):
        error = left.pop(0) if len(left) > 1 else left[0]
        if error is not None:
            raise error

    return hook


# ---------------------------------------------------------------- specs


def worker(id, log, *extra, starting=None, ending=None, down=None, info=None, **options):  # noqa: A002
    start = partial(Probe, log, starting=starting, ending=ending, down=down, info=info)
    return ChildSpec(id=id, start=start, args=extra, **options)


def supervisor(*children, id="root", **options):  # noqa: A002
    return SupervisorSpec(id=id, children=children, **options)


def dynamic(template, id="root", **options):  # noqa: A002
    return DynamicSpec(id=id, template=template, **options)


# ---------------------------------------------------------------- a running system


@dataclass
class Run:
    """A running system and what it has reported."""

    system: System = None
    reports: list = field(default_factory=list)
    wrong: list = field(default_factory=list)

    def heard(self, report):
        self.reports.append(report)
        if len(self.system._slots) > CHECKED_MAX:
            return
        try:
            check_accounts(self.system)
        except AssertionError as error:  # the runtime would take no notice of it
            self.wrong.append(error)

    def kinds(self, *kinds):
        return [(r.kind, r.name) for r in self.reports if not kinds or r.kind in kinds]

    def details(self, kind):
        return [r.detail for r in self.reports if r.kind == kind]

    def ref(self, name):
        return self.system.ref(name)

    def admin(self, name="root"):
        return self.system.supervisor(name)

    @property
    def root(self):
        return self.system.status().root

    async def tell(self, name, *messages):
        """Tell, then let everything that can run now run."""
        for message in messages:
            await self.ref(name).tell(message)
        await settle()

    def kill(self, name):
        """Cancel an actor by force from outside."""
        self.ref(name)._slot.incarnation.kill()

    def number(self, name):
        return self.ref(name)._slot.number

    def numbers(self, *names):
        return [self.number(name) for name in names]

    def actor(self, name):
        return next(a for a in actors(self.root) if a.name == name)

    def state(self, name):
        return self.actor(name).state

    async def ended(self):
        """Wait until the root has ended by itself; return how."""
        with anyio.fail_after(10_000):
            return (await self.system.wait()).ending

    async def counts(self, name="root"):
        return list(await self.admin(name).count_children())


@asynccontextmanager
async def running(root, **options):
    run = Run()
    run.system = System(root, clock=LoopClock(), report=run.heard, **options)
    async with run.system:
        yield run
    check_accounts(run.system)
    assert run.wrong == []
    assert left_running() == []


async def settle(seconds=SOON_S):
    await anyio.sleep(seconds)


def actors(status):
    if status is None:
        return []
    if isinstance(status, ActorStatus):
        return [status]
    return [actor for child in status.children for actor in actors(child)]


def check_accounts(system):
    """Every message that came in was handled, quarantined, turned away, or waits."""
    for actor in actors(system.status().root):
        out = actor.handled + actor.quarantined + actor.dead_lettered + actor.mailbox
        assert actor.accepted == out, actor


def left_running():
    """Name the runtime's tasks that run now."""
    names = [task.name or "" for task in anyio.get_running_tasks()]
    return [name for name in names if name.startswith("runtime.")]

"""Random trees, random disasters: what must hold at every step of every schedule.

SIDEWATCH_SCHEDULES=10000 runs more schedules, SIDEWATCH_FIRST_SCHEDULE=n begins at another: a
failure names its number, and the same number makes the same schedule.
"""

import os
import random

import anyio
import pytest

from runtime.actor import Actor, Stop
from runtime.admin import AdminError
from runtime.mailbox import MailboxPolicy
from runtime.ref import AskFailed, AskTimeout, Declined, MailboxFull, NoSuchActor
from runtime.restart import Backoff
from runtime.spec import ChildSpec, DynamicSpec, SpecError, SupervisorSpec
from runtime.status import ActorStatus
from runtime.supervisor import StartFailed
from tests.unit.supervision.kit import Crash, running, settle, stray

pytestmark = pytest.mark.anyio

FIRST = int(os.environ.get("SIDEWATCH_FIRST_SCHEDULE", "0"))
SCHEDULES = int(os.environ.get("SIDEWATCH_SCHEDULES", "200"))
STEPS = 25
ASK_S = 20.0
GRACE_S = 3.0
EXPECTED = (
    AdminError, AskFailed, AskTimeout, Crash, Declined, MailboxFull, NoSuchActor, SpecError,
    StartFailed, TimeoutError,
)  # fmt: skip
ALIVE = {"starting", "running", "stopping", "stuck"}
DEEDS = (
    ["ok"] * 8 + ["crash"] * 3
    + ["poison", "slow", "endless", "stop", "shut", "decline", "stray", "timers", "link"]
)  # fmt: skip


class Message:
    """One message: what to do, and its number among those to the same actor."""

    def __init__(self, deed):
        self.deed = deed
        self.number = None


class Chaos(Actor):
    """Does what each message says; its start and its end fail at times, by `fate`."""

    def __init__(self, world, *_extra):
        self.world = world
        self.fate = random.Random(world.fate.random())

    async def started(self):
        self.world.slots[self.ctx._incarnation.slot] = None
        if self.ctx.incarnation > 1 and self.fate.random() < 0.1:
            raise Crash("start")
        if self.fate.random() < 0.1:
            await anyio.sleep(self.fate.random() * (4 if self.ctx.incarnation > 1 else 1))

    async def receive(self, message):
        if not isinstance(message, Message):
            return
        deed = message.deed
        if deed == "poison" or (deed == "crash" and not self.ctx.redelivered):
            raise Crash(deed)
        if deed == "decline":
            raise Declined(deed)
        if deed == "stray" and not self.ctx.redelivered:
            await stray(self)
        if deed == "slow":
            await anyio.sleep(self.fate.random() * 5)
        if deed == "endless" and not self.ctx.redelivered:
            await anyio.sleep(10_000)
        if deed == "timers":
            self.ctx.after(self.fate.random(), "once")
            self.ctx.every(0.1 + self.fate.random() * 3, "tick")
        if deed == "link":
            self.ctx.task(self.linked)
        self.world.done(self, message)
        if deed in ("stop", "shut"):
            raise Stop("normal" if deed == "stop" else "shutdown")

    async def linked(self):
        await anyio.sleep(self.fate.random() * 5)
        raise Crash("linked")

    async def stopping(self):
        what = self.fate.random()
        if what < 0.1:
            raise Crash("stopping")
        if what < 0.2:
            await anyio.sleep(self.fate.random() * 10)


class World:
    """One schedule: its tree, what it does to it, and what it knows to be true."""

    def __init__(self, number):
        self.fate = random.Random(number)
        self.slots = {}
        self.sent = {}
        self.handled = {}
        self.asked = 0
        self.answered = 0

    # ------------------------------------------------------------ a random tree

    def child(self, name, **options):
        fate = self.fate
        restart = fate.choice(["permanent", "permanent", "transient", "temporary"])
        return ChildSpec(
            id=name,
            start=Chaos,
            args=(self,),
            restart=restart,
            mailbox=self.mailbox(),
            max_crashes=fate.choice([1, 2, 3]),
            shutdown=fate.choice([GRACE_S, 1.0, 0.0, "brutal_kill"]),
            backoff=self.backoff(),
            stuck_after_s=8.0,
            kill_stuck=True,
            start_within_s=3.0,
            significant=restart != "permanent" and options.pop("may_signify", False),
        )

    def backoff(self):
        return self.fate.choice([None, None, Backoff(min_s=0.1, max_s=4.0, jitter=0.5)])

    def mailbox(self):
        rule = self.fate.choice(["wait", "wait", "refuse", "drop_oldest", "coalesce"])
        return MailboxPolicy(
            capacity=self.fate.choice([1, 2, 5, 1_000]),
            when_full=rule,
            key=(lambda message: message.deed) if rule == "coalesce" else None,
        )

    def supervisor(self, name, depth=0):
        fate = self.fate
        rule = fate.choice(["never"] * 4 + ["any_significant", "all_significant"])
        common = {
            "id": name,
            "intensity": fate.choice([0, 1, 3, 10] if depth > 0 else [3, 50]),
            "period_s": fate.choice([1.0, 5.0]),
            "auto_shutdown": rule,
            "restart": fate.choice(["permanent"] * 3 + ["transient", "temporary"]),
            "shutdown": fate.choice(["infinity", "infinity", 2.0]),
            "backoff": self.backoff(),
        }
        signify = {"may_signify": rule != "never"}
        if depth > 0 and fate.random() < 0.25:
            return DynamicSpec(template=self.child("t", **signify), children_max=4, **common)
        children = [self.child(f"w{n}", **signify) for n in range(fate.randint(0, 3))]
        if depth < 2:
            children += [self.supervisor(f"s{n}", depth + 1) for n in range(fate.randint(0, 2))]
        fate.shuffle(children)
        strategy = fate.choice(["one_for_one", "one_for_all", "rest_for_one"])
        return SupervisorSpec(children=children, strategy=strategy, **common)

    # ------------------------------------------------------------ what is true

    def done(self, actor, message):
        slot = actor.ctx._incarnation.slot
        self.handled.setdefault(slot, []).append(message.number)

    def number(self, slot, message):
        self.slots[slot] = None
        self.sent[slot] = message.number = self.sent.get(slot, 0) + 1

    def check(self, run):
        self.slots.update((slot, None) for slot in run.system._slots.values())
        status = run.system.status()
        if status.root is not None:
            self.check_tree(run, status.root, run.system.root)
            self.check_tasks(run, status.root)
        for slot in self.slots:
            pending = len(slot.box.queue)
            out = slot.handled + slot.quarantined + slot.dead_lettered + pending
            assert slot.box.accepted == out, slot.path
            if slot.box.policy.when_full != "coalesce":
                numbers = self.handled.get(slot, [])
                assert numbers == sorted(set(numbers)), slot.path
        assert status.dead_letters == sum(slot.dead_lettered for slot in self.slots)
        assert status.quarantine == sum(slot.quarantined for slot in self.slots)

    def check_tree(self, run, status, supervisor):
        assert [child.id for child in status.children] == list(supervisor.children)
        for child in status.children:
            entry = supervisor.children[child.id]
            if isinstance(child, ActorStatus):
                assert (child.state in ALIVE) == (entry.slot.incarnation is not None), child
                assert child.mailbox <= child.mailbox_capacity + entry.slot.box.forced
            elif child.children:
                self.check_tree(run, child, entry.runner)

    def check_tasks(self, run, root):
        """As many tasks as the status says that supervisors live, and actors that do not sleep."""
        names = [task.name for task in anyio.get_running_tasks()]
        living = list(alive(root))
        actors = sum(isinstance(status, ActorStatus) for status in living)
        asleep = [slot for slot in run.system._slots.values() if slot.box.sleeper is not None]
        for slot in asleep:
            assert slot.box.sleeper is slot.incarnation, slot.path
            assert not slot.box.queue, slot.path
        assert names.count("runtime.incarnation.Incarnation.run") == actors - len(asleep)
        assert names.count("runtime.supervisor.Supervisor.run") == len(living) - actors

    # ------------------------------------------------------------ what is done to it

    async def step(self, run, tasks):
        deed = self.fate.choice(
            ["tell"] * 6 + ["offer"] * 2 + ["post"] + ["ask"] * 2 + ["admin"] * 3
            + ["kill actor", "kill supervisor", "wait", "wait", "wait long"]
        )  # fmt: skip
        names = sorted(run.system._names)
        name = self.fate.choice(names) if names else None
        homes = sorted(run.system.supervisors)
        if deed == "wait":
            await anyio.sleep(self.fate.random())
        elif deed == "wait long":
            await anyio.sleep(self.fate.random() * 20)
        elif deed == "kill supervisor" and homes:
            home = self.fate.choice(homes)
            if home != "root" or self.fate.random() < 0.1:
                run.admin(home).kill()
        elif deed == "admin" and homes:
            tasks.start_soon(quietly, self.admin(run.admin(self.fate.choice(homes))))
        elif deed == "kill actor" and name is not None:
            if run.ref(name)._slot.incarnation is not None:
                run.kill(name)
        elif name is not None:
            self.send(deed, run.ref(name), tasks)
        if self.fate.random() < 0.5:
            await settle()

    def send(self, deed, ref, tasks):
        message = Message(self.fate.choice(DEEDS))
        if deed == "offer":
            self.number(ref._slot, message)
            ref.offer(message)
        elif deed == "post":
            self.number(ref._slot, message)
            ref.post(message)
        elif deed == "ask":
            tasks.start_soon(self.ask, ref, message)
        else:
            within_s = self.fate.choice([0.5, 100.0])
            tasks.start_soon(quietly, self.tell(ref, message, within_s))

    async def tell(self, ref, message, within_s):
        self.number(ref._slot, message)
        with anyio.move_on_after(within_s):
            await ref.tell(message)

    async def ask(self, ref, message):
        self.number(ref._slot, message)
        self.asked += 1
        began = anyio.current_time()
        await quietly(ref.ask(message, timeout_s=ASK_S))
        self.answered += 1
        assert anyio.current_time() - began < ASK_S + 1e-6

    async def admin(self, supervisor):
        fate = self.fate
        children = await supervisor.which_children()
        call = fate.choice(["start", "terminate", "restart", "delete", "count"])
        name = fate.choice([name for name, _ in children]) if children else "w0"
        if call == "start":
            spec = fate.choice([self.child("extra"), self.supervisor("more", 2)])
            dynamic = (await supervisor.count_children()).specs == 1 and fate.random() < 0.5
            await supervisor.start_child(None if dynamic else spec)
        elif call == "terminate":
            await supervisor.terminate_child(name)
        elif call == "restart":
            await supervisor.restart_child(name)
        elif call == "delete":
            await supervisor.delete_child(name)
        else:
            assert min(await supervisor.count_children()) >= 0


def alive(status):
    if status.state in ALIVE:
        yield status
    for child in getattr(status, "children", ()):
        yield from alive(child)


async def quietly(call):
    """Await a call whose refusals are as good as its success; a crash is the caller's own."""
    try:
        await call
    except EXPECTED:
        pass
    except RuntimeError as error:
        if str(error) != "ended while starting: killed":
            raise


async def live(number):
    world = World(number)
    async with running(world.supervisor("root"), seed=number) as run:
        async with anyio.create_task_group() as tasks:
            for _ in range(STEPS):
                await world.step(run, tasks)
                world.check(run)
            began = anyio.current_time()
            await run.system.stop()
            depth = 3
            assert anyio.current_time() - began <= len(world.slots) * GRACE_S * depth
            world.check(run)
        assert run.system.zombie_count == 0
    world.check(run)
    assert world.answered == world.asked
    assert all(not slot.box.queue for slot in world.slots)


async def test_it_keeps_its_promises_in_every_schedule():
    for number in range(FIRST, FIRST + SCHEDULES):
        try:
            await live(number)
        except BaseException as error:
            error.add_note(f"in schedule {number}")
            raise

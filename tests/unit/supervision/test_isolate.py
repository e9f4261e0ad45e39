"""A message that holds several things: only what crashes the actor goes to quarantine."""

import pytest

from runtime.actor import Actor
from runtime.ref import AskFailed
from runtime.spec import ChildSpec, SupervisorSpec
from tests.unit.supervision.kit import running, settle

pytestmark = pytest.mark.anyio


class Reader(Actor):
    """Reads tuples of words; `done` outlives it, as a place in a journal does."""

    def __init__(self, done):
        self._done = done

    async def receive(self, message):
        for word in message:
            if word in self._done:
                continue
            if word.startswith("bad"):
                raise ValueError(word)
            self._done.append(word)


def reading(done, capacity=None):
    def isolate(message):
        at = next(place for place, word in enumerate(message) if word not in done)
        done.append(message[at])
        return message[at], message[at + 1 :] or None

    child = ChildSpec(id="a", name="a", start=Reader, args=(done,), isolate=isolate)
    return SupervisorSpec(id="root", children=[child], intensity=50)


async def test_it_handles_the_rest_of_a_message_before_the_next_one():
    done, handed = [], []
    root = reading(done)
    async with running(root, on_quarantine=lambda *record: handed.append(record)) as run:
        await run.tell("a", ("one", "bad", "two", "bad2", "three"))
        await run.tell("a", ("four",))
        await settle()
        assert done == ["one", "bad", "two", "bad2", "three", "four"]
        assert [message for _, message in handed] == ["bad", "bad2"]
        actor = run.actor("a")
        assert (actor.handled, actor.quarantined, actor.crashed) == (2, 2, 6)
        assert actor.accepted == 4


async def test_it_lets_a_message_go_of_which_nothing_is_left():
    done = []
    async with running(reading(done)) as run:
        await run.tell("a", ("one", "bad"))
        await run.tell("a", ("two",))
        await settle()
        assert done == ["one", "bad", "two"]
        actor = run.actor("a")
        assert (actor.handled, actor.quarantined, actor.mailbox) == (1, 1, 0)


async def test_it_never_splits_a_question():
    done = []
    async with running(reading(done)) as run:
        with pytest.raises(AskFailed):
            await run.system.ref("a").ask(("one", "bad", "two"))
        assert done == ["one"]
        assert run.actor("a").quarantined == 1

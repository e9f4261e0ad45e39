"""Retention over restarts: from a snapshot or from the journal alone, in bulk, the same bits."""

import json
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.metrics import common
from actors.metrics.depot import Depot
from actors.metrics.ledgers import Ledgers
from actors.metrics.money import micros
from actors.metrics.snapshot import pack, unpack
from tests.unit.test_bulk import journaled
from tests.unit.test_retention import MONDAY, at, bits, bot_options, live

pytestmark = pytest.mark.usefixtures("small_parts")


class Store:
    """What a snapshot left: parts that are written once, and the rest as JSON."""

    def __init__(self):
        self.depot, self.parts = Depot(), {}

    def save(self, ledgers):
        bots = [pack(ledger, self.depot) for ledger in ledgers.of.values()]
        self.depot.keep(ledgers.of.values())
        commons = {
            name: common.packed(name, one, self.depot) for name, one in ledgers.commons().items()
        }
        self.depot.encode(1_000)
        self.parts.update(self.depot.fresh)
        self.depot.fresh.clear()
        return json.dumps({"bots": bots, "commons": commons})

    def load(self, text, choose):
        given, ledgers = json.loads(text), Ledgers(choose)
        self.depot = Depot(max(self.parts, default=0) + 1)
        bots = {
            one["name"]: unpack(one, choose(one["name"]), self.parts, self.depot)
            for one in given["bots"]
        }
        commons = {
            name: common.unpacked(name, one, self.parts, self.depot)
            for name, one in given["commons"].items()
        }
        ledgers.take_over(bots, commons)
        return ledgers


def load(ledgers, events, dice):
    """Take in events as a start does."""
    loader = ledgers.loader()
    loader.take(journaled(list(events), dice.choice([1, 7, 1000])), set(), 10**9)
    loader.finish()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_it_goes_on_from_any_snapshot_and_the_tail(seed):
    dice = random.Random(seed)
    choose, store = bot_options(dice), Store()
    plain, compacted = Ledgers(choose), Ledgers(choose)
    taken, saved, tail, now = [], store.save(compacted), [], MONDAY
    for event in live(dice):
        now = max(now, at(event))
        if dice.random() < 0.1:
            horizon = micros(now - timedelta(days=dice.choice([1, 8, 20])))
            plain.settle(horizon)
            compacted.settle(horizon)
        if dice.random() < 0.3:
            compacted.compact(dice.choice([1, 5, 1000]))
        if dice.random() < 0.05:
            saved, tail = store.save(compacted), []
        if dice.random() < 0.05:
            compacted = store.load(saved, choose)
            load(compacted, tail, dice)
            compacted.settle(plain.horizon)
        plain.apply(event)
        compacted.apply(event)
        assert compacted.settled == plain.settled
        if not plain.settled:
            taken.append(event)
            tail.append(event)
    whole = Ledgers(choose)
    load(whole, taken, dice)
    later = now + timedelta(days=dice.choice([0, 3, 40]))
    assert bits(compacted.update(later)) == bits(plain.update(later)) == bits(whole.update(later))

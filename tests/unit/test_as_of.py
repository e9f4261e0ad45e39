"""As of an instant: what had happened by then, as it is known now."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from actors import codec
from actors.messages import Equity, Flow, Trade
from actors.metrics import as_of as module
from actors.metrics.as_of import as_of
from actors.metrics.identities import canonical_id
from actors.metrics.ledgers import Ledgers
from actors.metrics.options import LedgerOptions
from runtime.store import Entry
from tests.fakes.bench import opened

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30
AT = START + timedelta(days=12)


def options(bot):
    return LedgerOptions(starting_equity=Decimal(1_000))


def trade(number, day, pnl, *, bot="alpha", revision=0, currency=None):
    at = START + timedelta(days=day)
    return Trade(
        bot,
        number,
        "X",
        "long",
        Decimal(1),
        at,
        Decimal(pnl),
        at,
        at,
        revision=revision,
        currency=currency,
    )


def history(dice):
    """Events of two bots in any order, every third trade corrected, and moved by some days."""
    events = []
    for number in range(60):
        bot, day = dice.choice(["alpha", "beta"]), dice.uniform(0, DAYS)
        key = dice.choice([number, str(number), f"t{number}"])
        events.append(trade(key, day, dice.randrange(-9, 10), bot=bot))
        for revision in range(1, dice.choice([1, 1, 1, 2, 4])):
            day = dice.choice([day, dice.uniform(0, DAYS)])
            again = trade(key, day, dice.randrange(-9, 10), bot=bot, revision=revision)
            events.append(
                again if dice.random() < 0.8 else replace(again, at=again.at.astimezone())
            )
        if dice.random() < 0.2:
            when = START + timedelta(days=dice.uniform(0, DAYS))
            events.append(
                dice.choice(
                    [Equity(bot, when, Decimal(1_050)), Flow(bot, when, number, Decimal(9))]
                )
            )
    dice.shuffle(events)
    return events


def standing(events):
    """Each trade as its last revision has it, and all that is no trade."""
    last = {}
    for event in events:
        if isinstance(event, Trade):
            key = event.bot, canonical_id(event.id)
            last[key] = max(last.get(key, 0), event.revision)
    return [
        event
        for event in events
        if not isinstance(event, Trade) or event.revision == last[event.bot, canonical_id(event.id)]
    ]


def bits(ledgers):
    return msgspec.json.encode(ledgers.update(AT), order="deterministic")


async def found(tmp_path, events, bot=""):
    entries = [Entry(codec.stream(e), codec.encode(e), 0.0, codec.key(e)) for e in events]
    async with opened(tmp_path) as (store, _):
        await store.write(lambda tx: tx.journal.append(entries))
        return await as_of(store, options, bot, AT)


@pytest.mark.parametrize("seed", range(10))
async def test_it_counts_each_trade_as_it_is_known_now(tmp_path, seed):
    dice = random.Random(seed)
    events, bot = history(dice), dice.choice(["", "alpha"])
    whole = Ledgers(options)
    for event in standing(events):
        if codec.happened(event) <= AT and bot in ("", event.bot):
            whole.apply(event)
    assert bits(await found(tmp_path, events, bot)) == bits(whole)


async def test_a_trade_that_was_moved_beyond_the_instant_had_not_closed(tmp_path):
    events = [trade(1, 1, 100), trade(2, 1, 7), trade(1, 20, -30, revision=1)]
    [told] = (await found(tmp_path, events)).update(AT).bots.values()
    assert (told.trades, told.pnl_total, told.equity) == (1, 7, 1_007)


async def test_a_correction_in_another_currency_moves_nothing(tmp_path):
    events = [trade(1, 1, 100), trade(1, 20, -30, revision=1, currency="EUR")]
    [told] = (await found(tmp_path, events)).update(AT).bots.values()
    assert (told.trades, told.pnl_total) == (1, 100)


async def test_it_reads_once_more_only_for_a_trade_that_moved_away(tmp_path, monkeypatch):
    read = []

    async def counted(*args, **named):
        read.append(1)
        await replay(*args, **named)

    replay = module.replay
    monkeypatch.setattr(module, "replay", counted)
    for events, times in (
        ([trade(1, 1, 5), trade(1, 2, 6, revision=1)], 1),
        ([trade(1, 20, 5), trade(1, 21, 6, revision=1)], 1),
        ([trade(1, 1, 5), trade(1, 20, 6, revision=1), trade(1, 2, 7, revision=2)], 1),
        ([trade(1, 1, 5), trade(1, 20, 6, revision=1)], 2),
    ):
        read.clear()
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        await found(folder, events)
        assert len(read) == times

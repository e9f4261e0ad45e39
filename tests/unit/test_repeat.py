"""Repeats: who says the same again, however written, is a duplicate; who does not is told so."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from msgspec.structs import replace

from actors import codec, repeat
from actors.messages import Flow, Trade

AT = datetime(2026, 1, 1, tzinfo=UTC)
ELSEWHERE = AT.astimezone(timezone(timedelta(hours=9)))
TRADE = Trade(
    bot="b",
    id="7",
    symbol="X",
    side="long",
    quantity=Decimal("1.5"),
    opened_at=AT,
    closed_at=AT,
    pnl=Decimal(2),
)
FLOW = Flow(bot="b", at=AT, id="f", amount=Decimal(1))


def compared(repeated, earlier):
    return [one for piece in repeat.conflicts(repeated, earlier) for one in piece]


def told(event, *first):
    return compared([(3, event)], codec.encode_lines(list(first)))


@pytest.mark.parametrize(
    "changed",
    [{}, {"id": 7}, {"pnl": Decimal("2.00")}, {"opened_at": ELSEWHERE}, {"at": AT}],
    ids=str,
)
def test_it_knows_the_same_however_it_is_written(changed):
    again = replace(TRADE, **changed)
    assert told(again, TRADE) == []
    assert repeat.content(again) == repeat.content(TRADE)
    assert hash(repeat.content(again)) == hash(repeat.content(TRADE))


@pytest.mark.parametrize(
    "changed",
    [
        {"pnl": Decimal(-2)},
        {"currency": "EUR"},
        {"closed_at": AT + timedelta(seconds=1)},
        {"risk": Decimal(1)},
        {"side": "short"},
    ],
    ids=str,
)
def test_it_names_what_is_told_differently_and_keeps_the_first_to_itself(changed):
    [name] = changed
    again = replace(TRADE, **changed)
    wanted = f"id '7' is known with another {name}: ignored; a correction needs a higher `revision`"
    assert told(again, FLOW, TRADE) == [(3, wanted)]
    assert repeat.content(again) != repeat.content(TRADE)


def test_it_looks_for_the_very_revision_and_type():
    corrected = replace(TRADE, revision=1, pnl=Decimal(3))
    assert told(corrected, TRADE, corrected, replace(FLOW, id="7")) == []
    assert told(replace(corrected, pnl=Decimal(4)), TRADE, corrected)[0][1].startswith("id '7' is")


def test_it_says_nothing_of_what_it_no_longer_knows():
    assert told(replace(TRADE, pnl=Decimal(9))) == []
    assert told(replace(TRADE, id="8"), TRADE) == []
    assert compared([(0, TRADE)], b'{"type":"?"}\nbroken') == []
    unknown = codec.encode(TRADE).replace(b'"side"', b'"sides"')
    assert compared([(0, replace(TRADE, pnl=Decimal(9)))], unknown) == []


def test_it_reads_only_what_was_repeated_and_no_more_than_a_piece_at_a_time(monkeypatch):
    decoded = []
    known = codec.known
    monkeypatch.setattr(codec, "known", lambda line: decoded.append(line) or known(line))
    first = [replace(TRADE, id=f"é{n}") for n in range(3 * repeat.PIECE + 1)]
    lines = codec.encode_lines(first)
    changed = replace(first[-1], side="short")
    pieces = list(repeat.conflicts([(0, first[5]), (1, changed)], lines))
    assert [[index for index, _ in piece] for piece in pieces] == [[], [], [], [1]]
    assert decoded == [codec.encode(first[-1])]
    again = [(n, replace(trade, side="short")) for n, trade in enumerate(first)]
    assert max(map(len, repeat.conflicts(again, lines))) == repeat.PIECE
    assert len(decoded) == 1 + len(first)

"""A snapshot: a ledger as bytes, and the same ledger again, to the bit.

What is large is cut into parts, which a depot numbers; the rest is JSON, as it holds integers of
any size. Columns are raw, so that other settings give other figures.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any, Final

import msgspec

from actors.metrics.account import Account
from actors.metrics.block import CODES, COLUMNS, Block, fitting
from actors.metrics.depot import Depot, Packed, Ref, Unusable, part
from actors.metrics.figures import Tally
from actors.metrics.identities import Index, Run
from actors.metrics.ledger import Ledger
from actors.metrics.options import LedgerOptions
from actors.metrics.past import Past
from actors.metrics.timeline import Timeline
from actors.metrics.window import Segment

FORMAT: Final = f"10 {sys.byteorder}"
GROUP_BLOCKS: Final = 16
SCALARS: Final = tuple(
    field.name
    for field in fields(Account)
    if field.name
    not in ("calendar", "window", "returns", "logs", "tally", "closed", "averages", "capital")
)

Stored = bytes | list[str] | dict[str, bytes]  # raw, beyond 64 bits, or one value for all


class Group:
    """Blocks that lie in one part."""

    def __init__(self, ref: Ref, count: int) -> None:
        self.ref = ref
        self.count = count


def pack(ledger: Ledger, depot: Depot) -> Packed:
    """The ledger as JSON; its parts go to the depot."""
    timeline, account = ledger.timeline, ledger.account()
    return {
        "name": ledger.name,
        "currency": ledger.options.currency,
        "currency_is_set": ledger.options.currency_is_set,
        "settings": _settings(ledger.options),
        "scale": ledger.scale,
        "quantity_scale": ledger.quantity_scale,
        **ledger.ids(),
        "account": _pack_account(account),
        "returns": depot.put_changed(ledger.name, _returns(account)),
        "groups": _pack_blocks(timeline.blocks, depot),
        "heap": depot.heap(ledger.name, timeline.heap),
        "index": depot.runs(ledger.index),
        "past": depot.runs(ledger.past.index),
        "base": depot.base(f"bot/{ledger.name}", timeline.base, ledger.scale),
    }


def unpack(
    packed: Packed, options: LedgerOptions, parts: Mapping[int, bytes], depot: Depot
) -> Ledger:
    """The ledger again, under the settings of now; the depot learns its parts.

    Raises Unusable where a part is missing or broken, the currency is set otherwise, or entries are
    compacted that other settings need.
    """
    if packed["currency_is_set"] != options.currency_is_set or (
        options.currency_is_set and packed["currency"] != options.currency
    ):
        raise Unusable(f"the currency of {packed['name']} is set otherwise")
    ledger = Ledger(msgspec.structs.replace(options, currency=packed["currency"]))
    timeline = Timeline()
    timeline.heap.data += b"".join(part(ref, parts) for ref in packed["heap"])
    blocks = [_blocks(part(ref, parts), ref) for ref in packed["groups"]]
    timeline.restore([block for group in blocks for block in group])
    name, scale = f"bot/{packed['name']}", packed["scale"]
    timeline.base = depot.known(name, packed["base"], parts, scale)
    runs, past = (
        [Run.of([part(ref, parts) for ref in refs]) for refs in packed[name]]
        for name in ("index", "past")
    )
    same = packed["settings"] == _settings(options)
    if timeline.base.entries:
        fits(packed, options)
    account = ledger.restore(packed, timeline, Index(runs), same=same)
    returns = part(packed["returns"], parts)
    _fill_account(account, packed["account"], returns, same=same)
    ledger.refine()
    ledger.past = Past(past)
    stored = [*zip(runs, packed["index"], strict=True), *zip(past, packed["past"], strict=True)]
    depot.learn(packed, timeline.heap, stored, returns)
    return ledger


def _settings(options: LedgerOptions) -> list[str | int]:
    start, trades = str(options.starting_equity), options.rolling_trades
    return [start, options.zone, trades, options.base, options.calendar]


def fits(packed: Packed, options: LedgerOptions) -> None:
    """Raise Unusable where settings changed that need what is compacted.

    Another base needs nothing of it: each day's pieces tell what flowed.
    """
    start, zone, trades, _, calendar = packed["settings"]
    for setting, differs in (
        ("starting_equity", start != str(options.starting_equity)),
        ("metrics.zone", zone != options.zone),
        ("metrics.calendar", calendar != options.calendar),
        ("metrics.rolling_trades", trades < options.rolling_trades),
    ):
        if differs:
            raise Unusable(f"{setting} changed, and what it needs of {packed['name']} is compacted")


# --------------------------------------------------------------- the account


def _pack_account(account: Account) -> Packed:
    capital = account.capital
    return {
        "scalars": {name: getattr(account, name) for name in SCALARS},
        "tally": list(astuple(account.tally)),
        "capital": None if capital is None else [capital.amount, capital.parts],
        "window": [
            [getattr(segment, name) for name in Segment.__struct_fields__]
            for segment in account.window.segments()
        ],
    }


def _returns(account: Account) -> bytes:
    """Each day's return, then its logarithm, then that on a fixed base if any, as doubles."""
    columns = [account.returns, account.logs]
    if account.capital is not None:
        columns.append(account.capital.returns)
    return b"".join(column.tobytes() for column in columns)


def _fill_account(account: Account, packed: Packed, returns: bytes, *, same: bool) -> None:
    """Fill in what was packed; of an account under other settings only its sums."""
    account.tally = Tally(*packed["tally"])
    scalars = packed["scalars"]
    if scalars.keys() != set(SCALARS):
        raise Unusable("another version took it")
    account.fees = scalars["fees"]
    if not same:
        return
    for name, value in scalars.items():
        setattr(account, name, value)
    numbers, capital = array("d", returns), account.capital
    days = len(numbers) // (2 if capital is None else 3)
    account.returns, account.logs = numbers[:days], numbers[days : 2 * days]
    if capital is not None:
        capital.amount, capital.parts = packed["capital"]
        capital.returns = numbers[2 * days :]
    account.window.restore([_segment(*parts) for parts in packed["window"]])


def _segment(*parts: Any) -> Segment:
    segment = Segment(*parts)
    segment.below = tuple((high, low) for high, low in segment.below)
    return segment


# ---------------------------------------------------------------- the blocks


def _pack_blocks(blocks: list[Block], depot: Depot) -> list[list[int]]:
    refs, first = [], 0
    while first < len(blocks):
        group = _intact(blocks, first)
        if group is None:
            last = first + 1
            while last < min(first + GROUP_BLOCKS, len(blocks)) and _intact(blocks, last) is None:
                last += 1
            group = Group(depot.put(_bytes(blocks[first:last])), last - first)
            for block in blocks[first:last]:
                block.group = group
        refs.append([*group.ref, group.count])
        first += group.count
    return refs


def _intact(blocks: list[Block], first: int) -> Group | None:
    """The group that begins here, where all its blocks are as they were written."""
    group = blocks[first].group
    if not isinstance(group, Group) or (first and blocks[first - 1].group is group):
        return None
    last = first + group.count
    if last > len(blocks) or any(block.group is not group for block in blocks[first:last]):
        return None
    small = group.count < GROUP_BLOCKS and last < len(blocks)
    return None if small and blocks[last].group is None else group


def _bytes(blocks: list[Block]) -> bytes:
    columns: dict[str, Stored] = {}
    for name in COLUMNS:
        those = [getattr(block, name) for block in blocks]
        if any(isinstance(column, list) for column in those):
            columns[name] = [str(value) for column in those for value in column]
        else:
            whole = b"".join(bytes(column) for column in those)
            one = whole[: those[0].itemsize if name != "kind" else 1]
            columns[name] = {"all": one} if whole == one * sum(map(len, blocks)) else whole
    return msgspec.msgpack.encode(([len(block) for block in blocks], columns))


def _blocks(data: bytes, ref: Sequence[int]) -> list[Block]:
    lengths, columns = msgspec.msgpack.decode(data)
    group = Group(Ref(ref[0], ref[1]), len(lengths))
    blocks, first = [], 0
    for length in lengths:
        block = Block.bare()
        for name, column in columns.items():
            setattr(block, name, _column(name, column, first, first + length))
        block.group = group
        blocks.append(block)
        first += length
    return blocks


def _column(name: str, column: Stored, first: int, last: int) -> Any:
    if isinstance(column, dict):
        first, last, column = 0, last - first, column["all"] * (last - first)
    if isinstance(column, list):
        return fitting([int(text) for text in column[first:last]])
    if name == "kind":
        return bytearray(column[first:last])
    numbers = array(CODES[name])
    size = numbers.itemsize
    numbers.frombytes(column[first * size : last * size])
    return numbers

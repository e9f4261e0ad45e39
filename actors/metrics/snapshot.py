"""A snapshot: a ledger as bytes, and the same ledger again, to the bit.

What is large (columns, ids, their index) is cut into parts of at most about a megabyte, which stay
as they were written until something in them changes, and so does a base, a part each; the rest is
JSON, as it holds integers of any size. Columns are raw, so that other settings give other figures.
Each part has a checksum.
"""

from __future__ import annotations

import itertools
import json
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from actors.metrics.account import Account
from actors.metrics.base import Base
from actors.metrics.block import CODES, COLUMNS, Block, fitting
from actors.metrics.figures import Tally
from actors.metrics.identities import Heap, Index, Run
from actors.metrics.ledger import Ledger
from actors.metrics.options import LedgerOptions
from actors.metrics.past import Past
from actors.metrics.timeline import Timeline
from actors.metrics.window import Segment

FORMAT: Final = f"8 {sys.byteorder}"
GROUP_BLOCKS: Final = 16
HEAP_BYTES: Final = 1 << 20
RUN_ENTRIES: Final = 1 << 16
CHECK_BYTES: Final = 4
SCALARS: Final = tuple(
    field.name
    for field in fields(Account)
    if field.name not in ("calendar", "window", "returns", "logs", "tally", "closed", "averages")
)

Packed = dict[str, Any]  # JSON
BaseState = tuple[int, int, int, tuple[str, ...]]  # cut, entries, scale, members
Stored = bytes | list[str] | dict[str, bytes]  # raw, beyond 64 bits, or one value for all


class Unusable(Exception):
    """A snapshot that cannot be used; the message says why."""


class Ref(NamedTuple):
    """A part: its number, and the checksum of its bytes."""

    number: int
    check: int


class Group:
    """Blocks that lie in one part."""

    def __init__(self, ref: Ref, count: int) -> None:
        self.ref = ref
        self.count = count


class _Cut(NamedTuple):
    """A heap as it was cut into parts: the last one may have been short of its full length."""

    heap: Heap
    refs: list[Ref]
    length: int


class Depot:
    """Numbers parts. `fresh` are those that nobody has written yet.

    A base is made bytes of late, as it takes milliseconds: `waiting` are copies of those.
    """

    def __init__(self, following: int = 1) -> None:
        self.following = following
        self.fresh: dict[int, bytes] = {}
        self.waiting: dict[int, Base] = {}
        self._bases: dict[str, tuple[BaseState, int]] = {}
        self._same: dict[str, tuple[bytes, Ref]] = {}
        self._heaps: dict[str, _Cut] = {}
        self._runs: dict[int, tuple[Run, list[Ref]]] = {}

    def put(self, data: bytes) -> Ref:
        """Take in a part."""
        ref = Ref(self.following, crc32(data))
        self.following += 1
        self.fresh[ref.number] = data
        return ref

    def put_changed(self, name: str, data: bytes) -> Ref:
        """Take in a small part of this name, where it is not as it was."""
        kept = self._same.get(name)
        if kept is None or kept[0] != data:
            kept = self._same[name] = (data, self.put(data))
        return kept[1]

    def heap(self, name: str, heap: Heap) -> list[Ref]:
        """The parts of a heap, which only grows: those that were full stay as they are.

        Once ids are forgotten there is another heap.
        """
        data, cut = heap.data, self._heaps.get(name)
        if cut is None or cut.heap is not heap:
            cut = _Cut(heap, [], 0)
        refs = cut.refs[: cut.length // HEAP_BYTES]
        self._heaps[name] = _Cut(heap, refs, len(data))
        for number in range(len(refs), -(-len(data) // HEAP_BYTES)):
            refs.append(self.put(bytes(data[number * HEAP_BYTES : (number + 1) * HEAP_BYTES])))
        return list(refs)

    def base(self, name: str, base: Base, scale: int, members: Sequence[str] = ()) -> list[int]:
        """The part of a base, none where nothing is compacted; what did not change stays."""
        state = (base.cut, base.entries, scale, tuple(members))
        if not base.cut:
            return []
        kept = self._bases.get(name)
        if kept is None or kept[0] != state:
            kept = self._bases[name] = (state, self.following)
            self.waiting[self.following] = base.copy()
            self.following += 1
        return [kept[1]]

    def encode(self, most: int) -> None:
        """Make bytes of some bases that wait for it, each with its own checksum before it."""
        for number in list(itertools.islice(self.waiting, most)):
            data = json.dumps(self.waiting.pop(number).packed()).encode()
            self.fresh[number] = crc32(data).to_bytes(CHECK_BYTES, "big") + data

    def known(
        self,
        name: str,
        refs: Sequence[int],
        parts: Mapping[int, bytes],
        scale: int,
        members: Sequence[str] = (),
    ) -> Base:
        """The base of a part that is stored already. Raises Unusable."""
        if not refs:
            return Base()
        [number] = refs
        data = parts.get(number, b"")
        if crc32(data[CHECK_BYTES:]) != int.from_bytes(data[:CHECK_BYTES], "big") or not data:
            raise Unusable(f"part {number} is {'broken' if data else 'missing'}")
        base = Base.unpacked(json.loads(data[CHECK_BYTES:]))
        self._bases[name] = ((base.cut, base.entries, scale, tuple(members)), number)
        return base

    def runs(self, index: Index) -> list[list[Ref]]:
        """The parts of an index."""
        return [self._run(run) for run in index.runs()]

    def _run(self, run: Run) -> list[Ref]:
        kept = self._runs.get(id(run))
        if kept is None:
            firsts = range(0, len(run), RUN_ENTRIES)
            refs = [self.put(run.part(first, first + RUN_ENTRIES)) for first in firsts]
            kept = self._runs[id(run)] = (run, refs)
        return kept[1]

    def learn(
        self,
        packed: Packed,
        heap: Heap,
        runs: list[tuple[Run, list[list[int]]]],
        returns: bytes,
    ) -> None:
        """Know parts that are stored already."""
        self._same[packed["name"]] = (returns, Ref(*packed["returns"]))
        parts = [Ref(*ref) for ref in packed["heap"]]
        self._heaps[packed["name"]] = _Cut(heap, parts, len(heap.data))
        for run, refs in runs:
            self._runs[id(run)] = (run, [Ref(*ref) for ref in refs])

    def keep(self, ledgers: Iterable[Ledger]) -> None:
        """Forget the runs that no index has any more."""
        indices = [index for ledger in ledgers for index in (ledger.index, ledger.past.index)]
        alive = {id(run) for index in indices for run in index.runs()}
        self._runs = {key: kept for key, kept in self._runs.items() if key in alive}


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
    timeline.heap.data += b"".join(_part(ref, parts) for ref in packed["heap"])
    blocks = [_blocks(_part(ref, parts), ref) for ref in packed["groups"]]
    timeline.restore([block for group in blocks for block in group])
    name, scale = f"bot/{packed['name']}", packed["scale"]
    timeline.base = depot.known(name, packed["base"], parts, scale)
    runs, past = (
        [Run.of([_part(ref, parts) for ref in refs]) for refs in packed[name]]
        for name in ("index", "past")
    )
    same = packed["settings"] == _settings(options)
    if timeline.base.entries:
        fits(packed, options)
    account = ledger.restore(packed, timeline, Index(runs), same=same)
    returns = _part(packed["returns"], parts)
    _fill_account(account, packed["account"], returns, same=same)
    ledger.refine()
    ledger.past = Past(past)
    stored = [*zip(runs, packed["index"], strict=True), *zip(past, packed["past"], strict=True)]
    depot.learn(packed, timeline.heap, stored, returns)
    return ledger


def _settings(options: LedgerOptions) -> list[str | int]:
    return [str(options.starting_equity), options.zone, options.rolling_trades]


def fits(packed: Packed, options: LedgerOptions) -> None:
    """Raise Unusable where settings changed that need what is compacted."""
    start, zone, trades = packed["settings"]
    for setting, differs in (
        ("starting_equity", start != str(options.starting_equity)),
        ("metrics.zone", zone != options.zone),
        ("metrics.rolling_trades", trades < options.rolling_trades),
    ):
        if differs:
            raise Unusable(f"{setting} changed, and what it needs of {packed['name']} is compacted")


def _part(ref: Sequence[int], parts: Mapping[int, bytes]) -> bytes:
    number, check = ref[:2]
    data = parts.get(number)
    if data is None or crc32(data) != check:
        raise Unusable(f"part {number} is {'missing' if data is None else 'broken'}")
    return data


# --------------------------------------------------------------- the account


def _pack_account(account: Account) -> Packed:
    return {
        "scalars": {name: getattr(account, name) for name in SCALARS},
        "tally": list(astuple(account.tally)),
        "window": [
            [getattr(segment, name) for name in Segment.__struct_fields__]
            for segment in account.window.segments()
        ],
    }


def _returns(account: Account) -> bytes:
    """Each day's return, and then its logarithm, as doubles."""
    return account.returns.tobytes() + account.logs.tobytes()


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
    days = array("d", returns)
    account.returns, account.logs = days[: len(days) // 2], days[len(days) // 2 :]
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

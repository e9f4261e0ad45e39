"""The ids of compacted trades: 12 bytes each tell for sure that an id was there.

Beside the CRC-32 of the index stand 64 bits of BLAKE2b: an id that was there is always found, and
one that was not is taken for it once in 10^13 times at a million (nobody can look for such a pair
without the right to send trades).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from zlib import crc32

import numpy as np

from actors.metrics.identities import Id, Index, Run, encode


class Past:
    """Ids that are known, and nothing else of them."""

    def __init__(self, runs: Sequence[Run] = ()) -> None:
        self.index = Index(runs)

    def put_all(self, identities: Sequence[Id]) -> None:
        """Keep the ids of compacted trades."""
        if not identities:
            return
        encoded = [encode(identity) for identity in identities]
        digests = np.frombuffer(array("I", map(crc32, encoded)), np.uint32)
        self.index.put_run(Run.sorted(digests, np.array(list(map(_mark, encoded)), np.int64)))

    def has(self, identity: Id) -> bool:
        """Whether a trade of this id is compacted."""
        marks = self.index.candidates(identity)
        return bool(marks) and _mark(encode(identity)) in marks

    def __len__(self) -> int:
        return sum(map(len, self.index.runs()))


def _mark(encoded: bytes) -> int:
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), "little", signed=True)

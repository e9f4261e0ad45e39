"""A binary tree of summaries: what neighbouring blocks amount to together, in O(log n)."""

from __future__ import annotations

from collections.abc import Sequence

from actors.metrics.summary import NOTHING, Summary, join


class Tree:
    """Summaries of blocks as leaves, above them those of two neighbours each."""

    def __init__(self, leaves: Sequence[Summary] = ()) -> None:
        self.capacity = 1 << max(len(leaves) - 1, 0).bit_length() if leaves else 0
        self._nodes = [NOTHING] * max(2 * self.capacity, 1)
        self._nodes[self.capacity : self.capacity + len(leaves)] = leaves
        for node in range(self.capacity - 1, 0, -1):
            self._nodes[node] = join(self._nodes[2 * node], self._nodes[2 * node + 1])

    def put(self, number: int, summary: Summary) -> None:
        """Replace a block's summary."""
        nodes, node = self._nodes, self.capacity + number
        nodes[node] = summary
        while node > 1:
            node >>= 1
            nodes[node] = join(nodes[2 * node], nodes[2 * node + 1])

    def total(self) -> Summary:
        """What all blocks do."""
        return self._nodes[1] if self.capacity else NOTHING

    def range(self, first: int, last: int) -> Summary:
        """What the blocks from `first` to before `last` do."""
        nodes = self._nodes
        left, right = NOTHING, NOTHING
        low, high = first + self.capacity, last + self.capacity
        while low < high:
            if low & 1:
                left = join(left, nodes[low])
                low += 1
            if high & 1:
                high -= 1
                right = join(nodes[high], right)
            low >>= 1
            high >>= 1
        return join(left, right)

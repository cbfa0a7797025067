"""Token sequences as one tree, in which equal beginnings stand once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = -1
"""The parent of first tokens: what stands before all sequences."""


@dataclass(frozen=True)
class TokenTrie:
    """The nodes of a tree of token ids; a parent stands before its children, and a subtree stands together.

    Attributes:
        tokens: the id of each node.
        parents: the node before each node; `ROOT` for first tokens.
        depths: how many nodes stand before each node on its path.
        paths: for each sequence, in the order given, the node of each of its tokens.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    depths: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(sequences: Sequence[Sequence[int]]) -> "TokenTrie":
        """The tree of some sequences; equal ones share all nodes, an empty one has none."""
        nodes: dict[tuple[int, int], int] = {}
        tokens: list[int] = []
        parents: list[int] = []
        depths: list[int] = []
        paths: list[tuple[int, ...]] = [()] * len(sequences)
        for number in sorted(range(len(sequences)), key=lambda place: tuple(sequences[place])):
            path: list[int] = []
            for depth, token in enumerate(sequences[number]):
                parent = path[-1] if path else ROOT
                if (parent, token) not in nodes:
                    nodes[parent, token] = len(tokens)
                    tokens.append(token)
                    parents.append(parent)
                    depths.append(depth)
                path.append(nodes[parent, token])
            paths[number] = tuple(path)
        return TokenTrie(tuple(tokens), tuple(parents), tuple(depths), tuple(paths))

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def with_children(self) -> tuple[int, ...]:
        """The nodes after which another token stands."""
        return tuple(sorted({parent for parent in self.parents if parent != ROOT}))

    def closure(self, chosen: Sequence[int]) -> list[int]:
        """The nodes and all that stand before them, in the order of the tree."""
        found: set[int] = set()
        for node in chosen:
            while node != ROOT and node not in found:
                found.add(node)
                node = self.parents[node]
        return sorted(found)

    def visible(self, nodes: Sequence[int]) -> NDArray[np.bool_]:
        """(nodes, nodes): whether the second is the first or stands before it; a closure, in the tree's order."""
        place = {node: number for number, node in enumerate(nodes)}
        mask = np.zeros((len(nodes), len(nodes)), dtype=bool)
        for number, node in enumerate(nodes):
            if self.parents[node] != ROOT:
                mask[number] = mask[place[self.parents[node]]]
            mask[number, number] = True
        return mask


def shared_length(first: Sequence[Any], second: Sequence[Any]) -> int:
    """How many tokens two sequences begin with alike; halved again and again, as slices compare fast."""
    low, high = 0, min(len(first), len(second)) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if tuple(first[low:middle]) == tuple(second[low:middle]):
            low = middle
        else:
            high = middle
    return low

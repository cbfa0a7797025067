"""Rows of a batch as one tree of tokens: what they begin with alike stands once, and no padding stands anywhere."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sft.labels.token_trie import shared_length

LAYER_COST = 4
"""What a token costs in the linear layers, by hidden unit, in units of what it costs to attend to one other.

About 12 weights for each pair of hidden units, against products that do half as much in the same time.
"""
WORTH_IT = 0.95
"""Share of the cost of separate rows below which they run as a tree."""


@dataclass(frozen=True)
class TokenTree:
    """The tokens of some rows; those of a subtree stand together, a token before what follows it.

    Attributes:
        ids: (tokens,).
        depths: (tokens,) how many tokens stand before each in its rows: its position.
        ends: (tokens,) the place behind the last token that follows each; token i is seen by i, ..., ends[i] - 1.
        paths: for each row, in the order given, the place of each of its tokens.
    """

    ids: NDArray[np.int64]
    depths: NDArray[np.int64]
    ends: NDArray[np.int64]
    paths: tuple[NDArray[np.int64], ...]

    @staticmethod
    def of(rows: Sequence[tuple[int, ...]]) -> "TokenTree":
        """The tree of some rows of token ids, none empty; equal rows share all tokens."""
        order = sorted(range(len(rows)), key=rows.__getitem__)
        ids, depths, paths = [], [], [np.empty(0, dtype=np.int64)] * len(rows)
        ends = np.zeros(sum(map(len, rows)), dtype=np.int64)
        path, size = paths[0], 0
        for number, shared in zip(order, _shared(rows, order), strict=True):
            ends[path[shared:]] = size
            new = np.arange(size, size + len(rows[number]) - shared)
            path, size = np.concatenate([path[:shared], new]), size + len(new)
            ids.append(np.array(rows[number][shared:], dtype=np.int64))
            depths.append(np.arange(shared, len(rows[number])))
            paths[number] = path
        ends[path] = size
        return TokenTree(np.concatenate(ids), np.concatenate(depths), ends[:size], tuple(paths))


def runs_as_tree(rows: Sequence[tuple[int, ...]], padded: int, hidden: int, attends_in_full: bool) -> bool:
    """Whether rows cost clearly less as one tree, where each token attends over all others, than one by one.

    Args:
        rows: of token ids.
        padded: tokens of each row with its padding.
        hidden: hidden units of the model.
        attends_in_full: whether the products of all pairs of tokens are held in memory; they may not become more.
    """
    size = sum(map(len, rows)) - sum(_shared(rows, sorted(range(len(rows)), key=rows.__getitem__)))
    alone = len(rows) * padded * (LAYER_COST * hidden + padded)
    is_small = not attends_in_full or size * size <= len(rows) * padded * padded
    return is_small and size * (LAYER_COST * hidden + size) < WORTH_IT * alone


def _shared(rows: Sequence[tuple[int, ...]], order: Sequence[int]) -> Iterable[int]:
    """How many tokens each row begins with like the one before it in the order of tokens."""
    return [0, *(shared_length(rows[first], rows[second]) for first, second in itertools.pairwise(order))]

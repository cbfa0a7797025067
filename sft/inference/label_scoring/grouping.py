"""Which prompts run together: neighbours in the order of their tokens, so that what they share runs once."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sft.labels.token_trie import shared_length

WORTH_CACHING = 32
"""Shared tokens from which prompts that do not fit into one pass have what they share run first, by itself."""
WORTH_SHARING = 16
"""Tokens shared by all prompts from which they run once, by themselves, before texts are generated."""

Prompts = Sequence[Sequence[int]]


@dataclass(frozen=True)
class PassLimits:
    """What a forward pass may hold.

    Attributes:
        tokens: prompt and label tokens together, in label scoring; one prompt always runs.
        rows: prompts; None is no limit.
    """

    tokens: int
    rows: int | None = None


@dataclass(frozen=True)
class Group:
    """Rows that run together, or that must first have what they share run by itself.

    Attributes:
        rows: row numbers, in the order of their tokens.
        fits: whether one pass holds them.
        shared: how many tokens all of them begin with, the last token of each left out.
    """

    rows: tuple[int, ...]
    fits: bool
    shared: int


def token_order(prompts: Prompts) -> list[int]:
    """Row numbers in the order of their tokens; what all begin with is compared once."""
    if not prompts:
        return []
    written = [tuple(prompt) for prompt in prompts]
    shared = shared_length(min(written), max(written))
    return sorted(range(len(prompts)), key=lambda row: written[row][shared:])


def shared_beginning(prompts: Prompts, rows: Sequence[int]) -> int:
    """Tokens that all these rows, in the order of their tokens, begin with; one token of each is left to run."""
    if not rows:
        return 0
    shortest = min(len(prompts[row]) for row in rows)
    return max(0, min(shortest - 1, shared_length(prompts[rows[0]], prompts[rows[-1]])))


def tree_tokens(prompts: Prompts) -> int:
    """Tokens of prompts, in the order of their tokens, as one tree."""
    new = (len(second) - shared_length(first, second) for first, second in itertools.pairwise(prompts))
    return len(prompts[0]) + sum(new)


def groups(
    prompts: Prompts, rows: Sequence[int], cached: int, label_inputs: int, limits: PassLimits
) -> Iterator[Group]:
    """Cut rows into groups.

    Args:
        prompts: all prompts.
        rows: row numbers in the order of their tokens; all begin with the same `cached` tokens.
        cached: tokens that ran already.
        label_inputs: label tokens that run after each prompt.
        limits: of one pass.
    """
    start = 0
    while start < len(rows):
        stop, size, distinct = start, 0, 0
        while stop < len(rows):
            shared = cached if stop == start else shared_length(prompts[rows[stop - 1]], prompts[rows[stop]])
            is_new = stop == start or prompts[rows[stop]] != prompts[rows[stop - 1]]
            size += len(prompts[rows[stop]]) - shared + (label_inputs if is_new else 0)
            distinct += is_new
            too_many = limits.rows is not None and distinct > limits.rows
            if size > limits.tokens or (too_many and stop > start):
                break
            stop += 1
        fits = stop > start
        if not fits:
            stop = _alike(prompts, rows, start, cached)
        taken = tuple(rows[start:stop])
        yield Group(taken, fits, shared_beginning(prompts, taken))
        start = stop


def _alike(prompts: Prompts, rows: Sequence[int], start: int, cached: int) -> int:
    """The end of the rows that share enough with the one at `start` to have it run once."""
    stop = start + 1
    while stop < len(rows):
        if shared_length(prompts[rows[start]], prompts[rows[stop]]) < cached + WORTH_CACHING:
            break
        stop += 1
    return stop

"""One forward pass: lines of tokens, each the ends of some prompts as a tree with a chunk of the label set after each.

Lines are rows of the batch. What stands on one line attends over the whole line, masked or not, so that short lines
are cheap; lines of equal length waste nothing on padding.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sft.inference.label_scoring.grouping import Prompts, tree_tokens
from sft.inference.label_scoring.label_plan import LabelChunk
from sft.labels.token_trie import TokenTrie, shared_length

LAYER_COST = 2048
"""What a token costs in the linear layers, in units of what it costs to attend to one other; of a small model."""
COPY_COST = 100
"""What it costs to copy a cached token for one more line, in the same units."""
WIDTHS_TRIED = 16
"""Lengths of lines that are tried, from that of the longest prompt to that of all together."""
TOGETHER = 8
"""Shared tokens from which prompts stand on one line, so that what they share runs once."""


@dataclass(frozen=True)
class TreePass:
    """Tokens that run together; none sees another branch of its tree, or another line.

    Attributes:
        ids: (lines, width); the tokens whose logits are wanted stand last, padding first.
        depths: (lines, width) how many tokens of the line stand before each on its path.
        visible: (lines, width, width) whether the first sees the second; what is cached before is seen by all.
        kept: how many places from the end the wanted tokens take.
        end_lines: (ends,) the line of each end of a prompt.
        end_places: (ends, 1 + inputs of the chunk) the wanted tokens of each end, counted within the kept places.
        ends: for each prompt its number among the ends; equal prompts of a line share one.
    """

    ids: NDArray[np.int64]
    depths: NDArray[np.int64]
    visible: NDArray[np.bool_]
    kept: int
    end_lines: NDArray[np.int64]
    end_places: NDArray[np.int64]
    ends: tuple[int, ...]


def tree_pass(prompts: Prompts, chunk: LabelChunk, cached: int = 0) -> TreePass:
    """The pass of some prompts, less what is cached of them, with a chunk of labels after each.

    Args:
        prompts: in the order of their tokens.
        chunk: part of the label set.
        cached: how many tokens are, which the number of lines depends on.

    Raises:
        ValueError: a prompt has no tokens left.
    """
    if not all(prompts):
        raise ValueError("a prompt without tokens cannot be run")
    shared_out = _lines(prompts, len(chunk), cached)
    lines = [_line([prompts[number] for number in numbers], chunk) for numbers in shared_out]
    width, kept = max(len(line.ids) for line in lines), max(line.kept for line in lines)
    ids, depths = (np.zeros((len(lines), width), dtype=np.int64) for _ in range(2))
    visible = np.broadcast_to(np.eye(width, dtype=bool), (len(lines), width, width)).copy()
    ends = [0] * len(prompts)
    before = 0
    for number, (line, own) in enumerate(zip(lines, shared_out, strict=True)):
        start = width - len(line.ids)
        ids[number, start:], depths[number, start:] = line.ids, line.depths
        visible[number, start:, start:] = line.visible
        for prompt, end in zip(own, line.ends, strict=True):
            ends[prompt] = before + end
        before += len(line.places)
    return TreePass(
        ids=ids,
        depths=depths,
        visible=visible,
        kept=kept,
        end_lines=np.repeat(np.arange(len(lines)), [len(line.places) for line in lines]),
        end_places=np.concatenate([line.places + kept - line.kept for line in lines]),
        ends=tuple(ends),
    )


@dataclass(frozen=True)
class _Line:
    """The same of one line; `places` count from the first wanted token, of which there are `kept`."""

    ids: NDArray[np.int64]
    depths: NDArray[np.int64]
    visible: NDArray[np.bool_]
    kept: int
    places: NDArray[np.int64]
    ends: tuple[int, ...]


def _line(prompts: Prompts, chunk: LabelChunk) -> _Line:
    trie = TokenTrie.of(prompts)
    ends = list(dict.fromkeys(path[-1] for path in trie.paths))
    n_prompt, n_label = len(trie), len(chunk)
    size = n_prompt + len(ends) * n_label
    visible = np.zeros((size, size), dtype=bool)
    visible[:n_prompt, :n_prompt] = trie.visible(range(n_prompt))
    depths = [np.array(trie.depths, dtype=np.int64)]
    wanted = np.empty((len(ends), 1 + n_label), dtype=np.int64)
    for number, end in enumerate(ends):
        own = slice(n_prompt + number * n_label, n_prompt + (number + 1) * n_label)
        visible[own, :n_prompt] = visible[end, :n_prompt]
        visible[own, own] = chunk.visible
        depths.append(trie.depths[end] + 1 + chunk.depths)
        wanted[number] = [end, *range(own.start, own.stop)]
    order = np.concatenate([np.setdiff1d(np.arange(size), wanted), wanted.reshape(-1)])
    ids = np.concatenate([np.array(trie.tokens, dtype=np.int64), *[chunk.ids] * len(ends)])
    return _Line(
        ids=ids[order],
        depths=np.concatenate(depths)[order],
        visible=visible[np.ix_(order, order)],
        kept=wanted.size,
        places=np.arange(wanted.size).reshape(wanted.shape),
        ends=tuple(ends.index(path[-1]) for path in trie.paths),
    )


def _lines(prompts: Prompts, label_inputs: int, cached: int) -> list[list[int]]:
    """Numbers of the prompts of each line, in as many lines as are cheapest together."""
    units = _units(prompts)
    sizes = [_size([prompts[number] for number in unit], label_inputs) for unit in units]

    def cost(lines: list[list[int]]) -> int:
        width = max(sum(sizes[unit] for unit in line) for line in lines)
        return len(lines) * (width * (LAYER_COST + cached + width) + COPY_COST * cached)

    total, largest = sum(sizes), max(sizes)
    widths = [largest * (total / largest) ** (step / WIDTHS_TRIED) for step in range(WIDTHS_TRIED + 1)]
    counts = sorted({min(len(units), max(1, round(total / width))) for width in widths})
    best = min((_balanced(sizes, count) for count in counts), key=cost)
    return [sorted(number for unit in line for number in units[unit]) for line in best]


def _balanced(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Units shared out among lines: the longest first, each to the line that is shortest so far."""
    lines: list[list[int]] = [[] for _ in range(count)]
    lengths = [(0, line) for line in range(count)]
    for unit in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        length, shortest = heapq.heappop(lengths)
        lines[shortest].append(unit)
        heapq.heappush(lengths, (length + sizes[unit], shortest))
    return lines


def _units(prompts: Prompts) -> list[list[int]]:
    """Neighbours that share enough to stand together."""
    units: list[list[int]] = []
    for number, prompt in enumerate(prompts):
        if number and shared_length(prompts[number - 1], prompt) >= min(TOGETHER, len(prompt)):
            units[-1].append(number)
        else:
            units.append([number])
    return units


def _size(prompts: Prompts, label_inputs: int) -> int:
    """Tokens of prompts that stand together."""
    return tree_tokens(prompts) + label_inputs * len({tuple(prompt) for prompt in prompts})

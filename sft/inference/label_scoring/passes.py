"""One forward pass: the ends of some prompts as a tree, and a chunk of the label set after each of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sft.inference.label_scoring.label_plan import LabelChunk
from sft.labels.token_trie import TokenTrie


@dataclass(frozen=True)
class TreePass:
    """Tokens that run together, none of which sees another branch.

    Attributes:
        ids: (tokens,).
        depths: (tokens,) how many tokens of the pass stand before each on its path.
        visible: (tokens, tokens) whether the first sees the second; what is cached before the pass is seen by all.
        kept: (ends, 1 + inputs of the chunk) the tokens whose logits are wanted.
        ends: for each prompt its number among the ends; equal prompts share one.
    """

    ids: NDArray[np.int64]
    depths: NDArray[np.int64]
    visible: NDArray[np.bool_]
    kept: NDArray[np.int64]
    ends: tuple[int, ...]


def tree_pass(prompts: Sequence[Sequence[int]], chunk: LabelChunk) -> TreePass:
    """The pass of some prompts, less what is cached of them, with a chunk of labels after each.

    Raises:
        ValueError: a prompt has no tokens left.
    """
    trie = TokenTrie.of(prompts)
    if not all(trie.paths):
        raise ValueError("a prompt without tokens cannot be run")
    ends = list(dict.fromkeys(path[-1] for path in trie.paths))
    n_prompt, n_label = len(trie), len(chunk)
    size = n_prompt + len(ends) * n_label
    visible = np.zeros((size, size), dtype=bool)
    visible[:n_prompt, :n_prompt] = trie.visible(range(n_prompt))
    depths = [np.array(trie.depths, dtype=np.int64)]
    kept = np.empty((len(ends), 1 + n_label), dtype=np.int64)
    for number, end in enumerate(ends):
        start = n_prompt + number * n_label
        own = slice(start, start + n_label)
        visible[own, :n_prompt] = visible[end, :n_prompt]
        visible[own, own] = chunk.visible
        depths.append(trie.depths[end] + 1 + chunk.depths)
        kept[number] = [end, *range(own.start, own.stop)]
    return TreePass(
        ids=np.concatenate([np.array(trie.tokens, dtype=np.int64), *[chunk.ids] * len(ends)]),
        depths=np.concatenate(depths),
        visible=visible,
        kept=kept,
        ends=tuple(ends.index(path[-1]) for path in trie.paths),
    )

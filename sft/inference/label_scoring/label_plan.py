"""How a label set is run after a prompt: which of its tokens go through the model, and where each one's score is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sft.labels.token_trie import ROOT, TokenTrie

Label = tuple[Sequence[int], Sequence[int]]
"""Ids of a label and ids of the stop that follows it."""


@dataclass(frozen=True)
class LabelChunk:
    """Part of a label trie that runs together; every token that something follows is an input.

    Attributes:
        ids: (inputs,) the tokens that go through the model.
        depths: (inputs,) how many label tokens stand before each.
        visible: (inputs, inputs) whether the second is the first or stands before it.
        scored: (nodes,) nodes of the trie whose score comes out of this chunk.
        sources: (nodes,) where the logits of each are: 0 = after the prompt, 1 + i = after input i.
        tokens: (nodes,) their ids.
    """

    ids: NDArray[np.int64]
    depths: NDArray[np.int64]
    visible: NDArray[np.bool_]
    scored: NDArray[np.int64]
    sources: NDArray[np.int64]
    tokens: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class LabelPlan:
    """A label set, cut into chunks of bounded size."""

    trie: TokenTrie
    chunks: tuple[LabelChunk, ...]
    answer_tokens: NDArray[np.int64]
    stop_tokens: NDArray[np.int64]

    @staticmethod
    def of(labels: Sequence[Label], max_inputs: int) -> "LabelPlan":
        """The plan of some labels.

        Args:
            labels: ids of each label and of its stop; one of the two may be empty.
            max_inputs: most inputs of a chunk that are not repeated from an earlier one.
        """
        trie = TokenTrie.of([[*answer, *stop] for answer, stop in labels])
        counts = np.array([[len(part) for part in label] for label in labels], dtype=np.int64).reshape(len(labels), 2)
        return LabelPlan(trie, tuple(_chunks(trie, max(1, max_inputs))), counts[:, 0], counts[:, 1])

    def sums(self, node_logprobs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(rows, labels) sums over the label's and over the stop's ids, from (rows, nodes) log-probabilities."""
        tokens = np.zeros((len(node_logprobs), len(self._path_nodes) + 1))
        tokens[:, :-1] = node_logprobs[:, self._path_nodes]
        lengths = np.stack([self.answer_tokens, self.stop_tokens], axis=1).reshape(-1)
        sums = np.add.reduceat(tokens, lengths.cumsum() - lengths, axis=1)
        sums[:, lengths == 0] = 0.0
        return sums[:, 0::2], sums[:, 1::2]

    @cached_property
    def _path_nodes(self) -> NDArray[np.int64]:
        """The nodes of all labels, one after the other."""
        return _array([node for path in self.trie.paths for node in path])


def _chunks(trie: TokenTrie, max_inputs: int) -> list[LabelChunk]:
    """Neighbours in the tree's order share most of what stands before them, so little runs twice."""
    inputs = trie.with_children
    starts = range(0, max(1, len(inputs)), max_inputs)
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(trie.parents):
        children.setdefault(parent, []).append(node)
    chunks = []
    for start in starts:
        own = inputs[start : start + max_inputs]
        parents = [ROOT, *own] if start == 0 else list(own)
        run = trie.closure(own)
        slots = {ROOT: 0} | {node: 1 + number for number, node in enumerate(run)}
        scored = [node for parent in parents for node in children.get(parent, ())]
        chunks.append(
            LabelChunk(
                ids=_array([trie.tokens[node] for node in run]),
                depths=_array([trie.depths[node] for node in run]),
                visible=trie.visible(run),
                scored=_array(scored),
                sources=_array([slots[trie.parents[node]] for node in scored]),
                tokens=_array([trie.tokens[node] for node in scored]),
            )
        )
    return chunks


def _array(values: list[int]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)

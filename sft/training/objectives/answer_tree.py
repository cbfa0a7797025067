"""All answers of a label set as one tree of tokens, as a training runs them behind each prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sft.labels.token_trie import ROOT, TokenTrie

Answers = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class AnswerTree:
    """Every token that another one follows is an input; the last of an answer never runs.

    Attributes:
        answers: ids of each label with its stop.
        ids: (inputs,) the tokens that run behind a prompt.
        depths: (inputs,) how many of the answer's tokens stand before each.
        visible: (inputs, inputs) bool: whether the second is the first or stands before it in an answer.
        tokens: (nodes,) the ids that are scored, one of each distinct beginning of an answer.
        sources: (nodes,) where the logits of each are: 0 = behind the prompt, 1 + i = behind input i.
        paths: (labels, tokens) the node of each token of each answer; 0 where there is none.
        is_token: (labels, tokens) bool.
    """

    answers: Answers
    ids: torch.Tensor
    depths: torch.Tensor
    visible: torch.Tensor
    tokens: torch.Tensor
    sources: torch.Tensor
    paths: torch.Tensor
    is_token: torch.Tensor

    def __len__(self) -> int:
        """Tokens that run behind each prompt."""
        return len(self.ids)

    @staticmethod
    def of(answers: Sequence[Sequence[int]]) -> "AnswerTree":
        """
        Raises:
            ValueError: an answer is empty, or two are equal.
        """
        given = tuple(tuple(answer) for answer in answers)
        if not all(given) or len(set(given)) < len(given):
            raise ValueError("answers must differ and have tokens")
        trie = TokenTrie.of(given)
        inputs = trie.with_children
        place = {ROOT: 0} | {node: 1 + number for number, node in enumerate(inputs)}
        longest = max(map(len, given))
        return AnswerTree(
            answers=given,
            ids=_whole([trie.tokens[node] for node in inputs]),
            depths=_whole([trie.depths[node] for node in inputs]),
            visible=torch.from_numpy(trie.visible(inputs)),
            tokens=_whole(trie.tokens),
            sources=_whole([place[parent] for parent in trie.parents]),
            paths=torch.tensor([[*path, *[0] * (longest - len(path))] for path in trie.paths]),
            is_token=torch.tensor([[place < len(path) for place in range(longest)] for path in trie.paths]),
        )


def _whole(values: Sequence[int]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.long)

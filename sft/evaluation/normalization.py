"""Saved label scores to the scores that are compared: one rule for every row set, and no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Normalization = Literal["sum", "mean", "chars", "pmi"]


@dataclass(frozen=True)
class SavedScores:
    """What an infer stage left of a row set.

    Attributes:
        splits: (rows,) the split of each row.
        source_index: (rows,) its position there.
        answer_logprobs: (rows, labels), in nats, summed over the label's ids.
        stop_logprobs: (rows, labels), in nats, summed over the ids of its stop.
        answer_tokens: (labels,) how many ids the label has.
        stop_tokens: (labels,) how many ids its stop has.
    """

    splits: NDArray[np.str_]
    source_index: NDArray[np.int64]
    answer_logprobs: Scores
    stop_logprobs: Scores
    answer_tokens: NDArray[np.int64]
    stop_tokens: NDArray[np.int64]

    @classmethod
    def read(cls, path: Path) -> "SavedScores":
        """The scores in an infer stage's file."""
        with np.load(path, allow_pickle=False) as saved:
            return cls(**{name: saved[name] for name in cls.__dataclass_fields__})

    def of_split(self, split: str) -> "SavedScores":
        """The rows of one split, in their order."""
        return self._chosen(self.splits == split)

    def without_others(self, split: str, source_index: Sequence[int]) -> "SavedScores":
        """All but the rows of a split whose position there is not among these."""
        return self._chosen((self.splits != split) | np.isin(self.source_index, list(source_index)))

    def _chosen(self, chosen: NDArray[np.bool_]) -> "SavedScores":
        """The rows at which this is true."""
        return SavedScores(
            self.splits[chosen],
            self.source_index[chosen],
            self.answer_logprobs[chosen],
            self.stop_logprobs[chosen],
            self.answer_tokens,
            self.stop_tokens,
        )

    @property
    def sums(self) -> Scores:
        """(rows, labels) log-probability of label and stop."""
        return self.answer_logprobs + self.stop_logprobs

    @property
    def label_mass(self) -> Scores:
        """(rows,) how much probability falls on any label; with their stops no two labels share any."""
        mass: Scores = np.exp(self.sums).sum(axis=1)
        return mass


@dataclass(frozen=True)
class ScoringRule:
    """How saved scores are compared.

    Attributes:
        words: what the model reads and writes for each label.
        normalization: `sum`; `mean`, per token that counts; `chars`, per character of the label's words; `pmi`, less
            the score that the label has without an input (Holtzman et al. 2021, arXiv:2104.08315).
        end_token: whether the ids of the stop count.
        without_input: of `pmi`: one row, a prompt without an input.
    """

    words: tuple[str, ...]
    normalization: Normalization
    end_token: bool
    without_input: SavedScores | None = None

    def scores(self, saved: SavedScores) -> Scores:
        """(rows, labels) scores in nats, of `mean` and `chars` in nats per token or character."""
        sums = self._sums(saved)
        match self.normalization:
            case "sum":
                return sums
            case "mean":
                tokens = saved.answer_tokens + saved.stop_tokens if self.end_token else saved.answer_tokens
                return sums / tokens.astype(np.float64)
            case "chars":
                return sums / np.array([len(word) for word in self.words], dtype=np.float64)
            case "pmi":
                if self.without_input is None:
                    raise ValueError("pmi needs the scores without an input")
                return sums - self._sums(self.without_input)

    def _sums(self, saved: SavedScores) -> Scores:
        return saved.sums if self.end_token else saved.answer_logprobs


def label_probabilities(scores: Scores) -> Scores:
    """The softmax over the labels, (rows, labels)."""
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: Scores = weights / weights.sum(axis=1, keepdims=True)
    return probabilities

"""A row as a model is trained on it."""

from dataclasses import dataclass

from sft.prompts.style import Encoded

IGNORED = -100
"""The label of a token without a loss."""


@dataclass(frozen=True)
class TrainRow:
    """One row as the model sees it."""

    input_ids: tuple[int, ...]
    """Ids of prompt and completion."""

    labels: tuple[int, ...]
    """As long as `input_ids`; the id where a token is trained, -100 elsewhere."""

    @staticmethod
    def of(encoded: Encoded) -> "TrainRow":
        """The row whose loss covers the completion."""
        completion = encoded.completion_ids
        return TrainRow(encoded.prompt_ids + completion, (IGNORED,) * len(encoded.prompt_ids) + completion)

    @property
    def n_trained(self) -> int:
        """Tokens with a loss; the first token of a row never has one, as nothing predicts it."""
        return sum(label != IGNORED for label in self.labels[1:])

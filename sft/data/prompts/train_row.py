"""A row as a model is trained on it."""

from dataclasses import dataclass

IGNORED = -100
"""The label of a token without a loss."""


@dataclass(frozen=True)
class TrainRow:
    """One row as the model sees it."""

    input_ids: tuple[int, ...]
    """Ids of prompt and completion."""

    labels: tuple[int, ...]
    """As long as `input_ids`; the id where a token is trained, -100 elsewhere."""

    @property
    def n_trained(self) -> int:
        """Tokens with a loss; the first token of a row never has one, as nothing predicts it."""
        return sum(label != IGNORED for label in self.labels[1:])

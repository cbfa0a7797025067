"""What every training objective declares, and what a loss of our own offers to the trainer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

Collator = Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]


@dataclass(frozen=True)
class TrainingObjective:
    """What a training makes small."""

    name: str
    loss: str
    """What a point of the loss curve and of the dev curve is, in words."""
    trainer_args: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the trainer that make it; nothing for an objective that the trainer has by default."""
    own_loss: str | None = None
    """What computes it, where the trainer has no such loss: `package.module:object`, called with the model, the
    answers, and the training and dev rows, gives an `OwnLoss`.
    """
    needs_labels: bool = False
    """Whether it compares the right answer of a row with the others of a closed set of labels."""
    weighs_rows: bool = True
    """Whether the loss of a row can be multiplied by a weight (`training.class_weights`)."""
    clashes: Mapping[str, str] = field(default_factory=dict)
    """Argument of the trainer that it does not go with -> why."""


class OwnLoss(Protocol):
    """A loss that takes the place of the trainer's."""

    def collator(self, plain: Any) -> Collator:
        """What makes a batch of rows, in the place of the trainer's collator; its settings are those of `plain`.

        A batch has `input_ids`, `attention_mask` of 1 and 0, and `labels` that are -100 but at one place for each item
        that the loss is a mean over: the trainer counts those of a whole step.
        """

    def __call__(self, model: Any, batch: Mapping[str, Any], n_items: "torch.Tensor | int | None") -> "torch.Tensor":
        """The share of a batch in the loss of a step.

        Args:
            model: as the trainer calls it.
            batch: of the collator; `loss_weight`, where it is there, is (rows,).
            n_items: the items of all batches of the step; None: of this one.
        """

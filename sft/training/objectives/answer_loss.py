"""The loss of T-Few from the log-probabilities of all answers after each prompt; the formulas are in `t_few.py`."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from sft.models.attention.masks import MaskRule
from sft.prompts.train_row import TrainRow
from sft.training.objectives.answer_batches import AnswerCollator
from sft.training.objectives.answer_logprobs import AnswerModel, answers_as_tree
from sft.training.objectives.answer_tree import AnswerTree
from sft.training.objectives.objective import Collator
from sft.training.row_weights import COLUMN

SMALLEST = torch.finfo(torch.float64).eps
"""What 1 - p is at least: a token of which the model is wholly sure would make the loss infinite."""

logger = logging.getLogger(__name__)


class AnswerLoss:
    """The loss of T-Few (an `OwnLoss`): its items are rows.

    Attributes:
        slow_reason: why every label runs as a sequence of its own; None where labels run as one tree.
    """

    def __init__(self, model: Any, answers: Sequence[Sequence[int]], rows: Sequence[TrainRow]) -> None:
        """
        Args:
            model: a causal language model, wrapped by PEFT or not.
            answers: ids of each label with its stop; all differ, and the completion of each row is one of them.
            rows: the training rows and the dev rows.
        """
        self._tree = AnswerTree.of(answers)
        self._model = AnswerModel(self._tree)
        rule = answers_as_tree(model, self._tree, rows)
        self._rule = rule if isinstance(rule, MaskRule) else None
        self.slow_reason = rule if isinstance(rule, str) else None
        if self.slow_reason is not None:
            logger.warning("labels are trained the slow way, one sequence for each: %s", self.slow_reason)

    def collator(self, plain: Any) -> Collator:
        """Batches of prompts with the labels' tree behind each."""
        return AnswerCollator(self._tree, plain.pad_token_id, plain.pad_to_multiple_of)

    def __call__(self, model: Any, batch: Mapping[str, Any], n_items: torch.Tensor | int | None) -> torch.Tensor:
        """The sum of the rows' losses over the number of rows of the step."""
        found = self._model.logprobs(model, batch["input_ids"], batch["attention_mask"], self._rule)
        losses = t_few_losses(found, self._tree.is_token.to(found.device), batch["labels"][:, -1].to(found.device))
        if COLUMN in batch:
            losses = losses * batch[COLUMN].to(losses)
        return losses.sum().float() / (len(losses) if n_items is None else torch.as_tensor(n_items).to(losses.device))


def t_few_losses(logprobs: torch.Tensor, is_token: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """(rows,) L of each row, float64, in nats.

    Args:
        logprobs: (rows, labels, tokens) of each token of each answer, float64; any number where there is no token.
        is_token: (labels, tokens) bool.
        gold: (rows,) place of the right answer among the labels.
    """
    found = logprobs.masked_fill(~is_token, 0.0)
    lengths = is_token.sum(dim=1)
    means = found.sum(dim=2) / lengths
    likelihood = -means.gather(1, gold[:, None])[:, 0]
    # log(1 - p) of log p, exact at both ends: expm1 keeps the digits of a p near 1.
    complements = torch.log((-torch.expm1(found)).clamp(min=SMALLEST))
    is_wrong = torch.arange(len(lengths), device=gold.device)[None] != gold[:, None]
    counted = (is_wrong[:, :, None] & is_token[None]).to(found)
    unlikelihood = -(complements * counted).sum(dim=(1, 2)) / counted.sum(dim=(1, 2))
    return likelihood + unlikelihood + cross_entropy(means, gold, reduction="none")

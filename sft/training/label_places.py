"""Which tokens of a batch carry a loss: the output layer runs on these alone, and what rows share runs once.

The batch stays as the trainer's collator makes it; what is added under `scored` says how to run it. The losses and
gradients are those of whole rows up to rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from sft.models.attention.masks import MaskRule
from sft.prompts.train_row import IGNORED
from sft.training.token_tree import TokenTree, runs_as_tree

SCORED = "scored"
"""Key of a batch: a dict of tensors.

`rows`, `labels`, `places` (scored tokens,): the row of each, its id, and the place of the token before it, which
predicts it, in the padded rows laid end to end or in the tree; `ids`, `depths`, `ends` (tokens,): the tree, where the
batch runs as one.
"""


@dataclass(frozen=True)
class Trees:
    """How a model runs the rows of a batch as one tree.

    Attributes:
        masks: of its attention.
        hidden: hidden units.
        attends_in_full: whether its attention holds the products of all pairs of tokens.
    """

    masks: MaskRule
    hidden: int
    attends_in_full: bool


@dataclass(frozen=True)
class PlacingCollator:
    """The trainer's collator, whose batches say which tokens are scored, and how the rows run."""

    plain: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]
    trees: Trees | None
    """None where rows always run one by one."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The batch with its scored tokens."""
        batch = self.plain(rows)
        labels = batch["labels"][:, 1:]
        lines, columns = (labels != IGNORED).nonzero(as_tuple=True)
        scored = {"rows": lines, "labels": labels[lines, columns]}
        width = batch["labels"].shape[1]
        tree = self._tree(rows, lines, columns, width)
        batch[SCORED] = scored | (tree or {"places": lines * width + columns})
        return batch

    def _tree(
        self, rows: Sequence[Mapping[str, Any]], lines: torch.Tensor, columns: torch.Tensor, width: int
    ) -> dict[str, torch.Tensor] | None:
        """The batch as a tree, in which nothing stands behind the last scored token of a row; None: not worth it."""
        if self.trees is None:
            return None
        last = torch.zeros(len(rows), dtype=torch.long).scatter_reduce_(0, lines, columns, "amax")
        ids = [tuple(row["input_ids"][: end + 1]) for row, end in zip(rows, last.tolist(), strict=True)]
        if not runs_as_tree(ids, width, self.trees.hidden, self.trees.attends_in_full):
            return None
        tree = TokenTree.of(ids)
        places = [int(tree.paths[line][column]) for line, column in zip(lines.tolist(), columns.tolist(), strict=True)]
        arrays = {"ids": tree.ids, "depths": tree.depths, "ends": tree.ends}
        return {"places": torch.tensor(places)} | {name: torch.from_numpy(own) for name, own in arrays.items()}


def at_labels(
    model: Callable[..., Any], body: Any, scored: Mapping[str, torch.Tensor], trees: Trees | None
) -> Callable[..., Any]:
    """A model whose output layer runs where a token is scored, with the fused head of the trainer.

    Its `log_probs`, `entropy` and `is_top1` are (1, scored tokens).

    Args:
        model: called with a batch.
        body: the part of it that gives the hidden states.
        scored: of the batch.
        trees: how the model runs a tree; needed where the batch has one.
    """

    def call(**inputs: Any) -> Any:
        del inputs["labels"]
        if "ids" in scored and trees is not None:
            inputs = {**inputs, **_tree_inputs(scored, trees.masks)}
        with _hidden_states_at(body, scored["places"]):
            return model(**inputs, shift_labels=scored["labels"][None])

    return call


def mean_loss(outputs: Any, loss_type: str, count: Any, metrics: Mapping[str, list[Any]]) -> torch.Tensor:
    """The library's loss without a look at its numbers, for which a GPU would be waited for in each micro-batch.

    Pieces of packed rows may have no trained token; a batch of these has the loss 0.

    Args:
        outputs: of a model called by `at_labels`.
        loss_type: `nll`, or `dft`: each loss times the probability of its token.
        count: tokens that the sum is divided by; None: those of this batch.
        metrics: the trainer's lists of what it logs, which get what this batch adds.
    """
    losses = -outputs.log_probs
    if loss_type == "dft":
        losses = losses * outputs.log_probs.exp().detach()
    here = max(losses.numel(), 1)
    metrics["entropy"].append(outputs.entropy.detach().sum() / here)
    metrics["mean_token_accuracy"].append(outputs.is_top1.sum() / here)
    loss: torch.Tensor = losses.sum() / (here if count is None else torch.as_tensor(count).clamp(min=1))
    return loss


def _tree_inputs(scored: Mapping[str, torch.Tensor], masks: MaskRule) -> dict[str, Any]:
    ids, depths, ends = (scored[name] for name in ("ids", "depths", "ends"))
    places = torch.arange(len(ids), device=ids.device)
    visible = (places[None] <= places[:, None]) & (places[:, None] < ends[None])
    return {
        "input_ids": ids[None],
        "position_ids": depths[None],
        "attention_mask": masks.of(visible[None], depths[None], 0, ids.device),
    }


@contextmanager
def _hidden_states_at(body: Any, places: torch.Tensor) -> Any:
    """While it is open, the body of a model gives the hidden states at some places alone, (1, places, hidden)."""

    def chosen(_module: Any, _inputs: Any, output: Any) -> Any:
        states = output.last_hidden_state
        output.last_hidden_state = states.flatten(0, 1).index_select(0, places.to(states.device))[None]
        return output

    handle = body.register_forward_hook(chosen)
    try:
        yield
    finally:
        handle.remove()

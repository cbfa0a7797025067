"""Log-probabilities, with gradients, of all answers after each prompt of a batch.

Where the model takes a mask of one's own, the prompt runs once, and the answers behind it as a tree in which each
token sees what stands before it. Where it does not, each answer runs behind the prompt as a sequence of its own: the
same numbers, for as many prompts more.
"""

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from sft.adapters.virtual_tokens import virtual_tokens
from sft.models.attention.masks import MaskRule, base_of, is_tried, mask_rule, stretched_positions
from sft.models.attention.trial import objection
from sft.prompts.train_row import TrainRow
from sft.training.objectives.answer_batches import AnswerCollator
from sft.training.objectives.answer_tree import AnswerTree

LOGITS_AT_ONCE = 1 << 24
"""Logits that are held in fp64 at once: 128 MiB."""


class AnswerModel:
    """Runs a model over batches of an `AnswerCollator`."""

    def __init__(self, tree: AnswerTree) -> None:
        self._tree = tree

    def logprobs(
        self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, rule: MaskRule | None
    ) -> torch.Tensor:
        """(rows, labels, tokens) float64 in nats; any number where an answer has no such token.

        Args:
            model: a causal language model, as the trainer calls it.
            input_ids: (rows, width) as the collator makes them.
            attention_mask: (rows, width) 1 where there is a token.
            rule: how masks are made for the model; None: each answer is a sequence of its own.
        """
        if rule is None:
            return self._by_sequences(model, input_ids, attention_mask)
        depths, visible = self._layout(attention_mask)
        kept = 1 + len(self._tree)
        logits = model(
            input_ids=input_ids,
            attention_mask=rule.of(visible, depths, 0, input_ids.device),
            position_ids=depths,
            use_cache=False,
            **_last_places(model, kept),
        ).logits[:, -kept:]
        where = (self._tree.sources.to(logits.device), self._tree.tokens.to(logits.device))
        return _picked(logits, *where)[:, self._tree.paths.to(logits.device)]

    def _layout(self, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows, width) depths and (rows, width, width) whether the first token sees the second."""
        tree, device = self._tree, mask.device
        is_prompt = mask[:, : mask.shape[1] - len(tree)].bool()
        rows, columns = is_prompt.shape
        lengths = is_prompt.sum(dim=1)
        depths = torch.cat(
            [(is_prompt.cumsum(dim=1) - 1).clamp(min=0), lengths[:, None] + tree.depths.to(device)[None]], dim=1
        )
        visible = torch.eye(mask.shape[1], dtype=torch.bool, device=device).repeat(rows, 1, 1)
        causal = torch.ones((columns, columns), dtype=torch.bool, device=device).tril()
        visible[:, :columns, :columns] |= causal & is_prompt[:, None]
        visible[:, columns:, :columns] = is_prompt[:, None]
        visible[:, columns:, columns:] = tree.visible.to(device)
        return depths, visible

    def _by_sequences(self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The padding stands on the right, where no token that counts sees it, whatever the kind of model."""
        tree = self._tree
        columns = input_ids.shape[1] - len(tree)
        prompts = [
            ids[is_token.bool()].tolist()
            for ids, is_token in zip(input_ids[:, :columns], attention_mask[:, :columns], strict=True)
        ]
        sequences = [[*prompt, *answer] for prompt in prompts for answer in tree.answers]
        width = max(map(len, sequences))
        kept = width - min(map(len, prompts)) + 1
        logits = model(
            input_ids=_padded(sequences, width, input_ids.device),
            attention_mask=_padded([[1] * len(ids) for ids in sequences], width, input_ids.device),
            use_cache=False,
            **_last_places(model, kept),
        ).logits[:, -kept:]
        longest = tree.paths.shape[1]
        starts = torch.tensor([len(prompt) - 1 for prompt in prompts for _ in tree.answers]) - (width - kept)
        places = (starts[:, None] + torch.arange(longest)).clamp(max=kept - 1).to(logits.device)
        ids = _padded(tree.answers, longest, logits.device).repeat(len(prompts), 1)
        found = torch.stack([_picked(line[None], *at)[0] for line, *at in zip(logits, places, ids, strict=True)])
        return found.view(len(prompts), len(tree.answers), longest)


def answers_as_tree(model: Any, tree: AnswerTree, rows: Sequence[TrainRow]) -> MaskRule | str:
    """How masks are made for a model, or in one line why each answer has to be a sequence of its own.

    A model whose type the tests do not know is tried on the shortest and the longest row, without gradients.
    """
    if virtual_tokens(model):
        return "the virtual tokens of its adapter stand before whole sequences"
    longest = max(len(row.input_ids) - row.n_trained for row in rows) + tree.paths.shape[1]
    rule = stretched_positions(model, longest) or mask_rule(model)
    if isinstance(rule, str) or is_tried(model):
        return rule
    tried = [min(rows, key=lambda row: len(row.input_ids)), max(rows, key=lambda row: len(row.input_ids))]
    batch = AnswerCollator(tree, 0)([{"input_ids": row.input_ids, "labels": row.labels} for row in tried])
    ids, mask = (batch[name].to(model.device) for name in ("input_ids", "attention_mask"))
    runs = AnswerModel(tree)

    def apart(rule: MaskRule) -> float:
        as_tree, whole = (runs.logprobs(model, ids, mask, way) for way in (rule, None))
        return float((as_tree - whole).masked_fill(~tree.is_token.to(whole.device), 0.0).sum(dim=2).abs().max())

    with _measuring(model):
        found = objection(model, rule, apart)
    return rule if found is None else f"it does not take a mask of one's own ({found})"


def _picked(logits: torch.Tensor, places: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """(rows, tokens) log-probabilities of ids at places of (rows, places, vocabulary) logits, softmax in fp64.

    The wide copies are made again for the gradient, a few places at a time, so that they never take much memory.
    """
    step = max(1, LOGITS_AT_ONCE // (logits.shape[0] * logits.shape[2]))
    parts = torch.split(logits, step, dim=1)
    normalisers = [checkpoint(_normaliser, part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    return logits[:, places, ids].double() - torch.cat(normalisers, dim=1)[:, places]


def _normaliser(logits: torch.Tensor) -> torch.Tensor:
    return torch.logsumexp(logits.double(), dim=-1)


def _last_places(model: Any, kept: int) -> dict[str, int]:
    """Has the head look at the last places alone, where it takes such a wish."""
    takes = "logits_to_keep" in inspect.signature(type(base_of(model)).forward).parameters
    return {"logits_to_keep": kept} if takes else {}


def _padded(rows: Sequence[Sequence[int]], width: int, device: torch.device) -> torch.Tensor:
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)


@contextlib.contextmanager
def _measuring(model: Any) -> Iterator[None]:
    """The model in eval mode and without gradients, as it was afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)

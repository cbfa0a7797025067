"""Log-probability of every label after every prompt, exact whatever runs together.

The score of a label is the sum of log p(token) over its ids and the ids of its stop, given the rendered prompt, with
the output layer and the softmax over the whole vocabulary in fp32. What prompts begin with alike runs once; the labels
run as a tree after each prompt, every token seeing only what stands before it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sft.adapters.virtual_tokens import virtual_tokens
from sft.inference.label_scoring.cached_model import CachedModel, Context, token_logprobs
from sft.inference.label_scoring.grouping import Group, PassLimits, groups, shared_beginning, token_order
from sft.inference.label_scoring.label_plan import Label, LabelPlan
from sft.inference.label_scoring.passes import tree_pass
from sft.inference.label_scoring.whole_sequences import score_whole_sequences
from sft.inference.label_scoring.wide_head import head_in_full_precision
from sft.models.attention.masks import MaskRule, is_tried, mask_rule, stretched_positions
from sft.models.attention.trial import objection

logger = logging.getLogger(__name__)

TRIAL_LABELS = 4


@dataclass(frozen=True)
class LabelScores:
    """What the model says of each label after each prompt, in nats.

    Attributes:
        answer_logprobs: (rows, labels) float64, summed over the label's ids.
        stop_logprobs: (rows, labels) float64, summed over the stop's ids.
        answer_tokens: (labels,) how many ids each label has.
        stop_tokens: (labels,) how many ids its stop has.
        slow_reason: why whole sequences were run instead of a tree; None where the tree was.
    """

    answer_logprobs: np.ndarray
    stop_logprobs: np.ndarray
    answer_tokens: np.ndarray
    stop_tokens: np.ndarray
    slow_reason: str | None = None


def score_labels(
    model: Any,
    prompts: Sequence[Sequence[int]],
    labels: Sequence[Label],
    limits: PassLimits,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> LabelScores:
    """Scores all labels after all prompts.

    Args:
        model: a causal language model, wrapped by PEFT or not; it is put in eval mode and runs where it is.
        prompts: token ids of the rendered prompts, none empty; prompt and longest label fit in the context.
        labels: ids of each label and of its stop; one of the two may be empty.
        limits: of one forward pass; any give the same scores.
        progress: called after each pass with the rows done and all rows; equal prompts count once.
    """
    if not all(prompts):
        raise ValueError("a prompt without tokens cannot be run")
    model.eval()
    place: dict[tuple[int, ...], int] = {}
    whose = [place.setdefault(tuple(prompt), len(place)) for prompt in prompts]
    with torch.inference_mode(), head_in_full_precision(model, next(iter(place), ())):
        scores = _score_distinct(model, list(place), labels, limits, progress)
    return replace(scores, answer_logprobs=scores.answer_logprobs[whose], stop_logprobs=scores.stop_logprobs[whose])


def _score_distinct(
    model: Any,
    prompts: Sequence[Sequence[int]],
    labels: Sequence[Label],
    limits: PassLimits,
    progress: Callable[[int, int], None],
) -> LabelScores:
    plan = LabelPlan.of(labels, max(1, limits.tokens - 1))
    with torch.inference_mode():
        longest = max(map(len, prompts), default=0) + max(len(answer) + len(stop) for answer, stop in labels)
        longest += virtual_tokens(model)
        stretched = stretched_positions(model, longest)
        rule = stretched or mask_rule(model)
        if not isinstance(rule, str) and prompts and not is_tried(model):
            rule = _after_trial(model, rule, prompts, labels)
        if isinstance(rule, str):
            logger.warning("labels are scored the slow way, one sequence for each: %s", rule)
            # Sequences of one batch have one longest length, and with it the same positions.
            rows = 1 if stretched else limits.rows or max(1, limits.tokens // max(1, longest))
            sums = score_whole_sequences(model, prompts, labels, rows, lambda done: progress(done, len(prompts)))
            return LabelScores(*sums, plan.answer_tokens, plan.stop_tokens, rule)
        sums = _TreeScoring(CachedModel(model, rule, limits.tokens), prompts, plan, limits, progress).run()
    return LabelScores(*sums, plan.answer_tokens, plan.stop_tokens)


class _TreeScoring:
    """One scoring: walks the prompts in the order of their tokens."""

    def __init__(
        self,
        model: CachedModel,
        prompts: Sequence[Sequence[int]],
        plan: LabelPlan,
        limits: PassLimits,
        progress: Callable[[int, int], None],
    ) -> None:
        self._model = model
        self._prompts = prompts
        self._plan = plan
        self._limits = limits
        self._progress = progress
        self._scores = np.zeros((2, len(prompts), len(plan.trie.paths)))
        self._done = 0

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows, labels) sums over each label's and over its stop's ids."""
        order = token_order(self._prompts)
        self._extend_and_run(order, shared_beginning(self._prompts, order), self._model.beginning())
        return self._scores[0], self._scores[1]

    def _extend_and_run(self, rows: Sequence[int], shared: int, context: Context) -> None:
        """Run what the rows share, then the rows."""
        if shared > context.length:
            context = self._model.extend(context, self._prompts[rows[0]][context.length : shared])
        inputs = sum(len(chunk) for chunk in self._plan.chunks)
        for group in groups(self._prompts, rows, context.length, inputs, self._limits):
            self._run_group(group, context)

    def _run_group(self, group: Group, context: Context) -> None:
        if not group.fits and group.shared > context.length:
            self._extend_and_run(group.rows, group.shared, context)
            return
        prompts = [self._prompts[row][context.length :] for row in group.rows]
        logprobs = np.zeros((len(group.rows), len(self._plan.trie)))
        for chunk in self._plan.chunks:
            tokens = tree_pass(prompts, chunk, context.cached)
            found = token_logprobs(self._model.run(context, tokens), tokens, chunk)
            logprobs[:, chunk.scored] = found[list(tokens.ends)]
        rows = list(group.rows)
        self._scores[0, rows], self._scores[1, rows] = self._plan.sums(logprobs)
        self._done += len(rows)
        self._progress(self._done, len(self._prompts))


def _after_trial(
    model: Any, rule: MaskRule, prompts: Sequence[Sequence[int]], labels: Sequence[Label]
) -> MaskRule | str:
    """The rule where it gives the scores of whole sequences on the shortest and the longest prompt, else why not.

    The longest shows what the shortest hides: a window, for one.
    """
    tried = [min(prompts, key=len), max(prompts, key=len)]
    some = sorted(labels, key=lambda label: -len(label[0]))[:TRIAL_LABELS]
    limits = PassLimits(tokens=max(1, len(tried[0])))
    plan = LabelPlan.of(some, limits.tokens)

    def apart(rule: MaskRule) -> float:
        whole = score_whole_sequences(model, tried, some, 1)
        tree = _TreeScoring(CachedModel(model, rule), tried, plan, limits, lambda _done, _total: None).run()
        return max(float(np.abs(first - second).max()) for first, second in zip(whole, tree, strict=True))

    found = objection(model, rule, apart)
    return rule if found is None else f"it does not take a mask of one's own ({found})"

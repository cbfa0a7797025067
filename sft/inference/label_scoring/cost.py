"""How many tokens run through a model for some rows, with and without sharing; pure counting, nothing is run."""

from collections.abc import Sequence
from dataclasses import dataclass

from sft.inference.label_scoring.grouping import (
    PassLimits,
    Prompts,
    groups,
    shared_beginning,
    token_order,
    tree_tokens,
)
from sft.inference.label_scoring.label_plan import Label, LabelPlan


@dataclass(frozen=True)
class TokenCost:
    """Tokens of some rows, padding left out.

    Attributes:
        prompts: rows.
        distinct: prompts that differ.
        common: tokens that all prompts begin with, at least one of each left out.
        labels: of the label set; 0 in generation.
        label_inputs: label tokens that run after a prompt, as one tree; the last of a path never runs.
        naive: each label after each prompt as a sequence of its own; in generation every prompt whole.
        shared: what all begin with once, then the rest.
    """

    prompts: int
    distinct: int
    common: int
    labels: int
    label_inputs: int
    naive: int
    shared: int


def scoring_cost(prompts: Prompts, labels: Sequence[Label], limits: PassLimits) -> TokenCost:
    """The tokens that scoring every label after every prompt takes.

    Prompts of one pass are counted as one tree. A pass may part some that share only a few tokens, and a model that
    takes no mask of one's own runs the naive way.

    Args:
        prompts: token ids, none empty.
        labels: ids of each label and of its stop.
        limits: of a pass.
    """
    plan = LabelPlan.of(labels, max(1, limits.tokens - 1))
    chunks = [len(chunk) for chunk in plan.chunks]
    order = token_order(prompts)
    common = shared_beginning(prompts, order)
    label_tokens = int(plan.answer_tokens.sum() + plan.stop_tokens.sum())
    return TokenCost(
        prompts=len(prompts),
        distinct=_distinct(prompts, order),
        common=common,
        labels=len(labels),
        label_inputs=len(plan.trie.with_children),
        naive=len(labels) * sum(map(len, prompts)) + len(prompts) * label_tokens,
        shared=_Walk(prompts, chunks, limits).tokens(order, common, 0),
    )


def generation_cost(prompts: Prompts, worth_sharing: int) -> TokenCost:
    """The tokens of prompts that texts are written after; what is written comes on top.

    Args:
        prompts: token ids, none empty.
        worth_sharing: common tokens from which they run once, by themselves.
    """
    order = token_order(prompts)
    common = shared_beginning(prompts, order)
    total = sum(map(len, prompts))
    saved = (len(prompts) - 1) * common if common >= worth_sharing else 0
    return TokenCost(len(prompts), _distinct(prompts, order), common, 0, 0, total, total - max(0, saved))


def whole_cost(prompts: Prompts) -> TokenCost:
    """The tokens of texts that run once each, whole, and after which nothing is written.

    Args:
        prompts: token ids, none empty.
    """
    total = sum(map(len, prompts))
    return TokenCost(len(prompts), _distinct(prompts, token_order(prompts)), 0, 0, 0, total, total)


def source_cost(prompts: Prompts, written: Sequence[int]) -> TokenCost:
    """The tokens that an encoder reads, each text once, and those of labels that its decoder runs over for each text.

    Args:
        prompts: token ids, none empty.
        written: tokens that the decoder reads of each label; none where it writes texts, which come on top.
    """
    total, of_labels = sum(map(len, prompts)), len(prompts) * sum(written)
    naive = max(1, len(written)) * total + of_labels
    distinct = _distinct(prompts, token_order(prompts))
    return TokenCost(len(prompts), distinct, 0, len(written), sum(written), naive, total + of_labels)


@dataclass(frozen=True)
class _Walk:
    """Goes through the groups of a scoring, in the order in which they run."""

    prompts: Prompts
    chunks: Sequence[int]
    """Inputs of each chunk of the label set; the prompts' ends run again with every chunk."""
    limits: PassLimits

    def tokens(self, rows: Sequence[int], shared: int, cached: int) -> int:
        """Tokens of rows of which `cached` have run, and that begin with `shared` alike."""
        total = max(0, shared - cached)
        cached = max(shared, cached)
        for group in groups(self.prompts, rows, cached, sum(self.chunks), self.limits):
            if not group.fits and group.shared > cached:
                total += self.tokens(group.rows, group.shared, cached)
            else:
                tree = tree_tokens([self.prompts[row] for row in group.rows]) - cached
                total += len(self.chunks) * tree + sum(self.chunks) * _distinct(self.prompts, group.rows)
        return total


def _distinct(prompts: Prompts, rows: Sequence[int]) -> int:
    return len({tuple(prompts[row]) for row in rows})

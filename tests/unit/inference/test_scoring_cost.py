"""The estimate of a scoring against counting by hand, and against what a scoring really runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sft.inference.label_scoring import scoring
from sft.inference.label_scoring.cached_model import Context
from sft.inference.label_scoring.cost import generation_cost, scoring_cost, source_cost
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.label_scoring.label_plan import LabelPlan
from sft.inference.label_scoring.passes import TreePass

WIDE = PassLimits(tokens=1000)
LABELS = [([1], [9]), ([1, 2], [9]), ([3, 4, 5], [9])]
"""As a tree 1-(9, 2-9), 3-4-5-9: of its 8 nodes the five before which something stands are inputs."""


def test_the_cost_of_a_scoring_is_what_one_counts_by_hand() -> None:
    prompts = [[7, 7, 7, 10, 11], [7, 7, 7, 10, 12, 13], [7, 7, 7, 20], [7, 7, 7, 20]]
    cost = scoring_cost(prompts, LABELS, WIDE)
    assert (cost.prompts, cost.distinct, cost.labels) == (4, 3, 3)
    assert cost.common == 3
    assert cost.label_inputs == 5
    # Lengths of the prompts 5 + 6 + 4 + 4 with each of three labels, and 2 + 3 + 4 label tokens after each prompt.
    assert cost.naive == 3 * 19 + 4 * 9
    # 7 7 7 once; 10, 11, 12, 13 and 20 once each; the label inputs after three different prompts.
    assert cost.shared == 3 + 5 + 3 * 5


def test_one_prompt_shares_all_but_its_last_token_with_itself() -> None:
    cost = scoring_cost([[5, 6, 7]], LABELS, WIDE)
    assert (cost.common, cost.shared, cost.naive) == (2, 3 + 5, 3 * 3 + 9)


def test_labels_over_a_pass_run_in_chunks_after_a_prompt_that_is_kept() -> None:
    labels = [([first, second], [9]) for first in (1, 2) for second in (3, 4)]
    cost = scoring_cost([[5] * 50], labels, PassLimits(tokens=4))
    # 49 tokens are kept; the last one runs with each of the chunks of at most 3 inputs, 1 1-3 1-4 and 2 2-3 2-4.
    assert cost.label_inputs == 6
    assert cost.shared == 49 + 2 * 1 + 6


def test_prompts_of_a_generation() -> None:
    prompts = [[*range(20), 30], [*range(20), 31, 32], [*range(20), 33]]
    cost = generation_cost(prompts, worth_sharing=16)
    assert (cost.common, cost.naive, cost.shared, cost.labels) == (20, 64, 20 + 1 + 2 + 1, 0)
    assert generation_cost(prompts, worth_sharing=21).shared == 64
    assert generation_cost(prompts[:1], worth_sharing=1).shared == 21
    assert generation_cost([[1], [1]], worth_sharing=1).shared == 2


class CountingModel:
    """Runs nothing and counts the tokens that would."""

    def __init__(self) -> None:
        self.tokens = 0

    def beginning(self) -> Any:
        """No virtual tokens."""
        return Context()

    def extend(self, context: Any, ids: Sequence[int]) -> Any:
        """Take more of what prompts share."""
        self.tokens += len(ids)
        return Context(context.length + len(ids))

    def run(self, _context: Any, tokens: TreePass) -> TreePass:
        """Take a pass. Padding stands first on a line and is seen by nothing but itself."""
        for line in tokens.visible:
            seen = line.sum(axis=0) + line.sum(axis=1)
            self.tokens += len(line) - int((seen > 2).argmax() if (seen > 2).any() else len(line) - 1)
        return tokens


def tokens_run(monkeypatch: pytest.MonkeyPatch, prompts: Any, labels: Any, limits: PassLimits) -> int:
    """The tokens of a real walk through the prompts."""

    def no_scores(_output: Any, tokens: TreePass, chunk: Any) -> Any:
        return np.zeros((len(tokens.end_lines), len(chunk.scored)))

    monkeypatch.setattr(scoring, "token_logprobs", no_scores)
    model: Any = CountingModel()
    plan = LabelPlan.of(labels, max(1, limits.tokens - 1))
    scoring._TreeScoring(model, prompts, plan, limits, lambda _done, _total: None).run()
    return int(model.tokens)


@pytest.mark.parametrize("tokens", [8, 40, 200, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_the_estimate_is_what_a_scoring_runs(monkeypatch: pytest.MonkeyPatch, seed: int, tokens: int) -> None:
    """Prompts share much or nothing here: those that share a few tokens may be parted."""
    drawn = torch.Generator().manual_seed(seed)

    def ids(length: int) -> list[int]:
        return torch.randint(100, 10_000, (length,), generator=drawn).tolist()

    examples = [ids(60), ids(45)]
    common = ids(12)
    prompts = [[*common, *examples[number % 2], *ids(3 + number % 7)] for number in range(12)]
    prompts += prompts[:3]
    limits = PassLimits(tokens)
    assert scoring_cost(prompts, LABELS, limits).shared == tokens_run(monkeypatch, prompts, LABELS, limits)


def test_an_encoder_reads_each_text_once_and_a_decoder_runs_over_each_label() -> None:
    cost = source_cost([[5, 6, 7], [5, 6], [5, 6]], [2, 4])
    assert (cost.prompts, cost.distinct, cost.labels, cost.label_inputs) == (3, 2, 2, 6)
    assert (cost.shared, cost.naive) == (7 + 3 * 6, 2 * 7 + 3 * 6)
    assert source_cost([[5, 6, 7]], []).shared == 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=8), st.integers(1, 60))
def test_with_room_for_all_the_cost_is_the_size_of_the_tree(prompts: list[list[int]], tokens: int) -> None:
    cost = scoring_cost(prompts, LABELS, PassLimits(tokens))
    whole = scoring_cost(prompts, LABELS, PassLimits(10_000))
    nodes = {tuple(prompt[:length]) for prompt in prompts for length in range(1, len(prompt) + 1)}
    assert whole.shared == len(nodes) + cost.distinct * cost.label_inputs
    assert cost.shared >= whole.shared

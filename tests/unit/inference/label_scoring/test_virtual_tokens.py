"""Label scores behind virtual tokens: one pass per prompt gives what whole sequences give."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sft.inference.label_scoring import cached_model
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.label_scoring.scoring import score_labels
from sft.models.attention.masks import MaskRule, mask_rule
from tests.support.virtual_models import KINDS, truth, with_virtual_tokens

STOP = (3, 4)
LABELS = [((11,), STOP), ((11, 12), STOP), ((11, 12, 13, 14), STOP), ((30,), STOP)]
LIMITS = [PassLimits(1), PassLimits(20, 3), PassLimits(1000)]
TOLERANCE = 1e-5
ARCHITECTURES = ["llama", "gpt2", "qwen2", "gemma3", "mistral"]


def make_prompts(shared: int) -> list[list[int]]:
    draw = np.random.default_rng(0)
    beginning = draw.integers(5, 97, size=shared).tolist()
    return [beginning + draw.integers(5, 97, size=length).tolist() for length in (5, 17, 1, 9, 17)]


def one_by_one(model: Any, prompts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The slow truth: each label after each prompt alone."""
    logits_of, scores = truth(model), np.zeros((2, len(prompts), len(LABELS)))
    with torch.no_grad():
        for row, prompt in enumerate(prompts):
            for column, (answer, stop) in enumerate(LABELS):
                logprobs = logits_of([*prompt, *answer, *stop]).double().log_softmax(-1)
                for offset, token in enumerate([*answer, *stop]):
                    scores[int(offset >= len(answer)), row, column] += logprobs[len(prompt) + offset - 1, token]
    return scores[0], scores[1]


def assert_scores_are_true(model: Any, prompts: list[list[int]], *limits: PassLimits, fast: bool = True) -> None:
    expected = one_by_one(model, prompts)
    for limit in limits:
        scores = score_labels(model, prompts, LABELS, limit)
        assert (scores.slow_reason is None) is fast
        np.testing.assert_allclose(scores.answer_logprobs, expected[0], rtol=1e-5, atol=TOLERANCE)
        np.testing.assert_allclose(scores.stop_logprobs, expected[1], rtol=1e-5, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("llama", "prompt_tuning"),
        ("gemma3", "prefix_tuning"),
        *(pytest.param(*pair, marks=pytest.mark.slow) for pair in itertools.product(ARCHITECTURES, KINDS)),
    ],
)
def test_equals_one_sequence_at_a_time(tiny_model: Callable, architecture: str, kind: str):
    """Windows of 8 tokens end inside the virtual tokens, inside what prompts share, and behind both."""
    model = with_virtual_tokens(tiny_model(architecture), kind)
    for shared in (0, 6):
        assert_scores_are_true(model, make_prompts(shared), *LIMITS)


@pytest.mark.parametrize("kind", ["prompt_tuning", "prefix_tuning"])
def test_more_virtual_tokens_than_a_window(tiny_model: Callable, kind: str):
    model = with_virtual_tokens(tiny_model("gemma3"), kind, count=11)
    assert_scores_are_true(model, make_prompts(0), PassLimits(40))


def test_one_pass_for_a_prompt_and_one_for_the_virtual_tokens(tiny_model: Callable):
    model = with_virtual_tokens(tiny_model("llama"), "prompt_tuning")
    sizes: list[int] = []
    model.get_base_model().model.register_forward_hook(
        lambda _module, _args, output: sizes.append(output.last_hidden_state.shape[1])
    )
    score_labels(model, make_prompts(0), LABELS, PassLimits(1000))
    assert sizes[0] == 5
    assert len(sizes) == 2


@pytest.mark.parametrize("spoiled", ["left out", "positions"])
def test_a_wrong_context_shows(tiny_model: Callable, spoiled: str, monkeypatch: pytest.MonkeyPatch):
    """The oracle is worth something only if it goes red: without the virtual tokens, or with positions from 0."""
    model = with_virtual_tokens(tiny_model("llama"), "prompt_tuning")
    if spoiled == "left out":
        monkeypatch.setattr(cached_model.CachedModel, "beginning", lambda _self: cached_model.Context())
    else:
        model.get_base_model().register_forward_pre_hook(_counted_without_virtual_tokens, with_kwargs=True)
    with pytest.raises(AssertionError):
        assert_scores_are_true(model, make_prompts(0), PassLimits(1000))


def _counted_without_virtual_tokens(_module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    places = kwargs.get("position_ids")
    return args, kwargs if places is None or int(places.min()) < 5 else kwargs | {"position_ids": places - 5}


def test_an_untried_model_is_tried(tiny_model: Callable):
    model = with_virtual_tokens(tiny_model("gptneox", num_key_value_heads=4), "prefix_tuning")
    scores = score_labels(model, make_prompts(0), LABELS, PassLimits(64))
    assert scores.slow_reason is None


def test_a_model_without_masks_of_ones_own_runs_whole_sequences(tiny_model: Callable):
    model = with_virtual_tokens(tiny_model("llama"), "prompt_tuning")
    assert isinstance(mask_rule(model), MaskRule)
    model.get_base_model().config.layer_types = ["full_attention", "linear_attention"]
    assert "linear_attention" in str(mask_rule(model))
    assert_scores_are_true(model, make_prompts(0), PassLimits(64), fast=False)


def test_half_precision_is_that_of_whole_sequences(tiny_model: Callable):
    """In 16 bits both ways round alike but for the order of sums."""
    model = with_virtual_tokens(tiny_model("llama").to(torch.bfloat16), "prompt_tuning")
    scores, expected = score_labels(model, make_prompts(3), LABELS, PassLimits(64)), one_by_one(model, make_prompts(3))
    assert scores.slow_reason is None
    np.testing.assert_allclose(scores.answer_logprobs, expected[0], rtol=0, atol=0.3)

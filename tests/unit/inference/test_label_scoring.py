import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sft.errors import UserError
from sft.inference.label_scoring.scoring import LabelScores, score_labels

STOP = (3, 4)
LABELS = [
    ((11,), STOP),
    ((11, 12), STOP),
    ((11, 12, 13, 14), STOP),
    ((20, 21), STOP),
    ((30,), STOP),
]
ARCHITECTURES = ["llama", "qwen2", "qwen3", "gemma3", "gpt2"]


def make_prompts(lengths: tuple[int, ...] = (5, 17, 1, 9, 12, 17, 3)) -> list[list[int]]:
    draw = np.random.default_rng(0)
    return [draw.integers(5, 97, size=length).tolist() for length in lengths]


def assert_equal_scores(scores: LabelScores, expected: tuple[Any, Any]) -> None:
    np.testing.assert_allclose(scores.answer_logprobs, expected[0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(scores.stop_logprobs, expected[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_equals_one_sequence_at_a_time(tiny_model: Callable, oracle: Callable, architecture: str, batch_size: int):
    model, prompts = tiny_model(architecture), make_prompts()
    assert_equal_scores(score_labels(model, prompts, LABELS, batch_size), oracle(model, prompts, LABELS))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "attention", "lora"), list(itertools.product(ARCHITECTURES, ["sdpa", "eager"], [False, True]))
)
def test_equals_one_sequence_at_a_time_everywhere(
    tiny_model: Callable, oracle: Callable, architecture: str, attention: str, lora: bool
):
    model, prompts = tiny_model(architecture, attention, lora=lora), make_prompts()
    expected = oracle(model, prompts, LABELS)
    for batch_size, chunk_bytes in itertools.product([1, 3, 8], [0, 60_000, 2**30]):
        assert_equal_scores(score_labels(model, prompts, LABELS, batch_size, chunk_bytes=chunk_bytes), expected)


@pytest.mark.parametrize("chunk_bytes", [0, 60_000, 100_000])
def test_chunks_of_labels_change_nothing(tiny_model: Callable, oracle: Callable, chunk_bytes: int):
    model, prompts = tiny_model("gemma3"), make_prompts()
    scores = score_labels(model, prompts, LABELS, 3, chunk_bytes=chunk_bytes)
    assert_equal_scores(scores, oracle(model, prompts, LABELS))


def test_lora_takes_part(tiny_model: Callable, oracle: Callable):
    model, prompts = tiny_model("llama", lora=True), make_prompts()
    scores = score_labels(model, prompts, LABELS, 3)
    assert_equal_scores(scores, oracle(model, prompts, LABELS))
    with model.disable_adapter():
        plain = score_labels(model, prompts, LABELS, 3)
    assert np.abs(plain.answer_logprobs - scores.answer_logprobs).max() > 0.1


@pytest.mark.parametrize(
    "labels",
    [
        [((11,), ()), ((12,), ())],
        [((11,), (3,)), ((12,), (3,))],
        [((11,), ()), ((11, 12, 13), (3,)), ((), (3, 4))],
    ],
    ids=["one token, no stop", "one token, one stop", "mixed"],
)
def test_every_split_of_answer_and_stop(tiny_model: Callable, oracle: Callable, labels: list):
    model, prompts = tiny_model("llama"), make_prompts()
    scores = score_labels(model, prompts, labels, 3)
    assert_equal_scores(scores, oracle(model, prompts, labels))
    assert scores.answer_tokens.tolist() == [len(answer) for answer, _ in labels]
    assert scores.stop_tokens.tolist() == [len(stop) for _, stop in labels]


def test_scores_are_in_the_order_of_rows_and_labels(tiny_model: Callable):
    model, prompts = tiny_model("llama"), make_prompts()
    scores = score_labels(model, prompts, LABELS, 2)
    turned = score_labels(model, prompts[::-1], LABELS[::-1], 2)
    np.testing.assert_allclose(turned.answer_logprobs, scores.answer_logprobs[::-1, ::-1], rtol=0, atol=1e-4)


def test_a_prompt_may_fill_the_context_up_to_the_longest_label(tiny_model: Callable, oracle: Callable):
    model = tiny_model("gpt2")
    prompts = make_prompts((64 - 5, 2, 30))
    labels = [((11,), ()), ((11, 12, 13, 14), (3,))]
    assert_equal_scores(score_labels(model, prompts, labels, 3), oracle(model, prompts, labels))


def test_the_model_is_scored_in_eval_mode(tiny_model: Callable):
    model = tiny_model("llama", attention_dropout=0.5)
    expected = score_labels(model, make_prompts(), LABELS, 3)
    again = score_labels(model.train(), make_prompts(), LABELS, 3)
    np.testing.assert_array_equal(again.answer_logprobs, expected.answer_logprobs)


def test_softmax_is_in_fp32_for_a_bf16_model(tiny_model: Callable):
    model, prompts = tiny_model("llama").to(torch.bfloat16), make_prompts((4, 4))
    labels = [((token,), ()) for token in range(97)]
    scores = score_labels(model, prompts, labels, 2)
    np.testing.assert_allclose(np.exp(scores.answer_logprobs).sum(axis=1), 1.0, atol=1e-5)


def test_progress_counts_rows(tiny_model: Callable):
    calls: list[tuple[int, int]] = []
    score_labels(tiny_model("llama"), make_prompts(), LABELS, 3, lambda done, total: calls.append((done, total)))
    assert calls == [(3, 7), (6, 7), (7, 7)]


def test_no_rows_give_no_scores(tiny_model: Callable):
    assert score_labels(tiny_model("llama"), [], LABELS, 3).answer_logprobs.shape == (0, 5)


def test_an_empty_prompt_is_a_bug_of_the_caller(tiny_model: Callable):
    with pytest.raises(ValueError, match="without tokens"):
        score_labels(tiny_model("llama"), [[5, 6], []], LABELS, 3)


def test_an_adapter_of_virtual_tokens_is_refused(tiny_model: Callable):
    from peft import PromptTuningConfig, get_peft_model

    config = PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
    model = get_peft_model(tiny_model("llama"), config)
    with pytest.raises(UserError, match="PROMPT_TUNING"):
        score_labels(model, make_prompts(), LABELS, 3)

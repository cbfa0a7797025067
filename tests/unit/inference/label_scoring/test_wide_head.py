"""Scores of 16-bit models come from an output layer in fp32, by the model's own code; others stay to the bit."""

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from sft.inference.label_scoring import scoring, wide_head
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.label_scoring.scoring import LabelScores, score_labels

PROMPTS = [[5, 6, 7, 8], [5, 6, 9, 10, 11], [12]]
WORDS = [((token,), ()) for token in range(20, 90)]
"""Labels of one token without a stop, as with `end_token: false`."""
LIMITS = PassLimits(200)


class Wide(nn.Linear):
    """An output layer that computes in fp32, which is not one of torch's own."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        bias = None if self.bias is None else self.bias.float()
        return linear(hidden.float(), self.weight.float(), bias)


def with_wide_head(model: Any) -> Any:
    """A copy of a model that gives what is right by its own output layer."""
    wide = copy.deepcopy(model)
    head = wide.get_output_embeddings()
    head.__class__ = Wide
    return wide


def score(model: Any) -> LabelScores:
    return score_labels(model, PROMPTS, WORDS, LIMITS)


def ties(scores: LabelScores) -> int:
    return sum(len(row) - len(np.unique(row)) for row in scores.answer_logprobs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_labels_that_tie_in_16_bits_are_told_apart(
    tiny_model: Callable[..., Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model("llama").to(dtype)
    scores = score(model)
    assert ties(scores) == 0
    assert scores.answer_logprobs == pytest.approx(score(with_wide_head(model)).answer_logprobs, abs=1e-5)
    assert not model.lm_head._forward_hooks, "the model is as it was"
    monkeypatch.setattr(wide_head, "is_half", lambda _layer: False)
    assert ties(score(model)) > 0


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Gemma2", {"final_logit_softcapping": 5.0, "head_dim": 8}),
        ("Granite", {"logits_scaling": 7.0}),
        ("Cohere", {"logit_scale": 0.25}),
        ("Phi", {}),
        ("GPTNeoX", {}),
    ],
)
def test_caps_scales_and_biases_are_the_models_own(name: str, config: dict[str, Any]) -> None:
    import transformers

    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    made = {"vocab_size": 97, "initializer_range": 0.3, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    model_class = getattr(transformers, f"{name}ForCausalLM")
    model = model_class(getattr(transformers, f"{name}Config")(**sizes, **made, **config)).to(torch.bfloat16).eval()
    if model.get_output_embeddings().bias is not None:
        nn.init.normal_(model.get_output_embeddings().bias)
    scores = score(model)
    assert scores.answer_logprobs == pytest.approx(score(with_wide_head(model)).answer_logprobs, abs=1e-5)
    assert ties(scores) == 0


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_scores_in_fp32_stay_to_the_bit(tiny_model: Callable[..., Any], architecture: str, monkeypatch: Any) -> None:
    model = tiny_model(architecture)
    scores = score(model)
    monkeypatch.setattr(scoring, "head_in_full_precision", lambda *_: torch.no_grad())
    assert np.array_equal(scores.answer_logprobs, score(model).answer_logprobs)


def test_the_matrix_is_widened_in_parts(tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama").to(torch.bfloat16)
    whole = score(model)
    monkeypatch.setattr(wide_head, "WIDENED_NUMBERS", 32 * 10)
    assert score(model).answer_logprobs == pytest.approx(whole.answer_logprobs, abs=1e-5)


def test_a_layer_inside_an_adapter_is_found(tiny_model: Callable[..., Any]) -> None:
    from peft import LoraConfig, get_peft_model

    base = tiny_model("llama").to(torch.bfloat16)
    for options in ({"target_modules": ["q_proj", "lm_head"]}, {"modules_to_save": ["lm_head"]}):
        config = LoraConfig(r=2, task_type="CAUSAL_LM", init_lora_weights=False, **options)
        assert ties(score(get_peft_model(copy.deepcopy(base), config).eval())) == 0


def cast_after(model: Any, *_: Any) -> None:
    """As a model whose code goes on in 16 bits behind its output layer."""
    plain = model.forward

    def forward(**inputs: Any) -> Any:
        given = plain(**inputs)
        given.logits = given.logits @ torch.eye(97, dtype=torch.bfloat16)
        return given

    model.forward = forward


def shift_after(model: Any, *_: Any) -> None:
    """As a layer that gives something else than the product of its matrix."""
    model.lm_head.register_forward_hook(lambda _layer, _inputs, output: output + torch.arange(97).bfloat16())


@pytest.mark.parametrize(
    ("change", "why"), [(cast_after, "RuntimeError: expected"), (shift_after, r"its products are \d+ off")]
)
def test_a_model_that_does_not_take_it_is_measured_as_it_computes(
    tiny_model: Callable[..., Any], change: Any, why: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    model = tiny_model("llama").to(torch.bfloat16)
    change(model)
    scores = score(model)
    assert re.search(f"the output layer computes in 16 bits: {why}", caplog.text)
    monkeypatch.setattr(wide_head, "is_half", lambda _layer: False)
    assert np.array_equal(scores.answer_logprobs, score(model).answer_logprobs)


def test_memory_that_runs_out_in_the_trial_is_no_objection(tiny_model: Callable[..., Any]) -> None:
    model = tiny_model("llama").to(torch.bfloat16)

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    model.forward = full
    with pytest.raises(torch.OutOfMemoryError):
        score(model)

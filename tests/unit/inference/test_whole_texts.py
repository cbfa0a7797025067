"""Whole texts: all of a row is learned, and its log-probability is that of a plain loop, whatever runs together."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from sft.evaluation.computation import MetricInputs, compute_metrics
from sft.evaluation.metrics.formulas import perplexity
from sft.evaluation.row_metrics import row_sums
from sft.evaluation.rows import EvaluatedRows
from sft.inference.label_scoring import wide_head
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.whole_texts import token_sums
from sft.prompts import Encoded, Example, PromptBuilder, PromptStyle
from sft.prompts.train_row import TrainRow

TEXTS = ["a", "some words of a text", "", "another one, quite a bit longer than the others"]
STYLE = PromptStyle(input_columns=("text",), format="whole")


@pytest.fixture
def encoded(tokenizer: Any) -> list[Encoded]:
    builder = PromptBuilder(tokenizer, STYLE)
    return [builder.encode([], Example({"text": text}), None) for text in TEXTS]


def test_all_of_a_text_and_its_end_are_learned(tokenizer: Any, encoded: list[Encoded]) -> None:
    for text, row in zip(TEXTS, encoded, strict=True):
        ids = (*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id)
        assert row.prompt_ids == ids
        assert TrainRow.of(row).labels == ids


@pytest.mark.parametrize(
    "limits", [PassLimits(tokens=10_000), PassLimits(tokens=1), PassLimits(tokens=10_000, rows=2)]
)
def test_sums_are_those_of_one_row_at_a_time(
    tokenizer: Any, encoded: list[Encoded], tiny_model: Callable[..., Any], limits: PassLimits
) -> None:
    # A softmax over many tokens shows how its terms are added up.
    model = tiny_model("llama", vocab_size=50_000, max_position_embeddings=128).eval()
    done: list[int] = []
    asked: Any = SimpleNamespace(
        model=model, prompts=encoded, limits=limits, progress=lambda n, _total: done.append(n)
    )
    found = token_sums(asked)
    for row, (total, tokens) in zip(encoded, found, strict=True):
        ids = torch.tensor([row.prompt_ids])
        with torch.no_grad():
            logprobs = model(input_ids=ids).logits[0].double().log_softmax(-1)
        wanted = sum(float(logprobs[place - 1, ids[0, place]]) for place in range(1, ids.shape[1]))
        assert total == pytest.approx(wanted, abs=1e-5 * tokens)
        assert tokens == len(row.prompt_ids) - 1
    assert done[-1] == len(TEXTS)


def test_perplexity_weighs_tokens_and_follows_from_rows() -> None:
    sums = np.array([[-2.0, 1], [-6.0, 3], [0.0, 0]])
    result = compute_metrics(["perplexity"], "text", MetricInputs(TEXTS[:3], TEXTS[:3], token_sums=sums), {}, Path())
    assert result.results["perplexity"] == pytest.approx(np.exp(2.0))
    assert result.details["higher_is_better"] == {"perplexity": False}
    rows = EvaluatedRows(np.zeros(3, dtype=bool), per_row=result.per_row)
    own = row_sums("perplexity", rows, {"config": {}, "details": {}})
    assert own is not None
    assert own.whole == pytest.approx(np.exp(2.0))
    assert perplexity(sums.T) == pytest.approx([np.exp(2.0), np.exp(2.0), 1.0])


def test_a_16_bit_model_has_an_output_layer_in_fp32(
    tokenizer: Any, encoded: list[Encoded], tiny_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model("llama", vocab_size=len(tokenizer), max_position_embeddings=128).to(torch.bfloat16).eval()
    limits = PassLimits(tokens=10_000)
    asked: Any = SimpleNamespace(model=model, prompts=encoded, limits=limits, progress=lambda _done, _total: None)
    found = token_sums(asked)[-1, 0]
    ids = torch.tensor([encoded[-1].prompt_ids])
    with torch.no_grad():
        hidden = model.model(input_ids=ids).last_hidden_state[0].float()
        logprobs = (hidden @ model.lm_head.weight.float().T).double().log_softmax(-1)
    wanted = sum(float(logprobs[place - 1, ids[0, place]]) for place in range(1, ids.shape[1]))
    assert found == pytest.approx(wanted, abs=1e-4)
    monkeypatch.setattr(wide_head, "is_half", lambda _layer: False)
    assert token_sums(asked)[-1, 0] != pytest.approx(wanted, abs=1e-3)

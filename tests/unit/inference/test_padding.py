"""Models whose outputs move with padding are measured without any; of all others rows run together."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sft.inference import padding
from sft.inference.heads import ANSWERING, batches
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.padding import padding_effect
from sft.runs.files import JobFolder
from tests.support.tiny_models import MAKERS, bert_head, gpt2_head, llama_head
from tests.unit.inference.test_heads import EXACT, ROWS, asked_of, plain, roberta_head, saved

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 99, "num_labels": 3}
KINDS: dict[str, dict[str, Any]] = {
    "convbert": {**SIZES, "num_attention_heads": 4, "embedding_size": 32},
    "mobilebert": {
        **SIZES,
        "num_attention_heads": 4,
        "embedding_size": 32,
        "intra_bottleneck_size": 32,
        "true_hidden_size": 32,
    },
    "fnet": SIZES,
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48, "vocab_size": 99, "num_labels": 3},
}


def mixing(kind: str) -> Any:
    """A model that mixes padding in, with weights so large that it shows."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(kind, **KINDS[kind]))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_where_padding_moves_the_outputs_no_row_gets_any(kind: str, tmp_path: Path) -> None:
    model = mixing(kind)
    expected = plain(mixing(kind), ROWS).log_softmax(-1).numpy()
    asked = asked_of(model, ROWS)
    assert np.abs(saved(ANSWERING, asked, tmp_path) - expected).max() < EXACT
    told = ANSWERING.answer(asked, JobFolder(tmp_path)).slow_reason
    assert told is not None
    assert told.startswith("padding moves its outputs by ")


@pytest.mark.parametrize("make", [bert_head, roberta_head, llama_head, gpt2_head, MAKERS["bert_head_bf16"]])
def test_other_models_run_rows_of_any_length_together(make: Any) -> None:
    assert padding_effect(make(), ROWS, 0) is None
    assert padding_effect(make(), ROWS[:1], 0) is None


def test_where_memory_holds_no_wide_layer_the_model_is_tried_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_model: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(padding, "in_full_precision", full)
    assert padding_effect(MAKERS["bert_head_bf16"](), ROWS, 0) is None
    assert padding_effect(mixing("fnet"), ROWS, 0) is not None


def test_rows_of_one_length_run_together_within_the_limits() -> None:
    lengths = [3, 5, 3, 5, 5, 3]
    assert list(batches(lengths, PassLimits(tokens=100), alike=True)) == [[1, 3, 4], [0, 2, 5]]
    assert list(batches(lengths, PassLimits(tokens=10, rows=2), alike=True)) == [[1, 3], [4], [0, 2], [5]]

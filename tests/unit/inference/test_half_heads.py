"""Scores of a head that is stored in 16 bits come from its last layer in fp32, a head that was trained like any."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.saving import load_adapter, save_adapter
from sft.inference.heads import ANSWERING, OF_SETS
from sft.models.answering.heads import head_names
from tests.support.tiny_models import bert_head, gpt2_head, llama_head
from tests.unit.inference.test_heads import ALONE, EXACT, OUTPUTS, ROWS, asked_of, roberta_head, saved

MODELS: dict[str, Callable[[], Any]] = {
    "bert": bert_head,
    "roberta": roberta_head,
    "llama": llama_head,
    "gpt2": gpt2_head,
}
LAST = {"bert": "classifier", "roberta": "classifier.out_proj", "llama": "score", "gpt2": "score"}


def exact(model: Any, last: torch.nn.Module) -> torch.Tensor:
    """The outputs of the last layer in fp64, of its 16-bit inputs and weights; one row at a time."""
    seen: list[torch.Tensor] = []
    handle = last.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        for row in ROWS:
            model(input_ids=torch.tensor([list(row)]))
    handle.remove()
    hidden = torch.stack([states[0, -1] if states.ndim == 3 else states[0] for states in seen])
    bias = 0 if last.bias is None else last.bias.double()  # type: ignore[union-attr]
    logits = hidden.double() @ last.weight.double().T + bias  # type: ignore[operator]
    return logits[:, [OUTPUTS.index(label) for label in sorted(OUTPUTS)]].detach()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_scores_are_those_of_a_last_layer_in_fp32(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model = MODELS[name]().to(dtype)
    expected = exact(model, model.get_submodule(LAST[name]))
    found = saved(ANSWERING, asked_of(model, ROWS, ALONE), tmp_path / "one")
    assert np.abs(found - expected.log_softmax(-1).numpy()).max() < EXACT
    each = saved(OF_SETS, asked_of(model, ROWS, ALONE), tmp_path / "sets")[..., 0]
    assert np.abs(each - torch.nn.functional.logsigmoid(expected).numpy()).max() < EXACT
    assert not model.get_submodule(LAST[name])._forward_hooks, "the model is as it was"


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_head_that_was_trained_with_an_adapter_is_widened_too(name: str, tmp_path: Path) -> None:
    base = MODELS[name]().to(torch.bfloat16)
    options = {"task_type": "SEQ_CLS", "modules_to_save": head_names(base)}
    model = attach_adapter(base, "lora", options, Path(), 7)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.linspace(-0.3, 0.4, parameter.numel()).view_as(parameter))
    save_adapter(model, "lora", tmp_path / "adapter", has_head=True)
    loaded = load_adapter(MODELS[name]().to(torch.bfloat16), tmp_path / "adapter")
    last = loaded.get_base_model().get_submodule(LAST[name]).modules_to_save["default"]
    assert last.weight.dtype == torch.bfloat16
    found = saved(ANSWERING, asked_of(loaded, ROWS, ALONE), tmp_path)
    assert np.abs(found - exact(loaded, last).log_softmax(-1).numpy()).max() < EXACT

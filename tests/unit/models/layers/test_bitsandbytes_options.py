"""Every option of bitsandbytes: it is in force, and weights are read, and pass gradients, as the layers compute."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sft.config.model import QuantizationConfig
from sft.initialization.utils import dequantize
from sft.models.loading import ModelSource, load_model
from sft.objectives import objective_named
from tests.support.method_checks import off
from tests.support.tiny_models import llama

pytest.importorskip("bitsandbytes")
pytestmark = pytest.mark.slow

FOUR = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
EIGHT = {"load_in_8bit": True}
EXACT = 1e-5
ROUNDED_INPUTS = 1.5e-2


def first(model: Any, name: str) -> Any:
    return model.model.layers[0].get_submodule(name)


CASES = [
    ({"load_in_4bit": True}, EXACT, lambda layer: layer.weight.quant_type == "fp4"),
    (FOUR, EXACT, lambda layer: layer.weight.quant_type == "nf4" and not layer.weight.quant_state.nested),
    (
        {**FOUR, "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "float32"},
        EXACT,
        lambda layer: layer.weight.quant_state.nested,
    ),
    (
        {**FOUR, "bnb_4bit_compute_dtype": "bfloat16"},
        ROUNDED_INPUTS,
        lambda layer: layer.compute_dtype == torch.bfloat16,
    ),
    ({**FOUR, "bnb_4bit_compute_dtype": "float16"}, 2e-3, lambda layer: layer.compute_dtype == torch.float16),
    ({**FOUR, "bnb_4bit_quant_storage": "bfloat16"}, EXACT, lambda layer: layer.weight.dtype == torch.bfloat16),
    (EIGHT, ROUNDED_INPUTS, lambda layer: layer.state.threshold == 6.0),
    ({**EIGHT, "llm_int8_threshold": 0.0}, ROUNDED_INPUTS, lambda layer: layer.state.threshold == 0.0),
    ({**EIGHT, "llm_int8_has_fp16_weight": True}, ROUNDED_INPUTS, lambda layer: layer.state.has_fp16_weights),
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    llama().save_pretrained(folder / "plain")
    return folder


def loaded(folder: Path, args: dict[str, Any]) -> Any:
    quantization = QuantizationConfig(config_class="BitsAndBytesConfig", args=args)
    return load_model(
        ModelSource("plain", folder, quantization=quantization, model_args={"dtype": "float32"}),
        objective_named("causal_lm"),
    )


@pytest.mark.parametrize(("args", "tolerance", "in_force"), CASES, ids=[str(args) for args, _, _ in CASES])
def test_an_option_is_in_force_and_weights_are_those_computed_with(
    args: dict[str, Any], tolerance: float, in_force: Any, saved: Path
):
    layer = first(loaded(saved, args), "mlp.up_proj")
    assert in_force(layer)
    weights = dequantize(layer)
    torch.manual_seed(0)
    inputs, gradient = torch.randn(5, layer.in_features, requires_grad=True), torch.randn(5, layer.out_features)
    outputs = layer(inputs)
    outputs.backward(gradient)
    assert off(inputs.detach() @ weights.T, outputs.detach()) < tolerance
    assert inputs.grad is not None
    assert off(gradient @ weights, inputs.grad) < tolerance
    assert torch.equal(dequantize(layer), weights)


def test_layers_that_are_skipped_stay_plain(saved: Path):
    model = loaded(saved, {**EIGHT, "llm_int8_skip_modules": ["q_proj", "lm_head"]})
    assert type(first(model, "self_attn.q_proj")) is torch.nn.Linear
    assert first(model, "self_attn.k_proj").weight.dtype == torch.int8

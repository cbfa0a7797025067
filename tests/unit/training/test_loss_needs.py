"""Models that the trainer takes otherwise than they are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from trl import SFTConfig

from sft.exceptions import UserError
from sft.training.loss_needs import FOUND, adapters_found, fit_loss

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "num_local_experts": 2,
}


def made(name: str, **more: Any) -> Any:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, "Llama4TextConfig" if name == "Llama4" else f"{name}Config")
    return getattr(transformers, f"{name}ForCausalLM")(config(**SIZES, **more))


def arguments(folder: Path, coefficient: float) -> SFTConfig:
    return SFTConfig(output_dir=str(folder), use_cpu=True, report_to=[], router_aux_loss_coef=coefficient)


def test_experts_that_are_counted_under_another_name_keep_their_loss(tmp_path: Path) -> None:
    model, args = made("GraniteMoe"), arguments(tmp_path, 0.01)
    fit_loss(model, args)
    assert (args.router_aux_loss_coef, model.config.num_experts) == (0.01, 2)


def test_a_model_without_such_a_loss_is_asked_for_none(tmp_path: Path) -> None:
    model, args = made("Llama4", intermediate_size_mlp=16, head_dim=8), arguments(tmp_path, 0.0)
    fit_loss(model, args)
    assert args.router_aux_loss_coef == 0
    with pytest.raises(UserError, match=r"coef 0\.01: Llama4ForCausalLM has no such loss; leave it out"):
        fit_loss(model, arguments(tmp_path, 0.01))


class QuantizedBase:
    """As much of a model as says that its weights are quantised."""

    _hf_peft_config_loaded = False
    is_quantized = True

    def __init__(self, is_trainable: bool) -> None:
        names = SimpleNamespace(quant_method="mxfp4")
        self.hf_quantizer = SimpleNamespace(is_trainable=is_trainable, quantization_config=names)

    def modules(self) -> list[Any]:
        return []


def test_a_quantised_base_says_that_it_has_adapters_only_meanwhile() -> None:
    base = QuantizedBase(is_trainable=True)
    with adapters_found(base):
        assert getattr(base, FOUND)
    assert not getattr(base, FOUND)


def test_weights_that_no_gradient_passes_are_refused_by_name() -> None:
    base = QuantizedBase(is_trainable=False)
    with pytest.raises(UserError, match="no gradient passes weights stored as mxfp4"), adapters_found(base):
        pass

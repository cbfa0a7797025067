"""Quantised models as plain ones: the same function, written and read as any other model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.exceptions import UserError
from sft.initialization.utils import dequantize
from sft.models.dequantization import dequantized
from tests.support.tiny_models import llama, tiny_logits

GAP = 1e-4
"""Of logits of about 5."""


def training_logits(model: Any) -> torch.Tensor:
    """The logits in training mode, in which 8-bit layers of a CPU leave their inputs as they are."""
    with torch.no_grad():
        found: torch.Tensor = model.train()(torch.arange(2, 22).reshape(2, 10)).logits
    return found


@pytest.mark.parametrize("kind", ["nf4", pytest.param("int8", marks=pytest.mark.slow)])
def test_plain_weights_compute_what_the_stored_ones_did(
    make_model: Callable[[str], Any], logits: Callable[[Any], torch.Tensor], tmp_path: Path, kind: str
) -> None:
    from transformers import AutoModelForCausalLM

    model = make_model(kind)
    before = training_logits(model)
    layer = dequantize(model.model.layers[1].mlp.down_proj)
    plain = dequantized(model)
    assert torch.equal(plain.model.layers[1].mlp.down_proj.weight, layer)
    assert {type(module).__name__ for module in plain.modules()} & {"Linear4bit", "Linear8bitLt"} == set()
    assert (logits(plain) - before).abs().max() < GAP
    plain.save_pretrained(tmp_path / "plain")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert torch.equal(logits(again), logits(plain))


def test_a_layer_that_was_turned_round_to_be_quantised_is_turned_back(
    make_model: Callable[[str], Any], logits: Callable[[Any], torch.Tensor]
) -> None:
    import bitsandbytes as bnb
    from transformers.pytorch_utils import Conv1D

    model = make_model("gpt2")
    old = model.transformer.h[0].mlp.c_fc
    made: Any = bnb.nn.Linear4bit(*old.weight.shape, quant_type="nf4", compute_dtype=torch.float32)
    made.weight = bnb.nn.Params4bit(old.weight.data.T.contiguous(), quant_type="nf4", module=made)
    made.bias, made.source_cls = old.bias, Conv1D
    made.support_avx512bf16_for_cpu = False
    model.transformer.h[0].mlp.c_fc = made.to("cpu")
    before = logits(model)
    plain = dequantized(model)
    assert isinstance(plain.transformer.h[0].mlp.c_fc, Conv1D)
    assert (logits(plain) - before).abs().max() < GAP


def test_weights_that_nobody_can_read_are_refused_by_name(make_model: Callable[[str], Any]) -> None:
    model = make_model("fp32")
    packed = torch.nn.Module()
    packed.weight = torch.nn.Parameter(torch.zeros(3, dtype=torch.uint8), requires_grad=False)
    model.model.layers[0].mlp.up_proj = packed
    with pytest.raises(UserError, match=r"the weights of Module \(model.layers.0.mlp.up_proj.weight\) cannot be read"):
        dequantized(model)


def test_a_plain_model_is_left_as_it_is(make_model: Callable[[str], Any]) -> None:
    model = make_model("bf16")
    layers = [id(module) for module in model.modules()]
    assert [id(module) for module in dequantized(model).modules()] == layers


@pytest.mark.filterwarnings("ignore")
def test_a_checkpoint_that_is_stored_in_nf4_is_written_plain(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    llama().save_pretrained(tmp_path / "first")
    nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    AutoModelForCausalLM.from_pretrained(tmp_path / "first", quantization_config=nf4).save_pretrained(tmp_path / "nf4")
    plain = dequantized(AutoModelForCausalLM.from_pretrained(tmp_path / "nf4", dtype=torch.float32))
    plain.save_pretrained(tmp_path / "plain")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "plain")
    assert torch.equal(tiny_logits(again), tiny_logits(plain))

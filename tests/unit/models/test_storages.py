"""Every stored form is read as the layer computes with it, or refused by name; never without its scales."""

import copy
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sft.adapters.attach import attach_adapter
from sft.exceptions import UserError
from sft.initialization.utils import dequantize

FP8 = torch.float8_e4m3fn
OUT, IN = 48, 40


def stand_in(kind: str, parent: type = nn.Linear, **tensors: torch.Tensor) -> Any:
    """A layer of a class with that name and these tensors, whose forward pass is its own."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    layer = type(kind, (parent,), {"forward": forward})(*((IN, OUT) if parent is nn.Linear else ()))
    for name in list(layer._parameters):
        del layer._parameters[name]
    for name, tensor in tensors.items():
        layer.register_buffer(name, tensor)
    return layer


def fp8(scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Stored numbers and the weights that they stand for under `scale`, of any shape that spreads over them."""
    torch.manual_seed(0)
    stored = (torch.randn(OUT, IN) * 50).to(FP8)
    return stored, stored.float() * scale


def block_scales(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    scales = torch.rand(-(-OUT // rows), -(-IN // columns)) + 0.1
    return scales, scales.repeat_interleave(rows, 0)[:OUT].repeat_interleave(columns, 1)[:, :IN]


def real_fp8(block: tuple[int, int] | None) -> tuple[Any, torch.Tensor]:
    """The layer of transformers, with scales in blocks or one in all."""
    from transformers.integrations.finegrained_fp8 import FP8Linear

    scales, spread = block_scales(*block) if block else (torch.tensor(0.3), torch.tensor(0.3))
    layer = FP8Linear(IN, OUT, block_size=block)
    stored, weights = fp8(spread)
    layer.weight, layer.weight_scale_inv = nn.Parameter(stored, requires_grad=False), nn.Parameter(scales)
    return layer, weights


def rows_fp8(kind: str, shape: tuple[int, int]) -> tuple[Any, torch.Tensor]:
    scales = torch.rand(OUT, 1) + 0.1 if OUT in shape else torch.rand(1, 1)
    stored, weights = fp8(scales)
    return stand_in(kind, weight=stored, weight_scale=scales.reshape(shape)), weights


@pytest.mark.parametrize(
    "made",
    [
        real_fp8((16, 16)),
        real_fp8((32, 64)),
        real_fp8(None),
        rows_fp8("FbgemmFp8Linear", (OUT, 1)),
        rows_fp8("CompressedTensorsFP8Linear", (1, OUT)),
        rows_fp8("CompressedTensorsFP8Linear", (1, 1)),
    ],
    ids=["blocks", "cut-blocks", "one-scale", "fbgemm", "compressed-rows", "compressed-one"],
)
def test_fp8_weights_come_with_their_scales(made: tuple[Any, torch.Tensor]) -> None:
    layer, weights = made
    found = dequantize(layer)
    assert found.dtype == torch.float32
    assert torch.allclose(found, weights, rtol=1e-6)


def zeros(*shape: int, dtype: torch.dtype = torch.int32) -> torch.Tensor:
    return torch.zeros(*shape, dtype=dtype)


UNKNOWN = [
    stand_in(
        "QuantizedLinear", nn.Module, codes=zeros(OUT, 4, 1, dtype=torch.int16), codebooks=torch.ones(1, 9, 1, 8)
    ),
    stand_in("Linear", nn.Module, weight_packed=zeros(OUT, 5), weight_scale=torch.ones(OUT, 1)),
    stand_in("Linear", weight=torch.ones(OUT, IN), weight_scale=torch.ones(OUT, 1)),
    stand_in("AutoBitLinear", weight=torch.ones(OUT, IN)),
    stand_in("SomeFP8Linear", weight=zeros(OUT, IN, dtype=FP8), scale=torch.ones(1)),
    stand_in("FP8GroupedLinear", weight=zeros(OUT, IN, dtype=FP8), weight_scale_inv=torch.ones(1)),
    stand_in("FP8Linear", weight=zeros(OUT, IN // 2, dtype=torch.int8), weight_scale_inv=torch.ones(1)),
    stand_in("EetqLinear", nn.Module, weight=zeros(IN, OUT, dtype=torch.int8), weight_scales=torch.ones(OUT)),
    stand_in("HiggsLinear", nn.Module, dense_weight=zeros(4, 4), scales=torch.ones(4)),
    nn.Conv1d(2, 2, 3),
    nn.LayerNorm(3),
]


@pytest.mark.parametrize("layer", UNKNOWN, ids=[f"{n}-{type(layer).__name__}" for n, layer in enumerate(UNKNOWN)])
def test_what_is_not_in_the_table_is_refused_by_name_in_one_line(layer: nn.Module) -> None:
    with pytest.raises(UserError, match=f"weights of {type(layer).__name__} .* known are plain floats") as told:
        dequantize(layer)
    assert told.value.kind == "model"
    assert "\n" not in str(told.value)


def test_a_plain_linear_layer_in_fp8_is_no_plain_one() -> None:
    layer = nn.Linear(IN, OUT, bias=False)
    layer.weight = nn.Parameter(layer.weight.to(FP8), requires_grad=False)
    with pytest.raises(UserError, match=r"weights of Linear \(weight float8_e4m3fn\) cannot be read"):
        dequantize(layer)


@pytest.mark.parametrize(
    "change",
    [{"bits": None}, {"bits": 3}, {"qzeros": None}, {"qzeros": zeros(3, 6)}, {"scales": torch.ones(4, OUT + 1)}],
    ids=str,
)
def test_packed_words_that_do_not_fit_together_are_refused(change: dict[str, Any]) -> None:
    parts = {"qweight": zeros(64, 6), "qzeros": zeros(4, 6), "scales": torch.ones(4, OUT), "bits": 4, **change}
    layer = nn.Module()
    vars(layer).update(in_features=64, out_features=OUT, **parts)
    with pytest.raises(UserError, match="packed weights of Module cannot be read"):
        dequantize(layer)


def test_scales_of_another_shape_are_refused() -> None:
    layer, _ = real_fp8((16, 16))
    layer.weight_scale_inv = nn.Parameter(torch.ones(2, 2))
    with pytest.raises(UserError, match=r"the scales of FP8Linear are \(2, 2\); its weights need \(3, 3\)"):
        dequantize(layer)


def test_subclasses_that_compute_as_their_parent_are_plain() -> None:
    from transformers.models.falcon.modeling_falcon import FalconLinear

    for made in (type("Projection", (nn.Linear,), {})(3, 2), FalconLinear(3, 2)):
        assert torch.equal(dequantize(made), made.weight)


@pytest.mark.parametrize("init", ["pissa", "pca"])
def test_an_fp8_model_starts_from_what_it_computes(init: str, make_model: Any, logits: Any) -> None:
    """One layer in fp8: the factors are those of its weights, and the function stays."""
    model = make_model("fp32")
    attention = model.model.layers[0].self_attn
    layer, _ = copy.deepcopy(real_fp8(None))
    layer.weight = nn.Parameter((attention.q_proj.weight * 100).detach().to(FP8), requires_grad=False)
    layer.weight_scale_inv = nn.Parameter(torch.tensor(0.01))
    layer.in_features, layer.out_features = attention.q_proj.in_features, attention.q_proj.out_features
    layer.forward = types.MethodType(lambda self, x: x @ dequantize(self).T, layer)
    attention.q_proj = layer
    before = logits(model)
    weights = dequantize(layer)
    attached = attach_adapter(model, "lora", {"init_lora_weights": init, "r": 4}, Path(), 1)
    a = attached.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight
    directions = torch.linalg.svd(weights).Vh[:4]
    assert (torch.nn.functional.normalize(a) @ directions.T).abs().diag().min() > 0.99
    assert (logits(attached) - before).abs().max() < 1e-3


def test_dora_is_refused_on_weights_that_peft_reads_without_their_scales(make_model: Any) -> None:
    model = make_model("fp32")
    attention = model.model.layers[0].self_attn
    attention.q_proj.register_buffer("weight_scale", torch.full((1,), 3.0))
    attach_adapter(copy.deepcopy(model), "lora", {}, Path(), 1)
    with pytest.raises(UserError, match=r"use_dora takes the norms of what .*layers\.0.*q_proj \(Linear\) stores"):
        attach_adapter(model, "lora", {"use_dora": True}, Path(), 1)

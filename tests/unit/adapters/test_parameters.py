"""How many parameters a model has, however its layers keep them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from sft.adapters.parameters import ParameterCounts, count_parameters

OUT, IN, GROUP = 48, 64, 16
PARAMETERS = IN * OUT + OUT


def layer(**tensors: torch.Tensor | nn.Parameter) -> nn.Module:
    made = nn.Module()
    for name, tensor in tensors.items():
        if isinstance(tensor, nn.Parameter):
            made.register_parameter(name, tensor)
        else:
            made.register_buffer(name, tensor)
    vars(made).update(in_features=IN, out_features=OUT)
    return made


def words(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape, dtype=torch.int32)


def awq() -> Any:
    groups = IN // GROUP
    tensors = {"qweight": words(IN, OUT // 8), "qzeros": words(groups, OUT // 8), "scales": torch.ones(groups, OUT)}
    return layer(**tensors, bias=torch.zeros(OUT))


def gptq() -> Any:
    groups = IN // GROUP
    tensors = {"qweight": words(IN // 8, OUT), "qzeros": words(groups, OUT // 8), "scales": torch.ones(groups, OUT)}
    return layer(**tensors, g_idx=words(IN), bias=torch.zeros(OUT))


def hqq() -> Any:
    frozen = nn.Parameter(torch.zeros(IN * OUT // 2 // GROUP, GROUP, dtype=torch.uint8), requires_grad=False)
    made = layer(W_q=frozen, bias=nn.Parameter(torch.zeros(OUT), requires_grad=False))
    vars(made).update(meta={"shape": (OUT, IN), "nbits": 4}, dequantize=lambda: torch.zeros(OUT, IN))
    return made


def fp8() -> Any:
    from transformers.integrations.finegrained_fp8 import FP8Linear

    made = FP8Linear(IN, OUT, block_size=(16, 16), has_bias=True)
    return made.requires_grad_(False)


KINDS = {"AWQ": awq, "GPTQ": gptq, "HQQ": hqq, "fp8": fp8}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_packed_weights_count_for_what_they_stand_for(make: Callable[[], nn.Module]) -> None:
    model = nn.ModuleDict({"head": nn.Linear(3, 5), "packed": make()})
    assert count_parameters(model) == ParameterCounts(20, 20 + PARAMETERS)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_layer_in_an_adapter_counts_once(make: Callable[[], nn.Module]) -> None:
    class Wrapped(nn.Module, BaseTunerLayer):
        """PEFT's layers hand out the weight of what they wrap, and its other wrappers every attribute."""

        def __init__(self) -> None:
            super().__init__()
            self.base_layer = make()
            self.lora_a = nn.Linear(IN, 2, bias=False)

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self._modules["base_layer"], name)

    assert count_parameters(Wrapped()) == ParameterCounts(2 * IN, 2 * IN + PARAMETERS)


def test_a_plain_model_counts_its_parameters() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3))
    model[1].requires_grad_(False)
    assert count_parameters(model) == (15, 21)

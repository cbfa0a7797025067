"""Weights packed as AWQ and GPTQ pack them, in plain torch: models of few bits, and the numbers they stand for."""

import copy
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import nn

WORD_BITS = 32
AWQ_PLACES = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight neighbouring outputs lies at each place of a word of AWQ, lowest bits first."""


class Codes(NamedTuple):
    """A matrix in groups of inputs: integers (in, out), zero points and scales (groups, out), group of each input."""

    codes: torch.Tensor
    zeros: torch.Tensor
    scales: torch.Tensor
    group: torch.Tensor

    @property
    def weights(self) -> torch.Tensor:
        """(out, in) the numbers that they stand for, in fp32."""
        return ((self.codes - self.zeros[self.group]) * self.scales.float()[self.group]).T


def rounded(weight: torch.Tensor, bits: int, group_size: int, *, symmetric: bool) -> Codes:
    """The codes nearest to a matrix (out, in); symmetric ones have their zero point in the middle."""
    groups = weight.T.reshape(-1, group_size, weight.shape[0])
    low, high = groups.amin(1), groups.amax(1)
    if symmetric:
        high = torch.maximum(high, -low)
        low = -high
    scales = ((high - low).clamp(min=1e-5) / (2**bits - 1)).half()
    zeros = torch.full_like(low, 2 ** (bits - 1)) if symmetric else (-low / scales.float()).round()
    zeros = zeros.clamp(0, 2**bits - 1).long()
    codes = (groups / scales.float()[:, None]).round().long() + zeros[:, None]
    group = torch.arange(weight.shape[1]) // group_size
    return Codes(codes.clamp(0, 2**bits - 1).flatten(0, 1), zeros, scales, group)


def packed_columns(values: torch.Tensor, bits: int, places: Any) -> torch.Tensor:
    """int32 words along the last axis: place i of a word holds the value `places[i]` of its block."""
    blocks = values.reshape(values.shape[0], -1, WORD_BITS // bits)
    words = torch.zeros(blocks.shape[:2], dtype=torch.int64)
    for place, column in enumerate(places):
        words |= blocks[..., column] << (place * bits)
    return words.to(torch.int32)


def gptq_tensors(made: Codes, bits: int, *, version: int = 1) -> dict[str, torch.Tensor]:
    """What a GPTQ layer stores; the first version keeps zero points less one."""
    places = range(WORD_BITS // bits)
    zeros = made.zeros - 1 if version == 1 else made.zeros
    return {
        "qweight": packed_columns(made.codes.T.contiguous(), bits, places).T.contiguous(),
        "qzeros": packed_columns(zeros, bits, places),
        "scales": made.scales,
        "g_idx": made.group.to(torch.int32),
    }


def awq_tensors(made: Codes) -> dict[str, torch.Tensor]:
    """What a 4-bit AWQ layer (GEMM) stores."""
    words = {"qweight": packed_columns(made.codes, 4, AWQ_PLACES), "qzeros": packed_columns(made.zeros, 4, AWQ_PLACES)}
    return {**words, "scales": made.scales}


def write_packed(model: Any, folder: Path, kind: str, group_size: int = 32) -> Any:
    """Write a 4-bit `gptq` or `awq` checkpoint of a model's blocks; gives the model with the numbers it stands for."""
    stands_for, tensors = copy.deepcopy(model), {}
    for name, layer in stands_for.named_modules():
        if isinstance(layer, nn.Linear) and re.search(r"\.layers?\.", name):
            made = rounded(layer.weight.detach(), 4, group_size, symmetric=kind == "gptq")
            layer.weight.data.copy_(made.weights)
            stored = gptq_tensors(made, 4) if kind == "gptq" else awq_tensors(made)
            tensors |= {f"{name}.{key}": tensor.contiguous() for key, tensor in stored.items()}
    plain = {
        key: value.clone()  # tied ones are stored twice
        for key, value in model.state_dict().items()
        if f"{key.removesuffix('.weight')}.scales" not in tensors
    }
    model.save_pretrained(folder)
    save_file({**plain, **tensors}, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    shared = {"quant_method": kind, "bits": 4, "group_size": group_size}
    own = {"desc_act": False, "sym": True} if kind == "gptq" else {"zero_point": True, "version": "gemm"}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {**shared, **own}}))
    return stands_for

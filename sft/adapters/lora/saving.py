"""A trained LoRA adapter as a plain PEFT folder.

Plain `PeftModel.from_pretrained(base, folder)` on the untouched base must give the trained model. Where the
initialisation moved the base by -s B0 A0, what was learned is s (B A - B0 A0) on the untouched base: twice the rank,
with the scaling kept. [A; A0] and [B, -B0] would say it too, as the difference of two large products, in which
rounding swallows a small change; so the difference is factorised anew, in float64.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from sft.adapters.peft.folder import WEIGHTS, adapter_config, write_config
from sft.exceptions import StageFailure
from sft.initialization.factors import Factors, initial_factors
from sft.initialization.layers import ADAPTER, adapter_layers, joined_factors, split_factors


def save_lora(model: Any, folder: Path) -> dict[str, Any]:
    """Write the trained adapter of a `PeftModel` to `folder`, which is new.

    Returns:
        `exported_rank`: the rank in the folder, twice the trained one where the base was moved.
    """
    model.save_pretrained(folder, selected_adapters=[ADAPTER])
    factors = initial_factors(model)
    config = adapter_config(folder)
    if factors:
        _widen_weights(folder / WEIGHTS, factors, {layer.name: layer.experts for layer in adapter_layers(model)})
        config = _widened(config)
    write_config(folder, config)
    return {"exported_rank": int(config["r"])} if "r" in config else {}


def _widen_weights(file: Path, factors: Mapping[str, Factors], experts: Mapping[str, int]) -> None:
    tensors = load_file(file)
    for name, start in factors.items():
        a, b = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
        here, count = tensors[a].device, experts[name]
        trained = zip(*split_factors(tensors[a], tensors[b], count), strict=True)
        started = zip(*split_factors(start.a.to(here), start.b.to(here), count), strict=True)
        wide = [_learned(*pair, *pair0) for pair, pair0 in zip(trained, started, strict=True)]
        new_a, new_b = joined_factors(*zip(*wide, strict=True))
        tensors[a], tensors[b] = new_a.to(tensors[a]).contiguous(), new_b.to(tensors[b]).contiguous()
    save_file(tensors, file, metadata={"format": "pt"})


def _learned(
    a: torch.Tensor, b: torch.Tensor, start_a: torch.Tensor, start_b: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors of twice the rank, whose product is what was learned since the start."""
    wide_a = torch.cat([a.double(), start_a.double()])
    return _refactored(wide_a, torch.cat([b.double(), -start_b.double()], dim=1))


def _refactored(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors of the same shapes and the same product, each the square root of what the product is large in.

    Args:
        a: (rank, in) float64.
        b: (out, rank) float64.

    Raises:
        StageFailure: kind diverged; a number is not finite.
    """
    if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
        raise StageFailure("the trained adapter holds numbers that are not finite", kind="diverged")
    rank = len(a)
    left, left_part = torch.linalg.qr(b)
    right, right_part = torch.linalg.qr(a.T)
    u, sizes, v = torch.linalg.svd(left_part @ right_part.T, full_matrices=False)
    signs = torch.sign(u.gather(0, u.abs().argmax(dim=0, keepdim=True)))
    signs[signs == 0] = 1
    roots = sizes.sqrt()
    new_b, new_a = left @ (u * signs * roots), ((v * signs.T * roots[:, None]) @ right.T)
    missing = rank - len(sizes)
    return torch.nn.functional.pad(new_a, (0, 0, 0, missing)), torch.nn.functional.pad(new_b, (0, missing))


def _widened(config: Mapping[str, Any]) -> dict[str, Any]:
    """Twice the rank at the same scaling, for the adapter and for every pattern."""
    factor = math.sqrt(2) if config["use_rslora"] else 2
    return {
        **config,
        "r": 2 * config["r"],
        "lora_alpha": factor * config["lora_alpha"],
        "rank_pattern": {key: 2 * rank for key, rank in (config["rank_pattern"] or {}).items()},
        "alpha_pattern": {key: factor * alpha for key, alpha in (config["alpha_pattern"] or {}).items()},
        "init_lora_weights": True,
    }

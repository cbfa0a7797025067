"""The factors an adapter starts from, and where a model keeps those that moved its base."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import torch
from torch import nn

ATTRIBUTE = "sft_initial_factors"
Function = TypeVar("Function")


class Initializer(Protocol):
    """A pure function from a layer to the first factors of its adapter, for scaling 1."""

    def __call__(self, layer: nn.Module, rank: int, dtype: torch.dtype = ...) -> Mapping[str, torch.Tensor]:
        """`lora_A` (rank, in) and `lora_B` (out, rank) of `layer`."""
        ...


@dataclass(frozen=True)
class Factors:
    """A0 and B0 of one layer, as they stood before the first step."""

    a: torch.Tensor
    """(rank, in)"""

    b: torch.Tensor
    """(out, rank)"""


def keep_base(effect: str) -> Callable[[Function], Function]:
    """Mark an initialiser whose B A is not taken off the base, so that the model's function changes.

    Args:
        effect: what becomes of the model, as it is told.
    """

    def marked(initializer: Function) -> Function:
        vars(initializer).update(keep_base=True, effect=effect)
        return initializer

    return marked


def keeps_base(initializer: Initializer) -> bool:
    """Whether an initialiser leaves the base as it is although its B is not 0."""
    return bool(getattr(initializer, "keep_base", False))


def deterministic(initializer: Function) -> Function:
    """Mark an initialiser of which the same weights, as `dequantize` reads them, always get the same factors."""
    vars(initializer)["deterministic"] = True
    return initializer


def needs(what: Literal["activations", "gradients"]) -> Callable[[Function], Function]:
    """Mark an initialiser that looks at the training rows; what they make a layer see is its fourth argument.

    Args:
        what: `activations`: X^T X of the layer's inputs X (tokens, in), float64 (in, in), over every token of every
            row, prompt and answer; `gradients`: of the mean loss with respect to the weights, fp32 (out, in), the mean
            of batches of eight rows.
    """

    def marked(initializer: Function) -> Function:
        vars(initializer)["needs"] = what
        return initializer

    return marked


def needs_of(initializer: object) -> str | None:
    """What of the training rows an initialiser looks at; None where it looks at the layer alone."""
    found: str | None = getattr(initializer, "needs", None)
    return found


def initial_factors(model: nn.Module) -> Mapping[str, Factors]:
    """A0 and B0 by module name, of a model whose base was moved by them; empty where the base is untouched."""
    found: Mapping[str, Factors] = getattr(model, ATTRIBUTE, {})
    return found


def remember_factors(model: nn.Module, factors: Mapping[str, Factors]) -> None:
    """Keep A0 and B0 with the model: every export needs them, and no second decomposition gives the same."""
    setattr(model, ATTRIBUTE, dict(factors))


def save_factors(model: nn.Module, file: Path) -> None:
    """Write A0 and B0 as safetensors, for a training that is resumed in another process."""
    from safetensors.torch import save_file

    tensors = {}
    for name, pair in initial_factors(model).items():
        tensors[f"{name}.lora_A"], tensors[f"{name}.lora_B"] = pair.a.contiguous(), pair.b.contiguous()
    save_file(tensors, file)


def load_factors(file: Path) -> dict[str, Factors]:
    """A0 and B0 by module name from what `save_factors` wrote."""
    from safetensors.torch import load_file

    tensors = load_file(file)
    names = sorted({key.rpartition(".")[0] for key in tensors})
    return {name: Factors(tensors[f"{name}.lora_A"], tensors[f"{name}.lora_B"]) for name in names}

"""The layers of a model that hold a LoRA adapter, each as the matrices that it adapts.

A linear layer adapts one. Joined experts are one parameter of as many matrices as there are experts; PEFT keeps their
factors side by side, A as (experts x rank, in) and B as (out, rank x experts).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sft.exceptions import UserError
from sft.initialization.factors import Factors
from sft.models.storages import EXACT_TYPES, PLAIN_TYPES, is_conv1d, is_exact

ADAPTER = "default"
ANCHOR = "anchor"
OF_BASE = "base_model.model."
"""What PEFT puts before the names of the modules of a base."""


@dataclass(frozen=True)
class AdapterLayer:
    """One LoRA layer of a model."""

    name: str
    """Module name within the model."""

    module: Any
    """The `peft` LoraLayer."""

    @property
    def base(self) -> nn.Module:
        """The layer that the adapter is added to."""
        base: nn.Module = self.module.get_base_layer()
        return base

    @property
    def is_parameter(self) -> bool:
        """Whether the adapter is of a parameter by itself, such as joined experts, and not of a linear layer."""
        return hasattr(self.module, "get_param")

    @property
    def base_weight(self) -> torch.Tensor:
        """The adapted weight, without its gradient."""
        weight: Any = self.module.get_param() if self.is_parameter else self.base.weight
        data: torch.Tensor = weight.data
        return data

    @property
    def experts(self) -> int:
        """How many matrices it adapts."""
        return int(self.module.num_experts) if self.is_parameter else 1

    @property
    def is_exact(self) -> bool:
        """Whether the base is plain fp32 or fp64 numbers, which can be changed in place."""
        if not self.is_parameter:
            return is_exact(self.base)
        return self.base_weight.dtype in EXACT_TYPES

    @property
    def inputs(self) -> int:
        """How many numbers it reads of a token."""
        return int(self.module.in_features)

    @property
    def outputs(self) -> int:
        """How many numbers it gives for a token."""
        return int(self.module.out_features)

    @property
    def rank(self) -> int:
        """Its rank, after `rank_pattern`."""
        return int(self.module.r[ADAPTER])

    @property
    def scaling(self) -> float:
        """s: alpha / r, or alpha / sqrt(r) with rslora."""
        return float(self.module.scaling[ADAPTER])

    def layers(self) -> Iterator[nn.Module]:
        """The linear layer, or one for each expert with that expert's matrix.

        Raises:
            UserError: kind model: the experts' weights are packed.
        """
        if not self.is_parameter:
            yield self.base
            return
        if self.base_weight.dtype not in PLAIN_TYPES:
            kind = str(self.base_weight.dtype).removeprefix("torch.")
            raise UserError(f"layer {self.name}: weights of type {kind} cannot be read as matrices", kind="model")
        for number in range(self.experts):
            yield linear_of(self._matrix(number))

    def subtract(self, product: Sequence[torch.Tensor]) -> None:
        """Take matrices (out, in) off the base, one for each that is adapted."""
        for number, part in enumerate(product):
            matrix = self._matrix(number)
            matrix.sub_(part.to(matrix))

    def weights(self, adapter: str = ADAPTER) -> tuple[torch.Tensor, torch.Tensor]:
        """A (rank, in) and B (out, rank) of one adapter, as they are trained; of joined experts side by side."""
        return self.module.lora_A[adapter].weight.data, self.module.lora_B[adapter].weight.data

    def copied_factors(self) -> Factors:
        """A and B as they stand now, on the CPU."""
        a, b = self.weights()
        return Factors(a.to("cpu", copy=True), b.to("cpu", copy=True))

    def _matrix(self, number: int) -> torch.Tensor:
        """(out, in) one adapted matrix, in the memory of the base."""
        weight = self.base_weight
        if not self.is_parameter:
            return weight.T if is_conv1d(self.base) else weight
        if weight.dim() == 2:
            return weight
        return weight[number] if self.module._did_swap_in_out_features else weight[number].T


def adapter_layers(model: nn.Module) -> list[AdapterLayer]:
    """The LoRA layers of a model, in its order.

    Raises:
        UserError: a target is neither a linear layer nor a parameter.
    """
    return list(_adapter_layers(model))


def linear_of(weight: torch.Tensor) -> nn.Linear:
    """A linear layer that has this weight (out, in), in the same memory."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def split_factors(a: torch.Tensor, b: torch.Tensor, experts: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """A (rank, in) and B (out, rank) of each expert, in the memory of those side by side."""
    rows = a.reshape(experts, -1, a.shape[1])
    columns = b.reshape(b.shape[0], -1, experts)
    return list(rows), [columns[:, :, number] for number in range(experts)]


def joined_factors(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """A and B of all experts side by side."""
    return torch.cat(list(a)), torch.stack(list(b), dim=-1).flatten(1)


def _adapter_layers(model: nn.Module) -> Iterator[AdapterLayer]:
    from peft.tuners.lora.layer import LoraLayer

    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            if ADAPTER not in module.lora_A or not isinstance(module.lora_A[ADAPTER], nn.Linear):
                kind = type(module.get_base_layer()).__name__
                text = f"target {name} is {kind}; initialisers know linear layers only: take it off target_modules"
                raise UserError(text)
            yield AdapterLayer(name, module)

"""Begins the factors of PEFT's low-rank methods beside LoRA from an initialiser; the model's function does not change.

Each function here but `begin_directions` fills one layer of one method. Nothing is taken off the base: a factor that
is 0 keeps the method's change at 0, so that only the directions come from the initialiser.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sft.exceptions import UserError
from sft.initialization.apply import made_factors
from sft.initialization.cached_factors import keep_in_bounds
from sft.initialization.factors import Initializer
from sft.initialization.layers import ADAPTER, linear_of
from sft.initialization.utils import dequantize
from sft.runs.progress import beat


@dataclass(frozen=True)
class Maker:
    """An initialiser at one layer of a model."""

    initializer: Initializer
    where: str
    """The initialiser and the layer, as messages begin."""

    def pair(self, linear: nn.Module, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A and B of a linear layer, like the tensors `a` (rank, in) and `b` (out, rank)."""
        return made_factors(self.initializer, linear, len(a), a, b, self.where)

    def rows(self, linear: nn.Module, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """A alone.

        Raises:
            UserError: B is not 0.
        """
        made, other = self.pair(linear, a, b)
        if other.any():
            text = "lora_B is not 0, and this method takes nothing off the base for it; return zeros"
            raise UserError(f"{self.where}: {text}")
        return made


def begin_directions(model: Any, initializer: Initializer, name: str, fill: Callable[[Any, Maker], None]) -> None:
    """Fill the adapter of a freshly attached PEFT model from its base weights.

    Args:
        model: a `PeftModel` before its first step.
        initializer: the function.
        name: what it is called in messages.
        fill: writes what is made of one layer; the layer's class is that of the model's method.

    Raises:
        UserError: the weights cannot be read, or the factors do not fit.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for place, module in model.named_modules():
        if isinstance(module, BaseTunerLayer) and ADAPTER in getattr(module, "r", ()):
            beat()
            with torch.no_grad():
                fill(module, Maker(initializer, f"initialiser {name}, layer {place}"))
    keep_in_bounds()


def fill_triplets(module: Any, maker: Maker) -> None:
    """AdaLoRA's change P E Q (openreview lq62uWRJjiY, equation 3): P and Q are the directions of B and A, E stays 0.

    The rows of A and the columns of B are brought to length 1, where the penalty on P'P - 1 and QQ' - 1 (equation 4)
    wants them; what was their length, E learns. A row or column that is 0 has no direction and stays as PEFT draws
    it, the whole B of an initialiser whose B is 0 among them: E gets no gradient where P or Q is 0, and P and Q get
    none where E is.
    """
    a, b = module.lora_A[ADAPTER].data, module.lora_B[ADAPTER].data
    made_a, made_b = maker.pair(module.get_base_layer(), a, b)
    _point(a, made_a, 1)
    _point(b, made_b, 0)


def fill_blocks(module: Any, maker: Maker) -> None:
    """GraLoRA's factors of each of the k x k blocks of a weight (arXiv:2505.20355), made of that block alone.

    A of the block in block row m and block column n is a part of rank r / k. The general factors of `hybrid_r` are
    made of the whole weight. B stays 0.
    """
    blocks, base = module.gralora_k[ADAPTER], module.get_base_layer()
    weight, stacked = dequantize(base), module.gralora_A[ADAPTER].data  # (out, in) and (k, in / k, r)
    outputs, inputs, rank = weight.shape[0] // blocks, weight.shape[1] // blocks, stacked.shape[2] // blocks
    for row in range(blocks):
        for column in range(blocks):
            block = weight[row * outputs : (row + 1) * outputs, column * inputs : (column + 1) * inputs]
            like = stacked.new_empty(rank, inputs), stacked.new_empty(outputs, rank)
            made = maker.rows(linear_of(block), *like)
            stacked[column, :, row * rank : (row + 1) * rank] = made.T
    if module.hybrid_r[ADAPTER]:
        a, b = module.gralora_A_general[ADAPTER].weight, module.gralora_B_general[ADAPTER].weight
        a.copy_(maker.rows(base, a, b))


def fill_bounded(module: Any, maker: Maker) -> None:
    """DeLoRA's A (arXiv:2503.18225), which reads inputs times the norms of the weight's columns, and whose B is 0.

    Each column of A is divided by that norm, so that the layer reads its inputs along the initialiser's rows. The
    length of the rows does not count: DeLoRA divides by it.
    """
    a, norms = module.delora_A[ADAPTER].data, module.delora_w_norm[ADAPTER]
    made = maker.rows(module.get_base_layer(), a, module.delora_B[ADAPTER].data)
    a.copy_(made / torch.where(norms > 0, norms, 1).to(made))


def _point(drawn: torch.Tensor, made: torch.Tensor, along: int) -> None:
    """Give vectors along a dimension, as they were drawn, the directions of those that were made, at length 1."""
    lengths = made.norm(dim=along, keepdim=True)
    drawn.copy_(torch.where(lengths > 0, made / lengths, drawn))

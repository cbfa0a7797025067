"""MiLoRA (arXiv:2406.09044): the adapter starts as the minor part of the weights, the base keeps the principal one."""

import torch
from torch import nn

from sft.initialization.factors import deterministic
from sft.initialization.spectrum import bottom_singular
from sft.initialization.utils import dequantize


@deterministic
def milora(layer: nn.Module, rank: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    """A = sqrt(S_r) V_r^T and B = U_r sqrt(S_r) of the r smallest singular triplets of W = U S V^T.

    What applies them takes B A off the base, so that the model's function does not change. Training then moves the
    directions that the weights use least. A direction whose singular value is 0 has A = B = 0 and never moves.

    Args:
        layer: the linear layer, plain or quantised.
        rank: number of singular triplets, at most the smaller side of W.
        dtype: of the result.
    """
    return bottom_singular(dequantize(layer), rank).factors(dtype)

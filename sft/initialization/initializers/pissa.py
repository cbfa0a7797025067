"""PiSSA (arXiv:2404.02948): the adapter starts as the principal part of the weights, the base keeps the rest."""

import torch
from torch import nn

from sft.initialization.factors import deterministic
from sft.initialization.spectrum import top_singular
from sft.initialization.utils import dequantize


@deterministic
def pissa(layer: nn.Module, rank: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    """A = sqrt(S_r) V_r^T and B = U_r sqrt(S_r) of W = U S V^T: B A is the best approximation of W of that rank.

    What applies them takes B A off the base, so that the model's function does not change.

    Args:
        layer: the linear layer, plain or quantised.
        rank: number of singular triplets, at most the smaller side of W.
        dtype: of the result.
    """
    return top_singular(dequantize(layer), rank).factors(dtype)

"""LoftQ (arXiv:2310.08659), one iteration: the adapter starts as the best correction of what quantisation lost."""

import torch
from torch import nn

from sft.exceptions import UserError
from sft.initialization.factors import keep_base
from sft.initialization.original_weights import original_weight
from sft.initialization.spectrum import top_singular
from sft.initialization.utils import dequantize
from sft.models.storages import is_exact, is_half

FARTHEST = 0.5
"""Distance between a weight and its quantised form, as a share of its norm, above which they are not of one layer; 4
bits lose about 0.1."""


@keep_base("the model starts nearer to its weights before quantisation")
def loftq(layer: nn.Module, rank: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    """A = sqrt(S_r) V_r^T and B = U_r sqrt(S_r) of W - Q = U S V^T; Q are the quantised weights, W those of the files.

    The base keeps Q, so that plain PEFT on the base quantised as ever computes the trained model. This is the
    algorithm's first iteration, from B A = 0; a further one would quantise W - B A, and the base would be another.

    Args:
        layer: the quantised linear layer, of a model that was quantised while it was loaded.
        rank: number of singular triplets, at most the smaller side of W.
        dtype: of the result.

    Raises:
        UserError: kind model: the layer is not quantised, or the model's files do not hold its weights unquantised.
    """
    if is_exact(layer) or is_half(layer):
        raise UserError("the weights are not quantised, so that nothing was lost; take pissa", kind="model")
    quantised = dequantize(layer)
    original = original_weight(layer).to(quantised)
    if original.shape != quantised.shape or (original - quantised).norm() > FARTHEST * original.norm():
        raise UserError("the model's files hold another matrix under its name; take pissa", kind="model")
    return top_singular(original - quantised, rank).factors(dtype)

"""PCA: the adapter reads the directions in which the layer's rows vary most."""

import torch
from torch import nn

from sft.initialization.factors import deterministic
from sft.initialization.spectrum import top_singular
from sft.initialization.utils import dequantize


@deterministic
def pca(layer: nn.Module, rank: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    """Rows of A = the eigenvectors of W^T W with the `rank` largest eigenvalues, B = 0.

    The rows of W are not centred, so these are W's right singular vectors. They are orthonormal; the largest entry of
    each is positive. Since B is 0, the model's function does not change.

    Args:
        layer: the linear layer, plain or quantised.
        rank: number of directions, at most the smaller side of W.
        dtype: of the result.
    """
    weight = dequantize(layer)
    directions = top_singular(weight, rank).right.to(dtype)
    return {"lora_A": directions, "lora_B": directions.new_zeros(weight.shape[0], rank)}

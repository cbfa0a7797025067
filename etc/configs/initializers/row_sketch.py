"""An initialiser of one's own: `lora: {init_lora_weights: '../initializers/row_sketch.py:row_sketch'}`."""

import torch
from torch import nn

from sft.initialization.utils import dequantize


def row_sketch(layer: nn.Module, rank: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    """Rows of A = an orthonormal basis of `rank` random mixtures of the layer's rows, B = 0.

    Cheaper than `pca`, since there is no decomposition of W. B is 0, so the model's function does not change; the
    mixtures are drawn under `seeds.init`.

    Args:
        layer: the linear layer, plain or quantised.
        rank: number of directions, at most the smaller side of W.
        dtype: of the result.

    Returns:
        `lora_A` (rank, in) and `lora_B` (out, rank), the factors for scaling 1.
    """
    weight = dequantize(layer)  # fp32, (out, in), whatever the layer is stored as
    mixtures = torch.randn(rank, weight.shape[0], device=weight.device) @ weight
    basis = torch.linalg.qr(mixtures.T).Q.T
    return {"lora_A": basis.to(dtype), "lora_B": weight.new_zeros(weight.shape[0], rank, dtype=dtype)}

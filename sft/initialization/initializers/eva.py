"""EVA (arXiv:2410.07170): the adapter reads the directions in which the layer's inputs vary most over the shots."""

from collections.abc import MutableMapping
from typing import Any

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from sft.initialization.factors import needs
from sft.initialization.spectrum import top_directions
from sft.initialization.utils import is_conv1d

_FOUND: MutableMapping[torch.Tensor, torch.Tensor] = WeakTensorKeyDictionary()
"""The directions of the matrices that are still held: layers that read the same inputs are given the same one."""


@needs("activations")
def eva(layer: Any, rank: int, dtype: torch.dtype, activations: torch.Tensor) -> dict[str, torch.Tensor]:
    """Rows of A = the `rank` first right singular vectors of the inputs X of the layer, B = 0.

    X has a row for every token of every training row, prompt and answer, and is not centred. Its right singular
    vectors are the eigenvectors of X^T X; the largest entry of each is positive. Every layer gets the same rank (rho =
    1 in the paper's terms). Where X has fewer directions than that, any others complete the basis. Since B is 0, the
    model's function does not change.

    Args:
        layer: the linear layer, plain or quantised; its weights are not read.
        rank: number of directions, at most the layer's inputs.
        dtype: of the result.
        activations: (in, in) float64, X^T X.
    """
    outputs = layer.nf if is_conv1d(layer) else layer.out_features
    found = _FOUND.get(activations)
    if found is None or len(found) != rank:
        found = _FOUND[activations] = top_directions(activations, rank)
    directions = found.to(dtype)
    return {"lora_A": directions, "lora_B": directions.new_zeros(outputs, rank)}

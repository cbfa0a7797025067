"""UMAP: the adapter reads a neighbourhood-preserving map of the layer's input dimensions."""

import math

import torch
from torch import nn

from sft.exceptions import PackageMissing, UserError
from sft.initialization.utils import dequantize

RANDOM_STATE = 13
NEIGHBOURS = 15
ROW_NORM = 1 / math.sqrt(3)


def umap(layer: nn.Module, rank: int, dtype: torch.dtype = torch.bfloat16) -> dict[str, torch.Tensor]:
    """Rows of A = the coordinates of a UMAP of W's columns (one point per input) in `rank` dimensions, B = 0.

    Each coordinate is centred and scaled to the norm that rows of the default initialisation have (0.577), because a
    map's own scale is arbitrary. The map is drawn under a fixed state; since B is 0, the model's function does not
    change. It runs on the CPU in one thread and is slow on wide layers. There is no theory that says it should help.

    Raises:
        PackageMissing: the package umap-learn is not installed.
        UserError: the rank is not below the number of inputs.
    """
    try:
        from umap import UMAP
    except ImportError as error:
        raise PackageMissing("umap-learn", "the initialiser umap", "pip install 'sft-grid[umap]'") from error
    weight = dequantize(layer)
    outputs, inputs = weight.shape
    if rank >= inputs - 1:
        raise UserError(f"rank {rank} is too large for umap: a layer with {inputs} inputs takes at most {inputs - 2}")
    points = weight.T.cpu().numpy()
    neighbours = min(NEIGHBOURS, inputs - 1)
    mapped = UMAP(n_components=rank, n_neighbors=neighbours, random_state=RANDOM_STATE, n_jobs=1).fit_transform(points)
    rows = torch.from_numpy(mapped).T.to(weight)
    rows = rows - rows.mean(dim=1, keepdim=True)
    rows = ROW_NORM * rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    return {"lora_A": rows.to(dtype), "lora_B": rows.new_zeros(outputs, rank, dtype=dtype)}

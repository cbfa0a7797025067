"""The weight matrix of a layer as the layer computes with it, whatever form it is stored in."""

import torch
from torch import nn

from sft.models.storages import is_conv1d, storage_of

__all__ = ["dequantize", "is_conv1d"]


def dequantize(layer: nn.Module) -> torch.Tensor:
    """The weights of a linear layer as a new fp32 tensor of shape (out, in), on the layer's device.

    Known are the kinds in `sft.models.storages`. A transformers `Conv1D`, which stores (in, out), is turned round. The
    layer is not changed.

    Raises:
        UserError: kind model: weights in a form that is not known, or repacked by a kernel.
    """
    with torch.no_grad():
        return storage_of(layer).dequantize(layer).to(torch.float32)
